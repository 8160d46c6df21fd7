"""What axe-core finds wrong with the pages for people: nothing, in light and dark, on a desk and on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import ViewportSize

from tests.browser.conftest import Open
from tests.sites import index_of_many, node_file, pages_of
from tests.test_render_people import INDEX

_RUN = """async () => {
    const { violations } = await axe.run(document, { resultTypes: ["violations"] });
    return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html} ${node.failureSummary}`));
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_axe_finds_nothing(opened: Open, folder: Path, url: str, scheme: str, width: int) -> None:
    axe = node_file("axe-core/axe.min.js").read_text()
    size: ViewportSize = {"width": width, "height": 900}
    # What the policy of the pages forbids, axe needs.
    page = opened(color_scheme=scheme, viewport=size, bypass_csp=True).new_page()
    letters = folder / "letters/index.html"
    letters.parent.mkdir(exist_ok=True)
    letters.write_bytes(index_of_many(INDEX, 60).replace(b"../../+site", b"../+site"))
    for path in [path for path in pages_of(folder) if not path.startswith("many/")]:
        page.goto(url + path)
        page.evaluate(axe)
        assert page.evaluate(_RUN) == [], path


def test_axe_finds_what_is_wrong(opened: Open, url: str) -> None:
    page = opened(bypass_csp=True).new_page()
    page.goto(url)
    page.evaluate(node_file("axe-core/axe.min.js").read_text())
    page.evaluate("document.querySelector('.brand img').removeAttribute('alt')")
    page.evaluate("document.querySelector('h1').style.color = '#ddd'")
    assert {finding.split(":")[0] for finding in page.evaluate(_RUN)} == {"image-alt", "color-contrast"}
