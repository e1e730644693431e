"""Tables of `compare` and of `--plan`, for a terminal 80 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.text import Text

from qsyncdsl.report.terminal import console

_STYLES = {
    "agrees": "green",
    "in part": "yellow",
    "deviates": "bold red",
    "not shared": "dim",
}


def show_comparison(name: str, rows: Sequence[Any], skipped: dict[str, str]) -> None:
    """One experiment: every measure of every method against the reference."""
    out = console()
    out.print()
    out.print(Text(name, style="bold"))
    for label, reason in skipped.items():
        out.print(Text(f"  {label}: skipped, {reason}", style="yellow"))
    if not rows:
        out.print(Text("  only one method: nothing to compare", style="yellow"))
        return
    out.print(
        f"  against {rows[0].against}; the point of the largest difference is shown"
    )
    out.print(Text(_columns("measure", "method", "value", "reference", "errors")))
    for row in rows:
        errors = "" if row.sigmas is None else f"{row.sigmas:.3g}"
        numbers = (_number(row.value), _number(row.reference))
        text = Text(_columns(row.measure, row.method, *numbers, errors))
        out.print(text.append(_verdict(row), style=_STYLES[row.verdict]))
        place = ", ".join(
            t for t in (f"at {row.at}" if row.at else "", _held(row)) if t
        )
        for piece in textwrap.wrap(place, 72):
            out.print(Text("      " + piece, style="dim"))


def _columns(measure: str, method: str, *rest: str) -> str:
    """The columns of a row, 64 characters wide; long names push the others."""
    value, reference, errors = rest
    return f"  {measure:<12} {method:<14} {value:>11} {reference:>11} {errors:>8}   "


def _verdict(row: Any) -> str:
    return f"{row.verdict} ({row.points})" if row.points > 1 else str(row.verdict)


def _held(row: Any) -> str:
    return f"holds for {row.where}" if row.verdict == "in part" else ""


def _number(value: float) -> str:
    return "" if value != value else f"{value:.5g}"


def show_plan(lines: Iterable[Any]) -> None:
    """Every line of every experiment with what it would cost."""
    out = console()
    before = ""
    for line in lines:
        if line.experiment != before:
            out.print()
            out.print(Text(line.experiment, style="bold"))
            before = line.experiment
        for text, style in plan_lines(line):
            out.print(Text("  " + text, style=style))


def plan_lines(line: Any) -> Iterator[tuple[str, str]]:
    """The text of one line, each with its style."""
    count = f"{line.points} point" + ("s" if line.points != 1 else "")
    if line.searched:
        count += f", about {line.searched} more of searches"
    if line.one is None:
        yield f"{line.label}: {line.reason}", "yellow"
        return
    one = line.one
    yield f"{line.label}: {count}, {one.solver}", "default"
    yield (
        f"    {_count(one.unknowns)} unknowns, {_count(one.nonzeros)} non-zeros, "
        f"{memory_text(one.memory)}, {time_text(one.seconds)} a point, "
        f"{time_text(line.seconds)} in all",
        "dim",
    )
    if line.levels:
        chosen = ", ".join(f"{n} = {c}" for n, c in line.levels.items())
        yield f"    levels are open; assumed: {chosen}", "dim"
    if line.refusal is not None:
        yield f"    does not fit[E532]: {line.refusal.message}", "bold red"
        yield f"    {line.refusal.help}", "red"


def _count(value: float) -> str:
    """`12345`, `1.2e+09`."""
    return f"{value:.0f}" if value < 1e6 else f"{value:.1e}"


def memory_text(size: float) -> str:
    """Bytes for people.

    >>> memory_text(3.2e9), memory_text(5e4)
    ('3.2 GB', '0.05 MB')
    """
    if size >= 1e9:
        return f"{size / 1e9:.3g} GB"
    return f"{size / 1e6:.2g} MB" if size < 1e7 else f"{size / 1e6:.0f} MB"


def time_text(seconds: float) -> str:
    """Seconds for people.

    >>> time_text(0.004), time_text(90), time_text(2e5)
    ('4 ms', '1.5 min', '2.3 days')
    """
    for limit, unit, name in (
        (1.0, 1e-3, "ms"), (60.0, 1.0, "s"), (3600.0, 60.0, "min"), (86400.0, 3600.0, "h"),
    ):  # fmt: skip
        if seconds < limit:
            return f"{seconds / unit:.3g} {name}"
    days = seconds / 86400
    return f"{days:.2g} days" if days < 1000 else "more than 1000 days"
