"""The protocol of devpi's own client: what it asks for, in the shapes that it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitindex.server.negotiation import Format

if TYPE_CHECKING:
    from gitindex.server.answers import Answer
    from gitindex.server.devpi.call import Call
    from gitindex.server.targets import StoredFile

AUTHORIZATION = b"x-devpi-auth"
"""The header in which devpi's client sends what others send as HTTP Basic."""
_READING = frozenset({"GET", "HEAD"})


def concerns(method: str, raw_path: bytes, format_: Format | None) -> bool:
    """Tell whether a request may be one of devpi's protocol: few are, and what answers them is imported for these."""
    if method not in _READING or format_ is Format.DEVPI:
        return True
    return b"/+f/" in raw_path or raw_path.endswith(b"/+api")


async def answer(call: Call) -> Answer | StoredFile | None:
    """Return the answer, the stored file that is asked for, or ``None`` where it is no request of devpi's protocol."""
    from gitindex.server.devpi import dispatch  # noqa: PLC0415 - the server starts sooner without it

    return await dispatch.answer(call)
