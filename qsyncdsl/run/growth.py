"""Bosons whose number of levels is not given: begun small, enlarged while their edge is populated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qsyncdsl.diagnostics import CutoffError, ModelError
from qsyncdsl.model.environment import Environment, Layer
from qsyncdsl.run import cutoffs

if TYPE_CHECKING:
    from qsyncdsl.run.session import Session, Solved

_FIRST = 8
_GROWTH = 1.5
_MOST = 2000


def solve_growing(
    session: Session,
    layers: list[Layer],
    case: str | None,
    draw: int,
    located: Mapping[str, Any] | None,
    chosen: Mapping[str, Any] | None,
) -> Solved:
    """Solve one point; levels that nobody set grow by half until their edge is empty enough.

    What comes out depends on the point alone, not on points solved before.

    Raises:
        ModelError, SolveError: With the reason; E550 if even 2000 levels are not enough.
    """
    environment = Environment(
        session.plan.model, layers, session.plan.options.seed, draw
    )
    given = cutoffs.declared(environment)
    sizes = {name: _FIRST for name, count in given.items() if count is None}
    if not sizes:
        return session.solve_with({}, layers, case, draw, located, None, chosen)
    owner = {cutoffs.option(mode): mode for mode in cutoffs.bosons(environment.model)}
    options = {**(chosen or {}), "cutoff": "grow"}
    while True:
        try:
            solved = session.solve_with(
                sizes, layers, case, draw, located, None, options
            )
        except CutoffError as fault:
            small = {
                name
                for name in sizes
                if any(cutoffs.same(label, owner[name]) for label in fault.labels)
            }
            if not small or max(sizes[name] for name in small) > _MOST:
                raise
        except ModelError as fault:
            # an initial state that does not fit
            small = set(sizes)
            if fault.diagnostics[0].code != "E340" or max(sizes.values()) > _MOST:
                raise
        else:
            facts = {**solved.trust.facts, "levels": f"{cutoffs.text(sizes)} (grown)"}
            return replace(solved, trust=replace(solved.trust, facts=facts))
        sizes |= {name: int(_GROWTH * sizes[name]) for name in small}
