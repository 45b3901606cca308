"""What a parser's complaint means, in words for an administrator."""

from __future__ import annotations

import pytest

from sumun.config.document import read_document
from sumun.config.fault import ConfigError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:\n\t- b\n", "2: line is indented with a tab: use spaces"),
        (
            "a: 1\nb: c: d\n",
            "2: `b: c: d`: unexpected `: `: put text that holds a colon in quotes, and indent a key like its "
            "neighbours",
        ),
        (
            "a:\n  x: 1\n y: 2\n",
            "3: `y: 2`: indentation does not fit the lines above: entries that belong together begin in the "
            "same column",
        ),
        (
            "a: 1\nb: [1\nc: 2\n",
            "2: a bracket opened in this line is not closed, or a comma is missing: `]` or "
            "`,` expected",
        ),
        (
            "a: {x: 1\nb: 2\n",
            "1: a bracket opened in this line is not closed, or a comma is missing: `}` or "
            "`,` expected",
        ),
        ("a: 1\nb: 'x\nc: 2\n", "2: a quotation mark opened in this line is never closed"),
        ("a: 1\nbc\nd: 1\n", "2: a key needs a colon and a space after it"),
        ("a: @x\n", "1: `a: @x`: text that begins with `@`, `%` or a backtick must be in quotes"),
        ("categories: [*]\n", '1: `categories: [*]`: text that begins with `*` must be in quotes, such as `"*"`'),
        ("a: - b\n", "1: `a: - b`: a list begins on the line below its key"),
        ("a: 'it's'\n", "1: `a: 'it's'`: an apostrophe between single quotes is written twice, or use double quotes"),
        (
            'a: "C:\\q"\n',
            '1: `a: "C:\\q"`: between double quotes a backslash begins an escape: double it, or use '
            'single quotes',
        ),
        ("%x\n", "1: `%x`: a line may not begin with `%`"),
    ],
)  # fmt: skip
def test_a_syntax_mistake_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_document(text, file="f")
    assert str(caught.value) == f"f:{message}"
