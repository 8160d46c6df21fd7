"""The operations that devpi's client asks of both servers, and where ours answers otherwise, with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tests.builders import make_sdist, make_wheel

TOX = b"""[tox]
env_list = unit
[testenv]
skip_install = true
commands = python -c "print('tested')"
"""


class Step(NamedTuple):
    """One command."""

    command: str
    """``URL`` is the server's; ``DIST/`` the folder of the files; ``PW:user`` what a user logs in with."""
    differs: str = ""
    """Why ours answers otherwise; empty: it answers the same."""


def files() -> dict[str, bytes]:
    """Return the files that the script uploads, by their paths below ``DIST/``."""
    other = {"pkg/__init__.py": b"OTHER = True\n"}
    sdist = make_sdist("pkg", "1.0", files={"tox.ini": TOX, "pkg/__init__.py": b""})
    return dict([
        make_wheel("pkg", "1.0"),
        sdist,
        make_wheel("pkg", "2.0"),
        make_wheel("lib", "1.0"),
        ("other/" + make_wheel("pkg", "1.0")[0], make_wheel("pkg", "1.0", files=other)[1]),
        ("broken/" + make_wheel("pkg", "3.0")[0], make_wheel("pkg", "3.0", dist_info={"WHEEL": None})[1]),
        ("docs-1.0.doc.zip", b"PK\x05\x06" + bytes(18)),
    ])  # fmt: skip


def write(folder: Path) -> None:
    """Write the files."""
    for name, data in files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


NO_STRANGERS = "nobody changes anything without a token; devpi lets strangers create users"
LOWER = "names are the same to every file system: lower case only"
RULE = "devpi does not look; our rules do: "
KEPT = "a promise is kept: "
UNREAD = "devpi does not look into files: it takes a wheel that no installer takes"
NO_DOCS = "documentation zips are not kept"
MIRRORED = "the URL of a mirror's file says whose mirror it is, and has the whole digest"

