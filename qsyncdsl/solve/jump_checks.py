"""The population of the highest levels along trajectories: refused, warned of, reported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.result import Part, Trust
from qsyncdsl.solve.records import Records

# Mean population of the highest level above which a run is refused, and above which it is warned of.
REFUSED = 0.02
WARNED = 0.002


def refuse_edges(records: Records) -> None:
    """Stop as soon as a highest level is populated too much.

    Raises:
        SolveError: E530.
    """
    for part, mean, _ in _edges(records):
        if mean > REFUSED:
            raise SolveError(_fault("E530", part, mean))


def edge_trust(records: Records, trust: Trust) -> Trust:
    """Add the populations of the highest levels: the mean over all states, and the largest.

    Raises:
        SolveError: E530.
    """
    refuse_edges(records)
    numbers = dict(trust.numbers)
    warnings = list(trust.warnings)
    for part, mean, largest in _edges(records):
        numbers[f"top_population_{part.label}"] = mean
        numbers[f"largest_top_population_{part.label}"] = largest
        if mean > WARNED:
            warnings.append(_fault("W530", part, mean))
    return replace(trust, numbers=numbers, warnings=tuple(warnings))


def _edges(records: Records) -> Iterator[tuple[Part, float, float]]:
    for axis, part in enumerate(records.shape.parts):
        if part.kind in ("boson", "rotor"):
            mean = float(records.edges[axis, 0]) / max(records.states, 1)
            yield part, mean, float(records.edges[axis, 1])


def _fault(code: str, part: Part, mean: float) -> Diagnostic:
    option = f"levels_{part.label}" if part.kind == "boson" else "nmax"
    return Diagnostic(
        code,
        f"the highest level kept of '{part.label}' has population {mean:.2g}",
        help=f"raise {option} (now {part.dimension} levels), at least by half",
    )
