"""Values of measures as arrays with named dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure.values import Distribution, PhaseSpaceMap, Records
from qsyncdsl.syntax import tree


@dataclass(frozen=True)
class Labelled:
    """An array with the names and coordinates of its dimensions."""

    values: np.ndarray
    dims: tuple[str, ...] = ()
    coords: Mapping[str, np.ndarray] = field(default_factory=dict)
    error: np.ndarray | None = None


def label(
    measure: tree.Measure,
    value: Any,
    times: np.ndarray | None,
    grids: dict[str, np.ndarray],
    path_times: np.ndarray | None = None,
) -> Labelled:
    """A measure's value with dimensions.

    Values along trajectories are kept for the first realizations and at no more times than a
    picture can show.

    `grids` remembers the grid on which a distribution was first drawn: later points of a sweep are
    evaluated on the same one.

    Raises:
        SolveError: E646 for a value that is no number, list or function.
    """
    name = measure.place.name.key
    if isinstance(value, dict):
        return _indexed(measure, value, times, grids)
    if isinstance(value, Distribution):
        grid = value.grid if value.discrete else grids.setdefault(name, value.grid)
        same = grid is value.grid or np.array_equal(grid, value.grid)
        values = value.values if same else np.array([value.at(x) for x in grid])
        return Labelled(values, (value.coordinate,), {value.coordinate: grid})
    if isinstance(value, PhaseSpaceMap):
        across, up = value.axes
        return Labelled(value.values, (up, across), {across: value.x, up: value.y})
    if isinstance(value, Records) and times is not None:
        return _records(value, times)
    if isinstance(value, np.ndarray) and value.ndim and path_times is not None:
        return _records(value, path_times)
    if isinstance(value, np.ndarray) and value.ndim and times is not None:
        extra = (
            (f"{name}_row", f"{name}_column")
            if value.ndim == 3
            else tuple(
                f"{name}_item{k}" if k else f"{name}_item"
                for k in range(value.ndim - 1)
            )
        )
        coords = {"time": times} | _counted(extra, value.shape[1:])
        return Labelled(np.asarray(value), ("time", *extra), coords)
    if isinstance(value, tuple):
        return _listed(name, value, times)
    if isinstance(value, bool | np.bool_):
        return Labelled(np.array(float(value)))
    if isinstance(value, int | float | complex | np.number):
        return Labelled(np.array(value))
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return Labelled(np.asarray(value))
    raise SolveError(
        Diagnostic(
            "E646",
            f"'{measure.place.name.written}' is not a number",
            measure.value.span,
        )
    )


# Realizations and times of records that a dataset keeps.
_RECORDS = 16
_RECORDED_TIMES = 5000


def _records(value: np.ndarray, times: np.ndarray) -> Labelled:
    """Values along trajectories; a mean over them has one row."""
    # maxima of an array of a class of its own are taken otherwise where all is NaN
    value = np.asarray(value)
    every = -(-len(times) // _RECORDED_TIMES)
    if value.ndim == 1:
        return Labelled(value[::every], ("time",), {"time": times[::every]})
    rows = value[:_RECORDS, ::every]
    coords = {"realization": np.arange(1, len(rows) + 1), "time": times[::every]}
    return Labelled(rows, ("realization", "time"), coords)


def _counted(dims: tuple[str, ...], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    return {dim: np.arange(1, n + 1) for dim, n in zip(dims, shape, strict=True)}


def _listed(name: str, value: tuple[Any, ...], times: np.ndarray | None) -> Labelled:
    """Lists count from 1; a list of lists is a matrix, a list of series has a time."""
    values = np.array(value)
    if times is not None and values.ndim == 2 and values.shape[1] == len(times):
        item = f"{name}_item"
        return Labelled(
            values,
            (item, "time"),
            {"time": times} | _counted((item,), values.shape[:1]),
        )
    names = [f"{name}_item"] if values.ndim == 1 else [f"{name}_row", f"{name}_column"]
    dims = tuple(names[: values.ndim])
    return Labelled(values, dims, _counted(dims, values.shape))


def _indexed(
    measure: tree.Measure,
    value: dict[Any, Any],
    times: np.ndarray | None,
    grids: dict[str, np.ndarray],
) -> Labelled:
    """A measure with indices: they come first."""
    inner = [
        label(_without_index(measure), item, times, grids) for item in value.values()
    ]
    keys = [key if isinstance(key, tuple) else (key,) for key in value]
    each = [a for a in measure.place.arguments if isinstance(a, tree.Each)]
    names = tuple(
        a.pattern.key if isinstance(a.pattern, tree.Name) else "index" for a in each
    )
    axes = [sorted({key[k] for key in keys}) for k in range(len(names))]
    first = inner[0]
    dtype = np.result_type(*(item.values for item in inner))
    fill = (
        complex(np.nan, np.nan) if np.issubdtype(dtype, np.complexfloating) else np.nan
    )
    values = np.full((*map(len, axes), *first.values.shape), fill)
    for key, item in zip(keys, inner, strict=True):
        values[tuple(axis.index(k) for axis, k in zip(axes, key, strict=True))] = (
            item.values
        )
    coords = {name: np.array(axis) for name, axis in zip(names, axes, strict=True)}
    return Labelled(values, (*names, *first.dims), {**coords, **first.coords})


def _without_index(measure: tree.Measure) -> tree.Measure:
    place = tree.Place(measure.place.span, measure.place.name, ())
    return tree.Measure(measure.span, place, measure.value, measure.description)
