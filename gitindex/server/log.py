"""The access log: a line for each request, in the Combined Log Format."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from gitindex.errors import CannotRunError

_log = logging.getLogger("gitindex.server")
_LONGEST = 1000
"""Bytes of what a client sends that a line takes over."""


class AccessLog:
    """Writes lines to a file, or to standard output."""

    def __init__(self, file: str) -> None:
        """Open the *file*, ``-`` for standard output.

        Raises:
            CannotRunError: it cannot be written to.

        """
        self._is_failing = False
        try:
            self._stream = sys.stdout if file == "-" else open(file, "a", encoding="utf-8")  # noqa: PTH123, SIM115
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
        try:
            # One write for each line: those of several workers do not mix.
            self._stream.write(line)
            self._stream.flush()
        except OSError as error:
            # No client goes without an answer because a disk is full.
            if not self._is_failing:
                _log.error("the access log cannot be written: %s", error.strerror or error)
            self._is_failing = True
        else:
            self._is_failing = False


def _safe(value: bytes) -> str:
    """Return what a client sent as a line of a log can carry it."""
    text = value[:_LONGEST].decode("latin-1")
    return "".join(c if " " <= c <= "~" and c not in '"\\' else f"\\x{ord(c):02x}" for c in text)
