"""What a person sees in a terminal 80 columns wide: tables, verdicts."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDTH = 80
_MARKS = {
    "passed": ("ok", "green"),
    "failed": ("FAILED", "bold red"),
    "skipped": ("skipped", "yellow"),
}


def console() -> Console:
    """Standard output; plain text of 80 columns in pipes."""
    return Console(
        highlight=False, width=None if sys.stdout.isatty() else 80, soft_wrap=False
    )


def show(result: Any, files: Sequence[Path], full: bool = False) -> None:
    """An experiment: its numbers, what they can be trusted for, its expectations, its files."""
    out = console()
    plan = result.plan
    out.print()
    head = Text(plan.experiment.name, style="bold")
    if plan.experiment.description:
        head.append(f"  {plan.experiment.description}", style="default")
    out.print(head)
    for label, reason in plan.skipped.items():
        out.print(Text(f"  {label}: skipped, {reason}", style="yellow"))
    for note in plan.notes:
        out.print(Text(f"  note: {note}", style="yellow"))
    if result.table.data:
        out.print(measures_table(result, full))
    for line in plan.lines:
        for text, style in trust_lines(
            line.label, result.trust[line.label], result.seconds[line.label]
        ):
            out.print(Text(phrases(text, out.width - 1), style=style))
    for verdict in result.verdicts:
        out.print(verdict_text("", verdict))
    for path in files:
        out.print(Text(f"  wrote {path}", style="dim"), soft_wrap=True)


def phrases(text: str, width: int) -> str:
    """A text in lines that break after commas and semicolons where they can; the following ones are indented.

    >>> print(phrases("evolve: 0.1 s, steps 1.0e-09, frame displaced", 32))
      evolve: 0.1 s, steps 1.0e-09,
        frame displaced
    """
    lines: list[str] = []
    now = " "
    for phrase in re.split(r"(?<=[,;]) ", text):
        if len(now) + 1 + len(phrase) > width and now.strip():
            lines.append(now)
            now = "   "
        now += " " + phrase
        if len(now) > width:
            *whole, last = textwrap.wrap(now.strip(), width - 6)
            margin = now[: len(now) - len(now.lstrip())]
            lines += [(margin if not k else "    ") + x for k, x in enumerate(whole)]
            now = "    " + last if whole else now
    return "\n".join([*lines, now])


def measures_table(result: Any, full: bool = False) -> Table:
    """One row for each measure and method: a number, or the range over the sweep."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2))
    for column in ("measure", "method", "value"):
        table.add_column(column, overflow="fold")
    found = result.table
    for name, column in found.data.items():
        if name.endswith("_error") and name.removesuffix("_error") in found.data:
            continue
        error = found.data.get(f"{name}_error")
        for place, label in enumerate(found.labels()):
            chosen = None if error is None else error.at("method", place)
            own = column.at("method", place)
            text = _value_text(own, chosen, found.coords, full)
            doubted = name in result.trust[label]["doubts"]
            mark, style = ("! ", "bold red") if doubted else ("", "")
            table.add_row(name, label, Text(mark + text, style=style))
    return table


def _value_text(array: Any, error: Any, coords: Any, full: bool) -> str:
    """A number with its error; or the smallest and largest with their places, where they differ."""
    values = array.values
    errors = np.full(values.shape, np.nan)
    if error is not None:
        errors = error.like(array.dims, values.shape)
    numbers, spread = values.ravel(), errors.ravel()
    if values.size == 1 or (full and values.size <= 12):
        shown = map(number_text, numbers, spread)
        return ", ".join(shown)
    real = np.abs(numbers) if np.iscomplexobj(values) else numbers
    if np.isnan(real).all():
        return "none"
    low, high = int(np.nanargmin(real)), int(np.nanargmax(real))
    word = "|.| " if np.iscomplexobj(values) else ""
    if real[low] == real[high]:
        only = np.isfinite(real).sum() == 1
        where = _place(array, coords, low) if only else "(everywhere)"
        return f"{word}{number_text(real[low], spread[low])} {where}"
    return (
        f"{word}{number_text(real[low], spread[low])} {_place(array, coords, low)} .. "
        f"{number_text(real[high], spread[high])} {_place(array, coords, high)}"
    )


def _place(array: Any, coords: Any, flat: int) -> str:
    """`(Delta = 3)`."""
    where = np.unravel_index(flat, array.values.shape)
    parts = []
    for dim, k in zip(array.dims, where, strict=True):
        if dim == "point":
            swept = [n for n, c in coords.items() if c.dims == (dim,) and n != dim]
            numbers = [n for n in swept if coords[n].values.dtype.kind in "if"]
            parts += [f"{n} = {coords[n].values[k]:.4g}" for n in numbers]
            continue
        value = coords[dim].values[k] if dim in coords else k + 1
        parts.append(
            f"{dim} = {value}" if isinstance(value, str) else f"{dim} = {value:.4g}"
        )
    return "(" + ", ".join(parts) + ")"


# Errors below this are rounding.
_ROUNDING = 1e-15
# Numbers below this are written with a power of ten.
_SMALL = 1e-5


