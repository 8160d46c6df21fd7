"""What a token may do: scopes as text, such as ``read:emilie/prod``."""

from __future__ import annotations

from collections.abc import Collection

from gitindex.errors import UsageError
from gitindex.names import IndexName, UserName, is_user_name, parse_index_name

VARIABLE = "GITINDEX_TOKENS"
"""The environment variable that names the file of the tokens."""
EVERY = "*"
READ = "read:"
"""May read indexes: ``read:USER/INDEX``, ``read:USER/*`` or ``read:*``."""
UPLOAD = "upload:"
"""May change the releases of indexes, and read them."""
DEFINE = "define:"
"""May create, change and delete indexes, and the users whose indexes are all meant; and read them."""
KINDS = (READ, UPLOAD, DEFINE)


def is_index_pattern(text: str) -> bool:
    """Tell whether *text* names indexes: ``user/index``, ``user/*`` or ``*``."""
    if text == EVERY:
        return True
    user, _, name = text.partition("/")
    return is_user_name(user) if name == EVERY else parse_index_name(text) is not None


def scope(kind: str, pattern: str) -> str:
    """Return the scope of a *kind* for the indexes that *pattern* names.

    Raises:
        UsageError: it names none.

    """
    if not is_index_pattern(pattern):
        raise UsageError(
            f"{pattern!r} names no index", help="write USER/INDEX, such as emilie/prod, or 'emilie/*', or '*' for all"
        )
    return kind + pattern


def allows(scopes: Collection[str], kind: str, index: IndexName) -> bool:
    """Tell whether one of the *scopes* is of a *kind* and for the index; each is looked up, for a set's sake."""
    return f"{kind}{index}" in scopes or allows_user(scopes, kind, index.user)


def allows_user(scopes: Collection[str], kind: str, user: UserName) -> bool:
    """Tell whether one of the *scopes* is of a *kind* and for all indexes of a user."""
    return f"{kind}{user}/{EVERY}" in scopes or kind + EVERY in scopes
