"""Pull requests made of edits, drawn at random: the same seed, number and nature give the same commits' content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Literal, NamedTuple

from tests.mutants import destructive, harmless, improper
from tests.mutants.history import Commit, Objects, in_a_row
from tests.mutants.start import VARIANTS, start
from tests.mutants.work import Edit, NothingToDoError, Work
from tests.trees import Files

Nature = Literal["destructive", "improper", "harmless"]
KINDS: dict[Nature, dict[str, Edit]] = {
    "destructive": destructive.EDITS,
    "improper": improper.EDITS,
    "harmless": harmless.EDITS,
}


class Pull(NamedTuple):
    """A pull request, and what was made of it."""

    tip: Commit
    """What is published."""
    head: Commit
    """What is asked to be merged."""
    result: Commit | None
    """What is published after it; ``None`` where Git cannot merge the two."""
    is_kept_apart: bool = False
    """Whether the result has more than Git makes of tip and head: the destruction is in the merge commit alone."""

    @property
    def is_ahead(self) -> bool:
        """Whether the head comes after the tip."""
        return self.head.has(self.tip)


class Drawing(NamedTuple):
    """What the ways to make a pull request of the states of a branch need."""

    objects: Objects
    tip: Commit
    states: Sequence[Files]
    """The content after each step of the edits, the first being the tip's with one step made."""
    random: Random
    moved: Files
    """The content of the tip with something harmless more: main has moved since."""

    @property
    def last(self) -> Files:
        """The content after all steps."""
        return self.states[-1]

    def row(self, base: Commit | None = None) -> Commit:
        """Commit the states one after the other."""
        return in_a_row(self.objects, base or self.tip, self.states)

    def commit(self, files: Files, *parents: Commit) -> Commit:
        return self.objects.commit(files, *parents)


def _straight(head: Callable[[Drawing], Commit]) -> Callable[[Drawing], Pull]:
    """Return a way whose head is what is published afterwards."""

    def way(drawing: Drawing) -> Pull:
        found = head(drawing)
        return Pull(drawing.tip, found, found)

    return way


def _some(drawing: Drawing) -> Commit:
    chosen = [files for files in drawing.states[:-1] if drawing.random.random() < 0.5]
    return in_a_row(drawing.objects, drawing.tip, [*chosen, drawing.last])


def _with_merge(drawing: Drawing) -> Pull:
    head = drawing.row()
    return Pull(drawing.tip, head, drawing.commit(drawing.last, drawing.tip, head))


def _squashed(drawing: Drawing) -> Pull:
    return Pull(drawing.tip, drawing.row(), drawing.commit(drawing.last, drawing.tip))


def _evil_merge(drawing: Drawing) -> Pull:
    """Merge a harmless branch, and put the edits into the merge commit alone."""
    head = drawing.commit(drawing.moved, drawing.tip)
    return Pull(drawing.tip, head, drawing.commit(drawing.last, drawing.tip, head), is_kept_apart=True)


def _merged_inside(drawing: Drawing) -> Commit:
    """Merge a branch of the branch, whose commits its first parents do not show."""
    trunk = drawing.commit(drawing.tip.files, drawing.tip)
    return drawing.commit(drawing.last, trunk, drawing.row())


def _swapped_parents(drawing: Drawing) -> Commit:
    """Merge main into the branch, with the branch as first parent, and go forward to that."""
    return drawing.commit(drawing.last, drawing.row(), drawing.tip)


def _octopus(drawing: Drawing) -> Commit:
    sides = [drawing.commit(files, drawing.tip) for files in drawing.states]
    return drawing.commit(drawing.last, drawing.tip, *sides)


def _undone(drawing: Drawing) -> Commit:
    return drawing.commit(drawing.tip.files, drawing.row())


def _undone_step_by_step(drawing: Drawing) -> Commit:
    back = [*reversed(drawing.states[:-1]), drawing.tip.files]
    return in_a_row(drawing.objects, drawing.row(), back)


def _undone_by_merge(drawing: Drawing) -> Commit:
    """Have a merge take main's content as it is (the strategy `theirs`)."""
    return drawing.commit(drawing.tip.files, drawing.row(), drawing.tip)


def _ours(drawing: Drawing) -> Pull:
    """Merge main, which has moved, and take nothing of it (the strategy `ours`)."""
    tip = drawing.commit(drawing.moved, drawing.tip)
    head = drawing.commit(drawing.last, drawing.row(), tip)
    return Pull(tip, head, head)


def _behind(drawing: Drawing) -> Pull:
    """Have main move on, and Git merge the branch."""
    tip = drawing.commit(drawing.moved, drawing.tip)
    head = drawing.row()
    return Pull(tip, head, drawing.objects.merge(tip, head))


