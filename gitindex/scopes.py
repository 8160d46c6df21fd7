"""What a token may do: scopes as text, such as ``read:emilie/prod``."""

from __future__ import annotations

from collections.abc import Collection

from gitindex.errors import UsageError
from gitindex.names import IndexName, is_user_name, parse_index_name

VARIABLE = "GITINDEX_TOKENS"
"""The environment variable that names the file of the tokens."""
EVERY = "*"
READ = "read:"
"""What the only kind of scope starts with: ``read:USER/INDEX``, ``read:USER/*`` or ``read:*``."""


def is_index_pattern(text: str) -> bool:
    """Tell whether *text* names indexes: ``user/index``, ``user/*`` or ``*``."""
    if text == EVERY:
        return True
    user, _, name = text.partition("/")
    return is_user_name(user) if name == EVERY else parse_index_name(text) is not None


def read_scope(pattern: str) -> str:
    """Return the scope that lets a token read the indexes that *pattern* names.

    Raises:
        UsageError: it names none.

    """
    if not is_index_pattern(pattern):
        raise UsageError(
            f"{pattern!r} names no index", help="write USER/INDEX, such as emilie/prod, or 'emilie/*', or '*' for all"
        )
    return READ + pattern


def allows(scopes: Collection[str], index: IndexName) -> bool:
    """Tell whether one of the *scopes* allows to read the index; each is looked up, for a set's sake."""
    return f"{READ}{index}" in scopes or f"{READ}{index.user}/{EVERY}" in scopes or READ + EVERY in scopes
