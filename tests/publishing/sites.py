"""Sites to publish: commits, rendered, and brought to a target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gitindex.objects import Objects, read_location
from gitindex.publish import Report, Wanted, publish
from gitindex.publish.folder import read_site
from tests.publishing.stores import site_of
from tests.repositories import Content, small_content
from tests.test_site_update import Commits

ME, OTHER = "1" * 32, "2" * 32


class Site:
    """A site of commits, and its folder."""

    def __init__(self, place: Path) -> None:
        self.commits = Commits(place / "git")
        self.folder = place / "site"

    def render(self, content: Content) -> str:
        commit = self.commits.commit(content)
        self.commits.render(self.folder)
        return commit

    def wanted(self, holder: str = ME, lasting: tuple[str, ...] = ("emilie/prod",)) -> Wanted:
        return Wanted(self.folder, read_site(self.folder), str(self.commits.last), lasting, holder)

    def publish(self, target: str, holder: str = ME, **options: Any) -> Report:
        """Publish what is rendered; each revision may follow any other."""
        options.setdefault("may_follow", lambda _: None)
        return publish(Objects(read_location(target)), self.wanted(holder), **options)

    @property
    def files(self) -> dict[str, bytes]:
        return dict(site_of(self.folder))


def content() -> Content:
    """Return two indexes with releases of two projects."""
    found = small_content()
    found.release("emilie/prod", "alpha", "1.0")
    found.release("emilie/dev", "beta", "1.0")
    found.release("emilie/dev", "beta", "1.1", kind="sdist")
    return found


def changed(before: Content) -> Content:
    """Return it with a release more, a new project, one less, and a new index."""
    after = Content(before)
    after.release("emilie/prod", "alpha", "2.0+local.1")
    after.release("emilie/prod", "gamma", "1.0")
    for path in [path for path in after if path.startswith("indexes/emilie/dev/beta/")]:
        del after[path]
    after.user("bob").stage("bob/lab", bases=["emilie/prod"])
    return after
