"""Who may do what: signed commits of real keys, and attempts to do what is somebody else's."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest

from gitindex.git.signatures import ssh_key as key_in
from gitindex.rights import Rights
from tests.conftest import Run
from tests.repositories import Content, IndexRepository, make_repository
from tests.signing import Key, gpg_key, run as run_tool, ssh_key

DRAFT = "indexes/emilie/dev/draft/project.toml"
NOTES = "indexes/bob/dev/notes/project.toml"
STATUS = 'status = "deprecated"\n'


class Team(NamedTuple):
    """A published repository that wants signed commits, and the keys of its users."""

    repository: IndexRepository
    emilie: Key
    bob: Key
    stranger: Key
    run: Run

    def write(self, path: str, text: str) -> None:
        self.repository.write(path, text)

    def read(self, path: str) -> str:
        return (self.repository.root / path).read_text()

    def set_head(self, commit: str) -> None:
        """Put a commit object, as it is, at the end of the branch."""
        words = ("hash-object", "-t", "commit", "-w", "--stdin")
        self.repository.git("update-ref", "HEAD", self.repository.git(*words, data=commit.encode()))

    def findings(self, *words: str) -> list[dict[str, Any]]:
        """Return what validate says of HEAD against what is published."""
        result = self.run(
            "-C", self.repository.path, "validate", "--base", "origin/main", "--head", "HEAD", "--json", *words
        )
        assert not result.err
        found: list[dict[str, Any]] = json.loads(result.out)["findings"]
        assert result.code == int(bool(found))
        return found

    def codes(self, *words: str) -> list[str]:
        return sorted({finding["code"] for finding in self.findings(*words)})


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Key, Key, Key]:
    folder = tmp_path_factory.mktemp("keys")
    return ssh_key(folder, "emilie"), ssh_key(folder, "bob", "ecdsa"), ssh_key(folder, "stranger")


def content(emilie: str, bob: str) -> Content:
    made = Content().settings(policy={"require_signed_commits": True}, groups={"release-team": ["emilie"]})
    made.user("emilie", identities=[emilie, "github:emilie"], admin=True)
    made.user("bob", identities=[bob])
    made.stage("emilie/prod", volatile=False)
    made.stage("emilie/dev", volatile=True, bases=["emilie/prod"], acl_upload=[":release-team"])
    made.stage("bob/dev", volatile=True)
    made.release("emilie/prod", "table-print", "1.0")
    made.release("emilie/dev", "draft", "0.1")
    made.release("bob/dev", "notes", "0.1")
    return made


@pytest.fixture
def team(tmp_path: Path, keys: tuple[Key, Key, Key], run: Run) -> Team:
    emilie, bob, stranger = keys
    repository = make_repository(tmp_path / "packages", content(emilie.identity, bob.identity))
    repository.publish()
    return Team(repository, emilie, bob, stranger, run)


# Signatures


def test_commits_signed_by_those_who_may_are_accepted(team: Team) -> None:
    team.write(DRAFT, STATUS)
    team.emilie.commit(team.repository)
    team.write(NOTES, STATUS)
    team.bob.commit(team.repository)
    assert team.findings() == []


def test_commit_without_a_signature_is_refused(team: Team) -> None:
    team.write(NOTES, STATUS)
    commit = team.repository.commit()
    (finding,) = team.findings()
    assert finding["code"] == "GI304"
    assert finding["message"] == f"commit {commit[:12]} is not signed"


def test_unsigned_commit_between_signed_ones_is_refused(team: Team) -> None:
    team.bob.commit(team.repository)
    team.repository.commit()
    team.bob.commit(team.repository)
    assert team.codes() == ["GI304"]


def test_key_of_no_user_is_refused_and_named(team: Team) -> None:
    team.write(NOTES, STATUS)
    team.stranger.commit(team.repository)
    (finding,) = team.findings()
    assert finding["code"] == "GI304"
    assert team.stranger.identity in finding["message"]


def test_signature_taken_from_another_commit_is_refused(team: Team) -> None:
    team.emilie.commit(team.repository, "Nothing")
    signed = team.repository.git("cat-file", "commit", "HEAD")
    header = signed[signed.index("gpgsig ") : signed.index("-----END SSH SIGNATURE-----")]
    team.write(DRAFT, STATUS)
    team.repository.git("reset", "--quiet", "--soft", "HEAD~1")
    team.repository.commit()
    plain = team.repository.git("cat-file", "commit", "HEAD")
    forged = plain.replace("\n\n", f"\n{header}-----END SSH SIGNATURE-----\n\n", 1) + "\n"
    team.set_head(forged)
    (finding,) = team.findings()
    assert finding["code"] == "GI304"
    assert "does not fit" in finding["message"]


def test_signature_that_the_key_made_for_something_else_is_refused(team: Team, tmp_path: Path) -> None:
    team.write(DRAFT, STATUS)
    team.repository.commit()
    plain = team.repository.git("cat-file", "commit", "HEAD") + "\n"
    key = next(word for word in team.emilie.options if word.startswith("user.signingKey=")).partition("=")[2]
    (tmp_path / "payload").write_text(plain)
    run_tool("ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", key, str(tmp_path / "payload"))
    lines = (tmp_path / "payload.sig").read_text().strip().replace("\n", "\n ")
    forged = plain.replace("\n\n", f"\ngpgsig {lines}\n\n", 1)
    team.set_head(forged)
    assert team.codes() == ["GI304"]


def test_replaced_commit_is_seen_as_it_is(team: Team) -> None:
    team.emilie.commit(team.repository, "Nothing")
    signed = team.repository.git("rev-parse", "HEAD")
    team.repository.git("reset", "--quiet", "--hard", "HEAD~1")
    team.write(DRAFT, STATUS)
    unsigned = team.repository.commit()
    team.repository.git("replace", unsigned, signed)
    assert team.codes() == ["GI304"]


@pytest.mark.parametrize("body", ["", "\n", "\n!!\n-----END SSH SIGNATURE-----", "\nU1NI\n-----END SSH SIGNATURE-----"])
def test_signature_that_carries_no_key_has_none(body: str) -> None:
    assert key_in(f"-----BEGIN SSH SIGNATURE-----{body}".encode()) is None


@pytest.mark.parametrize(
    "header",
    [
        "gpgsig -----BEGIN SSH SIGNATURE-----\n U1NIU0lH\n -----END SSH SIGNATURE-----",
        "gpgsig -----BEGIN PGP SIGNATURE-----\n \n iHUE\n -----END PGP SIGNATURE-----",
        "gpgsig -----BEGIN SIGNED MESSAGE-----\n abc\n -----END SIGNED MESSAGE-----",
        "gpgsig nonsense",
        "gpgsig ",
    ],
)
def test_nonsense_in_place_of_a_signature_is_refused(team: Team, header: str) -> None:
    team.write(NOTES, STATUS)
    team.repository.commit()
    plain = team.repository.git("cat-file", "commit", "HEAD") + "\n"
    forged = plain.replace("\n\n", f"\n{header}\n\n", 1)
    team.set_head(forged)
    assert team.codes() == ["GI304"]


def test_signature_that_is_cut_off_in_a_large_commit_is_refused(team: Team) -> None:
    """The program that checks it ends before it has read the commit, which must not end git."""
    team.write(NOTES, STATUS)
    team.bob.commit(team.repository)
    lines = team.repository.git("cat-file", "commit", "HEAD").split("\n")
    end = lines.index(" -----END SSH SIGNATURE-----")
    team.set_head("\n".join([*lines[: end - 2], *lines[end:], "x" * 1_000_000]) + "\n")
    broken = team.repository.git("rev-parse", "HEAD")
    for _ in range(3):
        team.bob.commit(team.repository)
    (finding,) = team.findings()
    assert (finding["code"], finding["message"][:19]) == ("GI304", f"commit {broken[:12]}")


def test_what_is_not_committed_has_no_signature_to_check(team: Team) -> None:
    team.write(NOTES, STATUS)
    assert team.run("-C", team.repository.path, "validate").code == 0
    team.repository.git("add", "--all")
    assert team.run("-C", team.repository.path, "validate", "--staged").code == 0


def test_policy_in_force_is_the_published_one(team: Team) -> None:
    settings = team.read("gitindex.toml")
    team.write("gitindex.toml", settings.replace("require_signed_commits = true", "require_signed_commits = false"))
    team.repository.commit()
    team.write(NOTES, STATUS)
    team.repository.commit()
    assert team.codes() == ["GI304"]


def test_first_commits_of_a_repository_are_held_to_its_own_policy(
    tmp_path: Path, keys: tuple[Key, Key, Key], run: Run
) -> None:
    emilie, bob, _ = keys
    repository = make_repository(tmp_path / "new")
    repository.put(content(emilie.identity, bob.identity))
    emilie.commit(repository)
    words = ("-C", repository.path, "validate", "--base", "0" * 40, "--head", "HEAD", "--json")
    # It brings releases of bob's, whose index she defines and does not release to.
    found = json.loads(run(*words).out)["findings"]
    assert {finding["code"] for finding in found if finding["severity"] == "error"} == {"GI301"}
    repository.git("rm", "-rq", "indexes/bob/dev/notes")
    emilie.commit(repository, "Change", "--amend")
    assert run(*words).code == 0


def test_settings_of_git_change_nothing_about_what_a_signature_is_worth(team: Team) -> None:
    team.write(NOTES, STATUS)
    team.bob.commit(team.repository)
    for setting in (
        "i18n.logOutputEncoding=UTF-16LE",
        "color.ui=always",
        "log.showSignature=true",
        "format.pretty=raw",
        "gpg.format=x509",
        "gpg.minTrustLevel=ultimate",
        "gpg.ssh.allowedSignersFile=nowhere",
    ):
        team.repository.git("config", *setting.split("="))
    assert team.findings() == []
    team.write(DRAFT, STATUS)
    team.repository.commit()
    assert team.codes() == ["GI304"]


def test_commit_that_a_shallow_clone_hides_is_not_passed_over(team: Team, tmp_path: Path) -> None:
    """It is here, fetched by another way, and still behind the end of the shallow history."""
    branch(team, "work")
    team.write(DRAFT, STATUS)
    team.repository.commit("Not signed")
    end = team.bob.commit(team.repository)
    branch(team, "his")
    team.bob.merge(team.repository, "work")
    team.repository.git("branch", "published", "origin/main")
    clone = tmp_path / "clone"
    team.repository.git("clone", "--quiet", str(team.repository.path), str(clone))
    (clone / ".git/shallow").write_text(f"{end}\n")
    result = team.run("-C", clone, "validate", "--base", "origin/published", "--head", "HEAD")
    assert (result.code, result.out) == (3, "")
    assert "git fetch --unshallow" in result.err


def test_end_of_a_shallow_clone_that_follows_what_is_published_is_no_gap(team: Team, tmp_path: Path) -> None:
    team.write(NOTES, STATUS)
    end = team.bob.commit(team.repository)
    branch(team, "his", "main")
    team.bob.commit(team.repository)
    team.repository.git("checkout", "--quiet", "-B", "published", "origin/main")
    team.emilie.commit(team.repository)
    team.repository.git("merge", "--quiet", "--no-ff", "--no-edit", "main")
    team.repository.git("checkout", "--quiet", "his")
    team.bob.merge(team.repository, "published")
    clone = tmp_path / "clone"
    team.repository.git("clone", "--quiet", str(team.repository.path), str(clone))
    (clone / ".git/shallow").write_text(f"{end}\n")
    words = ("-C", clone, "validate", "--base", "origin/published", "--head", "HEAD")
    assert team.run(*words).code == 0


# GPG


@pytest.fixture(scope="module")
def ring() -> Iterator[Path]:
    # A short path: the agent's socket has to fit into 108 bytes.
    with TemporaryDirectory(prefix="gnupg-", dir="/tmp") as folder:
        home = Path(folder)
        yield home
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)


needs_gpg = pytest.mark.skipif(shutil.which("gpg") is None, reason="GnuPG is not installed")


@needs_gpg
def test_gpg_signatures_are_checked_with_the_key_ring(
    tmp_path: Path, ring: Path, keys: tuple[Key, Key, Key], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GNUPGHOME", str(ring))
    good, other = gpg_key(ring, "emilie"), gpg_key(ring, "other")
    old = gpg_key(ring, "old", created="20250101T000000", expires="2d")
    made = content(good.identity, keys[1].identity)
    made.user("emilie", identities=[good.identity.lower(), old.identity], admin=True)
    team = Team(make_repository(tmp_path / "packages", made), good, keys[1], other, run)
    team.repository.publish()
    team.write(DRAFT, STATUS)
    team.emilie.commit(team.repository)
    assert team.findings() == []
    team.write(NOTES, STATUS)
    team.emilie.commit(team.repository)
    assert team.codes() == ["GI301"]

    team.repository.git("reset", "--quiet", "--hard", "origin/main")
    team.stranger.commit(team.repository)
    (finding,) = team.findings()
    assert other.identity.lower() in finding["message"].lower()

    team.repository.git("reset", "--quiet", "--hard", "origin/main")
    old.commit(team.repository)
    (finding,) = team.findings()
    assert "expired" in finding["message"]

    # Without the public key, nothing can be said for it.
    team.repository.git("reset", "--quiet", "--hard", "origin/main")
    team.emilie.commit(team.repository)
    with TemporaryDirectory(prefix="gnupg-", dir="/tmp") as empty:
        monkeypatch.setenv("GNUPGHOME", empty)
        (finding,) = team.findings()
    assert finding["code"] == "GI304"
    assert "gpg --import" in finding["message"]


# Attempts


def test_commit_signed_by_one_with_the_release_of_another_is_refused(team: Team) -> None:
    team.write(DRAFT, STATUS)
    commit = team.bob.commit(team.repository)
    (finding,) = team.findings()
    assert finding["code"] == "GI301"
    assert finding["path"] == DRAFT
    assert commit[:12] in finding["message"]
    assert "emilie/dev" in finding["message"]


def test_forged_author_and_committer_count_for_nothing(team: Team) -> None:
    team.write(DRAFT, STATUS)
    forged = team.bob._replace(
        environment={
            f"GIT_{role}_{key}": value
            for role in ("AUTHOR", "COMMITTER")
            for key, value in (("NAME", "emilie"), ("EMAIL", "emilie@example.org"))
        }
    )
    forged.commit(team.repository)
    assert team.codes() == ["GI301"]


def test_right_granted_to_oneself_in_an_earlier_commit_of_the_change_is_none(team: Team) -> None:
    definition = "indexes/emilie/dev/index.toml"
    team.write(definition, team.read(definition).replace('":release-team"', '":release-team", "bob"'))
    team.bob.commit(team.repository)
    team.write(DRAFT, STATUS)
    team.bob.commit(team.repository)
    assert team.codes() == ["GI301", "GI302"]


def test_group_edited_in_an_earlier_commit_of_the_change_gives_no_right(team: Team) -> None:
    team.write("gitindex.toml", team.read("gitindex.toml").replace('["emilie"]', '["emilie", "bob"]'))
    team.bob.commit(team.repository)
    team.write(DRAFT, STATUS)
    team.bob.commit(team.repository)
    assert team.codes() == ["GI301", "GI303"]


def test_what_the_admin_grants_holds_from_the_next_change_on(team: Team) -> None:
    team.write("gitindex.toml", team.read("gitindex.toml").replace('["emilie"]', '["emilie", "bob"]'))
    team.emilie.commit(team.repository)
    team.write(DRAFT, STATUS)
    team.bob.commit(team.repository)
    assert team.codes() == ["GI301"]
    team.repository.git("update-ref", "refs/remotes/origin/main", "HEAD~1")
    assert team.codes() == []


def test_identity_of_another_cannot_be_taken_over(team: Team) -> None:
    bob, emilie = "indexes/bob/user.toml", "indexes/emilie/user.toml"
    team.write(bob, team.read(bob).replace("]", f', "{team.emilie.identity}"]'))
    team.bob.commit(team.repository)
    assert team.codes() == ["GI108"]

    team.repository.git("reset", "--quiet", "--hard", "origin/main")
    team.write(emilie, team.read(emilie).replace("[", f'["{team.stranger.identity}", '))
    team.bob.commit(team.repository)
    team.write(DRAFT, STATUS)
    team.stranger.commit(team.repository)
    assert team.codes() == ["GI303", "GI304"]


def test_identity_that_two_users_already_have_is_nobodys(team: Team) -> None:
    bob = "indexes/bob/user.toml"
    team.write(bob, team.read(bob).replace("]", f', "{team.emilie.identity}"]'))
    team.repository.commit()
    team.repository.publish()
    team.write(DRAFT, STATUS)
    team.emilie.commit(team.repository)
    assert team.codes() == ["GI304"]


def test_user_folder_that_is_renamed_is_a_user_deleted_and_another_made(team: Team) -> None:
    team.repository.git("mv", "indexes/emilie", "indexes/bobby")
    team.bob.commit(team.repository)
    assert {"GI201", "GI208", "GI302", "GI303"} <= set(team.codes())


def test_work_undone_before_the_end_of_the_change_still_has_to_be_allowed(team: Team) -> None:
    team.write(DRAFT, STATUS)
    team.bob.commit(team.repository)
    team.repository.git("rm", "-q", DRAFT)
    team.bob.commit(team.repository)
    assert team.codes() == ["GI301"]


def test_index_that_is_none_for_one_commit_keeps_its_uploaders(team: Team) -> None:
    """An owner may delete a volatile index, and not release to it under cover of that."""
    definition = "indexes/bob/dev/index.toml"
    kept = team.read(definition) + 'acl_upload = ["emilie"]\n'
    team.write(definition, kept)
    team.emilie.commit(team.repository)
    team.repository.publish()
    team.repository.git("rm", "-q", definition)
    team.write(NOTES, STATUS)
    team.bob.commit(team.repository)
    team.write(definition, kept)
    team.bob.commit(team.repository)
    (finding,) = team.findings()
    assert (finding["code"], finding["path"]) == ("GI301", NOTES)


def test_index_of_ones_own_may_be_deleted_with_the_releases_of_others(team: Team) -> None:
    definition = "indexes/bob/dev/index.toml"
    team.write(definition, team.read(definition) + 'acl_upload = ["emilie"]\n')
    team.emilie.commit(team.repository)
    team.repository.publish()
    team.repository.git("rm", "-rq", "indexes/bob/dev")
    team.bob.commit(team.repository)
    assert team.findings() == []


def test_first_index_repository_of_a_git_repository_is_held_to_its_own_policy(
    tmp_path: Path, keys: tuple[Key, Key, Key], run: Run
) -> None:
    """Else nobody could ever bring one, where the actor is known."""
    repository = make_repository(tmp_path / "monorepo", {"README.md": b"Code\n"})
    repository.publish()
    repository.put(content(keys[0].identity, keys[1].identity))
    keys[0].commit(repository)
    words = ("-C", repository.path, "validate", "--base", "origin/main", "--head", "HEAD", "--json", "--actor")
    for actor, expected in (("emilie", {"GI301"}), ("bob", {"GI301", "GI302", "GI303"})):
        found = {finding["code"] for finding in json.loads(run(*words, actor).out)["findings"]}
        assert {code for code in found if code < "GI4"} == expected
    repository.git("rm", "-rq", "indexes/bob/dev/notes")
    keys[0].commit(repository, "Change", "--amend")
    assert run(*words, "emilie").code == 0


# Merges


def branch(team: Team, name: str, start: str = "origin/main") -> None:
    team.repository.git("checkout", "--quiet", "-B", name, start)


def test_clean_merge_of_the_work_of_another_is_accepted(team: Team) -> None:
    branch(team, "hers")
    team.write(DRAFT, STATUS)
    team.emilie.commit(team.repository)
    branch(team, "his")
    team.write(NOTES, STATUS)
    team.bob.commit(team.repository)
    team.bob.merge(team.repository, "hers")
    assert team.findings() == []


def test_clean_merge_has_to_be_signed_as_well(team: Team) -> None:
    branch(team, "hers")
    team.write(DRAFT, STATUS)
    team.emilie.commit(team.repository)
    branch(team, "his")
    team.bob.commit(team.repository)
    team.repository.git("merge", "--quiet", "--no-ff", "--no-edit", "hers")
    assert team.codes() == ["GI304"]


def test_change_hidden_in_a_merge_commit_is_its_signers(team: Team) -> None:
    branch(team, "hers")
    team.write("indexes/emilie/dev/draft/project.toml", STATUS)
    team.emilie.commit(team.repository)
    branch(team, "his")
    team.bob.commit(team.repository)
    team.bob.merge(team.repository, "hers")
    team.write(DRAFT, 'status = "quarantined"\n')
    merge = team.bob.commit(team.repository, "Merge", "--amend")
    (finding,) = team.findings()
    assert finding["code"] == "GI301"
    assert merge[:12] in finding["message"]


def test_merge_that_drops_what_the_other_side_published_is_its_signers(team: Team) -> None:
    branch(team, "his")
    team.bob.commit(team.repository)
    branch(team, "published")
    team.write(DRAFT, STATUS)
    team.emilie.commit(team.repository)
    team.repository.publish()
    branch(team, "his", "his")
    team.bob.merge(team.repository, "--strategy=ours", "published")
    assert team.codes() == ["GI301"]


def test_conflict_resolved_by_somebody_without_the_right_is_refused(team: Team) -> None:
    branch(team, "one")
    team.write(DRAFT, STATUS)
    team.emilie.commit(team.repository)
    branch(team, "other")
    team.write(DRAFT, 'status = "archived"\n')
    team.emilie.commit(team.repository)
    team.bob.merge(team.repository, "--strategy-option=ours", "one")
    assert team.codes() == ["GI301"]
    team.repository.git("reset", "--quiet", "--hard", "HEAD~1")
    team.emilie.merge(team.repository, "--strategy-option=ours", "one")
    assert team.findings() == []


def test_merge_does_not_move_a_release_to_where_another_moved_a_folder(team: Team) -> None:
    """Git would follow the rename of a folder; whoever makes such a merge answers for what it moves."""
    branch(team, "his")
    team.repository.git("mv", "indexes/bob/dev", "indexes/bob/new")
    team.bob.commit(team.repository)
    branch(team, "hers")
    team.write("indexes/bob/dev/extra/project.toml", STATUS)
    team.emilie.commit(team.repository)
    assert team.codes() == ["GI301"]


def test_merge_of_three_is_held_to_all_that_it_has_otherwise_than_a_parent(team: Team) -> None:
    for name in ("draft", "second"):
        branch(team, name)
        team.write(f"indexes/emilie/dev/{name}/project.toml", STATUS)
        team.emilie.commit(team.repository)
    branch(team, "his")
    team.bob.merge(team.repository, "draft", "second")
    assert team.codes() == ["GI301"]
    team.repository.git("reset", "--quiet", "--hard", "origin/main")
    team.emilie.merge(team.repository, "draft", "second")
    assert team.findings() == []


def test_history_of_its_own_that_is_merged_in_is_its_signers(team: Team) -> None:
    team.repository.git("checkout", "--quiet", "--orphan", "elsewhere")
    team.repository.git("rm", "-rqf", ".")
    team.write("indexes/emilie/dev/second/project.toml", STATUS)
    team.bob.commit(team.repository)
    branch(team, "his")
    team.bob.merge(team.repository, "--allow-unrelated-histories", "elsewhere")
    assert team.codes() == ["GI301"]


def test_merge_made_by_git_does_not_carry_a_change_to_where_another_moved_the_file(team: Team) -> None:
    """Git follows renames: what bob changed at its old place would land in an index that is not his."""
    long = "# What is said here is long enough to be told from other files.\n" * 10
    definition = "indexes/bob/dev/index.toml"
    team.write(definition, team.read(definition) + 'acl_upload = ["emilie", "bob"]\n')
    team.write(NOTES, long + 'status = "archived"\n')
    team.emilie.commit(team.repository)
    team.repository.publish()
    branch(team, "his")
    team.write(NOTES, long + STATUS)
    team.bob.commit(team.repository)
    branch(team, "moved")
    team.repository.git("mv", "indexes/bob/dev/notes", "indexes/emilie/dev/notes")
    team.emilie.commit(team.repository)
    team.repository.publish()
    branch(team, "his", "his")
    words = ("-C", team.repository.path, "validate", "--merge-into", "origin/main", "--json")
    (finding,) = json.loads(team.run(*words).out)["findings"]
    assert (finding["code"], finding["path"]) == ("GI301", "indexes/emilie/dev/notes/project.toml")
    team.bob.merge(team.repository, "moved")
    assert team.read("indexes/emilie/dev/notes/project.toml") == long + STATUS
    assert team.codes() == ["GI301"]


def test_choice_between_deleted_and_changed_is_the_mergers(team: Team) -> None:
    """Git leaves the changed file in its result, without a mark, whoever is asked."""
    team.write(DRAFT, 'status = "archived"\n')
    team.emilie.commit(team.repository)
    team.repository.publish()
    branch(team, "changed")
    team.write(DRAFT, STATUS)
    team.emilie.commit(team.repository)
    branch(team, "deleted")
    team.repository.git("rm", "-q", DRAFT)
    team.emilie.commit(team.repository)
    for kept in (True, False):
        for key, expected in ((team.bob, ["GI301"]), (team.emilie, [])):
            branch(team, "merged", "deleted")
            team.repository.git("merge", "--quiet", "--strategy=ours", "--no-commit", "changed")
            if kept:
                team.write(DRAFT, STATUS)
            key.commit(team.repository, "Merge")
            assert team.codes() == expected


def test_own_title_changed_on_two_branches_is_resolved_by_oneself(team: Team) -> None:
    path = "indexes/bob/user.toml"
    text = team.read(path)
    for name in ("one", "other"):
        branch(team, name)
        team.write(path, f'title = "{name}"\n{text}')
        team.bob.commit(team.repository)
    team.bob.merge(team.repository, "--strategy-option=ours", "one")
    assert team.findings() == []


def test_lines_of_one_file_that_git_merges_are_nobodys_doing(team: Team) -> None:
    path = "indexes/emilie/dev/index.toml"
    text = "".join(f"# {number}\n" for number in range(9))
    team.write(path, text + team.read(path))
    team.emilie.commit(team.repository)
    team.repository.publish()
    text = team.read(path)
    branch(team, "one")
    team.write(path, f"# first\n{text}")
    team.emilie.commit(team.repository)
    branch(team, "other")
    team.write(path, f'{text}title = "Work"\n')
    team.emilie.commit(team.repository)
    team.bob.merge(team.repository, "one")
    assert team.findings() == []
    team.write(path, f'# first\n{text}title = "Play"\n')
    team.bob.commit(team.repository, "Merge", "--amend")
    assert team.codes() == ["GI302"]


def test_groups_that_change_places_would_change_what_an_admin_grants(team: Team) -> None:
    """Each of the two edits is harmless by what it says, and Git merges them without a conflict."""
    members = '[\n    "emilie",\n    # one\n    # two\n]\n'
    text = team.read("gitindex.toml").replace("[groups]", f"[groups]\nstrong = {members}weak = {members}")
    team.write("gitindex.toml", text)
    team.emilie.commit(team.repository)
    team.repository.publish()
    branch(team, "hers")
    team.write("gitindex.toml", '    # two\n    "bob",\n'.join(text.rsplit("    # two\n", 1)))
    team.emilie.commit(team.repository)
    branch(team, "his")
    team.write("gitindex.toml", text.replace("strong", "x").replace("weak", "strong").replace("x =", "weak ="))
    team.bob.commit(team.repository)
    team.bob.merge(team.repository, "hers")
    merged = team.repository.open().at("HEAD").settings
    assert merged.groups["strong"] == ("emilie", "bob")
    assert team.codes() == ["GI303"]


def test_history_that_another_signed_for_another_repository_is_the_mergers(team: Team, tmp_path: Path) -> None:
    sandbox = make_repository(tmp_path / "sandbox")
    sandbox.write("gitindex.toml", team.read("gitindex.toml"))
    sandbox.write("indexes/mallory/user.toml", "admin = true\n")
    team.emilie.commit(sandbox, "Try it out")
    team.repository.git("fetch", "--quiet", str(sandbox.path), "HEAD:refs/heads/sandbox")
    for key, expected in ((team.bob, ["GI303"]), (team.emilie, [])):
        branch(team, "work")
        key.merge(team.repository, "--allow-unrelated-histories", "sandbox")
        assert team.codes() == expected


def test_merges_crosswise_are_nobodys_doing(team: Team) -> None:
    for name, path, key in (("his", NOTES, team.bob), ("hers", DRAFT, team.emilie)):
        branch(team, name)
        team.write(path, STATUS)
        key.commit(team.repository)
    first = team.repository.git("rev-parse", "his")
    branch(team, "his", "his")
    team.bob.merge(team.repository, "hers")
    branch(team, "hers", "hers")
    team.bob.merge(team.repository, first)
    team.write(NOTES, "")
    team.bob.commit(team.repository)
    branch(team, "his", "his")
    team.bob.merge(team.repository, "hers")
    assert team.findings() == []
    team.write(DRAFT, "")
    team.bob.commit(team.repository, "Merge", "--amend")
    assert team.codes() == ["GI301"]


# An actor who is named


def test_named_actor_and_signers_must_both_be_allowed(team: Team) -> None:
    team.write(DRAFT, STATUS)
    team.emilie.commit(team.repository)
    assert team.codes("--actor", "github:emilie") == []
    assert team.codes("--actor", "bob") == ["GI301"]
    assert team.codes("--actor", "github:nobody") == ["GI301"]


def test_identity_that_looks_like_a_name_is_no_name(team: Team) -> None:
    snapshot = team.repository.open().at("HEAD")
    rights = Rights(snapshot)
    assert rights.actor("emilie").user == "emilie"
    assert rights.actor("GITHUB:emilie").user is None
    assert rights.actor("github:EMILIE").user == "emilie"
    assert rights.actor("").user is None
    assert rights.actor("../emilie").user is None
    assert rights.actor(":release-team").user is None
