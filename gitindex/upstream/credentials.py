"""The name and the password that an upstream wants: from the environment, or from netrc; never from the repository."""

from __future__ import annotations

import os
import re
from functools import cached_property

from gitindex.names import IndexName
from gitindex.web import Credentials, Netrc, UnfitURLError, credentials_in, origin, read_netrc, split

PREFIX = "GITINDEX_MIRROR_"
_NOT_IN_NAMES = re.compile(r"[^A-Z0-9]")


class Keyring:
    """Knows what to say to which upstream."""

    @cached_property
    def _netrc(self) -> Netrc:
        return read_netrc()

    def credentials(self, name: IndexName, mirror_url: str) -> Credentials | None:
        """Return what the upstream of a mirror is asked with, ``None`` where it is asked as nobody.

        `GITINDEX_MIRROR_<USER>_<NAME>_USERNAME` and `…_PASSWORD` are for the server that `…_URL` names, and netrc's for
        the host: whoever can change the mirror's `mirror_url` cannot have them sent elsewhere.
        """
        target = split(mirror_url)
        prefix = variable(name)
        url, username, password = (os.environ.get(prefix + part) for part in ("URL", "USERNAME", "PASSWORD"))
        if url and (username or password):
            try:
                if origin(split(url)) == origin(target):
                    return Credentials(username or "", password or "")
            except UnfitURLError:
                pass
        return credentials_in(self._netrc, target.hostname or "")


def variable(name: IndexName) -> str:
    """Return how the variables of a mirror begin: upper case, and `_` for what is no letter and no digit."""
    return f"{PREFIX}{_NOT_IN_NAMES.sub('_', f'{name.user}_{name.name}'.upper())}_"
