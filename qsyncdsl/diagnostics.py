"""What the user is told: codes, places, reasons and suggestions. Nothing is checked here."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from qsyncdsl.source import Span

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Note:
    """A remark, at another place of the text or at none."""

    message: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One fault: what, where, why, and what to try.

    Attributes:
        code: `E` or `W` and three digits; the first digit is the stage
            (1 syntax, 2 meaning, 3 operators, 4 lowering, 5 solving, 6 measures, 7 running).
        message: One clause, lower case, no full stop, quotes around what was typed.
        span: The place, or None where there is none (a file that cannot be read).
        label: A few words under the carets.
        notes: Remarks, each with a place or without.
        help: What to try.
    """

    code: str
    message: str
    span: Span | None = field(default=None, repr=False)
    label: str = ""
    notes: tuple[Note, ...] = ()
    help: str = ""

    @property
    def severity(self) -> Severity:
        """`error` for E codes, `warning` for W codes."""
        return "warning" if self.code.startswith("W") else "error"

    def render(self) -> str:
        """Plain text with the source line and carets under the span."""
        lines = [f"{self.severity}[{self.code}]: {self.message}"]
        margin = " " * _margin(self)
        if self.span is not None:
            lines += _excerpt(self.span, self.label, margin)
        for note in self.notes:
            lines.append(f"{margin} = note: {note.message}")
            if note.span is not None:
                lines += _excerpt(note.span, "", margin)
        if self.help:
            lines.append(f"{margin} = help: {self.help}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """The same for editors: lines and columns from 1, end column exclusive."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "label": self.label,
            "span": _json_span(self.span),
            "notes": [
                {"message": note.message, "span": _json_span(note.span)}
                for note in self.notes
            ],
            "help": self.help,
        }


class ModelError(Exception):
    """The faults that a user can mend, all of one stage at once."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        return "\n\n".join(d.render() for d in self.diagnostics)


class SolveError(Exception):
    """A solver that did not reach its tolerance, or refused; one diagnostic says why."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        self.diagnostic = diagnostic
        super().__init__(diagnostic)

    def __str__(self) -> str:
        return self.diagnostic.render()


class CutoffError(SolveError):
    """The highest levels kept of some modes are populated too much.

    Attributes:
        labels: The modes, as the user writes them.
    """

    def __init__(self, diagnostic: Diagnostic, labels: tuple[str, ...]) -> None:
        super().__init__(diagnostic)
        self.labels = labels


class InternalError(Exception):
    """A broken promise of ours: a bug in qsyncdsl, to be reported."""


def did_you_mean(typed: str, known: Iterable[str]) -> str:
    """Suggest the nearest known words, or nothing.

    >>> did_you_mean("bosn", ["boson", "qubit"])
    "did you mean 'boson'?"
    >>> did_you_mean("bosn", ["rotor"])
    ''
    """
    words = sorted(set(known))
    near = difflib.get_close_matches(typed, words, n=2, cutoff=0.6)
    near += [w for w in words if w.lower() == typed.lower() and w not in near]
    return f"did you mean {' or '.join(repr(word) for word in near)}?" if near else ""


# A line longer than this is cut around the span: a 10 MB line must not flood a terminal.
_WIDEST = 160


def _margin(diagnostic: Diagnostic) -> int:
    """Width of the widest line number shown."""
    spans = [diagnostic.span, *(note.span for note in diagnostic.notes)]
    numbers = [s.source.position(s.start)[0] for s in spans if s is not None]
    return max((len(str(number)) for number in numbers), default=1)


def _excerpt(span: Span, label: str, margin: str) -> list[str]:
    """Arrow, source line and carets of one place."""
    line, column = span.source.position(span.start)
    shown = span.source.line(line)
    end_line, end_column = span.source.position(span.end)
    stop = end_column if end_line == line else len(shown) + 1
    first = max(0, column - 1 - _WIDEST // 2) if len(shown) > _WIDEST else 0
    text = shown[first : first + _WIDEST]
    pad = "".join(
        "\t" if c == "\t" else " " * _width(c) for c in text[: column - 1 - first]
    )
    marked = text[column - 1 - first : max(stop - 1 - first, column - first)]
    carets = "^" * max(1, sum(_width(c) for c in marked))
    before, after = (
        ("…" if first else ""),
        ("…" if len(shown) > first + _WIDEST else ""),
    )
    number = str(line).rjust(len(margin))
    return [
        f"{margin}--> {span.source.name}:{line}:{column}",
        f"{margin} |",
        f"{number} | {before}{text}{after}".rstrip(),
        f"{margin} | {' ' * len(before)}{pad}{carets} {label}".rstrip(),
    ]


def _width(letter: str) -> int:
    """Columns that a terminal gives to a character."""
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _json_span(span: Span | None) -> dict[str, Any] | None:
    """File, line and column from 1, end exclusive."""
    if span is None:
        return None
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {
        "file": span.source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }
