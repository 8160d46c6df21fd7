"""Keeps templates compiled beside their sources, as Python does with its modules: it takes longer than to fill them in.

Where nothing can be written there, or Python is told to write no bytecode, they are compiled each time.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from importlib.util import cache_from_source

import jinja2.compiler
from jinja2.bccache import Bucket, BytecodeCache

from gitindex import atomic
from gitindex.errors import CannotRunError


class CompiledTemplates(BytecodeCache):
    """The compiled templates of an environment that the module *maker* sets up.

    Jinja looks at the source of a template, its own format and the version of Python. The code depends on the compiler
    and on the options of the environment too, so the files of both are looked at, as Python looks at a module's.
    """

    def __init__(self, folder: str, maker: str) -> None:
        self._folder = folder
        self._stamp = "".join(_state(path) for path in (jinja2.compiler.__file__, maker)).encode() + b"\n"

    def load_bytecode(self, bucket: Bucket) -> None:
        """Put into the bucket what is kept for it, if anything is."""
        with contextlib.suppress(OSError), open(self._place(bucket), "rb") as file:  # noqa: PTH123
            if file.readline() == self._stamp:
                bucket.load_bytecode(file)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what is in the bucket, where that can be."""
        if sys.dont_write_bytecode:
            return
        place = self._place(bucket)
        code = io.BytesIO()
        bucket.write_bytecode(code)
        with contextlib.suppress(OSError, CannotRunError):
            os.makedirs(os.path.dirname(place), exist_ok=True)  # noqa: PTH103, PTH120
            atomic.write(place, [self._stamp, code.getvalue()])

    def _place(self, bucket: Bucket) -> str:
        return cache_from_source(f"{self._folder}/{bucket.key}.py")


def _state(path: str) -> str:
    found = os.stat(path)  # noqa: PTH116
    return f"{path} {found.st_mtime_ns} {found.st_size} "
