"""Single files over HTTP: what a server holds at a URL, as it is on the wire, and no more of it than is asked for.

A server is hostile until its bytes have been checked, which is the caller's part.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urljoin

from gitindex.errors import DeliveryError
from gitindex.web import (
    MAX_REDIRECTS,
    Credentials,
    Login,
    Netrc,
    UnfitURLError,
    check_target,
    credentials_in,
    origin,
    proxies_for,
    read_netrc,
    split,
)

if TYPE_CHECKING:
    import requests
    from urllib3 import Retry
    from urllib3.response import BaseHTTPResponse

    from gitindex.wire import Watch

PIECE = 1 << 20
GIVES_UP_AFTER = 10
"""Files in a row that a host does not deliver; then it is not asked for others."""
_DEAD = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS})
_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED})
_FOR_A_WHILE = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_LENGTH = re.compile(r"[0-9]{1,18}")
_LATER = "try again later: gitindex verify --resume"


CredentialsFor = Callable[[str], Credentials | None]
"""Says for a URL with what name and password its server is asked."""


class DeadLinkError(DeliveryError):
    """The server's answer is that the file is not to be had at this URL."""

    is_wrong = True


class UnreachableError(DeliveryError):
    """Nothing can be said of the file: the network, or the server, failed."""

    def __init__(self, problem: str, *, help: str = _LATER, is_silent: bool = False) -> None:  # noqa: A002
        super().__init__(problem)
        self.help = help
        self.is_silent = is_silent
        """Whether the server did not answer, or not in time, or not with more than that it cannot."""


class Sink(Protocol):
    """Where the bytes go."""

    def begin(self, size: int | None) -> None:
        """Forget what came: the download starts, perhaps once more, with so many bytes if the server says so."""

    def add(self, piece: bytes) -> None:
        """Take the next bytes."""


