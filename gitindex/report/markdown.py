"""Findings as Markdown, for a comment on a pull request and for the summary of a job.

Findings tell of names and texts that anybody can write. None of it is escaped, since forges read more than Markdown
out of a text (`@bob`, `#1`, commit ids, bare links): plain words stand as they are, and everything else is code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from gitindex.finding import Finding, Severity, Verdict
from gitindex.report.text import clipped, count, explanation, outcome, printable

COMMENT_LIMIT = 65_536
"""What GitHub takes as a comment; GitLab takes more."""
_OPEN = 10
"""As many findings are seen at once; the others are folded away."""
_LONGEST_TEXT = 1_000
_LONGEST_FENCE = 8
"""cmark, which forges use, takes no more than 80 backticks for the start of code."""
_RESERVED = 200
"""For the frame of what is folded away, and for how many findings are left out."""

_PARTS = re.compile(
    r"`(?P<quoted>[^`]+)`"
    r"|(?P<command>(?:^|(?<=: )|(?<=\())(?:gitindex|git) [^`]+?(?=\)|, or |$))"
    r"|(?P<plain> +|\()"
    r"|(?P<word>[^`( ]+)"
    r"|(?P<backtick>`)"
)
_PLAIN_WORD = re.compile(r"(?![0-9A-Fa-f]{7,}$)[A-Za-z]+(?:-[a-z]+)*(?:'[a-z]{1,2})?|[0-9]{1,3}(?:,[0-9]{3})*|")
"""A word that no forge makes anything of. A long run of hexadecimal digits may be a commit."""


def markdown_report(verdict: Verdict, *, limit: int = COMMENT_LIMIT) -> str:
    """Return a report of at most *limit* bytes: the verdict, what was compared, and the findings by file.

    Files with errors come first. Where not all findings find room, it says how many are left out.
    """
    word = "refused" if verdict.is_refused else "valid"
    return _report(f"### gitindex: {word}\n\n{prose(outcome(verdict))}.{prose(explanation(verdict))}\n", verdict, limit)


def verification_report(said: str, findings: Sequence[Finding], folder: str, remarks: Iterable[str]) -> str:
    """Return a report of a verification, as large as a comment may be: what was *said* of it, the findings, *remarks*.

    *folder* is that of the index repository in the Git repository.
    """
    word = "something is wrong" if findings else "all is well"
    report = f"### gitindex verify: {word}\n\n{prose(said)}\n"
    told = "".join(f"\n{prose(clipped(remark, _LONGEST_TEXT))}\n" for remark in remarks)
    report += told if len(told) < COMMENT_LIMIT // 4 else ""
    return _report(report, Verdict(tuple(findings), None, None, folder=folder), COMMENT_LIMIT)


def _report(report: str, verdict: Verdict, limit: int) -> str:
    """Add the findings to a report, as far as they find room."""
    room = limit - _RESERVED - len(report.encode())
    items: list[str] = []
    for finding, starts_file in _in_order(verdict):
        heading = f"\n#### {code(clipped(verdict.place(finding), _LONGEST_TEXT))}\n\n"
        item = f"{heading if starts_file or len(items) == _OPEN else ''}{_item(finding)}"
        room -= len(item.encode())
        if room < 0:
            break
        items.append(item)
    report += "".join(items[:_OPEN])
    if folded := items[_OPEN:]:
        title = count(len(folded), "more finding")
        report += f"\n<details>\n<summary>{title}</summary>\n{''.join(folded)}\n</details>\n"
    if left_out := len(verdict.findings) - len(items):
        report += f"\n{count(left_out, 'finding')} more found no room here: gitindex prints all.\n"
    return report


def _in_order(verdict: Verdict) -> Iterator[tuple[Finding, bool]]:
    """Yield the findings by file, and whether each is the first of its file."""
    broken = {finding.path for finding in verdict.findings if finding.severity is Severity.ERROR}
    ordered = sorted(verdict.findings, key=lambda finding: (finding.path not in broken, finding.path))
    for _, findings in groupby(ordered, key=lambda finding: finding.path):
        yield from ((finding, number == 0) for number, finding in enumerate(findings))


def _item(finding: Finding) -> str:
    warning = " warning" if finding.severity is Severity.WARNING else ""
    line = f", line {finding.line:,}" if finding.line is not None else ""
    message, help_ = (prose(clipped(text, _LONGEST_TEXT)) for text in (finding.message, finding.help))
    return f"- **{finding.code}**{warning}{line}: {message}\\\n  → {help_}\n"


def prose(text: str) -> str:
    """Return Markdown that shows *text*: plain words as words; commands, names and everything else as code."""
    pieces: list[tuple[str, bool]] = []
    for found in _PARTS.finditer(printable(text)):
        word = found["word"] or ""
        core = word.rstrip(",.;:)")
        if found["plain"] or (word and _PLAIN_WORD.fullmatch(core)):
            pieces.append((found[0], False))
        elif word:
            pieces.append((core, True))
            pieces += [(word[len(core) :], False)] if core != word else []
        else:
            pieces.append((found["quoted"] or found[0], True))
    # A blank between code and code is code: two fences side by side would not be told apart.
    for place in range(1, len(pieces) - 1):
        if pieces[place - 1][1] and pieces[place + 1][1] and pieces[place][0].isspace():
            pieces[place] = pieces[place][0], True
    joined = (("".join(shown for shown, _ in group), is_code) for is_code, group in groupby(pieces, lambda p: p[1]))
    return "".join(_fenced(shown) if is_code else shown for shown, is_code in joined)


def code(text: str) -> str:
    """Return Markdown that shows *text* as code, whatever it holds."""
    return _fenced(printable(text))


def _fenced(shown: str) -> str:
    longest = max(map(len, re.findall("`+", shown)), default=0)
    if longest > _LONGEST_FENCE:
        shown, longest = shown.replace("`", r"\x60"), 0
    fence = "`" * (longest + 1)
    # A blank at both ends is not part of the code (CommonMark, 6.1).
    blank = " " if not shown or shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{blank}{shown}{blank}{fence}"
