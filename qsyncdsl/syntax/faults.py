"""The faults of syntax, in the user's words, and how to read on after them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from qsyncdsl.diagnostics import Diagnostic, Note, did_you_mean
from qsyncdsl.source import Source, Span

STATEMENTS = [
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
    "equation",
    "map",
    "conjugate",
    "duality",
    "define",
    "component",
    "use",
    "case",
    "experiment",
    "initial",
]
REQUESTS = [
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

_WORD = re.compile(r"[^\W\d]\w*")
_SHOWN = {
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "a text in quotes",
    "_NL": "a new line",
    "LPAR": "'('",
    "RPAR": "')'",
    "LSQB": "'['",
    "RSQB": "']'",
    "LBRACE": "'{'",
    "RBRACE": "'}'",
    "EQUAL": "'='",
    "COLON": "':'",
    "COMMA": "','",
    "TILDE": "'~'",
    "_WITHIN": "'within'",
    "_AT": "'at'",
    "AS": "'as'",
    "IN": "'in'",
    "IS": "'is'",
    "FOR": "'for'",
    "WHERE": "'where'",
    "VS": "'vs'",
    "EVERY": "'every'",
    "_DDT": "'d/dt'",
    "DRAWS": "'draws'",
    "OVER": "an operator",
    "PLUS": "an operator",
    "__ANON_0": "'..'",
}


def syntax_fault(
    source: Source, text: str, at: int, expected: set[str]
) -> tuple[Diagnostic, int, int]:
    """The fault at a position, and the stretch to blank before reading on."""
    bracket = _unclosed(text, at)
    if bracket is not None and text[bracket] in "([" and not _closes(text, bracket):
        diagnostic = unclosed(source, bracket, at)
        return diagnostic, *_statement(text, bracket)
    if at >= len(text.rstrip()) and bracket is not None:
        return unclosed(source, bracket, at), *_statement(text, bracket)
    start, end = _statement(text, min(at, max(len(text) - 1, 0)))
    return _at(source, text, at, expected, start, bracket), start, end


def _at(
    source: Source,
    text: str,
    at: int,
    expected: set[str],
    start: int,
    block: int | None,
) -> Diagnostic:
    """The best explanation of what stands at a position."""
    word = _WORD.match(text, at)
    typed = word.group() if word else text[at : at + 1]
    span = Span(source, at, at + max(1, len(typed)))
    pair = text[at - 1 : at + 1], text[at : at + 2]
    if "**" in pair:
        return Diagnostic(
            "E104",
            "powers are written with '^'",
            Span(source, at - (pair[0] == "**"), at + 1),
            help="write a^2",
        )
    if "==" in pair:
        return Diagnostic(
            "E104",
            "equality is written with one '='",
            Span(source, at - (pair[0] == "=="), at + 1),
            help="write x = y",
        )
    if typed == '"':
        return Diagnostic(
            "E105",
            "this text is never closed",
            span,
            help='end it with " on the same line',
        )
    first = not text[start:at].strip()
    if first and word:
        return _opening(span, typed, block is not None)
    if typed == "for" and block is not None and text[block] in "([":
        return Diagnostic(
            "E101",
            "'for' cannot stand inside brackets",
            span,
            help="a sum is sum(k in sites, x[k]), with a filter sum(k in sites where k != j, x[k])",
        )
    before = text[:at].rstrip()
    begins = word is not None or typed in tuple("([<|⟨.0123456789")
    meant = begins and ("TIMES" in expected or "a space" in expected)
    if meant and text[start:at].strip() not in (*STATEMENTS, *REQUESTS):
        reason = (
            "two words touch" if len(before) == at else "an operator is missing here"
        )
        listed = block is not None and text[block] in "(["
        between = ", lists with ','" if listed else ""
        return Diagnostic(
            "E106", reason, span, help=f"products are written with '*'{between}"
        )
    shown = _listed(expected)
    if not typed.strip() or at >= len(text):
        end = Span(source, max(0, len(before) - 1), len(before))
        return Diagnostic(
            "E101",
            "the statement ends too early",
            end,
            f"expected {shown}" if shown else "",
        )
    return Diagnostic(
        "E101", f"unexpected '{typed}'", span, f"expected {shown}" if shown else ""
    )


def _opening(span: Span, typed: str, inside: bool) -> Diagnostic:
    """A statement that begins with a word it cannot begin with."""
    if inside and typed in STATEMENTS:
        return Diagnostic(
            "E107",
            f"'{typed}' cannot stand in this block",
            span,
            help="close the block with '}' before it",
        )
    if not inside and typed in REQUESTS:
        return Diagnostic(
            "E107",
            f"'{typed}' belongs into an experiment",
            span,
            help="write experiment NAME { ... }",
        )
    known = REQUESTS if inside else STATEMENTS
    what = "request" if inside else "statement"
    return Diagnostic(
        "E103",
        f"no {what} begins with '{typed}'",
        span,
        help=did_you_mean(typed, known) or f"{what}s begin with {', '.join(known)}",
    )


def unclosed(source: Source, bracket: int, at: int) -> Diagnostic:
    """E102: a bracket without its partner."""
    closing = {"(": ")", "[": "]", "{": "}"}[source.text[bracket]]
    note = (
        Note("reading stopped here", Span(source, at, at + 1))
        if at < len(source.text)
        else Note("the file ends before it is closed")
    )
    return Diagnostic(
        "E102",
        f"this '{source.text[bracket]}' is never closed",
        Span(source, bracket, bracket + 1),
        f"'{closing}' is missing",
        (note,),
    )


def too_deep(span: Span) -> Diagnostic:
    """E108: brackets or sums nested beyond reason."""
    return Diagnostic(
        "E108", "this is nested too deeply", span, help="split it with 'define'"
    )


def too_long(source: Source, number: int, length: int) -> Diagnostic:
    """E109: a line that no person wrote."""
    start = (
        sum(len(source.line(k)) + 1 for k in range(1, number)) if number < 1000 else 0
    )
    return Diagnostic(
        "E109",
        f"line {number} has {length} characters",
        Span(source, start, start + 1),
        help="break it up: at most 100,000 in a line",
    )


def bad_number(span: Span) -> Diagnostic:
    """E113: a literal that no number can hold."""
    return Diagnostic("E113", "this number is too large", span)


def _listed(expected: Iterable[str]) -> str:
    """What could have stood there, in words; nothing if too much could."""
    shown = sorted({_SHOWN[name] for name in expected if name in _SHOWN})
    return " or ".join(shown) if 0 < len(shown) <= 4 else ""


def _unclosed(text: str, at: int) -> int | None:
    """The last bracket before a position that is open there."""
    open_brackets: list[int] = []
    for place, letter in _code(text, at):
        if letter in "([{":
            open_brackets.append(place)
        elif letter in ")]}" and open_brackets:
            open_brackets.pop()
    return open_brackets[-1] if open_brackets else None


def _closes(text: str, bracket: int) -> bool:
    """Whether a bracket has a partner of its kind before its block ends."""
    partners = {")": "(", "]": "[", "}": "{"}
    inside: list[str] = []
    for place, letter in _code(text, len(text)):
        if place < bracket:
            continue
        if letter in "([{":
            inside.append(letter)
        elif letter in partners:
            if inside.pop() != partners[letter]:
                return False
            if not inside:
                return True
    return False


def _code(text: str, end: int) -> Iterable[tuple[int, str]]:
    """Characters outside of comments and texts."""
    quoted = comment = False
    for place, letter in enumerate(text[:end]):
        if letter == "\n":
            quoted = comment = False
        elif comment:
            continue
        elif letter == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif letter == "#":
            comment = True
        else:
            yield place, letter


def _statement(text: str, at: int) -> tuple[int, int]:
    """The line of a position; with the block that it opens, and the lines that continue it."""
    start = (
        max(text.rfind("\n", 0, at), text.rfind(";", 0, at), text.rfind("{", 0, at)) + 1
    )
    end = min(
        k if k >= 0 else len(text) for k in (text.find("\n", at), text.find(";", at))
    )
    end = max(end, at)
    depth, last = 0, end
    for place, letter in _code(text, len(text)):
        if place < start:
            continue
        if place >= end and depth <= 0:
            break
        depth += (letter == "{") - (letter == "}")
        if depth < 0:
            return start, place
        last = place + 1
    return start, max(end, last) if depth <= 0 else len(text)


def blank(text: str, start: int, end: int) -> str:
    """The text with a stretch made white; lines stay where they are."""
    return text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]
