"""The yardstick of a full validation: read every blob below ``indexes/`` of HEAD, and no more."""

from __future__ import annotations

import sys

import pygit2


def read_all(tree: pygit2.Tree) -> int:
    """Return the bytes of all blobs below *tree*, read in the order of the tree."""
    total = 0
    for entry in tree:
        if isinstance(entry, pygit2.Tree):
            total += read_all(entry)
        elif isinstance(entry, pygit2.Blob):
            total += len(entry.data)
    return total


if __name__ == "__main__":
    indexes = pygit2.Repository(sys.argv[1]).revparse_single("HEAD:indexes")
    print(read_all(indexes.peel(pygit2.Tree)))
