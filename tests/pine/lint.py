"""What TradingView refuses, or what a runtime reads otherwise than TradingView, found in the text of a script.

Each rule was hit once. Strings are taken out first, so that their text is no code.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

PLOTS = 64
STRING = 40_960
TOKENS = 100_000
LINES = 2_000
DRAWING = r"\b(?:plot|plotshape|plotchar|plotarrow|plotbar|plotcandle|bgcolor|barcolor|fill|alertcondition)\("
FORBIDDEN = {
    r"\brequest\.": "request.* gives other values in each runtime",
    r"^\s*import\b": "a library cannot be checked offline",
    r"\bta\.stdev\b": "loses digits on prices: sum in two passes",
    r"\bstr\.match\b": "is anchored in one runtime and not in the other",
    r"\b(?:label|line|box)\.all\b": "is not kept by all runtimes",
    r"\bvarip\b": "differs between history and real time",
    r"\t": "a tab is no indentation",
}
BUILT_IN = frozenset(
    [
        "open",
        "high",
        "low",
        "close",
        "volume",
        "time",
        "hl2",
        "hlc3",
        "ohlc4",
        "hlcc4",
        "bar_index",
        "last_bar_index",
        "time_close",
        "timenow",
        "year",
        "month",
        "dayofmonth",
        "dayofweek",
        "hour",
        "minute",
        "second",
        "weekofyear",
        "label",
        "line",
        "box",
        "table",
        "color",
        "array",
        "matrix",
        "map",
        "string",
        "int",
        "float",
        "bool",
        "na",
    ]
)


def strings(source: str) -> tuple[str, list[str]]:
    """The source with every string empty, and the strings. Raises ValueError for one that does not end on its line."""
    bare, found = [], []
    for number, line in enumerate(source.splitlines(keepends=True), 1):
        out, i = [], 0
        while i < len(line):
            if line.startswith("//", i):
                out.append(line[i:])
                break
            if line[i] != '"':
                out.append(line[i])
                i += 1
                continue
            end = i + 1
            while end < len(line) and line[end] != '"':
                end += 2 if line[end] == "\\" else 1
            if end >= len(line):
                raise ValueError(f"line {number}: a string does not end")
            found.append(line[i + 1 : end])
            out.append('""')
            i = end + 1
        bare.append("".join(out))
    return "".join(bare), found


def problems(source: str) -> list[str]:
    """What is wrong with a script, a sentence each."""
    try:
        bare, texts = strings(source)
    except ValueError as error:
        return [str(error)]
    code = "".join(re.sub(r"//.*", "", line) if i else line for i, line in enumerate(bare.splitlines(keepends=True)))
    return [*_limits(source, code, texts), *_lines(code), *_names(code)]


def _limits(source: str, code: str, texts: list[str]) -> Iterator[str]:
    if not source.startswith("//@version=6\n"):
        yield "the first line is not //@version=6"
    drawn = len(re.findall(DRAWING, code))
    if drawn > PLOTS:
        yield f"{drawn} plots; {PLOTS} are allowed"
    titles = Counter(re.findall(r'\b(?:plot|plotshape|plotchar)\(.*?, "([^"]*)"', source))
    yield from (f"the title {title!r} is given twice" for title, count in titles.items() if count > 1)
    yield from (f"a string of {len(text)} characters" for text in texts if len(text) > STRING)
    tokens = len(re.findall(r"\w+(?:\.\w+)*|[^\s\w]", code))
    if tokens > TOKENS:
        yield f"{tokens} tokens; {TOKENS} are allowed"
    if code.count("\n") > LINES:
        yield f"{code.count(chr(10))} lines"
    for opening, closing in ("()", "[]", "{}"):
        if code.count(opening) != code.count(closing):
            yield f"{opening} and {closing} do not match"


def _lines(code: str) -> Iterator[str]:
    for number, line in enumerate(code.splitlines(), 1):
        indent = len(line) - len(line.lstrip(" "))
        if line.strip() and indent % 4:
            yield f"line {number}: indented by {indent}"
        if re.search(r"\bta\.\w+\(", line) and (indent or "?" in line or "=>" in line):
            yield f"line {number}: ta.* in a branch; assign it on every bar first"
        for pattern, why in FORBIDDEN.items():
            if re.search(pattern, line):
                yield f"line {number}: {pattern} {why}"
        made = re.match(r"\s*(?:var\s+)?(\S*)\s*\w+\s*=\s*array\.(?:new|from|copy)\b", line)
        if made and not made[1].startswith("array<"):
            yield f"line {number}: an array without its type"


def _names(code: str) -> Iterator[str]:
    functions = re.findall(r"^(\w+)\(.*\) =>$", code, flags=re.MULTILINE)
    for name in functions:
        for number, line in enumerate(code.splitlines(), 1):
            for call in re.finditer(rf"\b{name}\(", line):
                if "=>" not in line and re.search(r"\b\w+ = ", _arguments(line[call.end() :])):
                    yield f"line {number}: {name} is called with a named argument"
    declared = re.findall(
        r"^\s*(?:var\s+)?(?:int|float|bool|string|color|table|array<\w+>)\s+(\w+)\s*=", code, flags=re.MULTILINE
    )
    yield from (f"{name} is a name of Pine's own" for name in declared if name in BUILT_IN)


def _arguments(text: str) -> str:
    """The text up to the bracket that closes what was open before it."""
    depth = 1
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0:
            return text[:i]
    return text
