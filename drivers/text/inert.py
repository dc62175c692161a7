"""Text that comes from data, specs, file names and projects, made harmless: one function for each form of output.

    shown(text)          terminal and pages: characters that steer instead of showing stand there as escapes, `\\x1b`
    shown_values(value)  the data of a page's scripts
    json_text(value)     JSON, on a terminal and in logs
    dot_text(text)       a label of a Graphviz picture, and so SVG and PNG
    cell_text(text)      a cell of a table in Markdown

HTML is escaped by the pages' templates, which take every text through `shown` (`drivers.web.page`); a string of Pine is made by
`literal` (`drivers.pine.render`). No file is named after data, but for folders that `stratoquant pine export` names after
symbols of letters and digits, and nothing is written as CSV. `name_fault` says which names of symbols are refused when they
are read.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

MOST_CHARACTERS: Final = 64
"""The longest name of a symbol."""
# Unicode's categories Cc, Cf, Cs, Zl and Zp: controls, writing direction, what is invisible, line separators, half characters.
_STEERING: Final = (
    "\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2064"
    "\u2066-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f"
)
_ANY: Final = re.compile(f"[{_STEERING}]")
_BUT_LINES: Final = re.compile(f"(?![\n\t])[{_STEERING}]")
_IN_JSON: Final = re.compile(f"(?!\n)[{_STEERING}]")


def shown(text: str, *, lines: bool = True) -> str:
    """The text with every control, direction and invisible character as an escape, `\\x1b` or `\\u202e`.

    lines: keep line breaks and tabs; otherwise they are escaped too, and the text is one line.
    """
    if text.isascii() and text.isprintable():  # nearly every text: a tenth of a search's time
        return text
    return (_BUT_LINES if lines else _ANY).sub(_escape, text)


def json_text(value: Any, *, indent: int | None = None, default: Callable[[Any], Any] | None = None) -> str:
    """JSON whose text can be shown: what steers is escaped as JSON escapes it, so that it is read back as it was.

    Raises ValueError for NaN and infinities, which JSON does not have.
    """
    text = _encoder(indent, default).encode(value)
    return text if _is_harmless(text) else _IN_JSON.sub(_json_escape, text)


def json_texts(values: Sequence[str | float | None]) -> list[str]:
    """Each of several texts and numbers as `json_text` writes it. One call of the encoder is several times as fast as many."""
    if not values:
        return []
    text = _BY_LINES.encode(values)[1:-1]
    return (text if _is_harmless(text.replace("\n", "")) else _IN_JSON.sub(_json_escape, text)).split("\n")


def _is_harmless(text: str) -> bool:
    return text.isascii() and text.isprintable()


_BY_LINES: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=("\n", ": "))
"""No text of JSON holds a line break: there it is escaped."""


@functools.cache
def _encoder(indent: int | None, default: Callable[[Any], Any] | None) -> json.JSONEncoder:
    return json.JSONEncoder(indent=indent, default=default, ensure_ascii=False, allow_nan=False)


def shown_values(value: Any) -> Any:
    """A value of JSON, every text in it as `shown` writes it: what the scripts of a page show."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, dict):
        return {shown(name): shown_values(each) for name, each in value.items()}
    return [shown_values(each) for each in value] if isinstance(value, list) else value


def dot_text(text: str) -> str:
    """A label for the `graphviz` package that shows the text: no HTML label, no entity, no escape sequence of Graphviz."""
    import graphviz

    made: str = graphviz.escape(shown(text).replace("&", "&amp;"))  # of a type that the package never takes for HTML
    return made


def cell_text(text: str) -> str:
    """Text in a cell of a Markdown table: no column and no row ends in it."""
    return shown(text.replace("\n", " "), lines=False).replace("|", "\\|")


def name_fault(name: str) -> str | None:
    """What is wrong with the name of a symbol as the rest of a sentence, `is ...; ...`; None when it may stand.

    A name has 1 to 64 characters, all of which show. Any such name is allowed, and every output escapes it.
    """
    if not name.strip():
        return "is blank; give every symbol a name"
    if _ANY.search(name):
        return "holds a control, direction or invisible character; rename the symbol"
    if len(name) > MOST_CHARACTERS:
        return f"has {len(name)} characters; give it a name of at most {MOST_CHARACTERS}"
    return None


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if found[0] in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[found[0]]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    return f"\\u{0xD7C0 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
