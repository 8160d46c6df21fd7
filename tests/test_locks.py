"""Lock files read, and mirrors locked to what they name."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

import pytest

from gitindex import locks
from gitindex.locks import BadLockError, Contents, LeftOut, Locked, read_lock
from gitindex.names import ProjectName
from tests.conftest import Run
from tests.repositories import Content, IndexRepository, make_repository, small_content

DJANGO, FLASK = ProjectName("django"), ProjectName("flask")
UPSTREAM = "https://upstream.example.org/simple/"


def contents(path: str, text: str, **included: str) -> Contents:
    def read(inside: str) -> bytes:
        if inside not in included:
            raise FileNotFoundError(2, "no such file")
        return included[inside].encode()

    return read_lock(path, text.encode(), read)


def problem(path: str, text: str, **included: str) -> str:
    with pytest.raises(BadLockError) as raised:
        contents(path, text, **included)
    assert raised.value.help
    assert "\n" not in str(raised.value)
    return raised.value.message


# pylock.toml


PYLOCK = """
lock-version = "1.0"
created-by = "a locker"

[[packages]]
name = "django"
version = "5.2.1"
index = "https://upstream.example.org/simple/"

[[packages.wheels]]
name = "django-5.2.1-py3-none-any.whl"
url = "https://files.example.org/django-5.2.1-py3-none-any.whl"
hashes = {sha256 = "00"}

[[packages]]
name = "flask"
sdist = {name = "flask-3.0.tar.gz", url = "https://files.example.org/flask-3.0.tar.gz", hashes = {sha256 = "00"}}

[[packages]]
name = "ours"
directory = {path = "."}

[[packages]]
name = "forked"
vcs = {type = "git", url = "https://git.example.org/forked", commit-id = "0123"}

[[packages]]
name = "single"
archive = {url = "https://files.example.org/single-1.0.zip", hashes = {sha256 = "00"}}
"""


def test_pylock_names_what_is_in_an_index_with_its_version() -> None:
    assert contents("pylock.toml", PYLOCK) == Contents(
        (Locked(DJANGO, "==5.2.1", UPSTREAM), Locked(FLASK)),
        (
            LeftOut("ours", "is taken from a folder"),
            LeftOut("forked", "is taken from a repository"),
            LeftOut("single", "is taken from a URL of its own"),
        ),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('lock-version = "2.0"\ncreated-by = "x"\npackages = []\n', "pylock.toml: pylock version 2.0 is not supported"),
        ('lock-version = "1.0"\npackages = []\n', "pylock.toml: Missing required value in 'created-by'"),
        (PYLOCK.replace('"django"', '"Django"'), "'packages[0].name'"),
        (PYLOCK.replace('"5.2.1"', "5"), "'packages[0].version'"),
        ("lock-version = ", "pylock.toml: not TOML"),
        ("<<<<<<< ours\n", "pylock.toml:1: not TOML"),
        ("[tool]\n", "pylock.toml: is neither a pylock.toml nor a uv.lock"),
    ],
)
def test_pylock_that_makes_no_sense_is_refused_in_one_line(text: str, message: str) -> None:
    assert message in problem("pylock.toml", text)


# uv.lock


def uv_lock(source: str, version: str = '"1.0"') -> str:
    return f"""
