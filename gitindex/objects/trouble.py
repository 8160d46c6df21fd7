"""What an object store had against a request, in one line that gives no secret away."""

from __future__ import annotations

import os
import re

from gitindex.errors import CannotRunError
from gitindex.objects.location import Location

_SECRET_NAMES = re.compile(r"SECRET|TOKEN|KEY|SAS|PASSWORD|CREDENTIAL")
_LEAST_SECRET = 6
"""Characters: what is shorter would be found in every word."""
_QUERY = re.compile(r"\?[^\s\"'<>]*")
_USER = re.compile(r"//[^\s/@]*@")
_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")
_STATUS = re.compile(r"status code: (\d{3}[A-Za-z ]{0,40})")
_MOST = 200

_NOT_ALLOWED = {
    "AccessDenied",
    "AuthenticationFailed",
    "AuthorizationFailure",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
}
_CREDENTIALS = {
    "s3": "see AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, and what they may do there",
    "gs": "see GOOGLE_APPLICATION_CREDENTIALS, and what it may do there",
    "az": "see AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, and what they may do there",
    "file": "see who may write there",
}
_ENDPOINTS = {"s3": "AWS_ENDPOINT_URL", "gs": "the network", "az": "AZURE_STORAGE_ACCOUNT_NAME", "file": "the disk"}
# A server of the cloud's own that gives credentials to the machines in it; it was asked since nothing else gave any.
_NO_CREDENTIALS = ("169.254.169.254", "169.254.170.2", "metadata.google.internal")


def trouble(location: Location, path: str, error: Exception) -> CannotRunError:
    """Return what is said of an error that a store answered a request for *path* with."""
    said = str(error).partition("\n\nDebug source")[0]
    place = f"{location}/{path}" if path else str(location)
    code = _CODE.search(said)
    status = _STATUS.search(said)
    name = code[1] if code else ""
    if name in {"NoSuchBucket", "ContainerNotFound"} or (not path and isinstance(error, FileNotFoundError)):
        return CannotRunError(f"{location}: there is no such {_container(location)}", help="create it, or see the name")
    if any(host in said for host in _NO_CREDENTIALS) or "Missing" in type(error).__name__:
        return CannotRunError(f"{location}: no credentials were given", help=_CREDENTIALS[location.scheme])
    if type(error).__name__ in {"PermissionDeniedError", "UnauthenticatedError"} or name in _NOT_ALLOWED:
        said = name or (status[1].strip() if status else "permission denied")
        return CannotRunError(f"{place}: is not allowed ({said})", help=_CREDENTIALS[location.scheme])
    if "HTTP error" in said:
        words = _words(said.rpartition("HTTP error:")[2])
        if words == "builder error" and location.scheme == "s3":
            # What the library says of an address that it may not or cannot ask; no request was made.
            wanted = "write it as https://…, or allow one without TLS: AWS_ALLOW_HTTP=true"
            return CannotRunError(f"{location}: AWS_ENDPOINT_URL is no address of https", help=wanted)
        return CannotRunError(
            f"{location}: cannot be reached: {words}", help=f"see {_ENDPOINTS[location.scheme]}, and try again"
        )
    if status:
        said = f"{status[1].strip()}{f' ({name})' if name else ''}"
    return CannotRunError(f"{place}: the store answered: {_words(said)}", help="see what it means there, and try again")


def _container(location: Location) -> str:
    return {"az": "container", "file": "folder"}.get(location.scheme, "bucket")


def _words(text: str) -> str:
    """Return one line of what was said, less what may be a secret: a query, a user, and what the environment keeps."""
    text = _USER.sub("//", _QUERY.sub("", " ".join(text.split())))
    for name, value in os.environ.items():
        if len(value) >= _LEAST_SECRET and _SECRET_NAMES.search(name.upper()):
            text = text.replace(value, "…")
    return text if len(text) <= _MOST else f"{text[: _MOST - 1]}…"