class Memory:
    """A sink that keeps what comes in memory; whoever asks says how much may come."""

    def __init__(self) -> None:
        self.data = bytearray()

    def begin(self, size: int | None) -> None:  # noqa: ARG002 - what comes is counted
        self.data.clear()

    def add(self, piece: bytes) -> None:
        self.data += piece


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for, and how often it is asked again; times in seconds."""

    connect: float = 5.0
    silence: float = 30.0
    """Between two pieces of an answer."""
    whole: float = 60.0
    """For one attempt, besides what the size of the file allows at :attr:`rate`."""
    rate: int = 1 << 16
    """Bytes a second that a server delivers at least."""
    retries: int = 3
    backoff: float = 0.5
    longest_pause: float = 60.0
    """A server that asks to wait longer (Retry-After) is not asked again in this run."""

    def for_attempt(self, size: int) -> float:
        """Return how long one attempt to download so many bytes may take."""
        return self.whole + size / self.rate

    def for_file(self, size: int) -> float:
        """Return how long a file of so many bytes may take, with all retries, unless a server trifles with us."""
        once = self.for_attempt(size) + self.connect + self.silence
        return (self.retries + 1) * (once + self.longest_pause)


class Downloader:
    """Downloads files; safe to share between threads.

    What it asks for is https (http on the loopback interface), redirects included, and is never decoded. Names and
    passwords come from the user's netrc, for the host that the URL names and for no other, unless the caller knows.
    """

    def __init__(self, patience: Patience, *, gives_up_after: int | None = GIVES_UP_AFTER, accept: str = "*/*") -> None:
        """Make a downloader that gives a host up after so many failures in a row, or never.

        What it *accept*s are media types, for a server that has several of a URL.
        """
        self._patience = patience
        self._accept = accept
        self._gives_up_after = gives_up_after
        self._own = threading.local()
        self._lock = threading.Lock()
        self._failures: dict[str, int] = {}
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Let no thread wait any longer to ask again."""
        self._stopped.set()

    def fetch(self, url: str, sink: Sink, limit: int, credentials: CredentialsFor | None = None) -> None:
        """Download what is at *url* into *sink*, and stop after *limit* bytes.

        *credentials* is asked instead of the user's netrc, for each URL on the way.

        Raises:
            DeadLinkError: the answer is that there is no such file, or that it is somewhere a file must not be.
            UnreachableError: there is no answer, or none that says anything, after all retries.

        """
        host, most = _host(url), self._gives_up_after
        if most is not None and self._failures.get(host, 0) >= most:
            raise UnreachableError(f"{host} was given up: it did not deliver {most} files in a row")
        try:
            self._fetch(url, sink, limit, credentials or self._login_of(url))
        except UnreachableError as error:
            self._count(host, is_silent=error.is_silent)
            raise
        except DeadLinkError:
            self._count(host, is_silent=False)
            raise
        self._count(host, is_silent=False)

    def _count(self, host: str, *, is_silent: bool) -> None:
        if self._gives_up_after is None:
            return
        with self._lock:
            self._failures[host] = self._failures.get(host, 0) + 1 if is_silent else 0

    def _fetch(self, url: str, sink: Sink, limit: int, credentials: CredentialsFor) -> None:
        from urllib3 import Retry  # noqa: PLC0415 - a heavy import, and only for this
        from urllib3.exceptions import MaxRetryError  # noqa: PLC0415

        retries = Retry(total=self._patience.retries, backoff_factor=self._patience.backoff)
        while True:
            try:
                self._attempt(url, sink, limit, credentials)
            except _AgainError as again:
                try:
                    retries = retries.increment("GET", url, again.response, again.error)
                except MaxRetryError:
                    raise UnreachableError(again.problem, is_silent=True) from None
                self._pause(retries, again)
            else:
                return

    def _pause(self, retries: Retry, again: _AgainError) -> None:
        from urllib3.exceptions import InvalidHeader  # noqa: PLC0415

        wanted = None
        if again.response is not None:
            with contextlib.suppress(InvalidHeader):
                wanted = retries.get_retry_after(again.response)
        pause = retries.get_backoff_time() if wanted is None else wanted
        if pause > self._patience.longest_pause:
            problem = f"{again.problem}, and asks to wait for {pause:,.0f} seconds"
            raise UnreachableError(problem, is_silent=True)
        if self._stopped.wait(pause):
            raise UnreachableError(again.problem)

    def _attempt(self, url: str, sink: Sink, limit: int, credentials: CredentialsFor) -> None:
        from gitindex.wire import within  # noqa: PLC0415 - a heavy import, and only for this

        started = time.monotonic()
        host, patience = _host(url), self._patience
        with within(patience.whole) as watch, _failing_as(host, watch), self._open(url, credentials) as response:
            _check_answer(host, response)
            raw, received, size = response.raw, 0, _length_of(response)
            sink.begin(size)
            # By what has come, not by what is stated: a drip of a large file is none the less a drip.
            watched = end = started + patience.whole
            while received < limit and (piece := raw.read1(min(PIECE, limit - received), decode_content=False)):
                received += len(piece)
                sink.add(piece)
                end = started + patience.for_attempt(received)
                now = time.monotonic()
                if now > end:
                    break
                if now + patience.silence >= watched:
                    watch.extend(end - now)
                    watched = end
            if watch.is_over or time.monotonic() > end:
                problem = f"{host} is too slow: it delivers less than {patience.rate:,} bytes a second"
                raise UnreachableError(problem, is_silent=True)

    @cached_property
    def _netrc(self) -> Netrc:
        return read_netrc()

    def _login_of(self, first: str) -> CredentialsFor:
        """Return what says what the user's netrc has of the very host that the first URL names."""

        def credentials(url: str) -> Credentials | None:
            target = split(url)
            return (
                credentials_in(self._netrc, target.hostname or "") if origin(target) == origin(split(first)) else None
            )

        return credentials

    @contextlib.contextmanager
    def _open(self, url: str, credentials: CredentialsFor) -> Iterator[requests.Response]:
        """Open what is at *url*, or where that leads to."""
        first = split(url)
        patience = self._patience
        for _ in range(MAX_REDIRECTS + 1):
            target = split(url)
            check_target(target, first)
            with self._session().get(
                url,
                stream=True,
                allow_redirects=False,
                timeout=(patience.connect, patience.silence),
                auth=Login(credentials(url)),
                proxies=proxies_for(target),
            ) as response:
                if not response.is_redirect:
                    yield response
                    return
                url = urljoin(url, response.headers["Location"])
        raise DeadLinkError(f"redirects more than {MAX_REDIRECTS} times")

    def _session(self) -> requests.Session:
        """Return this thread's session."""
        import requests  # noqa: PLC0415

        session: requests.Session | None = getattr(self._own, "session", None)
        if session is None:
            from gitindex.wire import Adapter, prepare  # noqa: PLC0415

            session = self._own.session = requests.Session()
            session.headers["Accept-Encoding"] = "identity"
            session.headers["Accept"] = self._accept
            prepare(session, Adapter())
        return session

    def close(self) -> None:
        """End this thread's connections."""
        if (session := getattr(self._own, "session", None)) is not None:
            session.close()


