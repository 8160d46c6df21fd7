"""Asks one upstream for pages: over https, in time, no more than so many bytes, and never with a secret for another."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from email.utils import mktime_tz, parsedate_tz
from hashlib import sha256
from http import HTTPStatus
from io import BytesIO
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urljoin

import requests
from requests.utils import get_environ_proxies
from requests_cache.models.response import CachedResponse
from requests_cache.session import CachedSession
from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3.exceptions import DecodeError, HTTPError, ProtocolError

from gitindex.names import IndexName
from gitindex.upstream.cache import MISSING, PageCache, Store
from gitindex.upstream.health import Breaker, Limits, Patience
from gitindex.upstream.pages import UpstreamError
from gitindex.upstream.reading import ACCEPT, Answer, NotAPageError
from gitindex.web import MAX_REDIRECTS, Credentials, Login, UnfitURLError, check_target, is_loopback, origin, split
from gitindex.wire import Adapter, Watch, prepare, within

T = TypeVar("T")

_PIECE = 1 << 16
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
_SURE_AFTER = 2
"""Seconds after which a file that was modified in a second will not have been modified once more in it."""
_VALIDATORS = ("If-None-Match", "If-Modified-Since")
_HEADERS = {"Accept": ACCEPT, "Accept-Encoding": "gzip, deflate"}
_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})

# The library tells of every stale answer with a traceback; what failed is told by the caller.
logging.getLogger("requests_cache").setLevel(logging.CRITICAL)


class Got(NamedTuple, Generic[T]):
    """What a page is made of."""

    answer: Answer | None
    """``None``: there is no such page."""
    result: T | None
    """What was made of the answer, where it is a new one."""
    checked: float
    """When the upstream said so, in seconds since the epoch."""
    is_stale: bool


class _FailedError(Exception):
    """There is no answer that says anything."""

    def __init__(
        self, problem: str, *, is_silent: bool = False, is_answer: bool = False, pause: float | None = None
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.is_silent = is_silent
        self.is_answer = is_answer
        self.pause = pause


class _Received(NamedTuple):
    status: int
    url: str
    headers: dict[str, str]
    body: bytes


class Asker(Adapter):
    """Asks one upstream, and remembers how it answered; safe to share between threads."""

    def __init__(
        self,
        name: IndexName,
        root: str,
        *,
        credentials: Callable[[], Credentials | None],
        store: Store,
        limits: Limits,
        patience: Patience,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(pool_maxsize=32)
        self.breaker = Breaker(patience, clock)
        self._name = name
        self._root = root
        self._credentials = credentials
        self._store = store
        self._limits = limits
        self._patience = patience
        self._clock = clock
        self._sessions: dict[float, CachedSession] = {}
        self._lock = threading.Lock()
        self._own = threading.local()

    def get(self, url: str, lifetime: float, read: Callable[[Answer], T]) -> Got[T]:
        """Return the answer for *url*, of the cache or of the upstream, and what *read* made of it if it is new.

        Raises:
            UpstreamError: there is none, and none in the cache that is not too old.

        """
        results: list[T] = []
        self._own.read = lambda answer: results.append(read(answer))
        patience = self._patience
        try:
            response = self._session(lifetime).get(
                url,
                headers=dict(_HEADERS),
                timeout=(patience.connect, patience.silence),
                auth=Login(None),
                allow_redirects=False,
            )
        except (requests.RequestException, ValueError) as error:
            raise self.error(url, f"cannot be asked: {type(error).__name__}") from None
        finally:
            self._own.read = None
        answer = None
        if response.ok:
            answer = Answer(response.url, response.headers.get("Content-Type", ""), response.content)
        checked, is_stale = self._clock(), False
        if isinstance(response, CachedResponse) and not response.revalidated:
            checked, is_stale = response.created_at.timestamp(), response.is_expired
        return Got(answer, results[0] if results else None, checked, is_stale)

    def error(self, url: str, problem: str) -> UpstreamError:
        """Return the error that says what an upstream did not say, and why."""
        wanted = url.removeprefix(self._root).strip("/")
        what = f"for {wanted} with a page" if wanted else "with the list of its projects"
        return UpstreamError(
            f"{self._name}: {self._root} does not answer {what} ({problem})",
            help=f"try again later, or see mirror_url: gitindex index show {self._name}",
        )

    def _session(self, lifetime: float) -> CachedSession:
        with self._lock:
            session = self._sessions.get(lifetime)
            if session is None:
                session = self._sessions[lifetime] = CachedSession(
                    backend=PageCache(self._store, self._clock, lifetime),
                    expire_after=-1,  # it is the cache that says how long
                    allowable_codes=(HTTPStatus.OK, *MISSING),
                    stale_if_error=int(self._limits.stale_for),
                    key_fn=self._key,
                    autoclose=False,
                )
                prepare(session, self)
            return session

    def _key(self, request: Any, **_: Any) -> str:
        # Of each mirror its own: what one may see with a password is not for another.
        return sha256(f"{self._name}\0{request.url}".encode()).hexdigest()

    def send(  # noqa: PLR0917 - the base's signature
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002, FBT001, FBT002
        timeout: Any = None,
        verify: Any = True,  # noqa: FBT002
        cert: Any = None,
        proxies: Any = None,  # noqa: ARG002 - those of each hop
    ) -> requests.Response:
        url = request.url or ""
        if (problem := self.breaker.refusal(url)) is not None:
            raise self.error(url, problem)
        received = self._asked(request, {"timeout": timeout, "verify": verify, "cert": cert})
        if isinstance(received, _FailedError):
            failed = received
            self.breaker.failed(
                url, failed.problem, is_silent=failed.is_silent, is_answer=failed.is_answer, pause=failed.pause
            )
            raise self.error(url, failed.problem)
        self.breaker.succeeded(url)
        raw = HTTPResponse(
            body=BytesIO(received.body),
            headers=HTTPHeaderDict(received.headers),
            status=received.status,
            preload_content=False,
            request_url=received.url,
        )
        response = self.build_response(request, raw)
        response.url = received.url
        return response

    def _asked(self, request: requests.PreparedRequest, options: dict[str, Any]) -> _Received | _FailedError:
        """Return what came, or why it is of no use; whoever is told that keeps nothing of what came."""
        try:
            with within(self._patience.whole) as watch:
                received = self._receive(request, watch, options)
            if received.status == HTTPStatus.OK:
                # Before it is kept: what makes no sense must not replace what does.
                self._own.read(Answer(received.url, received.headers.get("Content-Type", ""), received.body))
        except NotAPageError as error:
            return _FailedError(str(error), is_answer=True)
        except _FailedError as error:
            return error.with_traceback(None)  # its frames have the body
        return received

    def _receive(self, request: requests.PreparedRequest, watch: Watch, options: dict[str, Any]) -> _Received:
        """Ask, and follow where that leads to."""
        url = request.url or ""
        first = split(url)
        limit = self._limits.list if url == self._root else self._limits.page
        for hop in range(MAX_REDIRECTS + 1):
            asked = self._hop(request, url, is_first=hop == 0)
            response = self._response(asked, watch, options)
            try:
                location = response.headers.get("Location")
                if response.status_code not in _REDIRECTS or location is None:
                    return self._received(response, asked, limit, watch, is_direct=hop == 0)
                url = urljoin(asked.url or "", location)
            except (requests.RequestException, HTTPError, OSError) as error:
                raise self._broken(error, watch) from None
            except ValueError:
                raise _FailedError("redirects to what is no URL", is_answer=True) from None
            finally:
                response.close()
            try:
                check_target(split(url), first)
            except UnfitURLError as error:
                raise _FailedError(f"redirects: it {error}", is_answer=True) from None
        raise _FailedError(f"redirects more than {MAX_REDIRECTS} times", is_answer=True)

    def _hop(self, request: requests.PreparedRequest, url: str, *, is_first: bool) -> requests.PreparedRequest:
        asked = request.copy()
        try:
            asked.prepare_url(url, None)
            asked_parts = split(asked.url or "")
            check_target(asked_parts, split(request.url or ""))
        except UnfitURLError as error:
            raise _FailedError(f"cannot be asked: it {error}", is_answer=True) from None
        except (requests.RequestException, ValueError) as error:
            raise _FailedError(f"cannot be asked: {type(error).__name__}", is_answer=True) from None
        if not is_first:
            for header in _VALIDATORS:  # they are of the first URL's answer
                asked.headers.pop(header, None)
        if origin(asked_parts) == origin(split(self._root)):
            Login(self._credentials())(asked)
        return asked

    def _response(self, asked: requests.PreparedRequest, watch: Watch, options: dict[str, Any]) -> requests.Response:
        url = asked.url or ""
        proxies = {} if is_loopback(split(url)) else get_environ_proxies(url)
        for is_last in (False, True):
            self.breaker.request()
            try:
                return super().send(asked, stream=True, proxies=proxies, **options)
            except (requests.RequestException, HTTPError, OSError, ValueError) as error:
                # A connection that was kept may have been closed just now: the server has not refused anything.
                is_closed = isinstance(error, requests.ConnectionError) and isinstance(error.args[0], ProtocolError)
                if is_last or not is_closed or watch.is_over:
                    raise self._broken(error, watch) from None
        raise AssertionError

    def _broken(self, error: Exception, watch: Watch) -> _FailedError:
        # Only the kind of the error: its words may have a proxy's password in them.
        if watch.is_over:
            return _FailedError(f"takes longer than {self._patience.whole:g} seconds", is_silent=True)
        return _FailedError(type(error).__name__, is_silent=not isinstance(error, DecodeError))

    def _received(
        self, response: requests.Response, asked: requests.PreparedRequest, limit: int, watch: Watch, *, is_direct: bool
    ) -> _Received:
        status, url = response.status_code, asked.url or ""
        if status in MISSING:
            return _Received(status, url, {}, b"")
        headers = _validators(response) if is_direct else {}
        if status == HTTPStatus.NOT_MODIFIED and any(name in asked.headers for name in _VALIDATORS):
            return _Received(status, url, headers, b"")
        if status in _AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _FailedError(f"answers {status}", pause=_seconds(response.headers.get("Retry-After")))
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise _FailedError(f"answers {status}: access is refused", is_answer=True)
        if status != HTTPStatus.OK:
            raise _FailedError(f"answers {status}", is_answer=True)
        headers |= _those(response, "Content-Type")
        return _Received(status, url, headers, self._body(response, limit, watch))

    def _body(self, response: requests.Response, limit: int, watch: Watch) -> bytes:
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in _ENCODINGS:
            raise _FailedError(f"answers with Content-Encoding {encoding[:20]!a}, unasked", is_answer=True)
        raw: HTTPResponse = response.raw
        pieces, size = [], 0
        # urllib3 decodes no more than is asked for, so that a small answer cannot become a large one before it is seen.
        while piece := raw.read1(_PIECE, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise _FailedError(f"answers with more than {limit:,} bytes", is_answer=True)
        if watch.is_over:
            raise _FailedError(f"takes longer than {self._patience.whole:g} seconds", is_silent=True)
        return b"".join(pieces)


def _those(response: requests.Response, *names: str) -> dict[str, str]:
    return {name: response.headers[name] for name in names if name in response.headers}


def _validators(response: requests.Response) -> dict[str, str]:
    """Return by what the server can be asked whether its answer is still right.

    A time of modification says so only where nothing could be changed twice in that second (RFC 9110, 8.8.2.2).
    """
    found = _those(response, "ETag", "Last-Modified")
    if "ETag" not in found and "Last-Modified" in found:
        modified, sent = (parsedate_tz(response.headers.get(name, "")) for name in ("Last-Modified", "Date"))
        if not modified or not sent or mktime_tz(sent) - mktime_tz(modified) < _SURE_AFTER:
            return {}
    return found


def _seconds(text: str | None) -> float | None:
    """Return what Retry-After says in seconds; a date is not read."""
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None  # noqa: PLR2004
