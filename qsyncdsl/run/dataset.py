"""The labelled result of an experiment: one xarray dataset, written atomically."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from qsyncdsl.model.environment import Environment
from qsyncdsl.run.follow import follows
from qsyncdsl.run.labels import Labelled
from qsyncdsl.run.plan import Axis, Line, Plan
from qsyncdsl.run.points import PointResult
from qsyncdsl.run.staircases import with_staircases
from qsyncdsl.syntax.walk import mentions

# The coordinate that says why a point is a gap.
_FAILURE = "failure"
_DIRECTION = "direction"
POINT = "point"
_VERSIONS = ("qsyncdsl", "numpy", "scipy", "sympy", "qutip", "xarray")


def assemble(plan: Plan, results: Mapping[str, Sequence[PointResult]]) -> xr.Dataset:
    """Put the points of all lines together; dims are method, case, the sweeps, then the measure's own.

    Lines with a coarser grid leave gaps (NaN), and so do points that failed.
    """
    scattered = _scattered(plan, results)
    lines = [
        _line_dataset(plan, line, results[line.label], scattered) for line in plan.lines
    ]
    if any(_DIRECTION in found.dims for found in lines):
        lines = [_both_ways(found) for found in lines]
    if lines:
        dataset = xr.concat(
            lines,
            dim="method",
            join="outer",
            data_vars="all",
            coords="minimal",
            compat="override",
            combine_attrs="override",
        )
        dataset = dataset.assign_coords(method=[line.label for line in plan.lines])
        if _FAILURE in dataset:
            reasons = dataset[_FAILURE].fillna("").astype(str)
            dataset = dataset.assign_coords({_FAILURE: reasons})
    else:
        dataset = xr.Dataset()
    if plan.staircases:
        values = Environment(plan.model, plan.layers(plan.cases[0])).numbers
        scope = plan.model.scope
        dataset = with_staircases(
            dataset, dict(plan.staircases), lambda node: values.evaluate(node, scope)
        )
    _describe(plan, dataset)
    dataset.attrs = _attributes(plan, results)
    return dataset


def _line_dataset(
    plan: Plan,
    line: Line,
    points: Sequence[PointResult],
    scattered: Scattered | None,
) -> xr.Dataset:
    """The dataset of one line."""
    outer_dims, outer_coords, shape = _outer(plan, line, scattered)
    arrays: dict[str, xr.DataArray] = {}
    names = list(dict.fromkeys(name for point in points for name in point.measures))
    own_of: dict[str, np.ndarray] = {}
    places = [_place(plan, line, point, scattered) for point in points]
    for name in names:
        found = [
            (place, point.measures[name])
            for place, point in zip(places, points, strict=True)
            if name in point.measures
        ]
        first = _largest([item for _, item in found])
        taken = {*names, *outer_dims}
        rename = _renaming(name, first.dims, first.coords, own_of, taken)
        dtype = np.result_type(*{item.values.dtype for _, item in found}, np.float64)
        blank = (
            complex(np.nan, np.nan)
            if np.issubdtype(dtype, np.complexfloating)
            else np.nan
        )
        # Points with fewer levels fill a part of the array; the rest is a gap.
        values = np.full((*shape, *first.values.shape), blank, dtype=dtype)
        errors = np.full(values.shape, np.nan) if first.error is not None else None
        if shape and first.values.ndim == 0 and errors is None:
            # numbers, of which there may be very many
            values[tuple(np.array([place for place, _ in found]).T)] = [
                item.values for _, item in found
            ]
            found = []
        for place, item in found:
            if item.values.ndim == first.values.ndim:
                inside: Any = tuple(slice(n) for n in item.values.shape)
                values[place + inside] = item.values
                if errors is not None and item.error is not None:
                    errors[place + inside] = item.error
        dims = (*outer_dims, *(rename.get(d, d) for d in first.dims))
        coords = {
            rename.get(d, d): first.coords[d] for d in first.dims if d in first.coords
        }
        arrays[name] = xr.DataArray(values, dims=dims, coords=coords)
        if errors is not None:
            arrays[f"{name}_error"] = xr.DataArray(errors, dims=dims, coords=coords)
    if any(point.failures for point in points):
        reasons = np.full(shape, "", dtype=object)
        for place, point in zip(places, points, strict=True):
            reasons[place] = _reason(point)
        arrays[_FAILURE] = xr.DataArray(reasons, dims=outer_dims)
    dataset = xr.Dataset(arrays, coords=outer_coords)
    return _without_own_axis(plan, line, dataset)


def _both_ways(dataset: xr.Dataset) -> xr.Dataset:
    """A line that does not depend on the way has the same values on both."""
    if _DIRECTION in dataset.dims:
        return dataset
    return dataset.expand_dims({_DIRECTION: ["up", "down"]})


def _reason(point: PointResult) -> str:
    """Why a point, or some of its measures, have no value."""
    return "; ".join(
        f"{name}: {fault.code} {fault.message}"
        if name
        else f"{fault.code} {fault.message}"
        for name, fault in point.failures.items()
    )


def _largest(items: Sequence[Labelled]) -> Labelled:
    """The array with the most elements: cutoffs may differ from point to point."""
    return max(items, key=lambda item: item.values.size)


def _without_own_axis(plan: Plan, line: Line, dataset: xr.Dataset) -> xr.Dataset:
    """A located value has no dimension along the parameter that was searched."""
    from qsyncdsl.syntax import tree

    for request in plan.experiment.requests:
        if not isinstance(request, tree.Locate) or request.name.key not in dataset:
            continue
        for axis in line.axes:
            if (
                request.parameter.key in axis.names
                and axis.dim in dataset[request.name.key].dims
            ):
                dataset[request.name.key] = dataset[request.name.key].isel(
                    {axis.dim: 0}, drop=True
                )
    return dataset


def _outer(
    plan: Plan, line: Line, scattered: Scattered | None
) -> tuple[tuple[str, ...], dict[str, Any], tuple[int, ...]]:
    """Dimensions, coordinates and shape of cases and axes."""
    dims: list[str] = []
    coords: dict[str, Any] = {}
    shape: list[int] = []
    if _has_cases(plan):
        dims.append("case")
        coords["case"] = [str(case) for case in plan.cases]
        shape.append(len(plan.cases))
    if _two_ways(line):
        dims.append(_DIRECTION)
        coords[_DIRECTION] = list(line.directions)
        shape.append(len(line.directions))
    if scattered is not None:
        dims.append(POINT)
        shape.append(len(scattered.places))
        return tuple(dims), coords | scattered.coordinates(), tuple(shape)
    for axis in line.axes:
        dims.append(axis.dim)
        shape.append(len(axis.values))
        coords |= _axis_coordinates(axis)
    return tuple(dims), coords, tuple(shape)


def _has_cases(plan: Plan) -> bool:
    return plan.cases != (None,)


def _place(
    plan: Plan, line: Line, point: PointResult, scattered: Scattered | None
) -> tuple[int, ...]:
    """Where a point is in the arrays of its line."""
    case = point.index[:1] if _has_cases(plan) else ()
    way = (point.direction,) if _two_ways(line) else ()
    if scattered is not None:
        return (*case, *way, scattered.places[_row(line, point.index)])
    return (*case, *way, *point.index[1:])


@dataclass(frozen=True)
class Scattered:
    """The points of adaptive sweeps: a list in place of a grid.

    Attributes:
        names: The swept parameters.
        free: Those along which points were added.
        places: Position of each set of values, in the order of the parameters' values.
    """

    names: tuple[str, ...]
    free: tuple[str, ...]
    places: Mapping[tuple[Any, ...], int]

    def coordinates(self) -> dict[str, Any]:
        """The swept parameters along `point`."""
        columns = zip(*self.places, strict=True)
        found: dict[str, Any] = {POINT: np.arange(1, len(self.places) + 1)}
        for name, column in zip(self.names, columns, strict=True):
            marks = {"adaptive": 1} if name in self.free else {}
            found[name] = (POINT, np.array(column), marks)
        return found


def _scattered(
    plan: Plan, results: Mapping[str, Sequence[PointResult]]
) -> Scattered | None:
    """The points of all lines, where one of them chose its points."""
    if not any(line.criteria for line in plan.lines):
        return None
    axes = plan.lines[0].axes
    names = tuple(name for axis in axes for name in axis.names)
    free = tuple(name for axis in axes if axis.stride > 1 for name in axis.names)
    rows = {
        _row(line, point.index) for line in plan.lines for point in results[line.label]
    }
    ordered = sorted(
        rows, key=lambda row: [(complex(x).real, complex(x).imag) for x in row]
    )
    return Scattered(names, free, {row: k for k, row in enumerate(ordered)})


def _row(line: Line, index: tuple[int, ...]) -> tuple[Any, ...]:
    """The values of the swept parameters at a point."""
    pairs = zip(line.axes, index[1:], strict=True)
    return tuple(value for axis, k in pairs for value in axis.values[k])


def _two_ways(line: Line) -> bool:
    """Whether the points of a line differ on the way up and on the way down."""
    return bool(line.directions) and follows(line)


def _axis_coordinates(axis: Axis) -> dict[str, Any]:
    columns = list(zip(*axis.values, strict=True))
    if len(axis.names) == 1:
        return {axis.dim: np.array(columns[0])}
    return {axis.dim: np.arange(1, len(axis.values) + 1)} | {
        name: (axis.dim, np.array(column))
        for name, column in zip(axis.names, columns, strict=True)
    }


def _renaming(
    name: str,
    dims: tuple[str, ...],
    coords: Mapping[str, np.ndarray],
    known: dict[str, np.ndarray],
    taken: set[str],
) -> dict[str, str]:
    """A dimension gets a name of its own where a measure, or other values, have its name."""
    renamed = {}
    for dim in dims:
        if dim in taken:
            renamed[dim] = f"{name}_{dim}"
            continue
        if dim in coords and not np.array_equal(
            known.setdefault(dim, coords[dim]), coords[dim]
        ):
            renamed[dim] = f"{name}_{dim}"
    return renamed


# ── description ──────────────────────────────────────────────────────────────────────────────


def split_unit(text: str) -> dict[str, str]:
    """`"frequency [MHz]"` as a long name and units.

    >>> split_unit("frequency [MHz]")
    {'long_name': 'frequency', 'units': 'MHz'}
    """
    if text.endswith("]") and "[" in text:
        name, _, unit = text[:-1].rpartition("[")
        return {"long_name": name.strip(), "units": unit.strip()}
    return {"long_name": text} if text else {}


def _describe(plan: Plan, dataset: xr.Dataset) -> None:
    for name, parameter in plan.model.parameters.items():
        if name in dataset.coords:
            dataset[name].attrs.update(split_unit(parameter.description))
    for name, request in {**plan.measures, **plan.staircases}.items():
        if name in dataset and request.description:
            dataset[name].attrs.update(split_unit(request.description.value))
    if "time" in dataset.coords:
        dataset["time"].attrs.setdefault("long_name", "time")


def _attributes(
    plan: Plan, results: Mapping[str, Sequence[PointResult]]
) -> dict[str, Any]:
    """All that is needed to know what was computed, and how."""
    model = plan.model
    environment = Environment(model, plan.layers(plan.cases[0]), plan.options.seed)
    trust = {label: line_trust(points) for label, points in results.items()}
    return {
        "title": model.title,
        "model": Path(model.source.name).stem,
        "experiment": plan.experiment.name,
        "description": plan.experiment.description,
        "references": "\n".join(model.references),
        "parameters": json.dumps(
            {k: _plain(v) for k, v in environment.all_values().items()}
        ),
        "settled": json.dumps(sorted(_settled(plan))),
        "methods": json.dumps({line.label: line.node.span.text for line in plan.lines}),
        "skipped": json.dumps(dict(plan.skipped)),
        "notes": "\n".join(plan.notes),
        "trust": json.dumps(trust, sort_keys=True),
        "seed": plan.options.seed,
        "versions": json.dumps(versions()),
        "model_text": model.source.text,
    }


def _settled(plan: Plan) -> set[str]:
    """Parameters that a setting made independent of all swept ones."""
    swept = {name for axis in plan.axes for name in axis.names}
    return {
        override.name
        for layer in plan.layers(plan.cases[0])
        for override in layer
        if isinstance(override.value, int | float | complex)
        or not mentions(override.value, swept)
    }


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    found = {}
    for name in _VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


# Numbers of which the smallest is the worst.
_SMALL_IS_BAD = ("smallest", "effective_samples")


def line_trust(points: Sequence[PointResult]) -> dict[str, Any]:
    """The worst numbers of a line, its facts, and its warnings, each once with a count."""
    columns: dict[str, list[float]] = {}
    for point in points:
        for name, value in point.trust.numbers.items():
            columns.setdefault(name, []).append(value)
    numbers = {
        name: float((min if name.startswith(_SMALL_IS_BAD) else max)(values))
        for name, values in columns.items()
    }
    facts: dict[str, str] = {}
    for point in points:
        for name, fact in point.trust.facts.items():
            facts.setdefault(name, fact)
    warnings: dict[str, list[Any]] = {}
    for point in points:
        for warning in point.trust.warnings:
            key = f"{warning.code} {warning.help}"
            warnings.setdefault(key, [warning, 0])[1] += 1
            if warning.message > warnings[key][0].message:
                warnings[key][0] = warning
    failures: dict[str, list[Any]] = {}
    for point in points:
        for name, fault in point.failures.items():
            failures.setdefault(f"{name} {fault.message}", [name, fault, 0])[2] += 1
    return {
        **numbers,
        **facts,
        "warnings": [
            {"code": w.code, "message": w.message, "help": w.help, "points": n}
            for w, n in warnings.values()
        ],
        "failures": [
            {"measure": name, "code": f.code, "message": f.message, "points": n}
            for name, f, n in failures.values()
        ],
    }


def _plain(value: Any) -> Any:
    """A parameter's value for JSON."""
    return {"re": value.real, "im": value.imag} if isinstance(value, complex) else value


# ── files ────────────────────────────────────────────────────────────────────────────────────


def save(dataset: xr.Dataset, path: Path) -> None:
    """Write netCDF beside its place and move it there, so that no half file is ever seen.

    Raises:
        OSError: If the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(suffix=".part", prefix=path.stem, dir=path.parent)
    os.close(handle)
    try:
        dataset.to_netcdf(name, engine="h5netcdf")
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def open_results(path: str | Path) -> xr.Dataset:
    """Open the result of an experiment, complex numbers included.

    Raises:
        OSError: If the file cannot be read.
    """
    return xr.load_dataset(path, engine="h5netcdf")
