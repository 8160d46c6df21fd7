"""Makes a change that devpi's client asks for, and says why not, or not yet."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from gitindex.errors import GitindexError
from gitindex.server.answers import Answer
from gitindex.server.changing import check_known
from gitindex.server.devpi.call import failed, said

if TYPE_CHECKING:
    from gitindex.server.batches import ChangeOf, Written
    from gitindex.server.devpi.call import Call


async def write(
    call: Call, plan: ChangeOf, name: str, *, is_kept: bool = False, takes_proposals: bool = False
) -> Written | Answer:
    """Make a change; an answer is why it is not made, or not yet."""
    reader = call.reader
    assert reader is not None  # noqa: S101 - asked before
    try:
        check_known(call.state, call.exchange)
        written = await call.state.writer.write(plan, actor=reader.user, name=name)
    except GitindexError as error:
        return failed(error, is_kept=is_kept)
    if written.is_proposed and not takes_proposals:
        return said(HTTPStatus.ACCEPTED, f"proposed: {written.url}" if written.url else "proposed")
    return written
