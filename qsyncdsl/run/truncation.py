"""What a cutoff does to each measure of a sweep: its worst point solved again with other levels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from qsyncdsl.algebra.build import space_of
from qsyncdsl.algebra.rings import NUMERIC
from qsyncdsl.model.environment import Environment, Layer
from qsyncdsl.problem import Point
from qsyncdsl.result import Trust
from qsyncdsl.run import cutoffs
from qsyncdsl.run.labels import Labelled
from qsyncdsl.run.locate import ends
from qsyncdsl.run.located import highest_at
from qsyncdsl.run.plan import Line, Plan
from qsyncdsl.run.point_results import Job, PointResult
from qsyncdsl.run.points import Points
from qsyncdsl.run.relocate import Look, moved
from qsyncdsl.run.session import Session
from qsyncdsl.syntax import tree

# Populations of the highest levels below which no cutoff is felt.
NEGLIGIBLE = 1e-10
# Dimensions up to which more levels are tried for one mode and for several, and growth that is tried beyond:
# without a symmetry the work of an elimination grows as the fourth power of the dimension and faster.
_SMALL, _SEVERAL, _LARGE, _GROWTH = 300, 64, 1200, 1.35
# A population that does not fall.
_FLAT = 0.999
# What is taken of the change by fewer levels, at least.
_LEAST = 0.05
# Modes whose dimensions are multiplied; sites of larger lattices are not solved together.
_TOGETHER = 12
_TOP = cutoffs.TOP
_ERROR = "truncation_error of "


def with_truncation(
    plan: Plan,
    points: Sequence[PointResult],
    examine: Callable[[PointResult, str], PointResult],
) -> list[PointResult]:
    """The points, the worst of them with `truncation_error of NAME` for each measure and located value.

    The worst point is the one with the largest population of a highest level. It is solved with
    more levels, or, where that would cost much more, with fewer: then the change is a bound, since
    the fewer levels have the larger error. Points whose levels were refined know their errors.
    A located value has a worst point of its own, the one where the population is largest at the value.

    Args:
        examine: `examined` for the line and "", `examined_search` for the name of a located value, or something
            that remembers what they found.
    """
    # A mean over draws is no value of one of them.
    if not points or plan.draws > 1:
        return list(points)
    if any(name.startswith(_ERROR) for p in points for name in p.trust.numbers):
        return list(points)
    found = list(points)
    if plan.measures:
        tops = [cutoffs.highest(p.trust.numbers) for p in points]
        worst = int(np.argmax(tops))
        if tops[worst] >= NEGLIGIBLE and points[worst].measures:
            found[worst] = examine(found[worst], "")
    for request in _searches(plan):
        name = request.name.key
        tops = [p.trust.numbers.get(highest_at(name), 0.0) for p in points]
        worst = int(np.argmax(tops))
        if tops[worst] >= NEGLIGIBLE:
            found[worst] = examine(found[worst], name)
    return found


def _searches(plan: Plan) -> list[tree.Locate]:
    """What is to be located."""
    return [r for r in plan.experiment.requests if isinstance(r, tree.Locate)]


def examined(
    plan: Plan, line: Line, point: PointResult, session: Session
) -> PointResult:
    """A point with what other levels change of its measures.

    Args:
        session: In which the point was found, or would be.
    """
    layers = plan.point_layers(line, point.index)
    had, levels = other_levels(plan, layers, point.trust, point.draw)
    if not levels:
        return point
    changed = replace(line, overrides=(*line.overrides, *cutoffs.layer(had | levels)))
    sole = point.trust.facts.get("uniqueness") == "unique"

    def found() -> tuple[Any, Point]:
        request = session.request(layers, plan.cases[point.index[0]], point.draw)
        return request.prepared.solver, request.point

    fewer = found if all(levels[n] >= had[n] for n in levels) else None
    grids = _grids(point.measures)
    work = Points(plan, changed, grids, stretches=False, sole=sole, fewer=fewer)
    # On a branch that is followed, the same point with other levels may be on another.
    if work.session.method.populations is None or work.session.follows:
        return point
    other, _ = work.after(Job(point.index, point.draw, tuple(plan.measures)), None)
    beyond = share_beyond(point.trust, other.trust, levels, fewer is None)
    errors = {
        f"{_ERROR}{name}": beyond * change
        for name, item in point.measures.items()
        if name in plan.measures and name in other.measures
        and (change := difference(item, other.measures[name])) is not None
    }  # fmt: skip
    if not errors:
        return point
    before = {n: had[n] for n in levels}
    fact = f"{cutoffs.text(levels)} in place of {', '.join(map(str, before.values()))}"
    trust = point.trust
    told = replace(
        trust,
        numbers={**trust.numbers, **errors},
        facts={**trust.facts, "truncation": fact},
    )
    return replace(point, trust=told)


def examined_search(
    plan: Plan, line: Line, point: PointResult, name: str, session: Session
) -> PointResult:
    """A point with what other levels change of a located value.

    Args:
        session: In which the point was found, or would be.
    """
    request = next(r for r in _searches(plan) if r.name.key == name)
    layers = plan.point_layers(line, point.index)
    case, draw, value = plan.cases[point.index[0]], point.draw, point.measures[name]
    x = float(value.values)
    before = Look(session, layers, request.parameter.key, case, draw)
    there = before(x).trust
    had, levels = other_levels(plan, before.at(x), there, draw)
    # On a branch that is followed, the same point with other levels may be on another.
    if not levels or session.method.populations is None or session.follows:
        return point
    changed = replace(line, overrides=(*line.overrides, *cutoffs.layer(had | levels)))
    other = Points(plan, changed, stretches=False).session
    there_too = plan.point_layers(changed, point.index)
    after = Look(other, there_too, request.parameter.key, case, draw)
    change = moved(request, ends(session, request, layers), x, before, after)
    if change is None:
        return point
    fewer = any(levels[n] < had[n] for n in levels)
    beyond = share_beyond(there, after(x).trust, levels, fewer)
    told = {**point.trust.numbers, f"{_ERROR}{name}": beyond * change}
    return replace(point, trust=replace(point.trust, numbers=told))


def share_beyond(
    one: Trust, other: Trust, levels: Mapping[str, int], fewer: bool
) -> float:
    r"""The error of a number in units of what other levels change of it.

    Where the population of the highest level falls by a factor $\rho$ to that of the larger space, each further
    step changes a number by $\rho$ times the one before: $1/(1 - \rho)$ of the change with more levels; with
    fewer $\rho/(1 - \rho)$, which is doubled, since the fall is that of smaller spaces. A population that does not
    fall at all says that any number of levels may change it.

    Args:
        levels: The options that are other.
        fewer: Whether the other space is the smaller one.
    """
    ratios = []
    for name, top in one.numbers.items():
        there = other.numbers.get(name, 0.0)
        changed = cutoffs.option_of(name.removeprefix(_TOP)) in levels
        if name.startswith(_TOP) and changed and top > NEGLIGIBLE and there != top:
            ratios.append(top / there if fewer and there else there / top)
    rho = min(max(ratios, default=0.0), _FLAT)
    return max(_LEAST, 2 * rho / (1 - rho)) if fewer else 1 / (1 - rho)


def other_levels(
    plan: Plan, layers: Sequence[Layer], trust: Trust, draw: int = 0
) -> tuple[dict[str, int], dict[str, int]]:
    """The levels of a point by option, and those of its guilty modes that are worth a second solve."""
    environment = Environment(plan.model, layers, plan.options.seed, draw)
    had = {n: c for n, c in cutoffs.declared(environment).items() if c is not None}
    guilty = _guilty(plan, trust, had)
    return had, _other(had, guilty, lambda c: _dimension(plan, layers, c))


def _guilty(plan: Plan, trust: Trust, had: Mapping[str, int]) -> dict[str, float]:
    """The options whose highest level is populated, and how much."""
    tops = {
        name.removeprefix(_TOP): np.array([value])
        for name, value in trust.numbers.items()
        if name.startswith(_TOP)
    }
    found = cutoffs.by_option(plan.model, tops)
    return {n: float(p[0]) for n, p in found.items() if n in had and p[0] > NEGLIGIBLE}


def _other(
    had: Mapping[str, int],
    guilty: Mapping[str, float],
    dimension: Callable[[Mapping[str, int]], tuple[int, int]],
) -> dict[str, int]:
    """More levels for all guilty modes, or fewer, or more for the worst of them.

    What is left as it is may be what the numbers suffer from.

    Args:
        dimension: Of the space with other levels, and the number of its modes.
    """
    if not guilty:
        return {}
    worst = max(guilty, key=lambda n: guilty[n])
    more = (
        {n: cutoffs.above(had[n]) for n in guilty},
        # Parts that are alike stay alike: their exchange halves the unknowns.
        {n: had[n] + 2 for n in guilty},
    )
    size, modes = dimension(had)
    small = _SMALL if modes == 1 else _SEVERAL
    for levels in more:
        larger, _ = dimension(dict(had) | levels)
        if larger <= small or (larger <= _LARGE and larger <= _GROWTH * size):
            return levels
    fewer = {n: max(2, int(had[n] / 1.2)) for n in guilty}
    fewer = {n: count for n, count in fewer.items() if count < had[n]}
    return fewer or {worst: had[worst] + 2}


def _dimension(
    plan: Plan, layers: Sequence[Layer], levels: Mapping[str, int]
) -> tuple[int, int]:
    """Dimension of what is solved together, and how many modes it has."""
    changed = Environment(plan.model, [*layers, cutoffs.layer(levels)])
    space, _ = space_of(plan.model, changed, NUMERIC, sample=2)
    kept = [
        mode
        for mode in space.modes
        if mode.ensemble is None and mode.kind.name != "ensemble"
    ]
    if len(kept) > _TOGETHER:
        return prod(levels.values()), len(levels)
    return prod(mode.dimension for mode in kept), len(kept)


def _grids(measures: Mapping[str, Labelled]) -> dict[str, np.ndarray]:
    """The grids that functions of one variable were drawn on."""
    return {
        name: item.coords[item.dims[0]]
        for name, item in measures.items()
        if len(item.dims) == 1 and item.dims[0] in item.coords
    }


def difference(one: Labelled, other: Labelled) -> float | None:
    """Largest difference of two arrays; populations of missing levels are 0."""
    x, y = np.asarray(one.values), np.asarray(other.values)
    if x.shape != y.shape:
        if x.ndim != 1 or y.ndim != 1 or one.dims != ("n",):
            return None
        size = max(len(x), len(y))
        x, y = (np.pad(v, (0, size - len(v))) for v in (x, y))
    moved = np.abs(x - y)
    return float(np.nanmax(moved)) if moved.size and not np.isnan(moved).all() else None
