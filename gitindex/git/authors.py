"""Whose change a commit is."""

from __future__ import annotations

from typing import NamedTuple


class Author(NamedTuple):
    """Who made what is committed, and when, where that is not who commits it and now."""

    name: str = ""
    email: str = ""
    """Both are empty where it is who commits it."""
    seconds: int | None = None
    """Since 1970, Git knows no time before that; ``None``: now."""

    @property
    def variables(self) -> dict[str, str]:
        """What Git takes it from."""
        named = {"GIT_AUTHOR_NAME": self.name, "GIT_AUTHOR_EMAIL": self.email} if self.name and self.email else {}
        return named if self.seconds is None else {"GIT_AUTHOR_DATE": f"@{self.seconds} +0000", **named}
