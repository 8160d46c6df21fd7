"""Runs the application: sockets, workers, signals, and what a connection may take of time and memory."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gitindex.errors import CannotRunError
from gitindex.git.memory import bound_memory
from gitindex.server.app import application
from gitindex.server.counters import Counters
from gitindex.server.state import AccessLog, Options, State
from gitindex.server.workers import Supervisor

HEADERS_WITHIN = 20.0
"""Seconds in which the head of a request has to be here, from the start of the connection or of the request."""
IDLE = 20.0
"""Seconds for which a connection is kept open without a request; longer than a proxy in front reuses one."""
STALLED = 60.0
"""Seconds in which a client has to take something of what is sent to it."""
LARGEST_HEAD = 1 << 16
"""Bytes of the head of a request."""
MOST_CONNECTIONS = 4096
STOP_WITHIN = 30
"""Seconds that downloads under way get when the server stops."""

Started = Callable[[str], object]
"""Is called with the URL once connections are taken."""


class Patience(NamedTuple):
    """How long a client is waited for, in seconds."""

    head: float = HEADERS_WITHIN
    idle: float = IDLE
    stalled: float = STALLED
    end: int = STOP_WITHIN


class Connection(HttpToolsProtocol):
    """A connection that may be slow, but not for ever: what stands still is closed, and makes room for others."""

    def __init__(self, *args: Any, patience: Patience, **options: Any) -> None:
        super().__init__(*args, **options)
        self._patience = patience
        self._deadline: asyncio.TimerHandle | None = None
        """When the head of a request has to be here."""
        self._watch: asyncio.TimerHandle | None = None
        """When it is looked whether the client has taken something."""
        self._head = 0
        self._left: int | None = None
        """Bytes that were left to send when the client stopped taking them."""
        self._asked: list[RequestResponseCycle] = []
        """The requests that have no whole answer yet."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect(self._patience.head)

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect(None)
        self._look_in(None)
        for cycle in self._asked:
            # uvicorn tells the last one only; the one that is being answered may be another.
            if not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head >= 0:
            self._head += len(data)
        super().data_received(data)
        if self._head > LARGEST_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            # Empty lines and bodies begin no request, and more of them put nothing off.
            self._expect(self._patience.idle)

    def on_message_begin(self) -> None:
        self._expect(self._patience.head)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._expect(None)
        self._head = -1  # what comes now is a body, which nobody reads
        super().on_headers_complete()
        self._asked = [cycle for cycle in self._asked if not cycle.response_complete]
        self._asked.append(self.cycle)

    def on_message_complete(self) -> None:
        self._head = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._look()

    def resume_writing(self) -> None:
        self._left = None
        self._look_in(None)
        if not self.transport.is_closing():  # else nothing is to be written any more, which it will be told
            super().resume_writing()

    def _expect(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._give_up)

    def _look(self) -> None:
        """Let go of a client that has taken nothing since the last look; one that is slow is waited for."""
        left = self.transport.get_write_buffer_size()
        if self._left is not None and left >= self._left:
            self._give_up()
            return
        self._left = left
        self._look_in(self._patience.stalled)

    def _look_in(self, seconds: float | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._watch = None if seconds is None else self.loop.call_later(seconds, self._look)

    def _give_up(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.abort()


class Server(uvicorn.Server):
    """uvicorn, with an end of its own: a signal ends it in order, and is not raised again."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 is a free one.

    Raises:
        CannotRunError: the address cannot be had.

    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, _, _, address = found[0]
        listening = socket.socket(family, kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CannotRunError(
            f"{host}:{port} cannot be listened on: {reason}", help="choose another one with --host and --port"
        ) from None
    listening.setblocking(False)
    return listening


def url_of(listening: socket.socket, base_path: str) -> str:
    """Return the URL at which a listening socket is reached."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{base_path}/"


def serve(options: Options, listening: socket.socket, log: AccessLog | None, started: Started) -> None:
    """Serve until a signal says to stop.

    Raises:
        CannotRunError: there is nothing to serve, or a worker cannot run.

    """
    _raise_limit()
    bound_memory()
    counters = Counters(options.workers)
    if options.workers == 1:
        _run(options, listening, counters, log, started)
        return
    # What nothing can be served of is told once, and not by each worker again and again.
    State(options, counters).discard()

    def work(row: int) -> None:
        counters.use_row(row)
        _run(options, listening, counters, log, lambda _: None)

    # A socket that stays open would take connections that nobody answers.
    Supervisor(work, listening.close).run(options.workers, lambda: started(url_of(listening, options.base_path)))


def _raise_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * MOST_CONNECTIONS
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def _most_connections() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(16, min(MOST_CONNECTIONS, (soft - 64) // 3))


def _run(
    options: Options, listening: socket.socket, counters: Counters, log: AccessLog | None, started: Started
) -> None:
    state = State(options, counters, log)
    config = configured(state)
    server = Server(config)

    async def run() -> None:
        await state.start()
        started(url_of(listening, options.base_path))
        try:
            await server.serve([listening])
        finally:
            await state.close()

    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(run())


def configured(state: State, patience: Patience | None = None) -> uvicorn.Config:
    """Return how uvicorn serves a state."""
    patience = patience or Patience()
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what matters of it is told by us
    return uvicorn.Config(
        application(state),
        http=cast("type[asyncio.Protocol]", partial(Connection, patience=patience)),
        ws="none",
        lifespan="off",
        loop="uvloop",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_most_connections(),
        timeout_keep_alive=int(patience.idle),
        timeout_graceful_shutdown=patience.end,
    )
