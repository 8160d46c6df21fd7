"""Writes `docs/reference/rules.md`: each rule with its explanation, and what it says of the case that is its example.

The example of a rule is the one folder of `tests/cases` whose `case.toml` says `example = true`.
"""

from __future__ import annotations

import difflib
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from gitindex import layout
from gitindex.finding import Severity
from gitindex.report.text import findings_text, printable
from gitindex.rules import RULES, Rule
from gitindex.validate import validate
from tests.test_cases import CASES, Case, Files, Store, contents, read_case
from tests.trees import MODES, Node

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "rules.md"
MOST_LINES = 24
"""Of a new file: what matters stands at its beginning, or in the findings."""
GROUPS = {
    "0": "Form and facts",
    "1": "Indexes and bases",
    "2": "Promises",
    "3": "Authority",
    "4": "Warnings",
}
"""By the first digit of a code."""
INTRODUCTION = """\
<!-- Made by `make docs` from the rules and their cases. Change those, not this page. -->
# Rules

`gitindex validate` checks a change against these rules. An error refuses the change; a warning does not. Each finding
says where and what on its first line, and on its second what to do:

```text
{finding}```

Where a command does it, the line ends with that command. It is for a shell in the folder of the index repository; a
word in capitals, such as `REASON`, is for you to fill in. `gitindex validate --fix` makes all repairs that are
mechanical, in the working tree alone, and leaves what is released as it is. `gitindex rule CODE` prints the
explanation of a rule.

"""


def page() -> str:
    """Return the page, in Markdown.

    Raises:
        ValueError: a rule has no example, or more than one.

    """
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "cases")
        sections = {rule.code: "".join(section(rule, store)) for rule in RULES}
        first = validate(store.change(example_of("GI106")))
    return "".join(
        [
            INTRODUCTION.format(finding=findings_text(first, colour=False)),
            *table(),
            *(heading + sections[rule.code] for rule, heading in grouped()),
        ]
    )


def grouped() -> Iterator[tuple[Rule, str]]:
    """Yield the rules in order, each with the heading that comes before it, mostly none."""
    last = ""
    for rule in RULES:
        group = rule.code[2]
        yield rule, "" if group == last else f"\n## {GROUPS[group]}\n"
        last = group


def table() -> Iterator[str]:
    yield "| rule | severity | what it refuses |\n|---|---|---|\n"
    for rule in RULES:
        statement = rule.statement.replace("|", "\\|")
        yield f"| [{rule.code}](#{rule.code.lower()}) | {rule.severity} | {statement} |\n"


def section(rule: Rule, store: Store) -> Iterator[str]:
    folder = example_of(rule.code)
    case, base, head = contents(folder)
    findings = validate(store.change(folder))
    verb = "refuses" if rule.severity is Severity.ERROR else "warns of"
    yield f"\n### {rule.code}\n\n**{rule.severity.capitalize()}**: {verb} {rule.statement}.\n\n{rule.explanation}\n\n"
    yield f"*Example.* {case.title}{actor(case)}\n\n"
    if lines := list(difference(base, head)):
        yield fenced("diff", lines) + "\n"
    yield fenced("text", findings_text(findings, colour=False).splitlines())


def actor(case: Case) -> str:
    return f" The change is made by `{case.actor}`." if case.actor else ""


def example_of(code: str) -> Path:
    """Return the folder of the case that is the example of a rule."""
    marked = [path.parent for path in sorted(CASES.glob(f"{code}/*/case.toml")) if read_case(path.parent).example]
    if len(marked) != 1:
        found = ", ".join(path.name for path in marked) or "none"
        raise ValueError(f"{code} needs one example, and has {found}: write `example = true` into one of its case.toml")
    (folder,) = marked
    if code not in read_case(folder).expected:
        raise ValueError(f"{code}: its example, {folder.name}, does not break it; mark a case that does")
    return folder


def fenced(language: str, lines: Sequence[str]) -> str:
    """Return lines as a block of code, whatever is in them."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "".join(f"{line}\n" for line in [fence + language, *lines, fence])


# What a change does, for people


def difference(base: Files, head: Files) -> Iterator[str]:
    """Yield how the head of a case differs from its base, as lines of a diff that is made to be read."""
    changed = {path for path in {*base, *head} if base.get(path) != head.get(path)}
    renamed = dict(renames(base, head, changed))
    told: set[bytes] = set()
    for path in sorted(changed - set(renamed.values()), key=lambda path: (path.startswith(b"files/"), path)):
        if path in renamed:
            yield f"renames {shown(path)}"
            yield f"     to {shown(renamed[path])}"
        elif path not in head:
            top = lost_folder(path, base, head)
            if top not in told:
                number = sum(known == top or known.startswith(top + b"/") for known in base)
                yield f"--- {shown(top)}" + (" (removed)" if top == path else f"/ (removed, {number} files)")
            told.add(top)
        else:
            yield from difference_of(shown(path), base.get(path), head[path])


def renames(base: Files, head: Files, changed: set[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the files that are as they were, at another path."""
    added = sorted(path for path in changed if path not in base)
    for path in sorted(path for path in changed if path not in head):
        target = next((other for other in added if head[other] == base[path]), None)
        if target is not None:
            added.remove(target)
            yield path, target


def lost_folder(path: bytes, base: Files, head: Files) -> bytes:
    """Return the topmost folder of *path* of which the head has nothing."""
    parts = path.split(b"/")
    for depth in range(1, len(parts)):
        folder = b"/".join(parts[:depth])
        if not any(known == folder or known.startswith(folder + b"/") for known in head):
            return folder if sum(known.startswith(folder + b"/") for known in base) > 1 else path
    return path


def difference_of(path: str, before: Node | None, after: Node) -> Iterator[str]:
    kinds = {mode: kind for kind, mode in MODES.items()}
    kind = kinds[after.mode]
    if before is not None and before.mode != after.mode:
        target = f" to {shown(after.data)}" if kind == "symlink" else ""
        yield f"makes {path} {'an executable file' if kind == 'executable' else f'a {kind}'}{target}"
        if before.data == after.data or kind in ("symlink", "submodule"):
            return
    old, new = (text_of(node) for node in (before, after))
    if new is None or path.startswith(f"{layout.FILES}/") or (before is not None and old is None):
        yield f"+++ {path} ({'new' if before is None else 'other content'}, {len(after.data):,} bytes)"
    elif old is None:
        yield f"+++ {path} (new)"
        yield from (f"+{line}" for line in new[:MOST_LINES])
        if len(new) > MOST_LINES:
            yield f"… and {len(new) - MOST_LINES} more lines"
    else:
        yield from (printable(line) for line in difflib.unified_diff(old, new, path, path, lineterm="", n=2))


def text_of(node: Node | None) -> list[str] | None:
    """Return the lines of a file, ready to be shown; ``None`` where it is no text."""
    if node is None:
        return None
    try:
        text = node.data.decode()
    except UnicodeDecodeError:
        return None
    return (
        None if "\0" in text else [printable(line) for line in text.split("\n")[: -1 if text.endswith("\n") else None]]
    )


def shown(path: bytes) -> str:
    return printable(path.decode("utf-8", "surrogateescape"))


if __name__ == "__main__":
    try:
        PAGE.write_text(page(), encoding="utf-8")
    except ValueError as error:
        sys.exit(str(error))
