"""The access log: a line for each request, in the Combined Log Format."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

from gitindex.errors import CannotRunError

_LOG = logging.getLogger("gitindex.server")
_STDOUT = 1
_LONGEST = 1000
"""Bytes of what a client sends that a line takes over."""


class AccessLog:
    """Writes lines to a file, or to standard output."""

    def __init__(self, file: str) -> None:
        """Open the *file*, ``-`` for standard output.

        Raises:
            CannotRunError: it cannot be written to.

        """
        self._file, self._problem = file, ""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        try:
            self._descriptor = os.dup(_STDOUT) if file == "-" else os.open(file, flags, 0o640)
        except OSError as error:
            raise CannotRunError(f"{file}: cannot be written: {error.strerror}", help="see --access-log") from None

    def __call__(self, scope: dict[str, Any], status: int, size: int, reader: str) -> None:
        """Write the line of a request: *size* are the bytes of the body, *reader* is the id of the token."""
        sent = dict(scope["headers"])
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        client = scope["client"][0] if scope["client"] else "-"
        moment = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
        request = f"{scope['method']} {_safe(target)} HTTP/{scope['http_version']}"
        referer, agent = _safe(sent.get(b"referer", b"-")), _safe(sent.get(b"user-agent", b"-"))
        line = f'{client} - {reader or "-"} [{moment}] "{request}" {status} {size or "-"} "{referer}" "{agent}"\n'
        problem = ""
        try:
            # One write for each line: those of several workers do not mix.
            os.write(self._descriptor, line.encode())
        except OSError as error:
            problem = error.strerror or str(error)
        if problem and problem != self._problem:
            # A request is answered whether or not it can be written down.
            _LOG.error("%s: lines are lost: %s", self._file, problem)
        self._problem = problem

    def close(self) -> None:
        """Write no more."""
        os.close(self._descriptor)


def _safe(value: bytes) -> str:
    """Return what a client sent as a line of a log can carry it."""
    text = value[:_LONGEST].decode("latin-1")
    return "".join(c if " " <= c <= "~" and c not in '"\\' else f"\\x{ord(c):02x}" for c in text)
