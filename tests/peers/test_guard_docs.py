"""docs/how-to/guard.md says what works: its commands and options exist, its hooks and commands are run."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from gitindex.cli import command
from tests.pages import scripts_run_by
from tests.peers.doors import RAW_HOOKS, ROOT, publish, released_content, write_hook
from tests.peers.tools import Tools, done
from tests.signing import gpg_key

TEXT = (ROOT / "docs/how-to/guard.md").read_text(encoding="utf-8")
SCRIPTS = scripts_run_by("tests/peers/test_guard_docs.py", "how-to/guard.md")
HOOKS = [script for script in SCRIPTS if script.startswith("#!")]
COMMANDS = [script for script in SCRIPTS if not script.startswith("#!")]


def mentions() -> list[str]:
    """Return all command lines of gitindex in the page: in code, and in the text around it."""
    in_text = re.findall(
        r"`(?:exec )?(gitindex\s[^`]+)`", re.sub(r"^```.*?^```", "", TEXT, flags=re.DOTALL | re.MULTILINE)
    )
    in_code = re.findall(r"^(?: *entry: |exec )?(gitindex .*)$", TEXT, re.MULTILINE)
    return sorted({" ".join(line.split()) for line in (*in_text, *in_code)})


@pytest.mark.parametrize("line", mentions())
def test_every_command_of_the_page_exists_with_its_options(line: str) -> None:
    words = shlex.split(line)[1:]
    found: Any = command()
    while words:
        word = words.pop(0).partition("=")[0]
        if word.startswith("-"):
            option = next((param for param in found.params if word in param.opts), None)
            assert option is not None, f"{line}: there is no {word}"
            del words[: 0 if option.is_flag else 1]
        elif hasattr(found, "get_command"):
            found = found.get_command(None, word)
            assert found is not None, f"{line}: there is no {word}"


def test_the_page_names_every_door() -> None:
    assert len(mentions()) > 12
    for name in ("validate --staged", "validate --pushed", "pre-receive", "validate --merge-into", "audit"):
        assert any(f"gitindex {name}" in line for line in mentions())
    assert {line for script in HOOKS for line in script.splitlines()} >= set(RAW_HOOKS.values())


@pytest.mark.peers
@pytest.mark.parametrize("tool", ["pre-commit", "prek"])
def test_the_configuration_of_pre_commit_is_sound(tools: Tools, tool: str) -> None:
    (config,) = re.findall(r"^```yaml\n(default_.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    (tools.home / ".pre-commit-config.yaml").write_text(config)
    done(tools.run(tool, "validate-config", tools.home / ".pre-commit-config.yaml"))
    (entries,) = re.findall(r"^```yaml\n(  .*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    for name in re.findall("- id: (.*)", config + entries):
        assert f"- id: {name}\n" in (ROOT / ".pre-commit-hooks.yaml").read_text()


def put_hook(repository: Path, name: str, script: str) -> None:
    """Write a hook as the page has it; *repository* is Git's own folder."""
    hook = repository / "hooks" / name
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(script)
    hook.chmod(0o755)


@pytest.mark.peers
@pytest.mark.parametrize("script", [script for script in HOOKS if "$" not in script], ids=["commit", "push", "receive"])
def test_a_hook_refuses_what_breaks_a_promise_and_nothing_else(tools: Tools, tmp_path: Path, script: str) -> None:
    clone = publish(tools, tmp_path, released_content())
    names = re.findall(r"hooks/(\S+?)(?=,|$)", script.splitlines()[1])
    for name in names:
        put_hook(clone.upstream if name == "pre-receive" else clone.repository.path / ".git", name, script)
    clone.release("2.0")
    done(clone.commit())
    done(clone.attempt("push", "--quiet", "origin", "main"))

    clone.git("switch", "--quiet", "--create", "bad")
    clone.break_promise()
    if "pre-commit" in names:
        refused = [clone.commit()]
        clone.without_hooks()
        clone.git("switch", "--quiet", "main")
        refused.append(clone.attempt("merge", "--no-ff", "--no-edit", "bad"))
    else:
        clone.without_hooks()
        refused = [clone.attempt("push", "origin", "bad:main")]
    for each in refused:
        assert (each.returncode, "GI2" in each.stderr + each.stdout) == (1, True), each
    assert clone.tip() == clone.head("origin/main")


@pytest.mark.peers
@pytest.mark.parametrize(
    "script", [script for script in HOOKS if "$" in script], ids=["http-backend", "gitea", "gitlab"]
)
def test_the_hook_of_a_forge_lets_those_push_who_may(tools: Tools, tmp_path: Path, script: str) -> None:
    (scheme, variable) = re.findall(r'--actor "(.*):\$(.*)"', script)[0]
    content = released_content().user("emilie", identities=[f"{scheme}:emilie-there"], admin=True)
    clone = publish(tools, tmp_path, content.user("bob", identities=[f"{scheme}:bob-there"]))
    if "pre-receive.d" in script:
        # How Gitea and Forgejo run what is in that folder.
        write_hook(clone.upstream, "pre-receive", 'cat | "$GIT_DIR"/hooks/pre-receive.d/gitindex')
        put_hook(clone.upstream, "pre-receive.d/gitindex", script)
    else:
        put_hook(clone.upstream, "pre-receive", script)
    clone.release("2.0")
    clone.without_hooks()
    push = ("git", "-C", clone.repository.path, "push", "origin", "main")
    for name in ("bob-there", "nobody", ""):
        refused = tools.with_environment(**{variable: name}).run(*push)
        assert refused.returncode == 1
        assert "remote: indexes/emilie/prod/table-print/2.0.json: GI301 " in refused.stderr
    done(tools.with_environment(**{variable: "emilie-there"}).run(*push))


@pytest.fixture
def ring() -> Iterator[Path]:
    # A short path: the agent's socket has to fit into 108 bytes.
    with TemporaryDirectory(prefix="gnupg-", dir="/tmp") as folder:
        yield Path(folder)
        subprocess.run(["gpgconf", "--homedir", folder, "--kill", "all"], check=True)


@pytest.mark.peers
@pytest.mark.skipif(shutil.which("gpg") is None, reason="GnuPG is not installed")
def test_the_commands_of_the_page_run_as_they_stand_there(tools: Tools, tmp_path: Path, ring: Path) -> None:
    clone = publish(tools, tmp_path, released_content().user("emilie", identities=["github:emilie"], admin=True))
    gpg_key(ring, "emilie")
    (tools.home / ".ssh").mkdir()
    done(tools.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tools.home / ".ssh/id_ed25519"))
    clone.release("2.0")
    clone.without_hooks()
    environment = {
        **tools.environment_of_commands(),
        "HEAD": clone.head(),
        "AUTHOR": "emilie",
        "GNUPGHOME": str(ring),
    }
    said = ""
    for script in COMMANDS:
        result = subprocess.run(
            ["bash", "-ec", script],
            cwd=clone.repository.path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said += done(result)
    assert f"Valid: {clone.head()[:12]} merged into {clone.tip()[:12]}." in said
    assert "Kept: every promise" in said
    identities = tools.gitindex(clone.repository.path, "user", "show", "emilie")
    for word in ("github:emilie", "ssh:SHA256:", "gpg:0D69"):
        assert word in done(identities)
    # Signed as the page says, by the key that it made an identity.
    clone.without_hooks()
    assert "BEGIN SSH SIGNATURE" in clone.git("cat-file", "commit", "HEAD")
