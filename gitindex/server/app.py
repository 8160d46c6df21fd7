"""The ASGI application: what was answered before is sent at once, the rest is made by whoever has it."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Hashable
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qs

from gitindex.errors import DeliveryError, GitindexError
from gitindex.server import answers, devpi, hooks
from gitindex.server.access import CHALLENGE, NO_TOKEN, WRONG_TOKEN, Reader, refusal
from gitindex.server.answers import Answer, matches, takes_gzip
from gitindex.server.bodies import peoples_page
from gitindex.server.delivery import Exchange, GoneError, Receive, Scope, Send
from gitindex.server.files import Files, Request
from gitindex.server.negotiation import SIMPLE, Format, negotiate, requested
from gitindex.server.outcomes import (
    FileHere,
    FileOutside,
    ListOutside,
    Outcome,
    PageOutside,
    Slow,
    Wanted,
    not_there,
)
from gitindex.server.reading import MOVES
from gitindex.server.state import LOG, State
from gitindex.server.targets import (
    Asked,
    Malformed,
    MirroredFile,
    Own,
    PeoplesPage,
    ProjectList,
    Redirect,
    SimpleProject,
    StoredFile,
    parse,
)

Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_EXPECTED = (GitindexError, DeliveryError, OSError)
"""What keeps an answer from being given, through no fault of this program."""
_METHODS = frozenset({"GET", "HEAD"})
_EMPTY = {"type": "http.response.body", "body": b""}
_LATER = (b"retry-after", b"5")
_LONGEST_QUERY = 1000
_TYPED = re.compile(rb"(?:/(?!(?:simple|files)/)[a-z0-9][a-z0-9._-]*){1,5}/?", re.IGNORECASE)
"""A path that somebody may have typed, or followed a link to: of what is not there, a page says so."""


class _Said(NamedTuple):
    """What a request says beside its path."""

    place: Hashable
    raw_path: bytes
    format: Format | None
    is_gzipped: bool
    reader: Reader | None
    condition: bytes | None
    is_part: bool
    """Whether a part of a file is asked for: what is kept is whole."""
    is_browser: bool
    """Whether HTML is named among what is wanted, as browsers do it."""


def application(state: State) -> Application:
    """Return the application (ASGI 3) that serves a *state*; it can be called in process."""
    cache, access = state.cache, state.access
    prefix = state.base_path.encode()
    files = Files(state)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        raw_path: bytes = scope["raw_path"]
        if prefix:
            raw_path = raw_path.removeprefix(prefix) if raw_path.startswith(prefix + b"/") else b""
        if state.is_behind:
            await state.catch_up()
        accept, encoding, authorization, condition, part = _fields(scope)
        reader = access.of(authorization)
        query = scope["query_string"]
        format_ = negotiate(accept) if not query else _format_of(query, accept)
        is_gzipped = takes_gzip(encoding)
        # A token may read no more than strangers do, and is still told more.
        who = None if reader is None else reader.scopes if reader.is_known else (reader.scopes,)
        place = (raw_path, format_, is_gzipped, who)
        answer = cache.get(place)
        said = _Said(
            place, raw_path, format_, is_gzipped, reader, condition, part is not None, b"text/html" in (accept or b"")
        )
        if (
            answer is not None
            and part is None
            and scope["method"] in _METHODS
            and (answer.generation == state.generation or answer.generation == answers.ALWAYS)  # noqa: PLR1714
            and (answer.expires == answers.NEVER or answer.expires > time.monotonic())
        ):
            state.counters.page(was_kept=True)
            await _send(state, scope, send, answer, said)
            return
        await _answer(state, files, Exchange(scope, receive, send, authorization), said)

    return application


def _fields(scope: Scope) -> tuple[bytes | None, bytes | None, bytes | None, bytes | None, bytes | None]:
    """Return the headers that any answer depends on."""
    accept = encoding = authorization = devpis = condition = part = None
    for name, value in scope["headers"]:
        if name == b"accept":
            accept = value if accept is None else accept + b"," + value
        elif name == b"accept-encoding":
            encoding = value
        elif name == b"authorization":
            # Several of them are nobody's: which one counts is not agreed on.
            authorization = value if authorization is None else b""
        elif name == devpi.AUTHORIZATION:
            devpis = b"Basic " + value if devpis is None else b""
        elif name == b"if-none-match":
            condition = value
        elif name == b"range" and scope["method"] == "GET":
            part = value
    # Devpi's client leaves the other one to a proxy in front.
    return accept, encoding, authorization if devpis is None else devpis, condition, part


async def _send(state: State, scope: Scope, send: Send, answer: Answer, said: _Said) -> None:
    """Send an answer, or that the client has it already."""
    condition, name = said.condition, said.reader.name if said.reader is not None else ""
    if condition is not None and answer.not_modified is not None and matches(condition, answer.etag):
        await send(answer.not_modified)
        await send(_EMPTY)
        state.log(scope, HTTPStatus.NOT_MODIFIED, 0, name)
    elif scope["method"] == "HEAD":
        await send(answer.start)
        await send(_EMPTY)
        state.log(scope, answer.status, 0, name)
    else:
        await send(answer.start)
        await send({"type": "http.response.body", "body": answer.body})
        state.log(scope, answer.status, len(answer.body), name)


async def _answer(state: State, files: Files, exchange: Exchange, said: _Said) -> None:
    """Answer what was not answered before."""
    scope = exchange.scope
    try:
        if said.raw_path in hooks.PATHS:
            outcome: Answer | FileHere | FileOutside = await hooks.answer(state, exchange)
        else:
            outcome = await _outcome(state, exchange, said)
        answer: Answer | None
        if isinstance(outcome, Answer):
            answer = outcome
        else:
            request = Request(scope, said.place, said.condition, said.reader)
            answer = await files.send(outcome, request, exchange)
            answer = None if answer is None else _private(state, answer, said.reader)
        if answer is not None:
            await _send(state, scope, exchange.send, answer, said)
    except GoneError:
        state.counters.add("broken_off")
    except _EXPECTED as error:
        LOG.warning("%s: %s", _path(scope), error)
        await _break_off(state, exchange, said, _failure(error))
    except Exception as error:  # noqa: BLE001 - a bug here must not stop a server
        is_told_whole = bool(os.environ.get("GITINDEX_DEBUG"))
        LOG.error("%s: unexpected %s: %s", _path(scope), type(error).__name__, error, exc_info=is_told_whole)
        unexpected = answers.in_words(HTTPStatus.INTERNAL_SERVER_ERROR, "an error of the server; its log says more")
        await _break_off(state, exchange, said, unexpected)


async def _break_off(state: State, exchange: Exchange, said: _Said, answer: Answer) -> None:
    """Say that there is no answer; where one has begun, only a connection that breaks off can say that."""
    if not exchange.is_started:
        await _send(state, exchange.scope, exchange.send, answer, said)
        return
    state.counters.add("broken_off")
    raise _BrokenOffError


class _BrokenOffError(Exception):
    """An answer cannot be sent to its end."""


def _path(scope: Scope) -> str:
    """Return the path as it was sent, which has no control characters in it."""
    raw_path: bytes = scope["raw_path"]
    return raw_path[:_LONGEST_QUERY].decode("ascii", "replace")


def _failure(error: Exception) -> Answer:
    """Return the answer that says that nobody can tell now: not 404, which a client takes for "does not exist"."""
    if isinstance(error, DeliveryError):
        status = HTTPStatus.BAD_GATEWAY if error.is_wrong else HTTPStatus.SERVICE_UNAVAILABLE
        return answers.in_words(status, f"the file cannot be given: {error.problem}", _LATER)
    text = str(error) if isinstance(error, GitindexError) else "a disk fails"
    return answers.in_words(HTTPStatus.SERVICE_UNAVAILABLE, text, _LATER)


async def _outcome(state: State, exchange: Exchange, said: _Said) -> Answer | FileHere | FileOutside:
    if devpi.concerns(exchange.scope["method"], said.raw_path, said.format):
        found = await _devpi(state, exchange, said)
        if found is not None:
            return found
    return await _ours(state, exchange, said)


async def _ours(state: State, exchange: Exchange, said: _Said) -> Answer | FileHere | FileOutside:
    scope = exchange.scope
    if scope["method"] not in _METHODS:
        from gitindex.server.changing import change  # noqa: PLC0415 - most servers only read

        return await change(state, exchange, said.raw_path, said.reader)
    if not said.raw_path and state.base_path:
        return not_there(f"nothing is here; all there is begins with {state.base_path}/")
    asked = parse(said.raw_path)
    target = asked.target
    if isinstance(target, Malformed):
        return answers.in_words(HTTPStatus.BAD_REQUEST, target.problem)
    if (refused := _refused(asked, said.reader)) is not None:
        return refused
    assert said.reader is not None  # noqa: S101 - nobody known is refused
    if asked.is_json:
        said = said._replace(format=Format.JSON)
    match target:
        case None:
            is_page = said.is_browser and _TYPED.fullmatch(said.raw_path)
            return await _missing(state, said) if is_page else not_there("nothing is here")
        case Redirect(location):
            return answers.redirect(location, scope["query_string"])
        case Own(name) if asked.revision is None:
            return await _own(state, name, scope, said)
        case ProjectList() | SimpleProject() if said.format not in SIMPLE:
            return _not_acceptable()
        case StoredFile() | MirroredFile():
            outcome, _ = await _read(state, asked, said)
            return outcome  # type: ignore[return-value] # no page comes of a file
        case _:
            return await _page(state, asked, said)


async def _devpi(state: State, exchange: Exchange, said: _Said) -> Answer | FileHere | FileOutside | None:
    """Return what devpi's client asks for, ``None`` where that is for the others to answer."""
    from gitindex.server.devpi.call import Call  # noqa: PLC0415 - the server starts sooner without it

    found = await devpi.answer(Call(state, exchange, said.raw_path, said.format, said.reader))
    if not isinstance(found, StoredFile):
        return found
    outcome, _ = await _read(state, Asked(found), said)
    return outcome  # type: ignore[return-value] # no page comes of a file


