"""A README as HTML that a page of ours can hold: rendered and sanitised by readme-renderer, then fitted in.

It is run by :mod:`gitindex.render.readme` in a process of its own, as a module.
"""

from __future__ import annotations

import json
import math
import re
import resource
import sys
import time
from collections.abc import Sequence
from html import unescape
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from markupsafe import escape

from gitindex.render.text import carried

CPU_SECONDS = 5
"""For one README: those of honest people take a tenth of one."""
_MEMORY = 2 << 30
_DEEPEST = 64
"""Elements in one another; browsers and readers of screens have their limits too."""
_LONGEST = 4 << 20
"""Characters of HTML."""


class Fitted(NamedTuple):
    """HTML for the section of a page."""

    html: str
    has_images: bool
    """Whether there were images, which are links now."""


def render(text: str, content_type: str) -> Fitted | None:
    """Return a README as HTML, ``None`` where it is of no markup that is known, or cannot be rendered.

    *content_type* is a Description-Content-Type (core metadata specification); an empty one means reStructuredText.
    """
    kind, _, parameters = content_type.partition(";")
    kind = kind.strip().lower() or "text/x-rst"
    if kind == "text/markdown":
        from readme_renderer import markdown  # noqa: PLC0415

        variant = "CommonMark" if re.search(r"variant\s*=\s*\"?commonmark", parameters, re.IGNORECASE) else "GFM"
        html = markdown.render(text, variant=variant)
    elif kind == "text/x-rst":
        from readme_renderer import rst  # noqa: PLC0415

        html = rst.render(text)
    else:
        return None
    return fit(html) if html and not html.isspace() else None


def fit(html: str) -> Fitted | None:
    """Fit sanitised HTML into a page; ``None`` where it is too deep, too long, or not as sanitisers write it.

    Headings go below the page's own, ids get a prefix that no id of the page has, images become links (the page loads
    nothing from elsewhere), links that lead nowhere become text, and what HTML has dropped gives way to what it has.
    Sanitisers write HTML in one regular form; what is in any other is not taken.
    """
    tokens = list(_TOKEN.finditer(html))
    if sum(len(token[0]) for token in tokens) < len(html):
        return None
    fitting = _Fitting(*_census(tokens))
    try:
        fitting.take(tokens)
    except _TooDeepError:
        return None
    made = "".join(fitting.out)
    return Fitted(made, fitting.has_images) if len(made) <= _LONGEST else None


class _TooDeepError(Exception):
    pass


_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_FIRST_LEVEL = 3
_VOID = frozenset({"br", "hr", "img", "input", "col"})
_OTHER_NAMES = {"tt": "code", "acronym": "abbr", "nav": "div", "aside": "div", "section": "div", "picture": "div"}
_SAME_NAMES = frozenset(
    re.findall(
        "[a-z]+",
        "a abbr b blockquote br caption cite code col colgroup dd del details div dl dt em figcaption figure hr i kbd"
        " li ol p pre s span strong sub summary sup table tbody td th thead tr ul var",
    )
)
_SHORT = re.compile(r"[a-z][a-z0-9]{0,2}")
"""A short class name of Pygments; no class of our own is one."""
_OUTSIDE = re.compile(r"https?://[^\s/?#]|mailto:[^\s]", re.IGNORECASE)


def _own_id(text: str) -> str:
    """Return the id that stands for one of the README's; empty where it is none."""
    text = text.removeprefix("user-content-")
    return f"readme-{text}" if text and not re.search(r"\s", text) and text == carried(text) else ""


_TOKEN = re.compile(r'<(/?)([a-z][a-z0-9]*)((?: [a-z-]+="[^"]*")*)>|([^<]+)')
_ATTRIBUTE = re.compile(r' ([a-z-]+)="([^"]*)"')


def _given(text: str) -> dict[str, str]:
    return {name: unescape(value) for name, value in _ATTRIBUTE.findall(text)} if text else {}


def _census(tokens: Sequence[re.Match[str]]) -> tuple[set[str], set[str]]:
    """Return which ids there are, as a page has them, and which levels of headings."""
    ids: set[str] = set()
    levels: set[str] = set()
    for token in tokens:
        end, tag, attributes, _ = token.groups()
        if tag is None or end:
            continue
        if tag in _HEADINGS:
            levels.add(tag)
        if "id=" in attributes and (own := _own_id(_given(attributes).get("id", ""))):
            ids.add(own)
    return ids, levels


