"""Real keys of SSH and GPG, and commits signed with them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.repositories import IndexRepository


class Key(NamedTuple):
    """A signing key: the identity it is, and what Git has to be told to sign with it."""

    identity: str
    options: tuple[str, ...]
    """Words for the command line of git, before the command."""
    environment: dict[str, str]

    def commit(self, repository: IndexRepository, message: str = "Change", *words: str) -> str:
        """Commit everything that is there, signed, and return the commit's id."""
        repository.git("add", "--all", "--force")
        words = ("commit", "--quiet", "--allow-empty", "--gpg-sign", "--message", message, *words)
        repository.git(*self.options, *words, env=self.environment)
        return repository.git("rev-parse", "HEAD")

    def merge(self, repository: IndexRepository, *words: str) -> str:
        """Merge, with a commit that is signed, and return its id."""
        repository.git(
            *self.options, "merge", "--quiet", "--no-ff", "--gpg-sign", "--no-edit", *words, env=self.environment
        )
        return repository.git("rev-parse", "HEAD")


def ssh_key(folder: Path, name: str, kind: str = "ed25519") -> Key:
    """Make an SSH key."""
    path = folder / name
    run("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(path))
    fingerprint = run("ssh-keygen", "-l", "-f", str(path)).split()[1]
    return Key(f"ssh:{fingerprint}", ("-c", "gpg.format=ssh", "-c", f"user.signingKey={path}"), {})


def gpg_key(home: Path, name: str, *, created: str = "20260101T000000", expires: str = "never") -> Key:
    """Make a GPG key in the key ring at *home*, which commits are checked with as well."""
    words = ("--batch", "--quiet", "--passphrase", "", "--faked-system-time", created)
    address = f"{name} <{name}@example.org>"
    run("gpg", *words, "--quick-generate-key", address, "ed25519", "sign", expires, GNUPGHOME=str(home))
    listing = run("gpg", "--batch", "--with-colons", "--list-keys", f"={address}", GNUPGHOME=str(home))
    fingerprint = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr"))
    program = home / f"sign-{name}"
    program.write_text(f'#!/bin/sh\nexec gpg --batch --faked-system-time {created} "$@"\n')
    program.chmod(0o755)
    options = ("-c", f"user.signingKey={fingerprint}", "-c", f"gpg.program={program}")
    return Key(f"gpg:{fingerprint}", options, {"GNUPGHOME": str(home)})


def run(*words: str, data: bytes = b"", **environment: str) -> str:
    done = subprocess.run(words, input=data, capture_output=True, check=False, env={**os.environ, **environment})
    assert done.returncode == 0, (words, done.stderr.decode())
    return done.stdout.decode()
