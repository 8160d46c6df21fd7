"""What a connection may take of time and memory: what stands still is closed, and makes room for others."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, NamedTuple, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEADERS_WITHIN = 20.0
"""Seconds in which the head of a request has to be here, from the start of the connection or of the request."""
IDLE = 20.0
"""Seconds for which a connection is kept open without a request; longer than a proxy in front reuses one."""
STALLED = 60.0
"""Seconds in which a client has to take something of what is sent to it."""
LARGEST_HEAD = 1 << 16
"""Bytes of the head of a request."""
MOST_CONNECTIONS = 4096
MOST_WAITING = 100
"""Requests that a client may send before it has the answer to the first."""
STOP_WITHIN = 30
"""Seconds that downloads under way get when the server stops."""

REASON = "gitindex.reason"
"""The key of a request's scope for the reason phrase of its answer: bytes that can be seen, and spaces."""
_GO_ON = b"HTTP/1.1 100 "
"""How what is no answer yet begins: that the body may come."""
_WITHOUT_BODY = frozenset({"GET", "HEAD"})
_PUSH = b"PUSH /"
"""How devpi's client begins a push. No parser of HTTP knows the method, and devpi takes POST for the same."""


class Patience(NamedTuple):
    """How long a client is waited for, in seconds."""

    head: float = HEADERS_WITHIN
    idle: float = IDLE
    stalled: float = STALLED
    end: int = STOP_WITHIN


class Connection(HttpToolsProtocol):
    """A connection that may be slow, but not for ever: what stands still is closed, and makes room for others.

    What is sent behind the head of a request to read something is passed over: it has no body, and a trailer is no
    header. Of other bodies so much is held as uvicorn does, 64 KB and what came along with it, until somebody takes it.
    """

    _head_timer: asyncio.TimerHandle | None = None
    _head_until: float | None = None
    """When the head of the next request has to be here, by the clock of the loop; ``None`` while one is answered."""
    _write_timer: asyncio.TimerHandle | None = None
    _is_in_head = False
    _is_between = True
    """Whether the next byte begins a request."""
    _passed_over = 0
    """Bytes of a body that came after the answer, since it was last waited for more."""
    _unread = 0
    """Bytes that came since anything of a message was complete."""
    _left: int | None = None
    """Bytes that were left to send when the client stopped taking them."""

    def __init__(self, *arguments: Any, patience: Patience, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._patience = patience
        self._unanswered: deque[RequestResponseCycle] = deque()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head(self._patience.head)
        if self.limit_concurrency is not None and len(self.connections) > 2 * self.limit_concurrency:
            transport.abort()  # those below that are told that there are too many; files have to be opened, too

    def connection_lost(self, exc: Exception | None) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
        self._watch_again(None)
        super().connection_lost(exc)
        # uvicorn tells the last of them alone, and not the one that is being answered.
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        if self._is_between and data.startswith(_PUSH):
            data = b"POST" + data[len(_PUSH) - 2 :]
        super().data_received(data)
        if self._unread > LARGEST_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        self._is_in_head, self._is_between = True, False
        self._expect_head(self._patience.head)
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._unread = 0
        self._expect_head(None)
        if len(self.pipeline) >= MOST_WAITING:
            raise _TooManyError
        super().on_headers_complete()
        self._unanswered.append(self.cycle)
        if self.scope["method"] not in _WITHOUT_BODY:
            self.cycle.transport = cast("asyncio.Transport", _Reasoned(self.transport, self.cycle))

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        if self.cycle.response_complete:
            self._passed_over += len(body)
            if self._passed_over >= LARGEST_HEAD and not self.pipeline:
                # Who was answered before they had sent all reads the answer behind that: they are not idle.
                self._passed_over = 0
                self._expect_head(self._patience.idle)
        elif self.cycle.scope["method"] not in _WITHOUT_BODY:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread, self._is_between = 0, True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._unanswered.popleft()
        super().on_response_complete()
        # uvicorn's own timer ends with the next byte, whatever that is.
        if not self.pipeline:
            self._expect_head(self._patience.idle)

    def send_400_response(self, msg: str) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()  # it would stand in the midst of the answer that is under way
        else:
            super().send_400_response(msg)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        self._left = None
        self._watch_again(None)
        if not self.transport.is_closing():  # else nothing is to be written any more, which it will be told
            super().resume_writing()

    def _expect_head(self, seconds: float | None) -> None:
        # A timer for each request would cost a tenth of it: one stays, and looks again when it is too early.
        self._head_until = None if seconds is None else self.loop.time() + seconds
        if seconds is not None and self._head_timer is None:
            self._head_timer = self.loop.call_later(seconds, self._check_head)

    def _check_head(self) -> None:
        self._head_timer = None
        if self._head_until is None:
            return
        left = self._head_until - self.loop.time()
        if left <= 0:
            self._give_up()
        else:
            self._head_timer = self.loop.call_later(left, self._check_head)

    def _watch_again(self, seconds: float | None) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
        self._write_timer = None if seconds is None else self.loop.call_later(seconds, self._watch)

    def _watch(self) -> None:
        """Look again whether the client has taken something; one that is slow, and does, is waited for."""
        left = self.transport.get_write_buffer_size()
        if self._left is not None and left >= self._left:
            self._give_up()
            return
        self._left = left
        self._watch_again(self._patience.stalled)

    def _give_up(self) -> None:
        # One that is closed already may still wait for the client to take the rest.
        self.transport.abort()


class _Reasoned:
    """A transport that writes the reason phrase of an answer, where its maker gives one.

    ASGI has no place for it, and for many who upload it is all that they are shown.
    """

    def __init__(self, transport: asyncio.Transport, cycle: RequestResponseCycle) -> None:
        self._transport, self._cycle = transport, cycle

    def write(self, data: bytes) -> None:
        """Write the head of the answer; what follows goes the direct way."""
        if data.startswith(_GO_ON):
            self._transport.write(data)
            return
        self._cycle.transport = self._transport
        reason = cast("bytes | None", self._cycle.scope.get(REASON))
        if reason:
            line, end, rest = data.partition(b"\r\n")
            data = b" ".join([*line.split(b" ", 2)[:2], reason]) + end + rest
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _TooManyError(Exception):
    """More requests wait on a connection than may."""
