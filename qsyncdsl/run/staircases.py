"""Measures of a whole sweep: `plateaus(y, x)`, from the points of a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qsyncdsl.measure.staircases import plateaus
from qsyncdsl.model import signature
from qsyncdsl.registry import measures
from qsyncdsl.syntax import tree

if TYPE_CHECKING:
    import xarray as xr

_COLUMNS = ("value", "first", "last")


def of_a_sweep(request: tree.Measure) -> bool:
    """Whether a measure is made of all points of a sweep rather than at each."""
    value = request.value
    name = getattr(value, "function", None)
    return isinstance(value, tree.Call) and getattr(name, "key", "") == "plateaus"


def with_staircases(
    dataset: xr.Dataset, requests: dict[str, tree.Measure], numbers: Any
) -> xr.Dataset:
    """The dataset with the plateaus that are asked for; dims (..., NAME_item, column).

    Args:
        numbers: Evaluates the tolerance.
    """
    for name, request in requests.items():
        assert isinstance(request.value, tree.Call)
        word = measures["plateaus"]
        given = signature.bind(word, request.value.arguments, request.value)
        y, x = (getattr(given[k], "key", "") for k in ("y", "x"))
        if y not in dataset or x not in dataset[y].dims:
            continue
        node = given.get("tolerance")
        tolerance = float(numbers(node)) if isinstance(node, tree.Node) else 0.0
        dataset[name] = _found(dataset[y], x, name, tolerance)
    return dataset


def _found(y: xr.DataArray, x: str, name: str, tolerance: float) -> xr.DataArray:
    """Plateaus along one dimension, those of the others side by side."""
    moved = y.transpose(..., x)
    grid = moved[x].values
    flat = np.real(moved.values).reshape(-1, len(grid))
    rows = [plateaus(line, grid, tolerance) for line in flat]
    most = max((len(r) for r in rows), default=0)
    values = np.full((len(rows), max(most, 1), 3), np.nan)
    for k, found in enumerate(rows):
        values[k, : len(found)] = found
    dims = (*moved.dims[:-1], f"{name}_item", f"{name}_column")
    coords: dict[Any, Any] = {d: moved[d] for d in moved.dims[:-1] if d in moved.coords}
    coords[f"{name}_item"] = np.arange(1, values.shape[1] + 1)
    coords[f"{name}_column"] = list(_COLUMNS)
    shaped = values.reshape(*moved.shape[:-1], *values.shape[1:])
    import xarray as xr

    return xr.DataArray(shaped, dims=dims, coords=coords)
