"""Gives what is mangled to the guard: each target is one example of one kind, made from a seed."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from random import Random
from typing import Any

import pygit2

from gitindex import check
from gitindex.__main__ import main
from gitindex.audit import audit
from gitindex.errors import DistributionError, GitindexError
from gitindex.facts import read_core_facts
from gitindex.git import Repository
from gitindex.git.signatures import ssh_key
from gitindex.receive import Door, Update, read_push, read_updates
from tests.builders import make_sdist, make_wheel
from tests.fuzzing import mangle
from tests.mutants import oracle
from tests.mutants.history import MAIN, Objects
from tests.mutants.start import start
from tests.trees import TREE, Files, Node, Writer, read_piece_by_piece

SECONDS = 5.0
"""Of processor time, that an example may take. It is what nobody waits for; most take milliseconds."""
LONGEST = 4000
"""Characters of an error."""
MODES = (0o100644, 0o100755, 0o120000, 0o160000, TREE, 0o100664, 0o100600, 0, 0o777777, 0o140000, 0o60000)
NAMES: tuple[bytes, ...] = (
    b"..",
    b".",
    b".git",
    b".GIT",
    b"git~1",
    b"a/b",
    b"1.0.json/x",
    b"alpha/1.0.json",
    b"prod/index.toml",
    b"indexes/emilie/prod/alpha/1.0.json",
    b"\xff\xfe",
    b"x\n",
    b"\x1b[31m",
    b"*",
    b"con",
    b" ",
    b"-x",
    b":",
)
NAMES += (
    b"a" * 300,
    "é".encode(),
    b"index.toml",
    b"user.toml",
    b"project.toml",
    b"1.0.json",
    b"gitindex.toml",
    b"files",
)


class TooSlowError(Exception):
    """An example took longer than it may."""


@contextmanager
def bounded() -> Iterator[None]:
    """Stop what takes too much processor time: the time on the wall is other people's business."""

    def stop(*_: object) -> None:
        raise TooSlowError

    previous = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)


class Ground:
    """A repository with a main branch, for as many examples as are made in it."""

    def __init__(self, folder: Path, *, is_signed: bool = False) -> None:
        self.objects = Objects(folder / "objects")
        self.writer = Writer(self.objects.git)
        begun = start("embedded")
        states = [Files(files) for files in begun.states]
        if is_signed:
            for files in states:
                settings = files[b"gitindex.toml"].data + b"\n[policy]\nrequire_signed_commits = true\n"
                files[b"gitindex.toml"] = Node(0o100644, settings)
        self.root = self.objects.commit(states[0])
        self.tip = self.objects.commit(states[-1], self.root)
        self.path = self.objects.repository(folder / "repository", self.tip)
        self.folder = folder
        self.documents = {
            path.decode(): node.data
            for path, node in states[-1].items()
            if path.startswith(b"indexes/") or path == b"gitindex.toml"
        }

    def write(self, kind: pygit2.enums.ObjectType, data: bytes) -> bytes:
        """Write an object that need not be well-formed, as somebody can who writes the files of a repository."""
        return self.objects.git.odb.write(int(kind), data).raw

    def files_of(self, commit: str) -> Files | None:
        """Return the files of a commit as git itself reads them, ``None`` where it cannot."""
        words = ["git", "ls-tree", "-r", "-z", "--full-tree", commit, "gitindex.toml", "indexes", "files"]
        listed = subprocess.run(words, cwd=self.path, capture_output=True, check=False)
        if listed.returncode or listed.stderr:
            return None
        files = Files()
        for line in listed.stdout.split(b"\0")[:-1]:
            facts, _, path = line.partition(b"\t")
            mode, kind, object_id = facts.split(b" ")
            if path in files:
                return None
            data = bytes.fromhex(object_id.decode())
            files[path] = Node(
                int(mode, 8), self.objects.git.odb.read(pygit2.Oid(raw=data))[1] if kind == b"blob" else data
            )
        return files


Example = Callable[[Ground, Random], None]


