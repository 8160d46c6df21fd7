"""Uploads a file to another index by PyPI's legacy upload API."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import requests

from gitindex.errors import UsageError
from gitindex.web import USER_AGENT, Credentials, Login, UnfitURLError, check_target, proxies_for, split

_CONNECT, _SILENCE = 10.0, 120.0
"""Seconds."""
_PIECE = 1 << 20
_MOST_SAID = 500
"""Characters of an answer that are passed on."""


class Poster:
    """Somebody who uploads to a URL."""

    def __init__(self, url: str, username: str, password: str) -> None:
        """Upload to *url* under a name.

        Raises:
            UsageError: nothing may be sent there: it is not https, or has credentials in it.

        """
        try:
            target = split(url)
            check_target(target, target)
        except UnfitURLError as error:
            raise UsageError(f"the repository {error}", help="name an https URL in the .pypirc") from None
        self._url, self._proxies = url, proxies_for(target)
        self._login = Login(Credentials(username, password) if username or password else None)

    def post(self, fields: Iterable[tuple[str, str]], filename: str, file: BinaryIO) -> tuple[int, str]:
        """Upload a file; return the status of the answer, and what it says where that is no success.

        The status is -1 where there is no answer.
        """
        boundary = secrets.token_hex(16)
        try:
            answer = requests.post(
                self._url,
                data=_Form(boundary, fields, filename, file),
                headers={"Content-Type": f"multipart/form-data; boundary={boundary}", "User-Agent": USER_AGENT},
                auth=self._login,
                proxies=self._proxies,
                timeout=(_CONNECT, _SILENCE),
                allow_redirects=False,
                stream=True,
            )
        except requests.RequestException as error:
            return -1, type(error).__name__
        with answer:
            if answer.ok:
                return answer.status_code, ""
            said = answer.raw.read(_MOST_SAID, decode_content=True).decode("utf-8", "replace")
            return answer.status_code, " ".join(f"{answer.reason or ''} {said}".split())[:_MOST_SAID]


class _Form:
    """A form with a file, of a known length: not every index takes one in chunks."""

    def __init__(self, boundary: str, fields: Iterable[tuple[str, str]], filename: str, file: BinaryIO) -> None:
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{value}\r\n'
            for name, value in fields
        ]
        disposition = f'form-data; name="content"; filename="{_quoted(filename)}"'
        kind = "Content-Type: application/octet-stream"
        parts.append(f"--{boundary}\r\nContent-Disposition: {disposition}\r\n{kind}\r\n\r\n")
        self._head, self._tail = "".join(parts).encode(), f"\r\n--{boundary}--\r\n".encode()
        self._file = file
        self._size = file.seek(0, os.SEEK_END)
        file.seek(0)

    def __len__(self) -> int:
        return len(self._head) + self._size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        while piece := self._file.read(_PIECE):
            yield piece
        yield self._tail


def _quoted(text: str) -> str:
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
