"""The population of the highest levels along trajectories: refused, warned of, reported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from qsyncdsl.diagnostics import CutoffError, Diagnostic
from qsyncdsl.result import Part, Trust
from qsyncdsl.solve.records import Edges

# Mean population of the highest level over that of the most populated one, above which a run is
# refused, and above which it is warned of. Two optomechanical cells (Weiss et al. 2016, Fig. 3b) lock
# to the wrong phase with 16 phonon levels (0.09), and to the right one with 24 (0.01); with the
# parameters of Fig. 3a, where 16 levels do, it is 0.016.
REFUSED = 0.06
WARNED = 0.01
# Populations below this do no harm whatever the others are.
HARMLESS = 1e-4
# States that a verdict is based on at least.
_STATES = 50


def refuse_edges(edges: Edges, choice: str = "refuse", finished: bool = True) -> None:
    """Stop where a highest level is populated too much; before the end twice as much is allowed.

    Args:
        choice: `refuse`, `warn` (never stop), or `grow`: stop where there would be a warning.

    Raises:
        CutoffError: E550.
    """
    if edges.states < _STATES or choice == "warn":
        return
    limit = (WARNED if choice == "grow" else REFUSED) * (1 if finished else 2)
    found = [
        (part, mean, share)
        for part, mean, share, _ in _edges(edges)
        if share > limit and mean > HARMLESS
    ]
    if found:
        fault = _fault("E550", *max(found, key=lambda x: x[2]))
        raise CutoffError(fault, tuple(part.label for part, _, _ in found))


def edge_trust(edges: Edges, trust: Trust) -> Trust:
    """Add the populations of the highest levels: the mean over all states, and the largest."""
    numbers = dict(trust.numbers)
    warnings = list(trust.warnings)
    for part, mean, share, largest in _edges(edges):
        numbers[f"top_population_{part.label}"] = mean
        numbers[f"largest_top_population_{part.label}"] = largest
        if share > WARNED and mean > HARMLESS:
            warnings.append(_fault("W550", part, mean, share))
    return replace(trust, numbers=numbers, warnings=tuple(warnings))


def _edges(edges: Edges) -> Iterator[tuple[Part, float, float, float]]:
    """Each part with the mean of its highest level, its ratio to the largest, and the maximum."""
    for axis, part in enumerate(edges.parts):
        if part.kind not in ("boson", "rotor"):
            continue
        levels = edges.levels[axis] / max(edges.states, 1)
        top = levels[-1] if part.kind == "boson" else levels[0] + levels[-1]
        yield part, float(top), float(top / levels.max()), edges.largest[axis]


def _fault(code: str, part: Part, mean: float, share: float) -> Diagnostic:
    option = f"levels_{part.label}" if part.kind == "boson" else "nmax"
    message = (
        f"the highest level kept of '{part.label}' has population {mean:.2g},"
        f" {100 * share:.2g} % of the largest"
    )
    kept = f"raise {option} (now {part.dimension} levels), at least by half"
    if code == "E550":
        kept += "; cutoff = warn if these levels are the model"
    return Diagnostic(code, message, help=kept)
