"""An experiment as one JSON document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr


def to_json(value: Any) -> Any:
    """Numbers, arrays and complex numbers for JSON; NaN is null."""
    if isinstance(value, np.ndarray):
        return (
            [to_json(item) for item in value] if value.ndim else to_json(value.item())
        )
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, np.generic):
        return to_json(value.item())
    if isinstance(value, complex):
        if np.isnan(value):
            return None
        return {"re": value.real, "im": value.imag}
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else str(value)
    return value


def experiment_document(result: Any) -> dict[str, Any]:
    """Sweeps, measures, trust and times of an experiment.

    Args:
        result: With `dataset`, `trust`, `seconds`, `verdicts` and `plan`.
    """
    dataset: xr.Dataset = result.dataset
    return {
        "sweep": {
            name: to_json(dataset[name].values)
            for axis in result.plan.axes
            for name in axis.names
            if name in dataset
        },
        "methods": {
            line.label: {
                "sweep": _sweep(dataset, line),
                "measures": _measures(dataset, line, result.trust[line.label]),
                "trust": result.trust[line.label],
                "seconds": round(result.seconds[line.label], 4),
            }
            for line in result.plan.lines
        },
        "skipped": dict(result.plan.skipped),
        "notes": list(result.plan.notes),
        "expectations": [
            {"text": v.text, "got": v.got, "verdict": v.verdict, "reason": v.reason}
            for v in result.verdicts
        ],
    }


def _sweep(dataset: xr.Dataset, line: Any) -> dict[str, Any]:
    """The line's own values of the swept parameters; those that were chosen, where it chose them."""
    if any(axis.stride > 1 for axis in line.axes):
        names = [name for axis in line.axes for name in axis.names]
        return {
            name: to_json(dataset[name].values) for name in names if name in dataset
        }
    return {
        name: to_json(np.array(column))
        for axis in line.axes
        for name, column in zip(axis.names, zip(*axis.values, strict=True), strict=True)
    }


def _measures(dataset: xr.Dataset, line: Any, trust: dict[str, Any]) -> dict[str, Any]:
    """The measures of one method, on its own points."""
    found = {}
    for name, variable in dataset.data_vars.items():
        if str(name).endswith("_error") and str(name)[:-6] in dataset:
            continue
        own = _own(variable.sel({"method": line.label}), line)
        error = dataset.get(f"{name}_error")
        found[str(name)] = {
            "value": to_json(own.values),
            "error": None
            if error is None
            else to_json(_own(error.sel({"method": line.label}), line).values),
            "truncation_error": trust.get(f"truncation_error of {name}"),
            "trusted": str(name) not in trust["doubts"],
            "doubts": list(trust["doubts"].get(str(name), ())),
            "dims": [str(dim) for dim in own.dims],
            "coords": {
                str(dim): to_json(own[dim].values)
                for dim in own.dims
                if dim in own.coords and dim not in {axis.dim for axis in line.axes}
            },
        }
    return found


def _own(variable: xr.DataArray, line: Any) -> xr.DataArray:
    """Only the points of the line's own axes, where another line has a finer grid."""
    for axis in line.axes:
        if len(axis.names) == 1 and axis.dim in variable.dims:
            variable = variable.sel(
                {axis.dim: np.array([row[0] for row in axis.values])}
            )
    return variable
