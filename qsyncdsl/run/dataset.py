"""The labelled result of an experiment: the points of all lines in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qsyncdsl.model.environment import Environment
from qsyncdsl.run.description import attributes, describe
from qsyncdsl.run.follow import follows
from qsyncdsl.run.labels import Labelled
from qsyncdsl.run.plan import Axis, Line, Plan
from qsyncdsl.run.point_results import PointResult
from qsyncdsl.run.table import Column, Table

if TYPE_CHECKING:
    import xarray as xr

# The coordinate that says why a point is a gap.
_FAILURE = "failure"
_DIRECTION = "direction"
POINT = "point"


def assemble(plan: Plan, results: Mapping[str, Sequence[PointResult]]) -> Table:
    """Put the points of all lines together; dims are method, case, the sweeps, then the measure's own.

    Lines with a coarser grid leave gaps (NaN), and so do points that failed.
    """
    scattered = _scattered(plan, results)
    lines = [
        _line_table(plan, line, results[line.label], scattered) for line in plan.lines
    ]
    labels = [line.label for line in plan.lines]
    if len(lines) == 1 and not plan.staircases:
        table = alone(lines[0], labels[0])
    elif lines:
        table = together(lines, labels, plan)
    else:
        table = Table()
    describe(plan, table)
    return Table(table.data, table.coords, attributes(plan, results))


def alone(line: Table, label: str) -> Table:
    """A single line: what `together` would give."""
    table = line.of_method(label)
    if _FAILURE in table.data:
        reasons = table.data.pop(_FAILURE)
        texts = reasons.values.astype(str)
        table.coords[_FAILURE] = Column(reasons.dims, texts, reasons.attrs)
    return table


def together(lines: Sequence[Table], labels: Sequence[str], plan: Plan) -> Table:
    """Several lines on the union of their grids."""
    import xarray as xr

    found = [line.to_xarray() for line in lines]
    if any(_DIRECTION in dataset.dims for dataset in found):
        found = [_both_ways(dataset) for dataset in found]
    dataset = xr.concat(
        found,
        dim="method",
        join="outer",
        data_vars="all",
        coords="minimal",
        compat="override",
        combine_attrs="override",
    )
    dataset = dataset.assign_coords(method=list(labels))
    if _FAILURE in dataset:
        reasons = dataset[_FAILURE].fillna("").astype(str)
        dataset = dataset.assign_coords({_FAILURE: reasons})
    if plan.staircases:
        from qsyncdsl.run.staircases import with_staircases

        values = Environment(plan.model, plan.layers(plan.cases[0])).numbers
        scope = plan.model.scope
        dataset = with_staircases(
            dataset, dict(plan.staircases), lambda node: values.evaluate(node, scope)
        )
    return Table.of(dataset)


def _line_table(
    plan: Plan,
    line: Line,
    points: Sequence[PointResult],
    scattered: Scattered | None,
) -> Table:
    """The columns of one line."""
    outer_dims, coords, shape = _outer(plan, line, scattered)
    data: dict[str, Column] = {}
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
        for dim in first.dims:
            own = rename.get(dim, dim)
            if dim in first.coords and own not in coords:
                coords[own] = Column((own,), np.asarray(first.coords[dim]))
        data[name] = Column(dims, values)
        if errors is not None:
            data[f"{name}_error"] = Column(dims, errors)
    if any(point.failures for point in points):
        reasons = np.full(shape, "", dtype=object)
        for place, point in zip(places, points, strict=True):
            reasons[place] = _reason(point)
        data[_FAILURE] = Column(outer_dims, reasons)
    return Table(_without_own_axis(plan, line, data), coords)


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


def _without_own_axis(
    plan: Plan, line: Line, data: dict[str, Column]
) -> dict[str, Column]:
    """A located value has no dimension along the parameter that was searched."""
    from qsyncdsl.syntax import tree

    for request in plan.experiment.requests:
        if not isinstance(request, tree.Locate) or request.name.key not in data:
            continue
        for axis in line.axes:
            if request.parameter.key in axis.names:
                name = request.name.key
                data[name] = data[name].at(axis.dim, 0)
    return data


def _outer(
    plan: Plan, line: Line, scattered: Scattered | None
) -> tuple[tuple[str, ...], dict[str, Column], tuple[int, ...]]:
    """Dimensions, coordinates and shape of cases and axes."""
    dims: list[str] = []
    coords: dict[str, Column] = {}
    shape: list[int] = []
    if _has_cases(plan):
        dims.append("case")
        coords["case"] = Column(("case",), np.array([str(c) for c in plan.cases]))
        shape.append(len(plan.cases))
    if _two_ways(line):
        dims.append(_DIRECTION)
        coords[_DIRECTION] = Column((_DIRECTION,), np.array(line.directions))
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

    def coordinates(self) -> dict[str, Column]:
        """The swept parameters along `point`."""
        columns = zip(*self.places, strict=True)
        numbered = np.arange(1, len(self.places) + 1)
        found = {POINT: Column((POINT,), numbered)}
        for name, column in zip(self.names, columns, strict=True):
            marks = {"adaptive": 1} if name in self.free else {}
            found[name] = Column((POINT,), np.array(column), dict(marks))
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


def _axis_coordinates(axis: Axis) -> dict[str, Column]:
    columns = list(zip(*axis.values, strict=True))
    if len(axis.names) == 1:
        return {axis.dim: Column((axis.dim,), np.array(columns[0]))}
    numbered = np.arange(1, len(axis.values) + 1)
    return {axis.dim: Column((axis.dim,), numbered)} | {
        name: Column((axis.dim,), np.array(column))
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