def assert_kept(ground: Ground, head: str, random: Random) -> None:
    """Ask all doors about a commit: they answer, and what one of them accepts keeps the promise."""
    answers = {
        "validate": _answer(lambda: check.run(ground.path, None, base=ground.tip.id, head=head, as_json=True)),
        "push": _answer(lambda: _pushed(ground, head)),
    }
    if random.random() < 0.3:
        answers["validate --all"] = _answer(
            lambda: check.run(ground.path, None, base=ground.tip.id, head=head, everything=True)
        )
    if random.random() < 0.3:
        answers["validate from nothing"] = _answer(lambda: check.run(ground.path, None, base="0" * 40, head=head)) or 1
    _answer(lambda: len(audit(Repository.open(ground.path), head, since=ground.root.id, afresh=True).violations))
    accepting = sorted(door for door, code in answers.items() if code == 0)
    if accepting:
        files = ground.files_of(head)
        assert files is not None, f"{accepting} accepted what git cannot read"
        lost = oracle.lost(ground.tip.files, files)
        assert not lost, f"{accepting} accepted what loses {lost[:3]}"


def _pushed(ground: Ground, head: str) -> int:
    received = Door(Repository.open(ground.path)).received([Update(MAIN, ground.tip.id, head)])
    return int(any(found.verdict.is_refused for found in received))


def _answer(run: Callable[[], int]) -> int:
    """Return what a door answers: what stops it is an error that it knows, in one line."""
    try:
        with redirect_stdout(io.StringIO()):
            return run()
    except GitindexError as error:
        _check_words(error)
        return error.exit_code


def _check_words(error: GitindexError) -> None:
    """Check that what stopped a run is told in one line that somebody can read; only its help may be more."""
    assert error.message
    assert "\n" not in error.message, error.message
    assert len(str(error)) < LONGEST, str(error)[:300]


# Targets


def documents(ground: Ground, random: Random) -> None:
    """Documents that are mangled, in the place of sound ones or in new places."""
    files = Files(ground.tip.files)
    known = sorted(ground.documents)
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        path = random.choice(known)
        data = mangle.document(random, path, ground.documents[path], list(ground.documents.values()))
        if random.random() < 0.3:
            path = (
                path.replace("alpha", "new")
                .replace("1.0", "7.0")
                .replace("prod", random.choice(["prod", "dev", "new"]))
            )
        files.put(path.encode(), Node(random.choice([*[0o100644] * 9, 0o100755, 0o120000]), data))
    assert_kept(ground, ground.objects.commit(files, ground.tip).id, random)


def stored(ground: Ground, random: Random) -> None:
    """Stored files and what lies beside them, mangled; new releases of bytes that nobody can read."""
    files = Files(ground.tip.files)
    kept = sorted(path for path in files if path.startswith(b"files/"))
    path = random.choice(kept)
    contents = [files[path].data for path in kept]
    data = mangle.havoc(random, files[path].data, contents)
    if random.random() < 0.5:
        files.put(path, Node(random.choice([0o100644, 0o100644, 0o100755, 0o120000]), data))
    else:
        _release(files, random, data)
    assert_kept(ground, ground.objects.commit(files, ground.tip).id, random)


def _release(files: Files, random: Random, data: bytes) -> None:
    """Release bytes under the name of a wheel or an sdist, with the digest and the size that they have."""
    filename = random.choice(["fresh-1.0-py3-none-any.whl", "fresh-1.0.tar.gz", "fresh-1.0.zip"])
    digest = hashlib.sha256(data).hexdigest()
    files.put(f"files/{digest[:2]}/{digest[2:]}/{filename}".encode(), Node(0o100644, data))
    file = {"filename": filename, "hashes": {"sha256": digest}, "size": len(data)}
    manifest = {"name": "fresh", "version": "1.0", "files": [file]}
    files.put(b"indexes/emilie/prod/fresh/1.0.json", Node(0o100644, json.dumps(manifest).encode()))


def archives(_: Ground, random: Random) -> None:
    """Wheels and sdists, mangled: read, or refused with a reason."""
    make = random.choice([make_wheel, make_sdist])
    filename, data = make("fresh", "1.0", requires_python=random.choice([None, ">=3.9"]))
    data = mangle.havoc(random, data, [make_wheel("other", "2")[1], make_sdist("other", "2")[1]])
    try:
        read_core_facts(random.choice([filename, "fresh-1.0.zip"]), io.BytesIO(data))
    except DistributionError as error:
        _check_words(error)


