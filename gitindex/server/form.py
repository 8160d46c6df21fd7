"""Reads the form that a request sends (multipart/form-data, RFC 7578): a large file goes to the disk as it comes."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import logging
from collections.abc import Collection
from concurrent.futures import Executor
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from gitindex.server.body import BodyError, body_pieces

if TYPE_CHECKING:
    from gitindex.server.delivery import Exchange

# What a client sends wrong is told to the client; nobody else's log is filled with it.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)

_MOST_VALUES = 2000
_LARGEST_VALUES = 8 << 20
"""Bytes of all fields together; a README is one of them."""
_LARGEST_KEPT = 2 << 20
"""The same of those that somebody asks for: they stay in memory."""
_PIECE = 1 << 18
"""Bytes that are looked at in one step."""
_AT_ONCE = 1 << 16
"""Bytes that are read sooner than another thread has begun."""
_SMALL = 1 << 16
"""Bytes of a file that stays in memory, also while it waits to be committed: hundreds of them may."""


class Form:
    """The fields of a form, and the one file that it may have."""

    def __init__(self, target: Path, wanted: Collection[str]) -> None:
        """Let a large file go to *target*, which must not be there; of the fields, the *wanted* ones are kept."""
        self._wanted = wanted
        self.values: dict[str, list[str]] = {}
        self.filename: str | None = None
        """What the file is called; ``None`` where the form has none. Not checked."""
        self._target = target
        self.sha256 = hashlib.sha256()
        self.size = 0
        """Bytes of the file."""
        self._name, self._is_file = "", False
        self._header = b""
        self._disposition = b""
        self._value: bytearray | None = None
        self._length = self._kept = self._count = 0
        self._held: bytearray | None = None
        self._file: BinaryIO | None = None
        self.is_whole = False

    @property
    def content(self) -> bytes | Path:
        """The bytes of the file, or where they are on the disk."""
        return self._target if self._held is None else bytes(self._held)

    def open(self) -> BinaryIO:
        """Open the file to be read."""
        return self._target.open("rb") if self._held is None else io.BytesIO(self._held)

    def value(self, name: str) -> str | None:
        """Return the value of a field that stands for itself; ``None`` where it is not there, or empty."""
        values = self.values.get(name, [])
        return values[-1].strip() or None if values else None

    def remove(self) -> None:
        """Remove what lies on the disk."""
        self.close()
        if self._held is None and self.filename is not None:
            with contextlib.suppress(OSError):
                self._target.unlink(missing_ok=True)

    def close(self) -> None:
        """Write no further."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def parser(self, boundary: bytes) -> MultipartParser:
        """Return the parser that fills it."""
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._on_name,
                "on_header_value": self._on_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._open,
                "on_part_data": self._take,
                "on_part_end": self._end,
                "on_end": self._finish,
            },
        )

    def _begin(self) -> None:
        self._count += 1
        if self._count > _MOST_VALUES:
            raise BodyError(HTTPStatus.BAD_REQUEST, f"the form has more than {_MOST_VALUES:,} fields")
        self._header, self._disposition, self._current = b"", b"", b""

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._current += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._current
        self._header, self._current = b"", b""

    def _open(self) -> None:
        # Names in a form are UTF-8, as they stand (RFC 7578, section 5.1).
        kind, options = parse_options_header(self._disposition.decode("latin-1"))
        name = options.get(b"name")
        if kind != b"form-data" or name is None:
            raise BodyError(HTTPStatus.BAD_REQUEST, "a part of the form has no name")
        self._name = name.decode("utf-8", "replace")
        filename = options.get(b"filename")
        if filename is None:
            self._value = bytearray()
        elif self.filename is not None:
            raise BodyError(HTTPStatus.BAD_REQUEST, "the form has more than one file; send one at a time")
        else:
            self.filename = filename.decode("utf-8", "replace")
            self._held, self._is_file = bytearray(), True

    def _take(self, data: bytes, start: int, end: int) -> None:
        piece = data[start:end]
        if self._is_file:
            self.sha256.update(piece)
            self.size += len(piece)
            self._keep(piece)
        elif self._value is not None:
            self._length += len(piece)
            if self._length > _LARGEST_VALUES:
                problem = f"the fields of the form are larger than {_LARGEST_VALUES:,} bytes"
                raise BodyError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, problem)
            if self._name in self._wanted:
                self._kept += len(piece)
                if self._kept > _LARGEST_KEPT:
                    problem = f"the field {self._name} is larger than {_LARGEST_KEPT:,} bytes"
                    raise BodyError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, problem)
                self._value += piece

    def _end(self) -> None:
        if self._value is not None and self._name in self._wanted:
            self.values.setdefault(self._name, []).append(self._value.decode("utf-8", "replace"))
        self._value, self._is_file = None, False
        self.close()

    def _keep(self, piece: bytes) -> None:
        """Keep a piece of the file: in memory, and all of it on the disk once it is not small any more."""
        if self._held is not None:
            self._held += piece
            if len(self._held) <= _SMALL:
                return
            piece, self._held = bytes(self._held), None
            self._file = self._target.open("xb")
        if self._file is not None:
            self._file.write(piece)

    def _finish(self) -> None:
        self.is_whole = True


async def read_form(exchange: Exchange, form: Form, most: int, threads: Executor) -> None:
    """Read what a request sends, of *most* bytes, into *form*, in one of the *threads*.

    Raises:
        BodyError: it is no form, or too large, or not whole.
        GoneError: the client has gone.

    """
    kind, options = parse_options_header(dict(exchange.scope["headers"]).get(b"content-type", b"").decode("latin-1"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise BodyError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send a form: multipart/form-data")
    loop = asyncio.get_running_loop()
    waiting = bytearray()
    try:
        parser = form.parser(options[b"boundary"])
        async with contextlib.aclosing(body_pieces(exchange, most)) as pieces:
            async for piece in pieces:
                waiting += piece
                if len(waiting) >= _PIECE:
                    await loop.run_in_executor(threads, parser.write, bytes(waiting))
                    waiting.clear()
        if len(waiting) > _AT_ONCE:
            await loop.run_in_executor(threads, parser.write, bytes(waiting))
        elif waiting:
            parser.write(bytes(waiting))
    except FormParserError:
        raise BodyError(HTTPStatus.BAD_REQUEST, "the body is no form that can be read") from None
    finally:
        form.close()
    if not form.is_whole:
        raise BodyError(HTTPStatus.BAD_REQUEST, "the form breaks off")
