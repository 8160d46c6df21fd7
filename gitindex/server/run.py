"""Runs the application: sockets, workers, signals."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

import uvicorn

from gitindex.errors import CannotRunError
from gitindex.git.memory import bound_memory
from gitindex.server.app import application
from gitindex.server.connection import MOST_CONNECTIONS, Connection, Patience
from gitindex.server.counters import Counters
from gitindex.server.state import AccessLog, Options, State
from gitindex.server.workers import Supervisor

Started = Callable[[str], object]
"""Is called with the URL once connections are taken."""


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
        with contextlib.ExitStack() as unless_it_listens:
            listening = unless_it_listens.enter_context(socket.socket(family, kind))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(2048)
            unless_it_listens.pop_all()
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


def serve(
    options: Options,
    listening: socket.socket,
    log: AccessLog | None,
    started: Started,
    patience: Patience | None = None,
) -> None:
    """Serve until a signal says to stop.

    Raises:
        CannotRunError: there is nothing to serve, or a worker cannot run.

    """
    _raise_limit()
    bound_memory()
    counters = Counters(options.workers)
    if options.workers == 1:
        _run(State(options, counters, log), listening, started, patience)
        return
    # What nothing can be served of is told once, and not by each worker again and again.
    State(options, counters).discard()

    def work(row: int) -> None:
        counters.use_row(row)
        _run(State(options, counters, log), listening, lambda _: None, patience)

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


def _run(state: State, listening: socket.socket, started: Started, patience: Patience | None) -> None:
    config = configured(state, patience)
    server = Server(config)

    async def run() -> None:
        await state.start()
        started(url_of(listening, state.base_path))
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
