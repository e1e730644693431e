"""The formatter: one layout for every file; what is meant never changes.

Works on the words of the text, so that comments and the user's spelling of names are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from qsyncdsl.diagnostics import InternalError
from qsyncdsl.source import Source
from qsyncdsl.syntax.parse import parse

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)|(?P<text>"[^"\n]*")|(?P<newline>\n)|(?P<space>[ \t\r]+)
    |(?P<number>(\d+(\.(?!\.)\d*)?|\.\d+)([eE][+-]?\d+)?)|(?P<ddt>d\s*/\s*dt\b)|(?P<hc>h\.c\.)
    |(?P<word>[^\W\d⁰¹²³⁴-⁹][^\W⁰¹²³⁴-⁹]*)|(?P<mark>\.\.|->|<=|>=|!=|⁻?[⁰¹²³⁴-⁹]+|.)""",
    re.VERBOSE,
)
_INFIX = {"->", "+", "-", "−", "=", "~", "<=", ">=", "!=", "≤", "≥", "≠", "±"}
_KEYWORDS = frozenset(
    [
        "model",
        "reference",
        "import",
        "parameter",
        "lattice",
        "mode",
        "variable",
        "noise",
        "hamiltonian",
        "dissipator",
        "coupling",
        "kick",
        "every",
        "equation",
        "map",
        "conjugate",
        "duality",
        "define",
        "component",
        "use",
        "as",
        "case",
        "experiment",
        "initial",
        "set",
        "sweep",
        "solve",
        "with",
        "measure",
        "plot",
        "vs",
        "over",
        "locate",
        "in",
        "where",
        "average",
        "draws",
        "keep",
        "expect",
        "at",
        "is",
        "within",
        "below",
        "above",
        "none",
        "for",
        "and",
        "or",
        "not",
        "of",
        "to",
        "on",
        "updown",
    ]
)
# Requests get a common column.
_REQUESTS = [
    "case",
    "set",
    "sweep",
    "solve",
    "measure",
    "plot",
    "locate",
    "average",
    "keep",
    "expect",
    "initial",
]
_CONTINUES = re.compile(r"\s*([-−+*·/^,)\]]|(for|where|within|with|vs|over|is|at)\b)")


def format_source(source: Source) -> str:
    """The text in its canonical layout.

    Raises:
        ModelError: E1xx if the text cannot be read.
        InternalError: If the layout would change the meaning.
    """
    before = parse(source)
    text = "\n".join(_lines(source.text)).strip("\n")
    text = _align("\n".join(_collapse(text.split("\n")))) + "\n" if text else ""
    after = parse(Source(source.name, text))
    if after != before:
        raise InternalError("the formatter would have changed the meaning of this file")
    return text


def _lines(text: str) -> Iterator[str]:
    """Each line with its spaces in order, indented by its block."""
    depth = 0
    brackets = 0
    for line in text.replace("\r\n", "\n").replace("\ufeff", "").split("\n"):
        body, comment, gap = _spaced(line)
        opens, closes = _count(body, "{"), _count(body, "}")
        inside = depth - (1 if body.startswith("}") else 0)
        extra = (
            1
            if brackets > 0
            or (body and _CONTINUES.match(body) and not body.startswith("}"))
            else 0
        )
        indent = "  " * (inside + extra)
        depth += opens - closes
        brackets = max(0, brackets + _count(body, "([") - _count(body, ")]"))
        if body and comment:
            yield f"{indent}{body}{gap}{comment}"
        elif body or comment:
            yield f"{indent}{body}{comment}"
        else:
            yield ""


def _count(body: str, marks: str) -> int:
    """How often some marks stand outside of texts."""
    return sum(c in marks for c in re.sub(r'"[^"]*"', '""', body))


def _spaced(line: str) -> tuple[str, str, str]:
    """A line's words with spaces in order, its comment, and the gap between them."""
    words: list[str] = []
    comment, gap = "", "  "
    for match in _TOKEN.finditer(line):
        kind, text = match.lastgroup, match.group()
        if match.group("comment"):
            space = line[: match.start()]
            gap = space[len(space.rstrip()) :] or "  "
            gap = gap.replace("\t", "  ") if len(gap) > 1 else "  "
            comment = text.rstrip()
        elif kind == "space" or text.isspace():
            if words and not words[-1].isspace():
                words.append(text.replace("\t", "  ").replace("\r", "") or " ")
        else:
            words.append("d/dt" if match.group("ddt") else text)
    return _join(words).strip(), comment, gap


def _join(words: list[str]) -> str:
    """Words with the spaces that belong between them; columns aligned by several spaces stay."""
    out, before, space = "", "", ""
    for word in words:
        if word.isspace():
            space = word
            continue
        out += (space if len(space) > 1 else _gap(before, word, bool(space))) + word
        before, space = word, ""
    return out


def _gap(before: str, token: str, spaced: bool) -> str:
    """The space between two words."""
    if not before:
        return ""
    if token in (",", ";", ")", "]", "'", "†", ".") or before in ("(", "[", "."):
        return ""
    if before in (",", ";", "{") or token in ("{", "}"):
        return " "
    if token in ("=", "~", ":") or before in ("=", "~", ":"):
        return " "
    if token in _INFIX or before in _INFIX:
        return " " if spaced else ""
    if spaced and token not in ("(", "["):
        return " "
    return " " if spaced and before in _KEYWORDS else ""


def _collapse(lines: list[str]) -> Iterator[str]:
    """At most one empty line in a row."""
    empty = False
    for line in lines:
        if line.strip() or not empty:
            yield line
        empty = not line.strip()


def _align(text: str) -> str:
    """Requests in a common column: `sweep   V = ...`, `solve   steadystate`."""
    lines = []
    inside = False
    for line in text.split("\n"):
        if line.startswith("experiment"):
            inside = not line.rstrip().endswith("}")
        elif line.startswith("}"):
            inside = False
        match = re.match(r"  (\w+) +(\S.*)$", line)
        if inside and match and match.group(1) in _REQUESTS:
            line = f"  {match.group(1):<7} {match.group(2)}"
        lines.append(line)
    return "\n".join(lines)
