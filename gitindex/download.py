"""Single files over HTTP: what a server holds at a URL, as it is on the wire, and no more of it than is asked for.

A server is hostile until its bytes have been checked, which is the caller's part.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol
from urllib.parse import SplitResult, urljoin, urlsplit

from gitindex import __version__

if TYPE_CHECKING:
    import requests
    from urllib3 import Retry
    from urllib3.response import BaseHTTPResponse

PIECE = 1 << 20
MAX_REDIRECTS = 5
GIVES_UP_AFTER = 10
"""Files in a row that a host does not deliver; then it is not asked for others."""
_DEAD = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS})
_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED})
_FOR_A_WHILE = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_LENGTH = re.compile(r"[0-9]{1,18}")
_LATER = "try again later: gitindex verify --resume"


class DeadLinkError(Exception):
    """The server's answer is that the file is not to be had at this URL."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class UnreachableError(Exception):
    """Nothing can be said of the file: the network, or the server, failed."""

    def __init__(self, problem: str, *, help: str = _LATER, is_silent: bool = False) -> None:  # noqa: A002
        super().__init__(problem)
        self.problem = problem
        self.help = help
        self.is_silent = is_silent
        """Whether the server did not answer, or not in time, or not with more than that it cannot."""


class Sink(Protocol):
    """Where the bytes go."""

    def begin(self, size: int | None) -> None:
        """Forget what came: the download starts, perhaps once more, with so many bytes if the server says so."""

    def add(self, piece: bytes) -> None:
        """Take the next bytes."""


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
    passwords come from the user's netrc, for the host that the URL names and for no other.
    """

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._own = threading.local()
        self._lock = threading.Lock()
        self._failures: dict[str, int] = {}
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Let no thread wait any longer to ask again."""
        self._stopped.set()

    def fetch(self, url: str, sink: Sink, limit: int) -> None:
        """Download what is at *url* into *sink*, and stop after *limit* bytes.

        Raises:
            DeadLinkError: the answer is that there is no such file, or that it is somewhere a file must not be.
            UnreachableError: there is no answer, or none that says anything, after all retries.

        """
        host = _split(url).netloc
        if self._failures.get(host, 0) >= GIVES_UP_AFTER:
            raise UnreachableError(f"{host} was given up: it did not deliver {GIVES_UP_AFTER} files in a row")
        try:
            self._fetch(url, sink, limit)
        except UnreachableError as error:
            self._count(host, is_silent=error.is_silent)
            raise
        except DeadLinkError:
            self._count(host, is_silent=False)
            raise
        self._count(host, is_silent=False)

    def _count(self, host: str, *, is_silent: bool) -> None:
        with self._lock:
            self._failures[host] = self._failures.get(host, 0) + 1 if is_silent else 0

    def _fetch(self, url: str, sink: Sink, limit: int) -> None:
        from urllib3 import Retry  # noqa: PLC0415 - a heavy import, and only for this
        from urllib3.exceptions import MaxRetryError  # noqa: PLC0415

        retries = Retry(total=self._patience.retries, backoff_factor=self._patience.backoff)
        while True:
            try:
                self._attempt(url, sink, limit)
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

    def _attempt(self, url: str, sink: Sink, limit: int) -> None:
        ends = time.monotonic() + self._patience.for_attempt(limit)
        host = _split(url).netloc
        with _failing_as(host), self._open(url, ends) as response:
            _check_answer(host, response)
            raw, received = response.raw, 0
            sink.begin(_length_of(response))
            while received < limit and (piece := raw.read1(min(PIECE, limit - received), decode_content=False)):
                received += len(piece)
                sink.add(piece)
                if time.monotonic() > ends:
                    problem = f"{host} is too slow: it delivers less than {self._patience.rate:,} bytes a second"
                    raise UnreachableError(problem, is_silent=True)

    @cached_property
    def _netrc(self) -> Mapping[str, tuple[str, str | None, str | None]]:
        return _read_netrc()

    def _login(self, target: SplitResult, first: SplitResult) -> _Login:
        """Return what the user's netrc says of the very host that the URL names; its `default` is for none of these."""
        host = target.hostname or ""
        is_same = (target.scheme, target.netloc) == (first.scheme, first.netloc)
        found = self._netrc.get(host) if is_same and host != "default" else None
        return _Login((found[0], found[2] or "") if found else None)

    @contextlib.contextmanager
    def _open(self, url: str, ends: float) -> Iterator[requests.Response]:
        """Open what is at *url*, or where that leads to."""
        first = _split(url)
        patience = self._patience
        for _ in range(MAX_REDIRECTS + 1):
            target = _split(url)
            _check_target(target, first)
            if time.monotonic() > ends:
                raise UnreachableError(f"{first.netloc} is too slow: it only redirects", is_silent=True)
            with self._session().get(
                url,
                stream=True,
                allow_redirects=False,
                timeout=(patience.connect, patience.silence),
                auth=self._login(target, first),
                proxies={"no_proxy": target.hostname or ""} if _is_loopback(target) else {},
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
            from http.cookiejar import DefaultCookiePolicy  # noqa: PLC0415

            session = self._own.session = requests.Session()
            session.headers.update({"User-Agent": f"gitindex/{__version__}", "Accept-Encoding": "identity"})
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            # Even where it is told not to follow a redirect, requests reads all of its body, to know what would come.
            session.get_redirect_target = lambda resp: None  # type: ignore[method-assign]  # noqa: ARG005
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
def _failing_as(host: str) -> Iterator[None]:
    """Turn what requests and urllib3 raise into this module's errors."""
    import requests  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    try:
        yield
    except requests.exceptions.SSLError as error:
        raise UnreachableError(
            f"{host} cannot be trusted: {_reason(error)}", help="see its certificate, or REQUESTS_CA_BUNDLE"
        ) from None
    except (requests.ConnectionError, requests.Timeout) as error:
        raise _AgainError(f"{host} does not answer ({type(error).__name__})", error=error) from None
    except (requests.RequestException, ValueError) as error:
        raise DeadLinkError(f"cannot be asked for: {_reason(error)}") from None
    except HTTPError as error:  # urllib3's own, once the body is read
        raise _AgainError(f"{host} breaks off ({type(error).__name__})", error=error) from None


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


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        _refuse("is no URL")
    return parts


def _refuse(problem: str) -> NoReturn:
    raise DeadLinkError(problem)


def _check_target(target: SplitResult, first: SplitResult) -> None:
    """Refuse what no file may be downloaded from; plain http leads from nowhere but the loopback interface to it."""
    is_local = target.scheme == "http" and _is_loopback(target) and _is_loopback(first)
    if not target.hostname or not (target.scheme == "https" or is_local):
        place = f"{target.scheme}://{target.hostname or ''}"
        _refuse(f"leads to {place[:200]!a}, which is not https")
    if "@" in target.netloc:
        _refuse("has credentials in the URL")


def _is_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class _Login:
    """A name and a password, or none at all: requests itself then does not look for one."""

    login: tuple[str, str] | None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.login is not None:
            from requests.auth import HTTPBasicAuth  # noqa: PLC0415

            HTTPBasicAuth(*self.login)(request)
        return request


def _read_netrc() -> Mapping[str, tuple[str, str | None, str | None]]:
    import netrc  # noqa: PLC0415

    try:
        return netrc.netrc(os.environ.get("NETRC") or Path("~/.netrc").expanduser()).hosts
    except (OSError, netrc.NetrcParseError, RuntimeError, UnicodeError):
        return {}
