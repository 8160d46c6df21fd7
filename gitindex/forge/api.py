"""Asks a forge's REST API: JSON both ways, patient with a forge that is busy, bounded in time and size."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

import requests
from requests.utils import get_environ_proxies
from urllib3.exceptions import HTTPError

from gitindex.errors import CannotRunError
from gitindex.report.text import clipped
from gitindex.web import UnfitURLError, check_target, is_loopback, split
from gitindex.wire import Adapter, prepare, within

_PIECE = 1 << 16
_LIMIT = 16 << 20
"""Bytes of an answer."""
_LONGEST_WORDS = 300
_DEFAULT_PAUSE = 60.0
"""What a forge that limits how much is asked, and does not say for how long, is given."""

Result = TypeVar("Result")


class Token(NamedTuple):
    """Who asks, and where that was said."""

    value: str
    source: str

    def __repr__(self) -> str:
        return f"Token(from {self.source})"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a forge is waited for, and how often it is asked again; times in seconds."""

    connect: float = 10.0
    silence: float = 30.0
    whole: float = 60.0
    """For one answer."""
    retries: int = 4
    backoff: float = 1.0
    """Before the first time that it is asked again; each pause is twice the last one."""
    longest_pause: float = 90.0
    """A forge that asks to wait longer is not asked again in this run."""


PATIENCE = Patience()


class Answer(NamedTuple):
    """What the forge answered."""

    status: int
    value: Any
    """The JSON; ``None`` where there is none."""

    @property
    def words(self) -> str:
        """What the forge says is wrong, in a line."""
        if not isinstance(self.value, dict):
            return ""
        errors = self.value.get("errors")
        told = [self.value.get("message"), *(map(_detail, errors) if isinstance(errors, list) else ())]
        texts = (" ".join(text.split()) for text in told if isinstance(text, str))
        return clipped(": ".join(filter(None, texts)), _LONGEST_WORDS)


def _detail(error: Any) -> Any:
    return (error.get("message") or error.get("code")) if isinstance(error, dict) else error


class RefusedRequestError(CannotRunError):
    """The forge answered, and did not do it."""

    def __init__(self, message: str, answer: Answer, *, help: str = "") -> None:  # noqa: A002
        super().__init__(message, help=help)
        self.answer = answer


class UncertainError(CannotRunError):
    """There was no answer to what makes something: it may have been made, or not."""


@dataclass(frozen=True, slots=True)
class _Bearer:
    """Signs a request; with it, requests does not look for a password by itself."""

    token: Token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token.value}"
        return request