def _refused(asked: Asked, reader: Reader | None) -> Answer | None:
    """Return the refusal of what a reader may not see, the same whether or not it is there."""
    target = asked.target
    index = target.index if isinstance(target, (ProjectList, SimpleProject, PeoplesPage)) else None
    if reader is None:
        return _unauthorized(WRONG_TOKEN)
    if isinstance(target, Own) and asked.revision is None:
        return None  # each of these says by itself what a stranger sees of it
    match refusal(reader, index):
        case HTTPStatus.UNAUTHORIZED:
            return _unauthorized()
        case HTTPStatus.FORBIDDEN:
            return answers.in_words(HTTPStatus.FORBIDDEN, "this token may not read that index")
        case _:
            return None


def _unauthorized(text: str = NO_TOKEN) -> Answer:
    """Return the demand for a token, the same whatever was asked for."""
    return answers.in_words(HTTPStatus.UNAUTHORIZED, text, (b"www-authenticate", CHALLENGE))


def _not_acceptable() -> Answer:
    kinds = ", ".join(format_.value for format_ in SIMPLE)
    return answers.in_words(HTTPStatus.NOT_ACCEPTABLE, f"a simple page is one of: {kinds}", (b"vary", b"Accept"))


async def _own(state: State, name: str, scope: Scope, said: _Said) -> Answer:
    from gitindex.server import operations, peoples  # noqa: PLC0415 - the server starts sooner without them

    reader = said.reader
    assert reader is not None  # noqa: S101 - refused before
    match name:
        case _ if name in answers.STATICS:
            made = peoples.static(name.rpartition("/")[2])
            answer = peoples_page(made, _wanted(Asked(None), said), name, content_type=answers.STATICS[name])
            answer.generation = answers.ALWAYS
            state.cache.put(said.place, answer)
            return answer
        case "+status":
            return await operations.status(state, reader)
        case "+metrics":
            return await operations.metrics(state, reader) if reader.is_known else _unauthorized()
        case _:
            return await operations.changelog(state, reader, scope["query_string"])


