"""Measures of bundled models at given settings, compared with values and their errors."""

import numpy as np

from qsyncdsl import pipeline


def measured(name, solve, measures, sets=(), cases=(), sweeps=()):
    """Values and errors of measures of a bundled model under one method."""
    request = pipeline.Request(tuple(sets), tuple(sweeps), tuple(cases))
    lines = [f"{key} = {text}" for key, text in measures.items()]
    dataset = pipeline.evaluate(name, [solve], lines, request).dataset
    one = dataset.isel(method=0)
    values = {key: one[key].values for key in measures}
    errors = {
        key: one[f"{key}_error"].values if f"{key}_error" in one else 0.0
        for key in measures
    }
    return values, errors


def agree(found, wanted, loose=0.0):
    """Within four standard errors of both sides, and what the step may change."""
    values, errors = found
    for key, (value, error) in wanted.items():
        allowed = 4 * np.hypot(error, np.nanmax(errors[key])) + loose
        assert abs(values[key] - value) < allowed, (key, values[key], value, allowed)