def _rewritten(drawing: Drawing) -> Pull:
    head = drawing.row(drawing.tip.parents[0])
    return Pull(drawing.tip, head, head)


def _another_beginning(drawing: Drawing) -> Pull:
    head = drawing.row(drawing.commit(drawing.tip.files))
    return Pull(drawing.tip, head, head)


WAYS: dict[str, Callable[[Drawing], Pull]] = {
    "one commit": _straight(lambda drawing: drawing.commit(drawing.last, drawing.tip)),
    "a commit for each step": _straight(Drawing.row),
    "a commit for some steps": _straight(_some),
    "merged": _with_merge,
    "squashed": _squashed,
    "merged inside the branch": _straight(_merged_inside),
    "parents swapped": _straight(_swapped_parents),
    "octopus": _straight(_octopus),
    "main moved on": _behind,
}
"""How edits become commits, and these the next state of main."""
SLY_WAYS: dict[str, Callable[[Drawing], Pull]] = {
    "undone": _straight(_undone),
    "undone step by step": _straight(_undone_step_by_step),
    "undone by a merge": _straight(_undone_by_merge),
    "evil merge": _evil_merge,
    "merged by taking nothing of main": _ours,
    "history rewritten": _rewritten,
    "another beginning": _another_beginning,
}
"""Ways that no harmless pull request goes."""


FOLDERS = ("", "", "packages", "a/b")
"""Of the Git repository, where the index repository is in it."""


class Scenario(NamedTuple):
    """Which edits, in which repository, and how they become commits."""

    nature: Nature
    variant: str
    folder: str
    way: str
    kinds: tuple[tuple[Nature, str], ...]

    def __str__(self) -> str:
        edits = ", then ".join(f"{kind!r}" for _, kind in self.kinds)
        return f"{self.nature}: {edits}; {self.way}; files {self.variant}; in {self.folder or 'the top'}"


def draw(nature: Nature, random: Random, kind: str | None = None) -> Scenario:
    """Draw a scenario: of *kind* alone where it is given, else of several edits of all natures up to its own."""
    variant = "embedded" if kind in destructive.EMBEDDED else random.choice(VARIANTS)
    folder = random.choice(FOLDERS)
    if nature == "destructive":
        way = random.choice([*WAYS, *SLY_WAYS])
    else:
        way = random.choice([way for way in WAYS if nature == "harmless" or way not in ("octopus", "main moved on")])
    if kind is not None:
        return Scenario(nature, variant, folder, way, ((nature, kind),))
    kinds: list[tuple[Nature, str]] = []
    for _ in range(random.randint(0 if nature == "improper" else 1, 4)):
        own = nature if random.random() < 0.7 and nature != "improper" else "harmless"
        kinds.append((own, random.choice(list(KINDS[own]))))
    if nature not in {own for own, _ in kinds}:
        kinds.append((nature, random.choice(list(KINDS[nature]))))
    return Scenario(nature, variant, folder, way, tuple(kinds))


class Played(NamedTuple):
    """A scenario as commits."""

    pull: Pull
    done: tuple[str, ...]
    """The kinds that found something to be made to."""


def play(scenario: Scenario, objects: Objects, random: Random) -> Played | None:
    """Make the commits of a scenario; ``None`` where none of its own edits found anything to do."""
    begun = start(scenario.variant)
    objects = objects.within(scenario.folder)
    root = objects.commit(begun.states[0], message="Start")
    tip = in_a_row(objects, root, begun.states[1:])
    states, done = edited(scenario.kinds, Work(Files(tip.files), tip.files, random, dict(begun.known)))
    if not any(nature == scenario.nature for nature, _ in done):
        return None
    if scenario.nature == "improper" and done[-1][0] != "improper":
        return None
    apart = Work(Files(tip.files), tip.files, random, dict(begun.known))
    random.choice(harmless.APART)(apart)
    way = (WAYS | SLY_WAYS)[scenario.way]
    pull = way(Drawing(objects, tip, states, random, apart.files))
    return Played(pull, tuple(kind for nature, kind in done if nature == scenario.nature))


def edited(kinds: Sequence[tuple[Nature, str]], work: Work) -> tuple[list[Files], list[tuple[Nature, str]]]:
    """Make edits one after the other; return the content after each step, and those that found something to do."""
    states: list[Files] = []
    done: list[tuple[Nature, str]] = []
    for nature, kind in kinds:
        before = len(states)
        try:
            for _ in KINDS[nature][kind](work) or ():
                states.append(Files(work.files))  # noqa: PERF401 - those before an error count
        except NothingToDoError:
            if len(states) == before:
                continue
        done.append((nature, kind))
        states.append(Files(work.files))
    return states, done