def _is_for_people(asked: Asked) -> bool:
    return isinstance(asked.target, PeoplesPage) and not asked.target.is_feed and asked.revision is None


async def _missing(state: State, said: _Said) -> Answer:
    """Return a 404 as a page."""
    from gitindex.server import peoples  # noqa: PLC0415 - installers never ask for it

    title = await state.read(lambda: state.reading.current.snapshot.settings.site.title)
    headers = [(b"content-type", answers.HTML), (b"cache-control", answers.NOT_AT_ALL), *answers.FOR_PEOPLE]
    return Answer(HTTPStatus.NOT_FOUND, headers, peoples.missing(title, said.raw_path.count(b"/") - 1))


def _wanted(asked: Asked, said: _Said) -> Wanted:
    assert said.reader is not None  # noqa: S101
    return Wanted(asked, said.format or Format.HTML, said.is_gzipped, said.reader)


async def _read(state: State, asked: Asked, said: _Said) -> tuple[Outcome, int]:
    wanted, stale = _wanted(asked, said), state.cache.get(said.place)
    if stale is not None and (stale.key is None or (said.is_part and isinstance(asked.target, StoredFile))):
        stale = None
    return await state.read(lambda: state.reading.answer(wanted, stale))


async def _page(state: State, asked: Asked, said: _Said) -> Answer:
    """Return a page, made once for all who ask for it at the same time."""
    state.counters.page(was_kept=False)
    # Who comes after a commit does not wait for what was begun before it.
    key = said.place, state.generation
    task = state.making.get(key)
    if task is None:
        task = state.making[key] = asyncio.create_task(_make(state, asked, said))
        task.add_done_callback(lambda _: state.making.pop(key, None))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
    # Who goes away does not take the page from the others.
    answer: Answer = await asyncio.shield(task)
    return answer


