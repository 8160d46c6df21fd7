"""HTTP sessions that keep nothing of a server but its answer, and are done in time, however slowly it answers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from gitindex.web import USER_AGENT

_own = threading.local()


class Watch:
    """Breaks a thread's connection off when its time is up.

    A timeout of a socket begins anew with each byte: it does not end an answer that comes a byte at a time.
    """

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._timer = self._start(seconds)

    def guard(self, connection: socket.socket | None) -> None:
        """Take over the connection that is read next; ``None`` where there is none any more."""
        with self._lock:
            self._socket = connection
            if self.is_over:
                self._cut()

    def extend(self, seconds: float) -> None:
        """Give it so many seconds from now on, unless its time is up already."""
        self._timer.cancel()
        if not self.is_over:
            self._timer = self._start(seconds)

    def release(self) -> None:
        """Leave the connection alone: what is to be read of it has been."""
        self._timer.cancel()
        self.guard(None)

    def _start(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(min(max(seconds, 0), threading.TIMEOUT_MAX), self._end)
        timer.daemon = True
        timer.start()
        return timer

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            self._cut()

    def _cut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # Not SSLSocket's own, which another thread must not call while one reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


@contextlib.contextmanager
def within(seconds: float) -> Iterator[Watch]:
    """Give what this thread asks of a :class:`Adapter` in the block so many seconds, and then cut it off."""
    watch = Watch(seconds)
    outer, _own.watch = getattr(_own, "watch", None), watch
    try:
        yield watch
    finally:
        watch.release()
        _own.watch = outer


class Adapter(HTTPAdapter):
    """Asks servers over connections that :func:`within` can cut off."""

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*arguments, **options)
        if not issubclass(pool.ConnectionCls, _Watched):
            pool.ConnectionCls = type(pool.ConnectionCls.__name__, (_Watched, pool.ConnectionCls), {})
        return pool


class _Watched:
    """What is added to a connection of urllib3."""

    sock: socket.socket | None

    def getresponse(self) -> Any:
        watch: Watch | None = getattr(_own, "watch", None)
        if watch is not None:
            watch.guard(self.sock)
        return super().getresponse()  # type: ignore[misc]


def prepare(session: requests.Session, adapter: HTTPAdapter) -> None:
    """Let *session* ask by *adapter* alone, keep no cookies, and follow no redirect by itself."""
    session.headers.update({"User-Agent": USER_AGENT})
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for prefix in ("https://", "http://"):
        session.mount(prefix, adapter)
    # Even where it is told not to follow a redirect, requests reads all of its body, to know what would come.
    session.get_redirect_target = lambda resp: None  # type: ignore[method-assign]  # noqa: ARG005