class Api:
    """An API, as somebody asks it."""

    def __init__(self, url: str, token: Token, headers: Mapping[str, str]) -> None:
        """Make an API at *url*.

        Raises:
            CannotRunError: a token must not be sent there.

        """
        try:
            parts = split(url)
            check_target(parts, parts)
        except UnfitURLError as error:
            raise CannotRunError(f"the address of the API {error}", help="give an https URL") from None
        if not token.value.isascii() or not token.value.isprintable() or " " in token.value:
            raise CannotRunError(f"the token of {token.source} has characters that no token has", help="look at it")
        self._url = url.rstrip("/")
        self._token = token
        self._patience = PATIENCE
        self._proxies = {"no_proxy": parts.hostname or ""} if is_loopback(parts) else get_environ_proxies(url)
        self.host = parts.hostname or ""
        self._session = requests.Session()
        prepare(self._session, Adapter())
        self._session.trust_env = False
        self._session.verify = _certificates()
        self._session.headers.update(headers)

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        value: Any = None,
        accepted: Collection[int] = (HTTPStatus.OK,),
    ) -> Answer:
        """Ask for what is at a path, and return an answer of an *accepted* status.

        Raises:
            RefusedRequestError: the answer has another status.
            UncertainError: there is none to a POST; the others are asked again.
            CannotRunError: there is none after all retries.

        """
        url = f"{self._url}{path}{f'?{urlencode(query)}' if query else ''}"
        data = None if value is None else json.dumps(value).encode()
        for attempt in range(self._patience.retries + 1):
            is_last = attempt == self._patience.retries
            try:
                answer, headers = self._attempt(method, url, data)
            except _NoAnswerError as error:
                self._give_up_on(str(error), method, is_last=is_last)
                self._wait(attempt)
                continue
            if answer.status in accepted:
                return answer
            if (pause := _pause(answer, headers)) is not None:
                self._wait_for(pause, is_last=is_last)
            elif answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                self._give_up_on(f"answers {answer.status}", method, is_last=is_last)
                self._wait(attempt)
            else:
                raise self._refusal(answer)
        raise AssertionError

    def settle(self, step: Callable[[], Result]) -> Result:
        """Do a step that looks what is there before it makes something; again, where it is not known to be made.

        Raises:
            CannotRunError: it is not known after all retries; and whatever the step raises.

        """
        for attempt in range(self._patience.retries):
            try:
                return step()
            except UncertainError:
                self._wait(attempt)
        return step()

    def _attempt(self, method: str, url: str, data: bytes | None) -> tuple[Answer, Mapping[str, str]]:
        patience = self._patience
        kind = {"Content-Type": "application/json"} if data is not None else {}
        with within(patience.whole) as watch:
            try:
                response = self._session.request(
                    method,
                    url,
                    data=data,
                    headers=kind,
                    auth=_Bearer(self._token),
                    proxies=dict(self._proxies),
                    timeout=(patience.connect, patience.silence),
                    allow_redirects=False,
                    stream=True,
                )
                body = _body(response)
            except (requests.RequestException, HTTPError, OSError, ValueError) as error:
                # Only the kind of the error: its words may have a proxy's password in them.
                slow = f"takes longer than {patience.whole:g} seconds"
                raise _NoAnswerError(slow if watch.is_over else _told(error)) from None
            if watch.is_over:
                raise _NoAnswerError(f"takes longer than {patience.whole:g} seconds")
        try:
            value = json.loads(body) if body else None
        except (ValueError, RecursionError):
            if response.status_code < HTTPStatus.BAD_REQUEST:
                raise _NoAnswerError("answers with something that is no JSON") from None
            value = None
        return Answer(response.status_code, value), response.headers

    def _give_up_on(self, problem: str, method: str, *, is_last: bool) -> None:
        if method == "POST":
            raise UncertainError(f"{self.host} {problem}", help="run the same command again later")
        if is_last:
            raise CannotRunError(f"{self.host} {problem}", help="run the same command again later")

    def _wait(self, attempt: int) -> None:
        time.sleep(min(self._patience.backoff * 2**attempt, self._patience.longest_pause))

    def _wait_for(self, pause: float, *, is_last: bool) -> None:
        if is_last or pause > self._patience.longest_pause:
            problem = f"{self.host} limits how much is asked, and asks to wait for {pause:,.0f} seconds"
            raise CannotRunError(problem, help="run the same command again then")
        time.sleep(pause)

    def _refusal(self, answer: Answer) -> RefusedRequestError:
        match answer.status:
            case HTTPStatus.UNAUTHORIZED:
                message = f"{self.host} does not take the token of {self._token.source}"
                return RefusedRequestError(message, answer, help="it is wrong, revoked or ended: make a new one")
            case HTTPStatus.FORBIDDEN:
                message = f"{self.host} does not allow that with the token of {self._token.source}: {answer.words}"
                return RefusedRequestError(
                    message, answer, help="it needs more permissions: see docs/how-to/pull-requests.md"
                )
            case HTTPStatus.NOT_FOUND:
                message = f"{self.host} shows no such repository or number to the token of {self._token.source}"
                return RefusedRequestError(message, answer, help="look at the remote, and at what the token may see")
            case status if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
                message = f"{self.host} says that the repository is elsewhere now"
                return RefusedRequestError(message, answer, help="git remote set-url origin URL")
            case status:
                said = f": {answer.words}" if answer.words else ""
                return RefusedRequestError(f"{self.host} answers {status}{said}", answer)


class _NoAnswerError(Exception):
    """There is no answer, or none that says anything; the words go on with the host's name."""


def _told(error: Exception) -> str:
    match error:
        case requests.exceptions.ProxyError():
            return "cannot be asked: the proxy does not answer, or refuses"
        case requests.exceptions.SSLError():
            return "cannot be asked: its certificate is not one to be trusted"
        case requests.exceptions.Timeout():
            return "does not answer in time"
        case _TooLargeError():
            return f"answers with more than {_LIMIT:,} bytes"
        case _:
            return f"cannot be asked: {type(error).__name__}"


class _TooLargeError(ValueError):
    pass


def _body(response: requests.Response) -> bytes:
    pieces, size = [], 0
    with response:
        for piece in response.iter_content(_PIECE):
            size += len(piece)
            if size > _LIMIT:
                raise _TooLargeError
            pieces.append(piece)
    return b"".join(pieces)


def _pause(answer: Answer, headers: Mapping[str, str]) -> float | None:
    """Return for how long a forge that limits how much is asked wants to be left alone; ``None`` where it does not."""
    if answer.status not in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE}:
        return None
    if (seconds := _number(headers.get("Retry-After"))) is not None:
        return seconds
    if headers.get("X-RateLimit-Remaining") == "0" and (reset := _number(headers.get("X-RateLimit-Reset"))) is not None:
        return max(reset - time.time(), 1.0)
    is_limit = answer.status == HTTPStatus.TOO_MANY_REQUESTS or "rate limit" in answer.words.lower()
    return _DEFAULT_PAUSE if is_limit else None


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 12 else None  # noqa: PLR2004


def _certificates() -> str | bool:
    """Return what requests would take from the environment, were it let to look for passwords there too."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
