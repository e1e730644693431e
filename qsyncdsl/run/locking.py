"""The edge of a domain of locking, from the fold of the orbit that is locked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import SolveError
from qsyncdsl.model.environment import Layer
from qsyncdsl.model.types import Override
from qsyncdsl.run.searches import Condition, bracket, edge
from qsyncdsl.run.session import Session

# Share of the range to which runs narrow an edge down before its orbit is followed, and how far from
# there the fold may be.
_COARSE = 2e-3
_NEAR = 0.1
# A run is too short to tell slow slips right beyond the edge from locking: shares of the way back to
# where the search began, at which the locked orbit is looked for.
_BACK = (0.0, 0.05, 0.2, 0.6, 1.0)


@dataclass(frozen=True)
class LockingSearch:
    """A search along a parameter, and where it is made."""

    session: Session
    layers: Sequence[Layer]
    case: str | None
    draw: int
    name: str
    holds: Condition
    solved: Callable[[float], Any]
    accept: Callable[[], None]


def locking_edge(search: LockingSearch, low: float, high: float) -> float:
    """The edge of a domain of locking: where the locked orbit meets its partner (a fold).

    A run of finite length cannot tell rare slips from locking; it only says where the orbit begins
    to be followed. Where the orbit does not end in a fold near the edge that runs show, that edge
    is the answer.
    """
    holds, width = search.holds, abs(high - low)
    inside, outside = bracket(holds, low, high, _COARSE * width, search.accept)
    if inside is None or outside is None:
        return float("nan")
    begins = holds(low)
    first, last = (inside, outside) if begins else (outside, inside)
    for back in _BACK if begins else (0.0,):
        found = _fold(search, first + back * (low - first), last)
        near = found is not None and abs(found - (first + last) / 2) < _NEAR * width
        if found is not None and near:
            return found
    return edge(holds, inside, outside, search.accept)


def _fold(search: LockingSearch, inside: float, outside: float) -> float | None:
    """The fold of the orbit that a run at `inside` ends on; None where there is none."""
    from qsyncdsl.measure.dynamics import final_orbit
    from qsyncdsl.solve.folds import fold

    scene = search.solved(inside).scenes[0]
    try:
        orbit = final_orbit(scene)
    except SolveError:
        return None
    if orbit is None:
        return None
    scale = scene.given.extra["dynamics"].flow.scale

    def flow_at(x: float) -> Any:
        layers = [*search.layers, (Override(search.name, x),)]
        flow = search.session.flow(layers, search.case, search.draw)
        assert flow is not None
        flow.scale = scale
        return flow

    width = max(abs(outside - inside), 1e-3 * max(abs(inside), 1.0))
    beyond = inside + np.sign(outside - inside) * 4 * width
    return fold(flow_at, orbit, inside, float(beyond))