def number_text(value: Any, error: float | None = None) -> str:
    """A number with its standard error in brackets; of a complex one, that of its modulus.

    >>> number_text(0.15324649, 0.0002), number_text(1 - 2j)
    ('0.15325(20)', '1 - 2i')
    >>> number_text(1.23456 - 0.5j, 0.003), number_text(1.23e-11, 3e-12)
    ('1.2346 - 0.5000i ± 0.0030', '1.23(30)e-11')
    """
    number = complex(value)
    if np.isnan(number):
        return "none"
    # An error that is rounding is none.
    known = (
        error is not None
        and np.isfinite(error)
        and error > max(_ROUNDING, 1e-13 * abs(number))
    )
    digits = max(0, 1 - int(np.floor(np.log10(error)))) if known else 0  # type: ignore[arg-type]
    spread = float(error or 0.0) if known else 0.0
    size = max(abs(number), spread)
    if known and 0 < size < _SMALL and not number.imag:
        power = int(np.floor(np.log10(size)))
        shown = f"{number.real / 10.0**power:.{digits + power}f}"
        return f"{shown}({round(spread * 10.0**digits)})e{power}"
    if known and size < _SMALL:
        sign = "-" if number.imag < 0 else "+"
        return f"{number.real:.3g} {sign} {abs(number.imag):.3g}i ± {spread:.1e}"
    if number.imag:
        sign = "-" if number.imag < 0 else "+"
        form, after = (
            (f".{digits}f", f" ± {error:.{digits}f}") if known else (".6g", "")
        )
        return f"{number.real:{form}} {sign} {abs(number.imag):{form}}i{after}"
    if not known:
        return f"{number.real:.8g}"
    return f"{number.real:.{digits}f}({round(error * 10**digits)})"  # type: ignore[operator]


# Numbers of which the largest is shown: how their names begin, and the words for them.
_WORST = (
    ("top_population", "highest level"),
    ("truncation_error of ", "truncation"),
    ("closure_difference of ", "closures differ by"),
    ("back_action of ", "back-action of fluctuations"),
    ("beyond_product", "correlations change a site by"),
    ("step_error of ", "steps"),
)


def trust_lines(
    label: str, trust: dict[str, Any], seconds: float
) -> Iterator[tuple[str, str]]:
    """How far the numbers of a line can be trusted."""
    parts = [f"{label}: {seconds:.3g} s"]
    if "residual" in trust:
        parts.append(f"residual {trust['residual']:.1e}")
    for beginning, words in _WORST:
        found = [v for k, v in trust.items() if k.startswith(beginning)]
        if found:
            parts.append(f"{words} {max(found):.1e}")
    if trust.get("uniqueness", "unique") != "unique":
        parts.append("not unique")
    if trust.get("symmetry", "none") != "none":
        parts.append(trust["symmetry"])
    if "frame" in trust:
        parts.append(f"frame {trust['frame']}")
    yield ", ".join(parts), "dim"
    for name, reasons in trust["doubts"].items():
        yield f"! {name} is not to be trusted: {'; '.join(reasons)}", "bold red"
    for warning in trust["warnings"]:
        points = f" ({warning['points']} points)" if warning["points"] > 1 else ""
        help = f"; {warning['help']}" if warning["help"] else ""
        yield (
            f"warning[{warning['code']}]: {warning['message']}{help}{points}",
            "yellow",
        )
    for failure in trust["failures"]:
        name = f"{failure['measure']}: " if failure["measure"] else ""
        yield (
            f"failed[{failure['code']}]: {name}{failure['message']} ({failure['points']} points)",
            "red",
        )


def show_status(folder: Path, status: Any) -> None:
    """How far the lines of a run are."""
    out = console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("experiment", "method", "points", "failed"):
        table.add_column(column, justify="right" if column == "failed" else "left")
    for line in status.lines:
        table.add_row(
            line.experiment,
            line.label,
            f"{line.done} of {line.total}",
            str(line.failed),
        )
    out.print(table)
    for line in status.lines:
        for reason, count in line.reasons.items():
            out.print(Text(f"failed: {reason} ({count} points)", style="red"))
        if line.realizations:
            out.print(f"{line.label}: {line.realizations} realizations of points begun")
        if line.damaged:
            out.print(Text(f"{line.label}: {line.damaged} damaged blocks", "yellow"))
    words = [f"{status.size / 1e6:.3g} MB kept"]
    if status.others:
        words.append(
            f"{status.others} shelves of other models or options ('qsyncdsl clean')"
        )
    if status.at_work:
        words.append(f"{status.at_work} commands at work")
    out.print("; ".join(words), soft_wrap=True)
    if not status.at_work and any(line.done < line.total for line in status.lines):
        out.print(f"'qsyncdsl resume {folder}' does the rest", soft_wrap=True)


def verdict_text(model: str, verdict: Any) -> Text:
    """One expectation on one line, or two where it did not hold."""
    mark, style = _MARKS[verdict.verdict]
    where = f"{model} {verdict.experiment}: " if model else ""
    margin = " " * 10
    body = f"{where}{verdict.text.removeprefix('expect ')}"
    lines = textwrap.wrap(body, _WIDTH - len(margin)) or [""]
    if verdict.verdict == "failed":
        lines += textwrap.wrap(
            "got " + verdict.got if verdict.got else verdict.reason, _WIDTH - 10
        )
    elif verdict.verdict == "skipped":
        lines += textwrap.wrap(verdict.reason, _WIDTH - len(margin))
    if verdict.doubt:
        lines += textwrap.wrap("doubtful: " + verdict.doubt, _WIDTH - len(margin))
    text = Text("  ")
    text.append(f"{mark:<8}", style=style)
    return text.append(("\n" + margin).join(lines))


def show_verdict(model: str, verdict: Any, quiet: bool) -> None:
    """Print an expectation as soon as it is known."""
    if not quiet or verdict.verdict == "failed":
        console().print(verdict_text(model, verdict))


def summary_of_verdicts(verdicts: Sequence[Any]) -> None:
    """`12 passed, 0 failed, 3 skipped`."""
    counts = {word: sum(v.verdict == word for v in verdicts) for word in _MARKS}
    console().print(", ".join(f"{count} {word}" for word, count in counts.items()))