def trees(ground: Ground, random: Random) -> None:
    """Trees that no Git would write, at any depth, and what cannot be read below them."""
    path = [name for name in random.choice(sorted(ground.tip.files)).split(b"/")[:-1] if name]
    depth = random.randrange(len(path) + 1)
    root = ground.objects.git[ground.tip.id].peel(pygit2.Tree).id.raw
    head_tree = _mangled(ground, random, root, path[:depth])
    stamp = b"E <e@example.org> 1795332300 +0000"
    data = b"tree %s\nparent %s\nauthor %s\ncommitter %s\n\nx\n" % (
        head_tree.hex().encode(),
        ground.tip.id.encode(),
        stamp,
        stamp,
    )
    assert_kept(ground, ground.write(pygit2.enums.ObjectType.COMMIT, data).hex(), random)


def _mangled(ground: Ground, random: Random, tree: bytes, path: list[bytes]) -> bytes:
    entries = _entries(ground.objects.git.odb.read(pygit2.Oid(raw=tree))[1])
    if path:
        name = path[0]
        return ground.writer.entries(
            [
                (known, mode, _mangled(ground, random, object_id, path[1:]) if known == name else object_id)
                for known, mode, object_id in entries
            ]
        )
    for _ in range(random.choice([1, 1, 2, 4])):
        entries = _changed(random, entries, ground)
    data = b"".join(
        random.choice([b"%o", b"%o", b"%o", b"0%o", b"%06o"]) % mode + b" %s\0%s" % (name, object_id)
        if random.random() < 0.02
        else b"%o %s\0%s" % (mode, name, object_id)
        for name, mode, object_id in entries
    )
    if random.random() < 0.1:
        data = mangle.havoc(random, data)
    return ground.write(pygit2.enums.ObjectType.TREE, data)


def _entries(data: bytes) -> list[tuple[bytes, int, bytes]]:
    found = []
    while data:
        head, _, rest = data.partition(b"\0")
        mode, _, name = head.partition(b" ")
        found.append((name, int(mode, 8), rest[:20]))
        data = rest[20:]
    return found


def _changed(random: Random, entries: list[tuple[bytes, int, bytes]], ground: Ground) -> list[tuple[bytes, int, bytes]]:
    found = list(entries)
    if not found:
        return [(random.choice(NAMES), random.choice(MODES), random.randbytes(20))]
    at = random.randrange(len(found))
    name, mode, object_id = found[at]
    match random.randrange(9):
        case 0:
            found[at] = (name, random.choice(MODES), object_id)
        case 1:
            found[at] = (random.choice([*NAMES, name.upper(), name + b" ", b"." + name]), mode, object_id)
        case 2:
            found[at] = (name, mode, random.choice([random.randbytes(20), bytes(20), *(entry[2] for entry in found)]))
        case 3:
            del found[at]
        case 4:
            found.insert(random.randrange(len(found) + 1), found[at])
        case 5:
            random.shuffle(found)
        case 6:
            found.append((name, random.choice(MODES), random.choice([entry[2] for entry in found])))
        case 7:
            found.append((random.choice(NAMES), random.choice(MODES), object_id))
        case _:
            tree = ground.objects.git[ground.tip.id].peel(pygit2.Tree).id.raw
            found[at] = (name, TREE, tree)
    return found


HEADERS = (
    b"tree " + b"0" * 40,
    b"parent " + b"0" * 40,
    b"parent " + b"f" * 40,
    b"parent nonsense",
    b"author E <e@example.org> 1 +0000",
    b"author  <> -1 +9999",
    b"author E <e@example.org> 99999999999999999999 +0000",
    b"author \xff\xfe\x1b[2J <\0> 1795332300 +2500",
    b"committer E <e@example.org> 1795332300 -0000",
    b"committer nobody",
    b"encoding UTF-16",
    b"encoding \xff",
    b"mergetag object 0",
    b"gpgsig ",
    b"gpgsig -----BEGIN PGP SIGNATURE-----\n \n nonsense\n -----END PGP SIGNATURE-----",
    b"gpgsig -----BEGIN SSH SIGNATURE-----\n U1NIU0lHAAAAAQ==\n -----END SSH SIGNATURE-----",
    b"gpgsig -----BEGIN SSH SIGNATURE-----\n U1NIU0lHAAAAAf////8=",
    b"gpgsig -----BEGIN SIGNED MESSAGE-----\n x",
    b"gpgsig-sha256 x",
    b"HG:extra x\0y",
    b"x" * 10_000,
)


