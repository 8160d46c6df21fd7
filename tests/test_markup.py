"""READMEs: rendered as their authors mean them, and harmless whatever these meant."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from xml.etree.ElementTree import Element

import html5lib
import pytest
from hypothesis import given, settings, strategies as st

from gitindex.render import markup
from gitindex.render.markup import CPU_SECONDS, fit, render
from gitindex.render.readme import Readme, readme

MARKDOWN, RST, PLAIN = "text/markdown", "text/x-rst", "text/plain; charset=UTF-8"


def html(text: str, content_type: str = MARKDOWN) -> str:
    made = render(textwrap.dedent(text), content_type)
    assert made is not None
    return made.html.strip()


def tree_of(text: str) -> Element:
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parseFragment(text)
    assert isinstance(tree, Element)
    return tree


def assert_harmless(text: str) -> None:
    """What a page may hold: nothing that runs, loads, looks like the page's own, or leads to anything but the web."""
    ids = set()
    for element in tree_of(text).iter():
        assert element.tag not in {"script", "style", "iframe", "img", "object", "form", "input", "link", "meta", "svg"}
        for name, value in element.attrib.items():
            assert name in {"id", "class", "href", "rel", "title", "tabindex", "colspan", "rowspan", "start"}
            if name == "id":
                assert value.startswith("readme-")
                assert value not in ids
                ids.add(value)
            if name == "class":
                own = {"note", "note-title", "picture", "scroll", "to-center", "to-right", "plain"}
                assert all(word in own or word.startswith("hl-") for word in value.split())
            if name == "href":
                assert value.lower().startswith(("https://", "http://", "mailto:", "#readme-"))


def test_markdown_of_github_is_understood() -> None:
    assert html("""
        # Title

        A ~~bad~~ **good** `word`, https://a.example.org/.

        | a | b |
        |---|--:|
        | 1 | 2 |
    """) == (
        '<h3 id="readme-title">Title</h3>\n'
        '<p>A <del>bad</del> <strong>good</strong> <code>word</code>, <a href="https://a.example.org/" rel="nofollow">'
        "https://a.example.org/</a>.</p>\n"
        '<div class="scroll" tabindex="0"><table>\n<thead>\n<tr>\n<th>a</th>\n<th class="to-right">b</th>\n</tr>\n'
        "</thead>\n"
        '<tbody>\n<tr>\n<td>1</td>\n<td class="to-right">2</td>\n</tr>\n</tbody>\n</table></div>'
    )


def test_plain_commonmark_is_understood() -> None:
    assert html("A ~~word~~", "text/markdown; variant=CommonMark") == "<p>A ~~word~~</p>"


def test_restructuredtext_is_understood_and_the_default() -> None:
    text = """\
        Title
        =====

        .. note:: Mind *this* ``word``.

        .. code-block:: python

           x = 1
    """
    expected = (
        '<div id="readme-title">\n<h3>Title</h3>\n<div class="note">\n<p class="note-title">Note</p>\n'
        '<p>Mind <em>this</em> <code>word</code>.</p>\n</div>\n<pre tabindex="0"><code><span class="hl-n">x</span> '
        '<span class="hl-o">=</span> <span class="hl-mi">1</span></code></pre>\n</div>'
    )
    assert html(text, RST) == expected
    assert html(text, "") == expected


@pytest.mark.parametrize(
    ("text", "content_type"),
    [
        ("<b>&\nline", PLAIN),
        ("<b>", "text/html"),
        ("*unknown* <b>", "x/y"),
        (".. no-such-thing:: <b>\n\n.. include:: /etc/passwd\n", RST),
        (".. include:: /etc/hostname\n", RST),
        (".. raw:: html\n\n   <script>alert(1)</script>\n", RST),
        (".. csv-table::\n   :file: /etc/passwd\n", RST),
    ],
)
def test_what_is_no_markup_that_is_known_is_shown_as_it_is_written(text: str, content_type: str) -> None:
    made = readme(text, content_type)
    assert made.is_plain
    (pre,) = tree_of(made.html)
    assert pre.text == text
    assert len(pre) == 0


