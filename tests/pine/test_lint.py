"""Each rule of the lint finds what it is for."""

from __future__ import annotations

import pytest

from tests.pine.lint import problems

HEAD = '//@version=6\nindicator("x")\n'


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("x = close > 0 ? ta.ema(close, 3) : na\n", "in a branch"),
        ("if close > 0\n    y = ta.ema(close, 3)\n", "in a branch"),
        ('plot(close, "A")\nplot(open, "A")\n', "given twice"),
        ("".join(f'plot(close, "{i}")\n' for i in range(65)), "65 plots"),
        (f's = "{"x" * 40_961}"\n', "40961 characters"),
        ("float x = " + "1 + " * 60_000 + "1\n", "tokens"),
        ("x = ta.stdev(close, 20)\n", "digits"),
        ('x = request.security("A", "D", close)\n', "request"),
        ("import a/b/1\n", "library"),
        ('x = str.match("a", "b")\n', "anchored"),
        ("x = array.new<float>(0)\n", "without its type"),
        ("f(float a) =>\n    a\nx = f(a = 1.0)\n", "named argument"),
        ("float second = 1.0\n", "Pine's own"),
        ("if close > 0\n  y = 1\n", "indented by 2"),
        ('x = "open\n', "does not end"),
        ("x = (1\n", "do not match"),
    ],
)
def test_a_rule_finds_what_it_is_for(body: str, words: str) -> None:
    found = problems(HEAD + body)
    assert any(words in problem for problem in found), found


def test_a_plain_script_has_no_problem() -> None:
    assert problems(HEAD + 'float mean = ta.ema(close, 3)\nplot(mean, "Mean")\n// "an open quote in a comment\n') == []
