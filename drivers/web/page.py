"""Self-contained HTML pages from Jinja2 templates: styles, scripts and data are inside, so that a file opens anywhere, offline.

    render_page("report.html.j2", title="Run 7", styles=["report.css"], scripts=["echarts.min.js", "report.js"], data=numbers)

A template extends `base.html.j2`, which brings the look (base.css: design tokens, light and dark) and `window.sq` (base.js: the
data, the theme, number formats). Names of scripts and styles are files in static/ (ours) or vendor/ (third party).
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from drivers.files.json_values import json_values
from drivers.text.inert import shown, shown_values
from drivers.web.vendor import VENDOR

HERE: Final = Path(__file__).parent


class PageError(RuntimeError):
    """A page cannot be made. The message names the file that is missing and what to do."""


def render_page(
    template: str,
    *,
    title: str,
    description: str = "",
    scripts: Sequence[str] = (),
    styles: Sequence[str] = (),
    data: Any = None,
    **context: Any,
) -> str:
    """The page as one text. data: what JSON can hold, NumPy arrays and numbers too; NaN and infinities become null.

    Raises PageError for a script or style that is not there.
    """
    return (
        _environment()
        .get_template(template)
        .render(
            title=title,
            description=description,
            first=_inline("theme.js", "script"),
            styles=[_inline(name, "style") for name in ("base.css", *styles)],
            scripts=[_inline(name, "script") for name in ("base.js", *scripts)],
            data=None if data is None else data_element(data),
            **context,
        )
    )


def prepare(templates: Sequence[str]) -> None:
    """Compiles templates for a `render_page` that comes later in this process."""
    for name in templates:
        _environment().get_template(name)


def data_element(data: Any) -> Markup:
    """JSON that cannot end the script element it stands in, whatever text is in it. What steers in a text is escaped."""
    text = json.dumps(shown_values(json_values(data)), allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return Markup(re.sub("[&<>]", lambda found: f"\\u{ord(found[0]):04x}", text))


@functools.cache
def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(HERE / "templates")
    return jinja2.Environment(
        loader=loader,
        autoescape=True,
        finalize=_finalized,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _finalized(value: Any) -> Any:
    """What a template writes: markup of our own as it is, text without what steers; then it is escaped for HTML."""
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@functools.cache
def _inline(name: str, element: str) -> Markup:
    path = next((folder / name for folder in (HERE / "static", VENDOR) if (folder / name).is_file()), None)
    if path is None:
        raise PageError(f"the page needs {name}, which is not there; fetch it with: python -P -m drivers.web.vendor")
    # Its own end tag within a string would end the element in the middle of it.
    return Markup(re.sub(f"</(?={element})", r"<\\/", path.read_text(encoding="utf-8"), flags=re.IGNORECASE))