def test_headings_go_below_those_of_the_page_without_a_gap() -> None:
    tags = [element.tag for element in tree_of(html("# A\n\n#### B\n\n# C\n\n###### D\n")) if element.tag[0] == "h"]
    assert tags == ["h3", "h4", "h3", "h5"]


def test_ids_get_a_prefix_and_links_to_them_follow() -> None:
    text = html('<a id="content"></a><p id="releases">x</p>\n\n[a](#content) [b](#%C3%BCber) [c](#gone)\n\n# Über\n')
    assert 'href="#readme-content"' in text
    assert '<span id="readme-content">' in text
    assert '<p id="readme-releases">' in text
    assert '<a href="#readme-über">b</a>' in text
    assert "<span>c</span>" in text
    assert_harmless(text)


def test_an_id_that_stands_twice_is_kept_once() -> None:
    text = html('<p id="x">a</p>\n\n<p id="x">b</p>\n')
    assert text.count('id="readme-x"') == 1


def test_links_into_the_repository_become_text() -> None:
    text = html("[a](docs/a.md) [b](/b) [c](//evil.example.org/c) [d](ftp://d.example.org/) [e](mailto:e@example.org)")
    assert text == (
        "<p><span>a</span> <span>b</span> <span>c</span> <span>d</span>"
        ' <a href="mailto:e@example.org" rel="nofollow">e</a></p>'
    )


def test_images_become_links() -> None:
    made = render(
        "![a](https://i.example.org/a.png) [![b](https://i.example.org/b.svg)](https://b.example.org)"
        " ![](https://i.example.org/c.png) ![d](d.png) <img src='data:image/png;base64,AA' alt='e'>",
        MARKDOWN,
    )
    assert made is not None
    assert made.has_images
    assert made.html.strip() == (
        '<p><a class="picture" href="https://i.example.org/a.png" rel="nofollow">a</a>'
        ' <a href="https://b.example.org" rel="nofollow"><span class="picture">b</span></a>'
        ' <a class="picture" href="https://i.example.org/c.png" rel="nofollow">c.png</a>'
        ' <span class="picture">d</span> <span class="picture">e</span></p>'
    )


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<ScRiPt src=//evil.example.org></sCrIpT >",
        "<iframe src='https://evil.example.org'></iframe>",
        "<style>body { display: none }</style>",
        "<p style='position: fixed; inset: 0'>x</p>",
        "<p onclick='alert(1)' class='banner' id='content'>x</p>",
        "<span class='badge latest'>latest</span><div class='banner quarantined'>x</div>",
        "[x](javascript:alert(1)) [y](JaVaScRiPt:alert(1)) [z](&#106;avascript:alert(1)) [v](vbscript:x)",
        "<a href='java\tscript:alert(1)'>x</a><a href=' javascript:alert(1)'>y</a>",
        "![x](javascript:alert(1)) ![y](data:image/svg+xml;base64,PHN2Zy8+)",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "<svg><script>alert(1)</script></svg><math><mi xlink:href='javascript:x'>m</mi></math>",
        "<form action='https://evil.example.org'><input name='password'><button>go</button></form>",
        "<input type='checkbox' checked><input type='text' value='x'>",
        "<meta http-equiv='refresh' content='0;url=https://evil.example.org'><base href='https://evil.example.org'>",
        "</div></section></main></body></html><h1>x</h1>",
        "<plaintext><xmp><!-- <img src=x onerror=alert(1)> -->",
        "<a href='https://a.example.org'><a href='https://b.example.org'>x</a></a>",
        "<h1 id='content'>x</h1><h2 id='a b'>y</h2>",
        "a\0b\x1bc\x7f \ud800",
        "<table><tr><td rowspan=99999 colspan=0>x</table>",
        "<ol start=-1><li>x</ol>",
    ],
)
@pytest.mark.parametrize("content_type", [MARKDOWN, RST, PLAIN])
def test_hostile_markup_is_harmless(text: str, content_type: str) -> None:
    assert_harmless(readme(text, content_type).html)


