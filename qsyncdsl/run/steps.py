r"""The error of each measure by the steps of an integration in time, from a run with larger steps.

The same point is integrated with 100 times the tolerance $\tau$. The error of a run is $\propto\tau^{p}$ with
$p \lesssim 1$ (tolerance proportionality: E. Hairer, S. P. Norsett, G. Wanner, Solving Ordinary Differential
Equations I, Sec. II.4), so that a tenth of the difference lies above the error of the finer run,

$$ \delta m = \tfrac{1}{10}\,|m_{100\tau} - m_\tau| + |m_{2h} - m_h| , $$

up to a factor of ten. For averages over a window the second term is what fewer times of it would change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache, singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, ModelError, SolveError
from qsyncdsl.result import (
    CellStates,
    EvolutionResult,
    FieldResult,
    GaussianResult,
    MomentResult,
    ProductResult,
    RotorResult,
)
from qsyncdsl.run.labels import Labelled, label
from qsyncdsl.run.refine import changes
from qsyncdsl.syntax import tree

if TYPE_CHECKING:
    from qsyncdsl.measure.evaluate import MeasureEvaluator
    from qsyncdsl.run.solved import Solved

# Tolerances of the two runs, one over the other, and what of their difference is taken.
RATIO, SHARE = 100.0, 0.1
# What is taken of the change by half of the times: the error of the ends of equal parts is as large as that.
_THINNED = 2.0
# Points of a line that are looked at, and times that a tolerance is tightened for an accuracy.
EXAMINED, _TIGHTENED = 4, 3
# Times of an average, in units of those without an accuracy, at most, and how many times more at once.
_MOST_TIMES, _MORE_TIMES = 1024, 64.0
# A tolerance that only asks for rounding.
_FINEST = 1e-14
# What rounding leaves of some thousand steps, relative to numbers above 1.
_ROUNDING = 1e-12
# How often the times of an average are halved where two tolerances are compared.
_THIN = 3
_HALF_TURN = np.pi * (1 + 1e-12)
# What a second run may fail by: its error is not known then.
FAULTS = (ModelError, SolveError, ArithmeticError, ValueError, MemoryError)


def examined(place: int, count: int, most: int = EXAMINED) -> bool:
    """Whether a point is looked at closely: of a sweep some, from the first to the last; of one the middle.

    >>> [k for k in range(41) if examined(k, 41)]
    [0, 13, 27, 40]
    """
    return place in _chosen(count, most)


@lru_cache(maxsize=64)
def _chosen(count: int, most: int) -> frozenset[int]:
    if most == 1:
        return frozenset([count // 2])
    places = np.linspace(0, count - 1, min(count, most)).round()
    return frozenset(places.astype(int).tolist())


def step_errors(
    solved: Solved,
    measures: Mapping[str, tree.Measure],
    found: Mapping[str, Labelled],
    grids: Mapping[str, np.ndarray],
) -> dict[str, float]:
    """`step_error of NAME` for each measure; empty where nothing is integrated."""
    try:
        others = tuple(compared(solved))
    except FAULTS:
        return {}
    errors: dict[str, float] = {}
    for name, item in found.items():
        if name not in measures:
            continue
        parts = [
            share * change
            for one, other, share in others
            if (change := _moved(one, other, measures[name], item, grids)) is not None
        ]
        if parts:
            size = float(np.nanmax(np.abs(item.values), initial=1.0))
            errors[f"step_error of {name}"] = float(sum(parts)) + _ROUNDING * size
    return errors


def compared(
    solved: Solved,
) -> Iterable[tuple[MeasureEvaluator | None, MeasureEvaluator, float]]:
    """Pairs that differ by their steps, and what of the difference is taken; None for the point itself."""
    if solved.again is None:
        return
    if "tolerance" in solved.trust.numbers:
        yield solved.few(), solved.again(RATIO, 1, few=True).evaluator, SHARE
    thinned = solved.thinned()
    if thinned is not None:
        yield None, thinned, _THINNED


def _moved(
    one: MeasureEvaluator | None,
    other: MeasureEvaluator,
    request: tree.Measure,
    item: Labelled,
    grids: Mapping[str, np.ndarray],
) -> float | None:
    """The largest difference of a measure; None where it has no value."""
    try:
        known = item.values if one is None else values_of(one, request, grids)
        values = values_of(other, request, grids)
    except FAULTS:
        return None
    return moved(known, values)


def moved(known: np.ndarray, values: np.ndarray) -> float | None:
    """The largest difference of two arrays; None where there is none."""
    if values.shape != known.shape:
        return None
    away = np.abs(values - known)
    largest = np.abs(values[np.isfinite(values)]).max(initial=0.0)
    if np.isrealobj(values) and largest <= _HALF_TURN:
        # Angles beside the cut of arg() are neighbors.
        away = np.minimum(away, np.abs(2 * np.pi - away))
    return float(np.nanmax(away)) if np.isfinite(away).any() else None


def values_of(
    evaluator: MeasureEvaluator, request: tree.Measure, grids: Mapping[str, np.ndarray]
) -> np.ndarray:
    """A measure of another run, on the grids of the first."""
    times: Any = evaluator.time if evaluator.series else None
    paths = None if evaluator.series else evaluator.path_times
    value = evaluator.measure(request.place.name.key)
    return label(request, value, times, dict(grids), paths).values


# ── an accuracy ──────────────────────────────────────────────────────────────────────────────


def tightened(solved: Solved, accuracy: float) -> Solved:
    r"""A point whose steps change no measure by more than $\epsilon\max(1, |m|)$.

    Raises:
        SolveError: E530 where rounding, or a number of times, comes first.
    """
    again = solved.again
    if again is None:
        return solved
    tolerance = solved.trust.numbers.get("tolerance", 0.0)
    factor, finer, done = 1.0, 1, solved
    for _ in range(_TIGHTENED):
        steps = {}
        if tolerance:
            other = again(factor * RATIO, finer).evaluator
            steps = _relative(other, done.evaluator, SHARE / accuracy)
        thinned = done.thinned()
        times = {}
        if thinned is not None:
            times = _relative(thinned, done.evaluator, _THINNED / accuracy)
        errors = {
            n: (steps.get(n, (0.0, s))[0] + times.get(n, (0.0, s))[0], s)
            for n, (_, s) in {**steps, **times}.items()
        }
        if all(e <= 1 for e, _ in errors.values()):
            return _told(done, accuracy, errors)
        factor /= RATIO if _worst(steps) > 0.5 else 1.0
        if _worst(times) > 0.5:
            finer *= int(np.ceil(np.clip(2 * _worst(times), 2.0, _MORE_TIMES)))
        if (tolerance and factor * tolerance < _FINEST) or finer > _MOST_TIMES:
            break
        done = replace(again(factor, finer), errors=solved.errors, levels=solved.levels)
    name = max(errors, key=lambda n: errors[n][0])
    message = (
        f"the accuracy {accuracy:.1e} is not reached: the steps leave an error of "
        f"{accuracy * errors[name][0] * errors[name][1]:.1e} in '{name}'"
    )
    help_ = "ask for less accuracy, or run for a shorter time"
    raise SolveError(Diagnostic("E530", message, help=help_))


Relative = dict[str, tuple[float, float]]


def _relative(
    before: MeasureEvaluator, after: MeasureEvaluator, size: float
) -> Relative:
    """Changes of measures in units of what is allowed, and the larger of 1 and the measure."""
    found = changes(before, after)
    return {n: (size * moved / scale, scale) for n, (moved, scale) in found.items()}


def _worst(found: Relative) -> float:
    return max((e for e, _ in found.values()), default=0.0)


def _told(solved: Solved, accuracy: float, errors: Relative) -> Solved:
    """The result with what was held."""
    trust = solved.trust
    before = trust.facts.get("accuracy")
    fact = f"{before} and steps" if before else f"{accuracy:.1e} by steps"
    own = {n: accuracy * e * s for n, (e, s) in errors.items()}
    numbers = {f"step_error of {n}": e for n, e in own.items()}
    told = replace(
        trust,
        numbers={**trust.numbers, **numbers},
        facts={**trust.facts, "accuracy": fact},
    )
    both = {n: e + solved.errors.get(n, 0.0) for n, e in own.items()}
    return replace(solved, trust=told, errors=both)


# ── averages over a window ───────────────────────────────────────────────────────────────────


@singledispatch
def fewer_times(result: Any) -> Any:
    """A result with every second of its times, with the middle one of three where these are the middles of equal
    parts of a window; None for one that is no average over them.
    """
    return None


@fewer_times.register
def _(result: EvolutionResult) -> EvolutionResult:
    return replace(result, times=result.times[::2], states=result.states[::2])


@fewer_times.register
def _(result: GaussianResult) -> GaussianResult:
    means, covariances = result.means[::2], result.covariances[::2]
    return replace(
        result, times=result.times[::2], means=means, covariances=covariances
    )


@fewer_times.register
def _(result: MomentResult) -> MomentResult | None:
    if result.times is None or result.series:
        return None
    return replace(result, times=result.times[1::3], values=result.values[1::3])


@fewer_times.register
def _(result: ProductResult) -> ProductResult | None:
    if result.times is None or result.series:
        return None
    cells = tuple(
        CellStates(c.unknowns[1::3], c.basis, c.class_of) for c in result.cells
    )
    return replace(result, times=result.times[1::3], cells=cells)


def few_times(result: Any) -> Any:
    """An average from few times, where each of them is measured by itself; else all of it."""
    if isinstance(result, EvolutionResult | FieldResult | RotorResult):
        return result
    for _ in range(_THIN):
        fewer = fewer_times(result)
        result = result if fewer is None else fewer
    return result


@fewer_times.register
def _(result: FieldResult) -> FieldResult | None:
    dynamics = result.extra.get("dynamics")
    if result.series or dynamics is None or dynamics.flow.discrete or dynamics.resting:
        return None
    return replace(result, times=result.times[1::2], samples=result.samples[..., 1::2])


@fewer_times.register
def _(result: RotorResult) -> RotorResult | None:
    values = result.values[:, ::2]
    if result.times is not None or values.shape[1] < 2:
        return None
    weights = np.full(values.shape[1], 1.0)
    weights[[0, -1]] /= 2
    return replace(result, values=values, weights=weights / weights.sum())
