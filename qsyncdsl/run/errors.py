"""Errors of measures: of sampling by the jackknife, of the time step by a run with twice the step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import ModelError, SolveError
from qsyncdsl.measure.values import PhaseSpaceMap
from qsyncdsl.run.labels import Labelled, label
from qsyncdsl.run.session import Solved
from qsyncdsl.syntax import tree


def with_errors(
    solved: Solved,
    measures: Mapping[str, tree.Measure],
    found: dict[str, Labelled],
    grids: dict[str, np.ndarray],
) -> tuple[dict[str, Labelled], dict[str, float]]:
    r"""The measures with their standard errors, and what a change of the step does to them.

    Jackknife over n blocks (Efron, Ann. Stat. 7, 1 (1979)):
    $\sigma^2 = \frac{n-1}{n}\sum_k(x_{(k)} - \bar x)^2$. Blocks of time are longer than the record's
    memory only if the record is; realizations are independent.

    Returns:
        The measures, and under `step_error of NAME` the change of a number when the step is doubled
        with the same noise.
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
    fine = solved.measured(replicas.fine) if replicas.fine else None
    coarse = solved.measured(replicas.coarse) if replicas.coarse else None
    result, steps = dict(found), {}
    for name, request in chosen.items():
        item, kept = found[name], np.array(values[name])
        if len(kept) >= 2:
            spread = np.abs(kept - kept.mean(axis=0)) ** 2
            error = np.sqrt((len(kept) - 1) / len(kept) * spread.sum(axis=0))
            result[name] = replace(item, error=error)
        if fine is not None and coarse is not None and item.values.ndim == 0:
            pair = [_value(e, request, grids, item) for e in (fine, coarse)]
            if pair[0] is not None and pair[1] is not None:
                steps[f"step_error of {name}"] = float(np.abs(pair[0] - pair[1]))
    return result, steps


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
