"""What a YAML parser means by its complaint, for a tired administrator.

The wording of libyaml and of PyYAML's own parser differ, and both speak of tokens; most mistakes can be told from
the line itself.
"""

from __future__ import annotations

import yaml

_MEANINGS = {
    "mapping values are not allowed": (
        "unexpected `: `: put text that holds a colon in quotes, and indent a key like its neighbours"
    ),
    "sequence entries are not allowed": "a list begins on the line below its key",
    "cannot start any token": "text that begins with `@`, `%` or a backtick must be in quotes",
    "alias": 'text that begins with `*` must be in quotes, such as `"*"`',
    "anchor": "text that begins with `&` must be in quotes",
    "escape": "between double quotes a backslash begins an escape: double it, or use single quotes",
    "expected": "indentation does not fit the lines above: entries that belong together begin in the same column",
}
"""What words of either parser's complaint mean, the more telling first."""


def explain(trouble: yaml.MarkedYAMLError, text: str) -> tuple[int, str]:
    """Give the line, counted from 1, and a sentence with cause and remedy."""
    mark = trouble.problem_mark or trouble.context_mark
    lines = text.splitlines() or [""]
    number = min(mark.line if mark else 0, len(lines) - 1)
    problem, context = trouble.problem or "", trouble.context or ""
    if "\t" in _indent(lines[number]):
        return number + 1, "line is indented with a tab: use spaces"
    if found := _elsewhere(trouble, problem, context):
        return found
    return number + 1, _sentence(problem, context, lines[number])


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _elsewhere(trouble: yaml.MarkedYAMLError, problem: str, context: str) -> tuple[int, str] | None:
    """Find mistakes made where the parser began to wait, not where it gave up."""
    start = trouble.context_mark.line + 1 if trouble.context_mark else 0
    if "quoted scalar" in context and "end of stream" in problem:
        return start, "a quotation mark opened in this line is never closed"
    if "flow" in context and ("',' or" in problem):
        bracket = "]" if "sequence" in context else "}"
        return start, f"a bracket opened in this line is not closed, or a comma is missing: `{bracket}` or `,` expected"
    if "could not find expected ':'" in problem:
        return start, "a key needs a colon and a space after it"
    return None


def _sentence(problem: str, context: str, line: str) -> str:
    shown = f"`{line.strip()[:80]}`"
    if "expected" in problem and line.count("'") > 2:
        return f"{shown}: an apostrophe between single quotes is written twice, or use double quotes"
    if line.startswith("%"):
        return f"{shown}: a line may not begin with `%`"
    meant = next((sentence for words, sentence in _MEANINGS.items() if words in problem or words in context), "")
    return f"{shown}: {meant or f'not YAML: {problem}'}"
