"""Every page: self-contained, safe against what is in its data, legible in light and dark."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.text.inert import shown_values
from drivers.web.page import HERE, PageError, data_element, render_page
from drivers.web.vendor import FILES, VENDOR, is_complete
from tests.browser import open_page, overflows


@given(
    st.recursive(st.text() | st.integers() | st.booleans() | st.none(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_data_come_back_as_they_were_and_cannot_end_their_element(data: Any) -> None:
    written = str(data_element(data))
    assert json.loads(written) == shown_values(data)
    assert not re.search("[<>&\u2028\u2029]", written)


def test_what_is_not_finite_becomes_null_and_numpy_becomes_plain() -> None:
    data = {"x": np.array([1.0, np.nan, -np.inf]), "n": np.int64(3), "t": (np.float64(0.5), None)}
    assert json.loads(str(data_element(data))) == {"x": [1.0, None, None], "n": 3, "t": [0.5, None]}


def test_text_is_escaped_where_a_template_shows_it() -> None:
    assert "<b>" not in render_page("base.html.j2", title="<b>", description='"><b>')


def test_a_missing_script_is_named_with_the_cure() -> None:
    with pytest.raises(PageError, match=r"the page needs nothing\.js, .*drivers\.web\.vendor"):
        render_page("base.html.j2", title="x", scripts=["nothing.js"])


def test_a_page_names_no_place_outside_itself() -> None:
    page = render_page("base.html.j2", title="x", data={})
    assert not re.search(r"(src|href)=[\"']?(https?:|//)", page)


def test_the_vendored_files_are_those_of_the_lock() -> None:
    assert is_complete()
    assert all((VENDOR / f"{name}.LICENSE").stat().st_size for name in FILES)


def test_a_page_works_offline_in_both_themes_and_keeps_the_reader_s_choice(browser_page: Any, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(render_page("base.html.j2", title="A page", data={"x": "</script><b>"}), encoding="utf-8")
    open_page(browser_page, path, dark=True)
    assert browser_page.evaluate("sq.theme()") == "dark"
    assert browser_page.evaluate("sq.data.x") == "</script><b>"
    browser_page.get_by_role("button", name="Switch between light and dark").click()
    assert browser_page.evaluate("sq.token('--bg')") == "#ffffff"
    browser_page.reload()
    assert browser_page.evaluate("sq.theme()") == "light"
    open_page(browser_page, path, phone=True)
    assert not overflows(browser_page)


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.1."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def tokens(theme: str) -> dict[str, str]:
    """The colour tokens of a theme, out of the style sheet."""
    sheet = (HERE / "static" / "base.css").read_text(encoding="utf-8")
    opening = ":root {" if theme == "light" else ':root[data-theme="dark"] {'
    block = sheet.partition(opening)[2].partition("}")[0]
    return dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6});", block))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_in_every_token_has_the_contrast_that_wcag_aa_asks_for(theme: str) -> None:
    colours = tokens(theme)
    grounds = ("--bg", "--surface", "--raised")
    texts = [name for name in colours if name not in (*grounds, "--line")]
    assert len(texts) > 15
    for text in texts:
        for ground in grounds:
            a, b = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
            assert (a + 0.05) / (b + 0.05) >= 4.5, f"{text} on {ground} in the {theme} theme"
