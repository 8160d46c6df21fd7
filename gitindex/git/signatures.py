"""Signatures of commits, checked by git itself, with keys that are identities of users."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from gitindex.git.command import ask_git

_SSH = b"-----BEGIN SSH SIGNATURE-----"
_GPG = (b"-----BEGIN PGP SIGNATURE-----", b"-----BEGIN PGP MESSAGE-----")
_FORMAT = "%H%x00%G?%x00%GS%x00%GF%x00%GP"
_BROKEN_PIPE = (-13, 141)
"""How git ends (by SIGPIPE) where ssh-keygen does not read what a malformed signature is of."""
_NAMESPACE = "git"
"""What git signs for; a signature that the same key made for something else is none here."""
_WORDS = {
    "N": "is not signed",
    "B": "has a signature that does not fit what it signs",
    "X": "has a signature that has expired",
    "Y": "is signed with a key that has expired",
    "R": "is signed with a key that was revoked",
}


class Signature(NamedTuple):
    """What git says of the signature of a commit."""

    identity: str
    """Whose key made it, ``ssh:SHA256:…`` or ``gpg:…``; empty where that cannot be told."""
    problem: str
    """What is wrong with it, empty where it is good: ``is not signed``, for instance."""


def check_signatures(directory: Path, signed: Mapping[str, bytes], trusted: Collection[str]) -> dict[str, Signature]:
    """Return what git says of the signatures of commits.

    *signed* has the commits' ids with their signatures as they stand in them; *trusted* has the identities whose keys
    count. The file of allowed signers that git gets is made of the keys of these alone: a signature made with SSH
    carries its key, whose fingerprint says which identity it is.

    Raises:
        CannotRunError: git, or the program that checks signatures, cannot be run.

    """
    # Git stops at the first signature that is of no kind it knows.
    asked = [commit for commit, signature in signed.items() if signature.startswith((_SSH, *_GPG))]
    answers = {commit: _judge(signature, "", "", "", "") for commit, signature in signed.items()}
    if not asked:
        return answers
    with TemporaryDirectory(prefix="gitindex-signers-") as folder:
        allowed = Path(folder) / "allowed_signers"
        keys = {key for signature in signed.values() if (key := ssh_key(signature)) is not None}
        allowed.write_text("".join(_allowed(keys, trusted)), encoding="ascii")
        for commit, *facts in _ask(directory, allowed, asked):
            if commit in answers:
                answers[commit] = _judge(signed[commit], *facts)
    return answers


def _ask(directory: Path, allowed: Path, commits: Sequence[str]) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield what git says of each commit: its id, and the facts that :func:`_judge` needs."""
    done = ask_git(
        directory,
        *("-c", f"gpg.ssh.allowedSignersFile={allowed}"),
        *("-c", "gpg.minTrustLevel=undefined"),  # whose a key is, the identities say, and no web of trust
        *("-c", "log.showSignature=false", "-c", "log.mailmap=false", "-c", "i18n.logOutputEncoding=UTF-8"),
        *("log", "--no-walk=unsorted", "--stdin", "-z", f"--format={_FORMAT}"),
        data="".join(f"{commit}\n" for commit in commits),
        environment={"LC_ALL": "C"},
        accepted=(0, *_BROKEN_PIPE),
    )
    if done.code == 0:
        fields = iter(done.out.split("\0"))
        yield from zip(fields, fields, fields, fields, fields, strict=False)  # behind the last is nothing
    elif len(commits) > 1:  # one of them ended git
        middle = len(commits) // 2
        yield from _ask(directory, allowed, commits[:middle])
        yield from _ask(directory, allowed, commits[middle:])
    else:
        yield commits[0], "B", "", "", ""


def _judge(signature: bytes, verdict: str, signer: str, fingerprint: str, primary: str) -> Signature:
    if not signature:
        return Signature("", _WORDS["N"])
    if verdict in _WORDS:
        return Signature("", _WORDS[verdict])
    if signature.startswith(_SSH):
        key = ssh_key(signature)
        identity = f"ssh:{_fingerprint(key)}" if key is not None else ""
        if verdict == "G" and signer == identity and identity == f"ssh:{fingerprint}":
            return Signature(identity, "")
        return Signature(identity, f"is signed with {identity or 'an SSH key'}, which is no identity of a user")
    if signature.startswith(_GPG):
        if verdict in ("G", "U"):
            return Signature(f"gpg:{primary}", "")
        return Signature("", "is signed with a GPG key that is not here: gpg --import its public key")
    return Signature("", "has a signature that is neither SSH nor GPG")


def _allowed(keys: Collection[bytes], trusted: Collection[str]) -> Iterator[str]:
    for key in sorted(keys):
        identity = f"ssh:{_fingerprint(key)}"
        if identity in trusted:
            kind = _first_string(key).decode("ascii")
            yield f'{identity} namespaces="{_NAMESPACE}" {kind} {base64.b64encode(key).decode()}\n'


def _fingerprint(key: bytes) -> str:
    """Return the fingerprint of an SSH key as ``ssh-keygen -l`` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def ssh_key(signature: bytes) -> bytes | None:
    """Return the public key that an SSH signature carries, ``None`` where there is none to be found.

    The format is that of OpenSSH's PROTOCOL.sshsig: a magic word, a version, then the key as a string.
    """
    if not signature.startswith(_SSH):
        return None
    body = signature.removeprefix(_SSH).partition(b"-----END SSH SIGNATURE-----")[0]
    try:
        data = base64.b64decode(b"".join(body.split()), validate=True)
        magic, (version,) = data[:6], struct.unpack(">I", data[6:10])
        key = _first_string(data[10:])
        kind = _first_string(key)
    except (binascii.Error, struct.error, ValueError):
        return None
    is_name = kind.isascii() and kind.decode("ascii").replace("-", "").replace("@", "").replace(".", "").isalnum()
    return key if magic == b"SSHSIG" and version == 1 and is_name else None


def _first_string(data: bytes) -> bytes:
    """Return the string that *data* starts with: its length in four bytes, then its content (RFC 4251)."""
    (length,) = struct.unpack(">I", data[:4])
    if length > len(data) - 4:
        raise ValueError("cut short")
    return data[4 : 4 + length]
