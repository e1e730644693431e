"""Arrays with named dimensions, before they become an xarray dataset.

The command line shows and writes numbers without importing xarray, which takes longer than many a
small run.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, slots=True)
class Column:
    """An array, the names of its dimensions, and what is said of it."""

    dims: tuple[str, ...]
    values: np.ndarray
    attrs: dict[str, Any] = field(default_factory=dict)

    def at(self, dim: str, place: int) -> Column:
        """One place along a dimension, which goes."""
        if dim not in self.dims:
            return self
        axis = self.dims.index(dim)
        dims = self.dims[:axis] + self.dims[axis + 1 :]
        return Column(dims, self.values.take(place, axis), self.attrs)

    def like(self, dims: tuple[str, ...], shape: tuple[int, ...]) -> np.ndarray:
        """The values along some dimensions, which contain the own ones."""
        own = [dim for dim in dims if dim in self.dims]
        moved = self.values.transpose([self.dims.index(dim) for dim in own])
        where = tuple(slice(None) if dim in self.dims else None for dim in dims)
        return np.broadcast_to(moved[where], shape)


@dataclass(frozen=True)
class Table:
    """The columns of a dataset.

    Attributes:
        data: Measures, their errors, and located values, by name.
        coords: Coordinates by name; those along a dimension of the same name label it.
        attrs: What was computed, and how.
    """

    data: dict[str, Column] = field(default_factory=dict)
    coords: dict[str, Column] = field(default_factory=dict)
    attrs: dict[str, Any] = field(default_factory=dict)

    @property
    def sizes(self) -> dict[str, int]:
        """The lengths of all dimensions."""
        return {
            dim: n
            for column in (*self.data.values(), *self.coords.values())
            for dim, n in zip(column.dims, column.values.shape, strict=True)
        }

    def line(self, label: str) -> int:
        """The place of a line along `method`."""
        return [str(x) for x in self.coords["method"].values].index(label)

    def labels(self) -> Iterable[str]:
        """The labels of the lines."""
        return map(str, self.coords["method"].values) if self.data else ()

    def of_method(self, label: str) -> Table:
        """The same with a first dimension `method` of one label."""
        data = {
            name: Column(("method", *c.dims), c.values[None], c.attrs)
            for name, c in self.data.items()
        }
        coords = {**self.coords, "method": Column(("method",), np.array([label]))}
        return Table(data, coords, self.attrs)

    def to_xarray(self) -> xr.Dataset:
        """The dataset."""
        import xarray as xr

        def variables(columns: Mapping[str, Column]) -> dict[Hashable, Any]:
            return {name: (c.dims, c.values, c.attrs) for name, c in columns.items()}

        return xr.Dataset(variables(self.data), variables(self.coords), self.attrs)

    @classmethod
    def of(cls, dataset: xr.Dataset) -> Table:
        """The columns of a dataset."""

        def columns(arrays: Mapping[Hashable, xr.DataArray]) -> dict[str, Column]:
            return {
                str(name): Column(tuple(map(str, a.dims)), a.values, dict(a.attrs))
                for name, a in arrays.items()
            }

        attrs = {str(name): value for name, value in dataset.attrs.items()}
        return cls(columns(dataset.data_vars), columns(dataset.coords), attrs)
