"""`+api` and `+login`: where things are, and who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gitindex.model import Mirror
from gitindex.server.answers import Answer
from gitindex.server.devpi.call import document, no_index
from gitindex.server.devpi.targets import Api

if TYPE_CHECKING:
    from gitindex.server.devpi.call import Call

FEATURES = ("push-no-docs", "push-register-project", "server-keyvalue-parsing")
"""What devpi's client asks about before it uses it; `push-only-docs` is not among them, as there are no docs."""


async def api(call: Call, target: Api) -> Answer:
    """Return where things are: to all, so that devpi's client learns where to log in.

    Of an index that may not be read it says the same whether or not it is there.
    """

    def read() -> tuple[str, bool, bool]:
        snapshot = call.state.reading.current.snapshot
        opened = snapshot.index(target.index) if target.index is not None else None
        return call.root(snapshot), opened is not None, opened is not None and isinstance(opened.definition, Mirror)

    root, is_there, is_mirror = await call.state.read(read)
    result: dict[str, Any] = {"login": f"{root}/+login", "authstatus": _status(call), "features": list(FEATURES)}
    if target.index is not None:
        is_told = call.reader is not None and call.reader.may_read(target.index)
        if is_told and not is_there:
            return no_index(target.index)
        index = f"{root}/{target.index}"
        result |= {"index": index, "simpleindex": f"{index}/+simple/"}
        if not (is_told and is_mirror):
            result["pypisubmit"] = f"{index}/"
    return document("apiconfig", result)


def _status(call: Call) -> list[Any]:
    reader = call.reader
    if reader is None:  # devpi's client then forgets what it has sent
        return ["expired", "", []]
    return ["ok", reader.name, []] if reader.name else ["noauth", "", []]