def commits(ground: Ground, random: Random) -> None:
    """Commits with odd headers, authors, dates, parents and signatures."""
    tree = ground.objects.git[ground.tip.id].peel(pygit2.Tree).id
    stamp = b"E <e@example.org> 1795332300 +0000"
    lines = [b"tree %s" % str(tree).encode(), b"parent %s" % ground.tip.id.encode()]
    lines += [b"author %s" % stamp, b"committer %s" % stamp]
    for _ in range(random.randrange(4)):
        match random.randrange(4):
            case 0:
                lines.insert(random.randrange(len(lines) + 1), random.choice(HEADERS))
            case 1 if lines:
                lines[random.randrange(len(lines))] = random.choice(HEADERS)
            case 2 if lines:
                del lines[random.randrange(len(lines))]
            case _:
                lines.append(random.choice(lines or [b""]))
    data = b"\n".join(lines) + b"\n\n" + random.choice([b"", b"x\n", b"\0\xff\n", b"\n\n\x1b[2Jx", b"a" * 100_000])
    if random.random() < 0.3:
        data = mangle.havoc(random, data)
    head = ground.write(pygit2.enums.ObjectType.COMMIT, data).hex()
    assert_kept(ground, head, random)
    _command(["-C", str(ground.path), "audit", head, *random.choice([[], ["--json"], ["--since", ground.root.id]])])


def signatures(_: Ground, random: Random) -> None:
    """SSH signatures, cut off and mangled."""
    key = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + random.randbytes(32)
    data = (
        b"SSHSIG\0\0\0\1"
        + len(key).to_bytes(4, "big")
        + key
        + b"\0\0\0\3git\0\0\0\0\0\0\0\6sha512"
        + random.randbytes(20)
    )
    body = base64.encodebytes(mangle.havoc(random, data))
    signature = b"-----BEGIN SSH SIGNATURE-----\n" + body + b"-----END SSH SIGNATURE-----\n"
    if random.random() < 0.5:
        signature = mangle.havoc(random, signature)
    found = ssh_key(signature)
    assert found is None or found.startswith(b"\0\0\0")


WORDS = (
    "0" * 40,
    "f" * 40,
    "refs/heads/main",
    "refs/tags/x",
    "refs/heads/\x1b[2J",
    "HEAD",
    "x",
    "",
    " ",
    "\0",
    "refs/heads/",
)


def lines(ground: Ground, random: Random) -> None:
    """What a hook may be told: lines that are none, objects that are not there, references of any kind."""
    words = [*WORDS, ground.tip.id, ground.root.id, str(ground.objects.git[ground.tip.id].peel(pygit2.Tree).id)]
    told = [" ".join(random.choices(words, k=random.choice([3, 3, 3, 4, 4, 2, 5]))) for _ in range(random.randrange(4))]
    text = random.choice(["\n", "\n", "\r\n", "\0"]).join(told) + random.choice(["\n", ""])
    environment = {name: random.choice(words) for name in random.sample(PUSH_VARIABLES, random.randrange(4))}
    for read in (read_updates, lambda lines: read_push(environment, lines, lambda _branch, _remote: None)):
        try:
            read(text.splitlines(keepends=True))
        except GitindexError as error:
            _check_words(error)
    options = random.choice([[], ["--every-branch"], ["--actor", random.choice(["emilie", "github:x", "", "\udcff"])]])
    _command(["-C", str(ground.path), "pre-receive", *options], text)
    _command(["-C", str(ground.path), "validate", "--pushed"], text)