_PIECES = st.sampled_from(
    [
        *"<>&\"'=/a #*`[)|-\n\té\0", "](", "![", "1. ", "> ", "http://a", "javascript:", "<a href=", "<img src=",
        "<b id=", "<table><td>", "</", "<!--", "-->", "]]>", "&#x3c;",
    ]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(_PIECES, max_size=30).map("".join))
def test_any_markdown_is_harmless(text: str) -> None:
    made = render(text, MARKDOWN)
    if made is not None:
        assert_harmless(made.html)


@settings(max_examples=200, deadline=None)
@given(st.lists(_PIECES, max_size=30).map("".join))
def test_any_html_is_fitted_into_what_is_harmless(text: str) -> None:
    """Even what nobody has sanitised: the two do not lean on each other."""
    made = fit(text)
    if made is not None:
        for element in tree_of_any(made.html).iter():
            assert element.tag not in {"script", "style", "iframe", "img", "form", "input"}
            assert not element.attrib.get("href", "").lower().startswith(("javascript", "data"))


def tree_of_any(text: str) -> Element:
    tree = html5lib.HTMLParser(namespaceHTMLElements=False).parseFragment(text)
    assert isinstance(tree, Element)
    return tree


@pytest.mark.parametrize(
    ("text", "content_type"),
    [
        ("> " * 500 + "x", MARKDOWN),  # deeper than a page may be
        ("<div>" * 60_000, MARKDOWN),  # takes longer than it may
        ("".join(f"{' ' * level}x\n\n" for level in range(600)), RST),  # overflows the parser's stack
    ],
    ids=["deep", "slow", "overflowing"],
)
def test_what_takes_too_much_is_shown_as_text(text: str, content_type: str) -> None:
    before = os.times()
    made = readme(text, content_type)
    after = os.times()
    assert made.is_plain
    assert after.children_user - before.children_user < 2 * CPU_SECONDS + 5
    # And the next is as it should be.
    assert readme("*fine*", MARKDOWN) == Readme(made.html.__class__("<p><em>fine</em></p>\n"), False, False)


def test_an_expansion_of_aliases_is_shown_as_text() -> None:
    text = "|a0|\n\n" + "".join(f".. |a{n}| replace:: |a{n + 1}||a{n + 1}|\n" for n in range(40))
    assert readme(f"{text}.. |a40| replace:: xx\n", RST).is_plain


def test_a_file_in_the_current_folder_has_no_say(tmp_path: Path) -> None:
    (tmp_path / "docutils.conf").write_text("[general]\nraw_enabled: yes\nfile_insertion_enabled: yes\n")
    (tmp_path / "docutils.py").write_text("raise SystemExit('taken')")
    code = "from gitindex.render.readme import readme; print(readme('*a*', '').html, end='')"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == ("<p><em>a</em></p>\n", 0)


def test_a_renderer_that_cannot_be_started_is_said(tmp_path: Path) -> None:
    (tmp_path / "readme_renderer.py").write_text("raise ImportError\n")
    code = """
from gitindex.errors import CannotRunError
from gitindex.render.readme import readme
try:
    readme("*a*", "")
except CannotRunError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.startswith("READMEs cannot be rendered")


def test_a_fork_renders_in_a_process_of_its_own() -> None:
    readme("*before*", MARKDOWN)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, readme("*child*", MARKDOWN).html.encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100) == b"<p><em>child</em></p>\n"
    os.close(reading)
    os.close(writing)
    assert "after" in readme("*after*", MARKDOWN).html


def test_the_command_line_does_not_import_what_renders() -> None:
    code = "import sys, gitindex.render.project, gitindex.site; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "gitindex.render.people" in done.stdout
    assert not [
        name for name in ("readme_renderer", "docutils", "nh3", "gitindex.facts.described") if name in done.stdout
    ]


def test_the_depth_of_a_page_is_bounded() -> None:
    deep = "<b>" * markup._DEEPEST + "x" + "</b>" * markup._DEEPEST
    assert fit(deep) is not None
    assert fit(f"<b>{deep}</b>") is None