class _AgainError(Exception):
    """An attempt failed in a way that may pass."""

    def __init__(
        self, problem: str, *, response: BaseHTTPResponse | None = None, error: Exception | None = None
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.response = response
        self.error = error


@contextlib.contextmanager
def _failing_as(host: str, watch: Watch) -> Iterator[None]:
    """Turn what requests and urllib3 raise into this module's errors."""
    import requests  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    try:
        yield
    except UnfitURLError as error:
        raise DeadLinkError(str(error)) from None
    except (requests.RequestException, HTTPError, ValueError) as error:
        if watch.is_over:
            raise UnreachableError(f"{host} is too slow", is_silent=True) from None
        raise _as_ours(host, error) from None


def _as_ours(host: str, error: Exception) -> _AgainError | DeadLinkError | UnreachableError:
    import requests  # noqa: PLC0415

    if isinstance(error, requests.exceptions.SSLError):
        problem = f"{host} cannot be trusted: {_reason(error)}"
        return UnreachableError(problem, help="see its certificate, or REQUESTS_CA_BUNDLE")
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return _AgainError(f"{host} does not answer ({type(error).__name__})", error=error)
    if isinstance(error, requests.RequestException | ValueError):
        return DeadLinkError(f"cannot be asked for: {_reason(error)}")
    # urllib3's own, once the body is read
    return _AgainError(f"{host} breaks off ({type(error).__name__})", error=error)


def _reason(error: Exception) -> str:
    return ascii(" ".join(str(error).split())[-200:]).strip("'\"") or type(error).__name__


def _check_answer(host: str, response: requests.Response) -> None:
    status = response.status_code
    answer = f"{host} answers {status}"
    if status in _DEAD:
        raise DeadLinkError(f"answers {status}")
    if status in _REFUSED:
        raise UnreachableError(
            f"{answer}: access is refused", help="name and password for that host come from ~/.netrc"
        )
    if status in _FOR_A_WHILE or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _AgainError(answer, response=response.raw)
    if status != HTTPStatus.OK:
        raise UnreachableError(f"{answer}, which says nothing of the file")
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise DeadLinkError(
            f"is sent with Content-Encoding {encoding[:20]!a}: installers get other bytes than are there"
        )


def _length_of(response: requests.Response) -> int | None:
    """Return how many bytes the server says that it sends (RFC 9112, 6.3: an answer in chunks overrules it)."""
    stated = response.headers.get("Content-Length", "")
    if "Transfer-Encoding" in response.headers or not _LENGTH.fullmatch(stated):
        return None
    return int(stated)


def _host(url: str) -> str:
    try:
        return split(url).netloc
    except UnfitURLError as error:
        raise DeadLinkError(str(error)) from None