async def _make(state: State, asked: Asked, said: _Said) -> Answer:
    outcome, generation = await _read(state, asked, said)
    wanted = _wanted(asked, said)
    match outcome:
        case Answer(status=HTTPStatus.NOT_FOUND) if _is_for_people(asked) and said.format is Format.HTML:
            answer = await _missing(state, said)
            answer.generation = generation
        case Answer():
            answer = outcome
        case PageOutside() as outside:
            assert isinstance(asked.target, SimpleProject)  # noqa: S101 - nothing else leads there
            name = asked.target.project
            answer = await state.mirrors.project(outside, name, wanted.format, gzipped=said.is_gzipped)
            answer.generation = generation
            if outside.moves:
                answer.expires = min(answer.expires, time.monotonic() + MOVES)
        case ListOutside(upstream):
            answer = await state.mirrors.project_list(upstream, wanted.format, gzipped=said.is_gzipped)
            answer.generation = generation
        case Slow(target, identity, commit):
            loop = asyncio.get_running_loop()
            made = await loop.run_in_executor(state.people.thread, state.people.page, target, commit)
            content_type = answers.ATOM if target.is_feed else answers.HTML
            answer = peoples_page(made, wanted, identity, content_type=content_type)
            answer.generation = generation
        case _:
            raise AssertionError(outcome)
    state.cache.put(said.place, _private(state, answer, said.reader))
    return answer


def _private(state: State, answer: Answer, reader: Reader | None) -> Answer:
    """Return an answer that a shared cache does not hand to others, where it is only for those who have a token."""
    if state.options.tokens is not None:
        answer.depend_on_reader(is_private=reader is None or reader.is_known)
    return answer


def _format_of(query: bytes, accept: bytes | None) -> Format | None:
    """Return the serialisation that ``?format=`` asks for, which goes before the header; other queries say nothing."""
    try:
        fields = parse_qs(query.decode("latin-1"), max_num_fields=10) if len(query) < _LONGEST_QUERY else {}
    except ValueError:
        fields = {}
    wanted = fields.get("format")
    return requested(wanted[-1]) if wanted else negotiate(accept)