version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "django"
version = {version}
source = {source}
"""


def test_uv_lock_names_what_is_in_a_registry() -> None:
    expected = Locked(DJANGO, "==1.0", UPSTREAM)
    assert contents("some/uv.lock", uv_lock(f'{{ registry = "{UPSTREAM}" }}')) == Contents((expected,), ())


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ('{ git = "https://git.example.org/django?rev=1#01" }', "is taken from a Git repository"),
        ('{ url = "https://files.example.org/django-1.0.zip" }', "is taken from a URL of its own"),
        ('{ path = "django-1.0.zip" }', "is taken from a file"),
        ('{ directory = "django" }', "is taken from a folder"),
        ('{ editable = "." }', "is taken from a folder, editable"),
        ('{ virtual = "." }', "is a project of the workspace"),
    ],
)
def test_uv_lock_leaves_out_what_is_in_no_registry(source: str, why: str) -> None:
    assert contents("uv.lock", uv_lock(source)) == Contents((), (LeftOut("django", why),))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version = 2\n", "uv.lock: is a uv.lock of version 2; 1 is known"),
        ("version = 1\npackage = 3\n", "uv.lock: package is no list of tables"),
        ("version = 1\npackage = [3]\n", "uv.lock: package[0] is no table"),
        ("version = 1\n[[package]]\nname = '../up'\n", "uv.lock: package[0].name is '../up'"),
        ("version = 1\n[[package]]\n", "uv.lock: package[0].name is None"),
        (uv_lock("{}"), "uv.lock: package[0].source of django does not say where"),
        (uv_lock('{ registry = "x", git = "y" }'), "uv.lock: package[0].source of django does not say where"),
        (uv_lock('"here"'), "uv.lock: package[0].source of django does not say where"),
        (uv_lock("{ registry = 1 }"), "uv.lock: package[0].source.registry of django is 1"),
        (uv_lock('{ registry = "x" }', '"one"'), "uv.lock: package[0].version of django is 'one'"),
        (uv_lock('{ registry = "x" }', "1"), "uv.lock: package[0].version of django is 1"),
        ("a." * 60 + "b = 1\n", "uv.lock: not TOML that can be read: a dotted key has more than 50 parts"),
        ("", "uv.lock: is neither a pylock.toml nor a uv.lock"),
    ],
)
def test_uv_lock_that_makes_no_sense_is_refused_in_one_line(text: str, message: str) -> None:
    assert message in problem("uv.lock", text)


def test_other_locks_are_refused_with_what_to_do() -> None:
    for name, help_ in {"poetry.lock": "poetry export", "pdm.lock": "pdm export", "pyproject.toml": "uv lock"}.items():
        with pytest.raises(BadLockError, match=help_):
            contents(name, "[metadata]\n")


# Requirements files


def locked(text: str, **included: str) -> list[str]:
    return [each.entry for each in contents("requirements.txt", text, **included).locked]


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("Django==5.2.1\n", ["django==5.2.1"]),
        ("\ufeffdjango == 5.2.1  # a comment\n\n# another\n", ["django==5.2.1"]),
        ("django>=4,<6 ; python_version < '3.14'", ["django<6,>=4"]),
        ("django[argon2,bcrypt]==5.0", ["django==5.0"]),
        ("django", ["django"]),
        ("django==5.0 \\\n    --hash=sha256:00 \\\n    --hash=sha256:01\nflask==3.0\n", ["django==5.0", "flask==3.0"]),
        ("django==5.0 \\\r\n    --hash=sha256:00\r\nflask==3.0\r\n", ["django==5.0", "flask==3.0"]),
        ("django \\\n==5.0\n", ["django==5.0"]),
        ("django \\\n# a comment ends it\nflask\n", ["django", "flask"]),
        ("django==5.0 \\", ["django==5.0"]),
        ("torch==2.5.0+cpu\nold===weird\n", ["torch==2.5.0+cpu", "old===weird"]),
        ("--no-binary :all:\n--pre\n-c constraints.txt\n--require-hashes\ndjango\n", ["django"]),
        ('demo==1.0 --config-settings="--x=y" --global-option=z\n', ["demo==1.0"]),
    ],
)
def test_requirements_are_read_as_pip_reads_them(text: str, entries: list[str]) -> None:
    assert locked(text) == entries


@pytest.mark.parametrize("line", ["-r base.txt", "--requirement base.txt", "--requirement=base.txt", "-rbase.txt"])
def test_requirements_that_are_included_are_read(line: str) -> None:
    assert locked(f"{line}\nflask\n", **{"base.txt": "django==5.0\n"}) == ["django==5.0", "flask"]


def test_includes_start_from_the_file_that_has_them_and_stay_in_the_folder() -> None:
    included = {"more/base.txt": "-r ../other.txt\ndjango\n", "other.txt": "flask\n"}
    assert locked("-r more/base.txt\n", **included) == ["flask", "django"]
    deeper = contents("/a/b/requirements.txt", "-r more/base.txt\n", **included)
    assert [each.entry for each in deeper.locked] == ["flask", "django"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("-e .\n", LeftOut(".", "is editable")),
        ("demo @ https://user:secret@files.example.org/demo.zip\n", LeftOut("demo", "is taken from a URL of its own")),
        (
            "git+https://user:secret@git.example.org/demo\n",
            LeftOut("git+https://…@git.example.org/demo", "is a file or a URL, and no name"),
        ),
        ("./demo\n", LeftOut("./demo", "is a file or a URL, and no name")),
        (
            "wheels/demo-1.0-py3-none-any.whl\n",
            LeftOut("wheels/demo-1.0-py3-none-any.whl", "is a file or a URL, and no name"),
        ),
        ("demo-1.0.tar.gz\n", LeftOut("demo-1.0.tar.gz", "is a file or a URL, and no name")),
    ],
)
def test_requirements_of_no_index_are_left_out(text: str, what: LeftOut) -> None:
    assert contents("requirements.txt", text) == Contents((), (what,))


def test_index_that_a_requirements_file_names_is_told_without_its_password() -> None:
    found = contents("requirements.txt", "--extra-index-url https://user:secret@other.example.org/simple/\n")
    assert [left.what for left in found.left_out] == ["--extra-index-url https://…@other.example.org/simple/"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("django=5\n", "in/requirements.txt:1: Expected"),
        ("flask\n\ndjango==\n", "in/requirements.txt:3: "),
        ("{}\n", "in/requirements.txt:1: Expected package name"),
        ("-r ../up.txt\n", "in/requirements.txt:1: includes '../up.txt', which is not in the folder"),
        ("-r /etc/passwd\n", "in/requirements.txt:1: includes '/etc/passwd', which is not in the folder"),
        (
            "-r https://example.org/r.txt\n",
            "in/requirements.txt:1: includes 'https://example.org/r.txt', which is not in",
        ),
        ("-r\n", "in/requirements.txt:1: includes '', which is not in the folder"),
        ("-r a/../../up.txt\n", "in/requirements.txt:1: includes 'a/../../up.txt', which is not in the folder"),
        ("-r requirements.txt\n", "in/requirements.txt:1: includes 'requirements.txt', which includes it"),
        ("-r loop.txt\n", "in/loop.txt:1: includes 'requirements.txt', which includes it"),
        ("-r none.txt\n", "in/requirements.txt:1: includes 'none.txt', which cannot be read (no such file)"),
        ("--what\n", "in/requirements.txt:1: '--what' is no option of a requirements file"),
        ("--hash=sha256:00\n", "in/requirements.txt:1: '--hash' is no option of a requirements file"),
        ("-\n", "in/requirements.txt:1: '-' is no option of a requirements file"),
        (f"{'a' * 300}==1\n", "in/requirements.txt:1: 'aaaa"),
    ],
)
def test_requirements_that_make_no_sense_are_refused_in_one_line(text: str, message: str) -> None:
    assert problem("in/requirements.txt", text, **{"loop.txt": "-r requirements.txt\n"}).startswith(message)


@pytest.mark.parametrize("text", ["demo{}x", "demo==1.0{}--hash=x", "--hash{}x", "{}x", "demo{}\\\n x"])
def test_space_without_end_takes_no_time(text: str) -> None:
    start = time.process_time()
    with contextlib.suppress(BadLockError):
        read_lock("requirements.txt", text.format(" " * 200_000).encode(), lambda _: b"")
    assert time.process_time() - start < 5


def test_includes_have_no_more_bytes_together_than_one_file_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "LARGEST", 1000)
    files = {f"{number}.txt": "demo==1.0\n" * 20 for number in range(10)}
    found = problem("requirements.txt", "".join(f"-r {name}\n" for name in files), **files)
    assert found.startswith("4.txt: and what was read before it have 1,090 bytes, and may have 1,000")


def test_requirements_that_fan_out_without_end_are_refused() -> None:
    files = {f"{number}.txt": f"-r {number + 1}.txt\n-r {number + 1}.txt\n" for number in range(30)}
    assert "too many files" in problem("requirements.txt", "-r 0.txt\n", **files)


# The mirror


@pytest.fixture
def repository(tmp_path: Path) -> IndexRepository:
    content = small_content(names={"reserved": ["acme-*"]}, site={"url": "https://packages.example.org/"})
    content["indexes/root/pypi/index.toml"] = (
        b'type = "mirror"\nmirror_url = "https://upstream.example.org/simple/"  # ours\n'
    )
    content.release("emilie/prod", "billing", "1.0")
    return make_repository(tmp_path / "repository", content)


def locking(run: Run, repository: IndexRepository, *arguments: str) -> str:
    result = run("-C", str(repository.path), "mirror", "lock", *arguments)
    assert result.code == 0, result
    return (repository.root / "indexes/root/pypi/index.toml").read_text()


def test_mirror_is_locked_to_what_several_locks_name_and_comments_stay(run: Run, repository: IndexRepository) -> None:
    one = repository.path.parent / "requirements.txt"
    one.write_text("flask==3.0\ndjango==5.2.1\n")
    other = repository.path.parent / "uv.lock"
    other.write_text(uv_lock(f'{{ registry = "{UPSTREAM}" }}', '"4.2"'))
    text = locking(run, repository, "--from", str(one), "--from", str(other))
    assert text == (
        'type = "mirror"\nmirror_url = "https://upstream.example.org/simple/"  # ours\n'
        'allow = [\n    "django==4.2",\n    "django==5.2.1",\n    "flask==3.0",\n]\n'
    )
    assert locking(run, repository, "--from", str(other), "--from", str(one)) == text
    assert '"flask==3.0"' not in locking(run, repository, "--from", str(other))
    assert '"flask==3.0"' in locking(run, repository, "root/pypi", "--from", str(one), "--add")


def test_names_of_ours_and_packages_of_other_indexes_are_left_out_and_told(
    run: Run, repository: IndexRepository, tmp_path: Path
) -> None:
    lock = tmp_path / "pylock.toml"
    text = PYLOCK.replace('"flask"', '"billing"').replace('"flask-3.0', '"billing-3.0')
    for name, index in {
        "strange": "https://user:pw@evil.example.org/simple/",
        "through": "https://packages.example.org/emilie/prod/simple",
        "acme-secret": UPSTREAM,
    }.items():
        text += f'[[packages]]\nname = "{name}"\nversion = "1.0"\nindex = "{index}"\n'
        text += f'sdist = {{name = "{name}-1.0.tar.gz", url = "https://x.example.org/", hashes = {{sha256 = "0"}}}}\n'
    lock.write_text(text)
    result = run("-C", str(repository.path), "mirror", "lock", "--from", str(lock), "--json")
    assert result.code == 0, result
    answer = json.loads(result.out)
    assert answer["allow"] == ["django==5.2.1", "through==1.0"]
    told = {left["what"]: left["why"] for left in answer["left_out"]}
    assert told["billing"] == "is ours (emilie/prod)"
    assert told["acme-secret"] == "is reserved (names.reserved in gitindex.toml)"
    assert "another index" in told["strange==1.0"]
    assert "pw" not in result.out
    assert answer["paths"] == ["indexes/root/pypi/index.toml"]


def test_lock_is_committed_where_that_is_asked_and_once(run: Run, repository: IndexRepository, tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text("django==5.2.1\n")
    for _ in range(2):
        locking(run, repository, "--from", str(lock), "--commit")
    assert repository.git("log", "-1", "--format=%s") == "Lock root/pypi to 1 entry"
    assert repository.git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--from", "none.txt"], 3, "none.txt: no such file"),
        (["emilie/prod", "--from", "good.txt"], 2, "emilie/prod is a stage"),
        (["root/none", "--from", "good.txt"], 1, "root/none: no such index"),
        (["--from", "bad.txt"], 1, "bad.txt:1: "),
        (["--from", "link.txt"], 1, "link.txt:1: includes 'out.txt', which cannot be read (it is a link"),
        (["--from", "ours.txt"], 2, "nothing in the locks is for root/pypi: of what they name, billing is ours"),
        (["--from", "empty.txt"], 2, "nothing in the locks is for root/pypi: of what they name, there is nothing"),
        ([], 2, "Missing option '--from'"),
    ],
)
def test_lock_that_cannot_be_used_changes_nothing(
    run: Run, repository: IndexRepository, arguments: list[str], code: int, message: str
) -> None:
    folder = repository.path.parent / "locks"
    folder.mkdir()
    for name, text in {
        "good": "django",
        "bad": "django=",
        "ours": "billing==1",
        "empty": "# nothing",
        "link": "-r out.txt",
    }.items():
        (folder / f"{name}.txt").write_text(text)
    (repository.path.parent / "outside.txt").write_text("secret-name\n")
    (folder / "out.txt").symlink_to(repository.path.parent / "outside.txt")
    given = [str(folder / word) if word.endswith(".txt") else word for word in arguments]
    result = run("-C", str(repository.path), "mirror", "lock", *given)
    assert result.code == code, result
    assert message in result.err
    assert "secret-name" not in result.err
    assert repository.git("status", "--porcelain") == ""


def test_whitelisted_name_of_ours_may_be_locked(run: Run, tmp_path: Path) -> None:
    content = Content().settings().user("root").user("emilie").mirror("root/pypi", mirror_url=UPSTREAM)
    content.stage("emilie/prod", bases=["root/pypi"], mirror_whitelist=["billing"]).release(
        "emilie/prod", "billing", "1.0"
    )
    repository = make_repository(tmp_path / "repository", content)
    (tmp_path / "requirements.txt").write_text("billing==2.0\n")
    assert '"billing==2.0"' in locking(run, repository, "--from", str(tmp_path / "requirements.txt"))