class _Fitting:
    """Writes what is read of regular HTML, element by element: what is not named here is not written."""

    def __init__(self, ids: set[str], levels: set[str]) -> None:
        self.out: list[str] = []
        self.has_images = False
        self._open: list[tuple[str, str, int]] = []
        """Tag, what closes it, and where in *out* its content starts."""
        self._left = ids
        self._targets = frozenset(ids)
        headings = {tag: f"h{min(6, _FIRST_LEVEL + place)}" for place, tag in enumerate(sorted(levels))}
        self._names = {**{tag: tag for tag in _SAME_NAMES}, **_OTHER_NAMES, **headings}

    def take(self, tokens: Sequence[re.Match[str]]) -> None:
        """Write what *tokens* stand for."""
        for token in tokens:
            end, tag, attributes, text = token.groups()
            if text is not None:
                self.out.append(carried(text))
            elif end:
                self._close(tag)
            else:
                self._start(tag, _given(attributes))
        while self._open:
            self._close(self._open[-1][0])

    def _start(self, tag: str, given: dict[str, str]) -> None:
        if tag == "img":
            self._image(given)
        elif tag == "input":
            self.out.append("☑ " if "checked" in given else "☐ ")
        elif tag in _VOID:
            self.out.append(f"<{tag}>")
        else:
            self._element(tag, given)

    def _close(self, tag: str) -> None:
        if tag in _VOID or not self._open:
            return
        opened, close, start = self._open.pop()
        if opened == "a" and close == "</a>" and "".join(self.out[start:]).strip() == "":
            # A heading's link to itself, which no reader of screens can name.
            del self.out[start - 1 :]
            return
        self.out.append(close)

    def _element(self, tag: str, given: dict[str, str]) -> None:
        if len(self._open) >= _DEEPEST:
            raise _TooDeepError
        name = self._names.get(tag, "")
        if tag == "span" and "literal" in given.get("class", "").split():  # what docutils makes of ``text``
            name = "code"
        attributes = self._attributes(tag, given) if name else {}
        before = after = ""
        if name == "a":
            if any(opened == "a" for opened, _, _ in self._open) or not self._is_link(attributes):
                name = "span"
                attributes.pop("href", None)
        elif name == "pre":
            attributes["tabindex"] = "0"  # so that who has no mouse can scroll it
        elif name == "table":
            before, after = '<div class="scroll" tabindex="0">', "</div>"
        if not name:
            self._open.append((tag, "", len(self.out) + 1))
            self.out.append("")
            return
        shown = "".join(f' {key}="{escape(carried(value))}"' for key, value in attributes.items())
        self.out.append(f"{before}<{name}{shown}>")
        self._open.append((tag, f"</{name}>{after}", len(self.out)))

    @staticmethod
    def _is_link(attributes: dict[str, str]) -> bool:
        return "href" in attributes

    def _attributes(self, tag: str, given: dict[str, str]) -> dict[str, str]:
        found: dict[str, str] = {}
        own = _own_id(given.get("id", ""))
        if own in self._left:
            self._left.discard(own)
            found["id"] = own
        classes = list(_classes(tag, given))
        if classes:
            found["class"] = " ".join(classes)
        if given.get("title") and tag in {"a", "abbr", "acronym"}:
            found["title"] = given["title"]
        for name, tags in (("colspan", ("td", "th")), ("rowspan", ("td", "th")), ("start", ("ol",))):
            if tag in tags and re.fullmatch(r"[1-9][0-9]{0,2}", given.get(name, "")):
                found[name] = given[name]
        if tag == "a" and (target := self._target(given.get("href", ""))):
            found["href"] = target
            if not target.startswith("#"):
                found["rel"] = "nofollow"
        return found

    def _target(self, url: str) -> str:
        """Return where a link leads; empty where it would lead nowhere: a file of the project's own repository, say."""
        if url.startswith("#"):
            own = _own_id(unquote(url[1:]))
            return f"#{own}" if own in self._targets else ""
        return url if _is_outside(url) else ""

    def _image(self, given: dict[str, str]) -> None:
        source = given.get("src", "")
        self.has_images = True
        name = given.get("alt", "").strip() or re.split("[?#]", source)[0].rpartition("/")[2] or "image"
        text = str(escape(carried(" ".join(name.split())[:200])))
        is_linked = any(opened == "a" and close == "</a>" for opened, close, _ in self._open)
        if is_linked or not _is_outside(source) or source.lower().startswith("mailto:"):
            self.out.append(f'<span class="picture">{text}</span>')
        else:
            link = str(escape(carried(source)))
            self.out.append(f'<a class="picture" href="{link}" rel="nofollow">{text}</a>')


def _is_outside(url: str) -> bool:
    if _OUTSIDE.match(url) is None or url != carried(url):
        return False
    try:
        urlsplit(url)
    except ValueError:
        return False
    return True


def _classes(tag: str, given: dict[str, str]) -> Sequence[str]:
    """Return our own classes for what an element is: none of the README's, which could look like the page's."""
    found = []
    words = given.get("class", "").split()
    if tag == "span" and words and _SHORT.fullmatch(words[0]):
        found.append(f"hl-{words[0]}")
    if tag in {"div", "aside"} and any(word in {"admonition", "markdown-alert"} for word in words):
        found.append("note")
    if tag == "p" and any(word in {"admonition-title", "markdown-alert-title"} for word in words):
        found.append("note-title")
    if given.get("align") in {"center", "right"}:
        found.append(f"to-{given['align']}")
    return found


def _limit(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def main() -> None:
    """Answer READMEs, a line of JSON each, until there is none; one that takes too much ends the process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit(resource.RLIMIT_AS, _MEMORY)
    import readme_renderer.markdown  # noqa: PLC0415
    import readme_renderer.rst  # noqa: F401, PLC0415 - whether all is there is said before the first README

    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        text, content_type = json.loads(line)
        _limit(resource.RLIMIT_CPU, math.ceil(time.process_time()) + CPU_SECONDS)
        try:
            made = render(text, content_type)
        except Exception:  # noqa: BLE001 - docutils and lexers raise all kinds of errors; the text is shown as it is
            made = None
        print(json.dumps(made), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