PUSH_VARIABLES = ["PRE_COMMIT_REMOTE_BRANCH", "PRE_COMMIT_TO_REF", "PRE_COMMIT_LOCAL_BRANCH", "PRE_COMMIT_FROM_REF"]
FLAGS: tuple[str, ...] = (
    "--base",
    "--head",
    "--staged",
    "--worktree",
    "--all",
    "--merge-into",
    "--expect-base",
    "--expect-head",
    "--actor",
)
FLAGS += (
    "--format",
    "--json",
    "--since",
    "--afresh",
    "--every-branch",
    "--pushed",
    "--nonsense",
    "-x",
    "--",
    "--folder",
)
VALUES: tuple[str, ...] = (
    "HEAD",
    "main",
    "HEAD~1",
    "main~9",
    "HEAD^2",
    "@{u}",
    "HEAD:indexes",
    "",
    " ",
    "-",
    "--all",
    "json",
    "text",
    "yaml",
)
VALUES += (
    "0" * 40,
    "f" * 40,
    "emilie",
    "github:emilie",
    "nobody",
    "..",
    "/",
    "\udcff",
    "x" * 5000,
    "a..b",
    ":/x",
    "@",
    "^",
)


def options(ground: Ground, random: Random) -> None:
    """Options of any kind, in any order, with any value."""
    command = random.choice(["validate", "validate", "audit", "pre-receive"])
    words = [command]
    for _ in range(random.randrange(6)):
        flag = random.choice(FLAGS)
        value = random.choice([*VALUES, ground.tip.id, ground.root.id])
        words += random.choice([[flag], [flag, value], [f"{flag}={value}"], [value]])
    where = random.choice([[], ["--folder", random.choice(["", "/", "indexes", "nowhere", "../x", "\0"])]])
    _command(["-C", str(ground.path), *where, *words])


def _command(words: list[str], said: str = "") -> None:
    """Run the command line in this process: it ends with a code that is promised, and one line where it cannot run."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv, sys.stdin
    told = io.TextIOWrapper(io.BytesIO(said.encode("utf-8", "surrogateescape")))
    sys.argv, sys.stdin = ["gitindex", *words], told
    code: Any = 0
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        sys.argv, sys.stdin = before
    assert code in (0, 1, 2, 3), (words, code)
    assert "GITINDEX_DEBUG" not in err.getvalue(), (words, err.getvalue())
    assert "Traceback" not in err.getvalue(), (words, err.getvalue())
    shown = (out.getvalue() + err.getvalue()).encode("utf-8", "backslashreplace").decode()
    assert all(letter.isprintable() or letter == "\n" for letter in shown), (words, shown)


TARGETS: dict[str, Example] = {
    "documents": documents,
    "stored": stored,
    "archives": archives,
    "trees": trees,
    "commits": commits,
    "signatures": signatures,
    "lines": lines,
    "options": options,
}
PER_GROUND = 200
"""Examples that are made in one repository, before its objects are thrown away."""


class FoundError(AssertionError):
    """An example that the guard does not stand."""


def fuzz(target: str, seed: str, folder: Path, *, examples: int | None = None, seconds: float | None = None) -> int:
    """Make examples, so many or for so long, and return how many; *seed* and its number make one again.

    Raises:
        FoundError: the guard did not stand one.

    """
    until = None if seconds is None else time.monotonic() + seconds
    for number in itertools.count():
        if number == examples or (until is not None and time.monotonic() > until):
            return number
        if number % PER_GROUND == 0:
            shutil.rmtree(folder / "ground", ignore_errors=True)
            (folder / "ground").mkdir(parents=True)
            ground = Ground(folder / "ground", is_signed=target == "commits" and number % (2 * PER_GROUND) == 0)
        replay(target, f"{seed}/{number}", ground)
    raise AssertionError  # counting does not end


def replay(target: str, seed: str, ground: Ground) -> None:
    """Make one example."""
    random = Random(f"{target}/{seed}")  # noqa: S311 - chance that can be had again
    try:
        with bounded(), read_piece_by_piece(wanted=random.random() < 0.3):
            TARGETS[target](ground, random)
    except Exception as error:
        raise FoundError(f"{target} {seed}: {type(error).__name__}: {error}") from error
