"""Errors of measures: of sampling by the jackknife, of the time step by a run with twice the step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import ModelError, SolveError
from qsyncdsl.measure.statistics import autocorrelation_time
from qsyncdsl.measure.values import PhaseSpaceMap
from qsyncdsl.run.labels import Labelled, label
from qsyncdsl.run.methods.entry import Replicas
from qsyncdsl.run.solved import Solved
from qsyncdsl.syntax import tree

# Stretches from which a drift is told, and what it is at least, in standard errors.
_FEWEST_PIECES, _SIGNIFICANT = 20, 6.0
# Standard errors of a difference between steps that are taken off: the largest of many times counts.
_SCATTER = 5.0


def with_errors(
    solved: Solved,
    measures: Mapping[str, tree.Measure],
    found: dict[str, Labelled],
    grids: dict[str, np.ndarray],
) -> tuple[dict[str, Labelled], dict[str, float]]:
    r"""The measures with their standard errors, and what a change of the step does to them.

    Jackknife over n blocks (Efron, Ann. Stat. 7, 1 (1979)):
    $\sigma^2 = \frac{n-1}{n}\sum_k(x_{(k)} - \bar x)^2$, over realizations, which are independent. Of few
    realizations over blocks of time, with the autocorrelation of the pseudo-values; an average over
    time has the error of its series.

    Returns:
        The measures, and numbers: under `step_error of NAME` the change when the step is doubled with
        the same noise, `autocorrelation_time of NAME` and `effective_samples of NAME` of averages, and
        `drift of NAME` where a number changes from the start of its window to the end.
    """
    replicas = solved.replicas()
    if replicas is None:
        return found, {}
    chosen = {
        name: measures[name]
        for name, item in found.items()
        if name in measures and "realization" not in item.dims
    }
    values: dict[str, list[np.ndarray]] = {name: [] for name in chosen}
    for scenes in replicas.blocks:
        block = solved.measured(scenes)
        for name, request in chosen.items():
            value = _value(block, request, grids, found[name])
            if value is not None:
                values[name].append(value)
    pairs = [[solved.measured(part) for part in pair] for pair in replicas.pairs]
    result, steps = dict(found), {}
    for name, request in chosen.items():
        item, kept = found[name], np.array(values[name])
        if len(kept) >= 2:
            result[name] = replace(item, error=_jackknife(kept, replicas.in_time))
        change = _step_change(pairs, request, grids, item)
        if change is not None:
            steps[f"step_error of {name}"] = change
    wanted = {k: r for k, r in chosen.items() if found[k].values.ndim == 0}
    series = _on(replicas.pieces, solved, wanted, grids, result) if wanted else {}
    for name, stretches in series.items():
        share = _drift(np.abs(stretches))
        if share:
            steps[f"drift of {name}"] = share * float(np.abs(found[name].values))
    for name, (error, time, count) in _averages(
        solved, replicas, wanted, series, grids, result
    ).items():
        if replicas.in_time:
            result[name] = replace(result[name], error=np.asarray(error))
        steps[f"autocorrelation_time of {name}"] = time
        steps[f"effective_samples of {name}"] = count
    return result, steps


def _step_change(
    pairs: Sequence[Sequence[Any]],
    request: tree.Measure,
    grids: dict[str, np.ndarray],
    item: Labelled,
) -> float | None:
    r"""The largest change of a measure by twice the step; of arrays less what the scatter explains.

    Of groups of realizations with the differences $d_g$, shape (G, ...), that is $|\bar d| - 5\sigma/\sqrt G$ at
    each time: paths that part from one another for a reason other than the step have another d in each group.
    """
    if item.values.ndim > 0 and len(pairs) < 2:
        return None
    found = []
    for pair in pairs if item.values.ndim else pairs[:1]:
        fine, coarse = (_value(e, request, grids, item) for e in pair)
        if fine is None or coarse is None:
            return None
        found.append(fine - coarse)
    if not found:
        return None
    if item.values.ndim == 0:
        return float(np.abs(found[0]))
    differences = np.array(found[1:])
    scatter = differences.std(axis=0, ddof=1) / np.sqrt(len(differences))
    excess = np.abs(differences.mean(axis=0)) - _SCATTER * scatter
    return float(np.nanmax(excess, initial=0.0)) if np.isfinite(excess).any() else None


def _jackknife(kept: np.ndarray, in_time: bool) -> np.ndarray:
    """The standard error of values without one block each, shape (n, ...)."""
    n = len(kept)
    away = kept - kept.mean(axis=0)
    error = np.sqrt((n - 1) / n * (np.abs(away) ** 2).sum(axis=0))
    if not in_time:
        return np.asarray(error)
    columns = away.reshape(n, -1).T
    times = np.array([autocorrelation_time(column) for column in columns])
    return np.asarray(error * np.sqrt(2 * times).reshape(error.shape))


def _averages(
    solved: Solved,
    replicas: Replicas,
    wanted: Mapping[str, tree.Measure],
    series: Mapping[str, np.ndarray],
    grids: dict[str, np.ndarray],
    found: Mapping[str, Labelled],
) -> dict[str, tuple[float, float, float]]:
    """Of numbers that are averages over samples: error, autocorrelation time, effective samples.

    A number is an average if it is the mean of its values on short stretches of time, its `series`.
    """
    averages = {}
    for name, values in series.items():
        spread = float(np.abs(values - values.mean()).max(initial=0.0))
        miss = abs(values.mean() - found[name].values)
        if spread > 0 and miss < 0.02 * spread / np.sqrt(len(values)) + 1e-12:
            averages[name] = values
    single = _on(
        replicas.singles, solved, {k: wanted[k] for k in averages}, grids, found
    )
    result = {}
    for name, values in averages.items():
        memory = autocorrelation_time(values)
        error = float(np.sqrt(2 * memory / len(values)) * values.std())
        if name not in single or not error > 0:
            continue
        count = max(float(single[name].std() / error) ** 2, 1.0)
        result[name] = (error, replicas.span / (2 * count), count)
    return result


def _drift(values: np.ndarray) -> float:
    r"""How much a series changes from end to end, in units of its mean; 0 where chance may do that.

    The slope b of the line of least squares, where $|b| > 6\sigma_b$ with the autocorrelation of what the line
    leaves.
    """
    n, mean = len(values), float(values.mean())
    if n < _FEWEST_PIECES or mean == 0:
        return 0.0
    t = np.linspace(-0.5, 0.5, n)
    slope = float(t @ values / (t @ t))
    left = values - mean - slope * t
    error = np.sqrt(2 * autocorrelation_time(left) * left.var() / (t @ t))
    return abs(slope / mean) if abs(slope) > _SIGNIFICANT * error else 0.0


def _on(
    parts: Iterable[tuple[Any, ...]],
    solved: Solved,
    wanted: Mapping[str, tree.Measure],
    grids: dict[str, np.ndarray],
    found: Mapping[str, Labelled],
) -> dict[str, np.ndarray]:
    """Numbers on each of some parts of the samples, if they have one on every part."""
    values: dict[str, list[Any]] = {name: [] for name in wanted}
    for scenes in parts:
        if not values:
            break
        evaluator = solved.measured(scenes)
        for name in list(values):
            value = _value(evaluator, wanted[name], grids, found[name])
            if value is None or not np.isfinite(value):
                del values[name]
            else:
                values[name].append(value[()])
    return {name: np.array(kept) for name, kept in values.items() if kept}


def _value(
    evaluator: Any, request: tree.Measure, grids: dict[str, np.ndarray], item: Labelled
) -> np.ndarray | None:
    """A measure on a part of the data, if it has the same form there."""
    try:
        value = evaluator.measure(request.place.name.key)
        if isinstance(value, PhaseSpaceMap):
            return None
        times = evaluator.time if evaluator.series else None
        paths = None if evaluator.series else evaluator.path_times
        values = label(request, value, times, dict(grids), paths).values
    except (ModelError, SolveError):
        return None
    return values if values.shape == item.values.shape else None
