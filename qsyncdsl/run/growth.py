"""Bosons whose number of levels is not given: begun small, enlarged while their edge is populated."""

from __future__ import annotations

from collections.abc import Mapping

from qsyncdsl.diagnostics import CutoffError, ModelError
from qsyncdsl.model.environment import Environment
from qsyncdsl.run import cutoffs

_FIRST = 8
_GROWTH = 1.5
_MOST = 2000


def first_levels(environment: Environment) -> dict[str, int]:
    """The levels to begin with, of bosons that have none."""
    given = cutoffs.declared(environment)
    return {name: _FIRST for name, count in given.items() if count is None}


def more_levels(
    environment: Environment, levels: Mapping[str, int], fault: CutoffError | ModelError
) -> dict[str, int]:
    """Levels for another attempt, half as many more where a run has populated the highest.

    Raises:
        CutoffError: E550 if none can grow, or if even 2000 levels are not enough.
        ModelError: E340 for an initial state that does not fit; any other one.
    """
    small = set(levels)
    if isinstance(fault, CutoffError):
        owner = {cutoffs.option(m): m for m in cutoffs.bosons(environment.model)}
        small = {
            name
            for name in levels
            if any(cutoffs.same(label, owner[name]) for label in fault.labels)
        }
    elif fault.diagnostics[0].code != "E340":
        raise fault
    if not small or max(levels[name] for name in small) > _MOST:
        raise fault
    return {n: int(_GROWTH * c) if n in small else c for n, c in levels.items()}