STEPS = (
    # Users
    Step("use URL"),
    Step("user -c nobody password=pw", NO_STRANGERS),
    Step("login root --password wrong"),
    Step("login root --password PW:root"),
    Step("user --delete nobody -y", NO_STRANGERS),
    Step("user -c temp password=pw email=temp@example.org"),
    Step("user -c temp password=pw"),
    Step("user -c Temp password=pw", LOWER),
    Step("user --delete Temp -y", LOWER),
    Step("user temp"),
    Step("user -m temp title=Temporary email=other@example.org"),
    Step("user -m temp password=secret", "there are no passwords: a token is the password"),
    Step("user -m temp colour=red", "devpi drops unknown keys without a word"),
    Step("getjson URL/temp"),
    Step("user -l"),
    Step("user nobody"),
    Step("user --delete temp -y"),
    Step("user --delete temp -y"),
    Step("index -c root/pypi type=mirror mirror_url=UPSTREAM volatile=False"),
    # Indexes
    Step("login emilie --password PW:emilie"),
    Step("index -c prod volatile=False bases=root/pypi"),
    Step("index -c dev bases=emilie/prod"),
    Step("index -c dev bases=emilie/prod"),
    Step("index -c nobody/dev"),
    Step("index -c bad bases=emilie/nope"),
    Step("index -c bad bases=nope"),
    Step("index -c bad type=weird"),
    Step("index -c bad volatile=maybe"),
    Step("index -c bad foo=bar"),
    Step("index -c No+Good", "the name is the reason, and devpi knows no such path"),
    Step("index -l"),
    Step("index emilie/prod"),
    Step("index emilie/nope"),
    Step("index emilie/dev acl_upload+=bob title=Work"),
    Step("index emilie/dev acl_upload-=bob"),
    Step("index emilie/dev acl_upload-=zed"),
    Step("index emilie/dev description=More title-="),
    Step("index emilie/dev title=Work description-="),
    Step("index emilie/dev acl_upload=bob,emilie"),
    Step("index emilie/dev acl_upload=emilie"),
    Step("index emilie/dev mirror_whitelist+=Some_Name"),
    Step("index emilie/dev mirror_whitelist-=some-name"),
    Step("index emilie/dev volatile-="),
    Step("index emilie/dev bases="),
    Step("index emilie/dev bases=/emilie/prod/"),
    Step("index emilie/dev title=Work"),
    Step("index emilie/dev volatile=maybe"),
    Step("index emilie/dev foo=bar"),
    Step("index emilie/dev type=mirror"),
    Step("index emilie/dev bases+=emilie/nope"),
    Step("index bob/dev title=Mine"),
    Step("getjson URL/emilie/dev"),
    Step("getjson URL/emilie"),
    Step("getjson URL/emilie/nope"),
    Step("index -c one bases=emilie/dev"),
    Step("index emilie/one bases=emilie/one", RULE + "an index is no base of its own (GI106)"),
    Step("index emilie/one bases=emilie/dev"),
    Step("index emilie/one acl_upload=:ANONYMOUS:", RULE + "an ACL names users and groups that there are (GI107)"),
    Step("index emilie/one acl_upload=nobody", RULE + "an ACL names users and groups that there are (GI107)"),
    Step("index emilie/one acl_toxresult_upload=emilie", "there is no such right: who may release records results"),
    Step("index emilie/one acl_upload=emilie"),
    Step("index -c two bases=emilie/one"),
    Step("index emilie/one bases+=emilie/two", RULE + "bases form no cycle (GI102)"),
    Step("index --delete emilie/two -y"),
    Step("index emilie/one bases=emilie/dev,emilie/dev", RULE + "a base is named once (GI106)"),
    Step("index -c three volatile=False bases=emilie/dev", RULE + "what is kept builds on nothing that may go (GI105)"),
    Step("index -c four bases=emilie/one"),
    Step("index --delete emilie/one -y", RULE + "a base that is inherited from stays (GI101)"),
    Step("index --delete emilie/four -y"),
    Step("index --delete emilie/four -y", "there is no such index: devpi says that it may not be deleted"),
    # Releases
    Step("use emilie/dev"),
    Step("upload DIST/pkg-1.0-py3-none-any.whl DIST/pkg-1.0.tar.gz"),
    Step("upload DIST/lib-1.0-py3-none-any.whl"),
    Step("list"),
    Step("list -v"),
    Step("list pkg"),
    Step("list pkg==9.9"),
    Step("list nothing"),
    Step("getjson URL/emilie/dev/pkg"),
    Step("getjson URL/emilie/dev/pkg/1.0"),
    Step("getjson URL/emilie/dev/pkg/9.9"),
    Step("getjson URL/emilie/dev/nothing"),
    Step("upload DIST/pkg-1.0-py3-none-any.whl"),
    Step("getjson URL/emilie/dev/pkg/1.0", "the same bytes again change nothing; devpi logs them"),
    Step("upload DIST/broken/pkg-3.0-py3-none-any.whl", UNREAD),
    Step("remove pkg==3.0 -y", UNREAD),
    Step("upload --dry-run DIST/pkg-2.0-py3-none-any.whl"),
    Step("upload DIST/docs-1.0.doc.zip", NO_DOCS),
    Step("remove docs -y", NO_DOCS),
    # Pushes
    Step("push pkg==1.0 emilie/prod"),
    Step("push pkg==1.0 emilie/prod", "what is there already is no conflict: pushed twice is pushed"),
    Step("push pkg==9.9 emilie/prod", "there is no such release: 404, and not 400"),
    Step("push pkg==1.0 emilie/nope"),
    Step("push pkg==1.0 bob/dev", "who is known and may not is told 403, and not 401"),
    Step("push pkg==1.0 nonsense"),
    Step("push --no-docs lib==1.0 emilie/prod"),
    Step("push --only-docs pkg==1.0 emilie/prod", NO_DOCS + ": the server does not claim the option"),
    Step("list pkg"),
    Step("list --index emilie/prod"),
    # The same file again, and another one
    Step("upload --index emilie/prod DIST/pkg-1.0-py3-none-any.whl"),
    Step("upload --index emilie/prod DIST/other/pkg-1.0-py3-none-any.whl"),
    Step("upload --index emilie/prod DIST/pkg-2.0-py3-none-any.whl"),
    Step("upload DIST/other/pkg-1.0-py3-none-any.whl"),
    # Tests
    Step("test pkg==1.0"),
    Step("list -t pkg", "the outcome is recorded, and not on which machine and by which Python"),
    Step("index -c tested"),
    Step("push pkg==1.0 emilie/tested", "results of tests stay where they are: a gate looks for them everywhere"),
    # What may not go, and what may
    Step("remove --index emilie/prod pkg==2.0 -y"),
    Step("remove --index emilie/prod pkg -y"),
    Step("remove pkg==9.9 -y"),
    Step("remove pkg==1.0 -y"),
    Step("list pkg"),
    Step("remove lib -y"),
    Step("list"),
    Step("user --delete emilie -y"),
    Step("index --delete emilie/prod -y"),
    # The mirror
    Step("list --index root/pypi upstreamed", MIRRORED),
    Step("getjson URL/root/pypi/upstreamed", MIRRORED),
    Step("push --index root/pypi upstreamed==1.0 emilie/dev"),
    Step("list upstreamed"),
    Step("refresh upstreamed"),
    Step("use root/pypi"),
    Step("upload DIST/pkg-2.0-py3-none-any.whl"),
    Step("upload --index root/pypi DIST/pkg-2.0-py3-none-any.whl", "a mirror is there: 403, and not 404"),
    # Somebody else
    Step("use emilie/dev"),
    Step("login bob --password PW:bob"),
    Step("upload DIST/pkg-2.0-py3-none-any.whl"),
    Step("remove upstreamed -y"),
    Step("index emilie/dev title=Mine"),
    Step("push --index emilie/prod pkg==1.0 bob/dev"),
    Step("logoff"),
    Step("logoff"),
    Step("upload DIST/pkg-2.0-py3-none-any.whl"),
    Step("index emilie/dev title=Mine"),
    Step("list"),
    Step("install upstreamed", "pip reads the metadata alone before it downloads: PEP 658"),
    # Where devpi breaks a promise: last, as both have other indexes from here on
    Step("login emilie --password PW:emilie"),
    Step("index -c frozen volatile=False"),
    Step("use emilie/frozen"),
    Step("upload DIST/lib-1.0-py3-none-any.whl"),
    Step("remove lib -y --force", KEPT + "no force takes a release out of a non-volatile index (GI202)"),
    Step("index emilie/frozen volatile=True", KEPT + "what is non-volatile stays so (GI206)"),
    Step("index --delete emilie/frozen -y", KEPT + "a non-volatile index is not deleted (GI201)"),
)
