"""Heat maps: over two swept quantities, of matrices, of functions on phase space."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from qsyncdsl.model.evaluate import fail
from qsyncdsl.report.plot.sheet import Drawn, Sheet, settings
from qsyncdsl.syntax import tree

_MOST_PANELS = 12
# Of a panel this many inches are for its color scale and labels.
_MARGIN = 1.3
# The smaller side in parts of the larger one from where on both signs matter.
_BOTH_SIGNS = 0.02
# Values that come so near to both -pi and pi, and not beyond, are angles.
_ANGLE = 0.95 * np.pi


def heat_maps(sheet: Sheet, drawn: Drawn, over: tree.Over) -> Any:
    """A heat map for each value, method and case over two swept quantities.

    Raises:
        ModelError: E751 for an axis that follows neither.
    """
    x, y = _axis(sheet, over.x), _axis(sheet, over.y)
    dims = _dimensions(x, y)
    found = _all_panels(drawn, [dims] * len(drawn))
    figure, grid = _grid(sheet, len(found), 3.9, 3.2)
    for axes, (node, words, panel) in zip(grid, found, strict=False):
        mesh = _map(sheet, axes, x, y, panel, dims)
        figure.colorbar(mesh, ax=axes, label=sheet.label(node, ""))
        axes.set_xlabel(sheet.label(over.x, dims[0]))
        axes.set_ylabel(sheet.label(over.y, dims[1]))
        sheet.finish(axes, words, 3.9 - _MARGIN)
    return figure


def _axis(sheet: Sheet, node: tree.Expr) -> xr.DataArray:
    """The values along an axis.

    Raises:
        ModelError: E751 for what is the same everywhere.
    """
    found = sheet.values.of(node)
    if not isinstance(found, xr.DataArray) or not found.dims:
        fail("E751", node, "an axis of a map must follow a swept quantity")
    return found


def _dimensions(x: xr.DataArray, y: xr.DataArray) -> tuple[str, str]:
    """The dimension along each axis: that which the other axis does not depend on, where there is one."""
    across = [str(d) for d in x.dims if d not in y.dims] or [str(x.dims[0])]
    up = [str(d) for d in y.dims if d != across[0]] or [str(y.dims[0])]
    return across[0], up[0]


def _within(axis: xr.DataArray, panel: xr.DataArray) -> xr.DataArray:
    """The values of an axis in a panel, which has one value of each of the other dimensions."""
    others = {
        d: panel.coords[d].item()
        for d in axis.dims
        if d not in panel.dims and d in panel.coords
    }
    return axis.sel(others)


def _map(
    sheet: Sheet,
    axes: Any,
    x: xr.DataArray,
    y: xr.DataArray,
    panel: xr.DataArray,
    dims: tuple[str, str],
) -> Any:
    """One heat map, on a grid or over the triangles between scattered points."""
    colors = _colors(sheet, [panel.values], "viridis")
    x, y = _within(x, panel), _within(y, panel)
    if dims[0] != dims[1]:
        panel = panel.transpose(dims[1], dims[0])
        across, up = x.values, y.values
        if across.ndim > 1 or up.ndim > 1:
            across, up = (
                one.broadcast_like(panel).transpose(*panel.dims).values
                for one in (x, y)
            )
        return axes.pcolormesh(
            across, up, panel.values, shading="nearest", rasterized=True, **colors
        )
    keep = ~np.isnan(panel.values)
    across, up, values = x.values[keep], y.values[keep], panel.values[keep]
    axes.plot(across, up, ".", ms=0.6, color="k", alpha=0.25)
    return axes.tripcolor(
        _triangles(across, up), values, shading="gouraud", rasterized=True, **colors
    )


def _colors(sheet: Sheet, values: list[np.ndarray], plain: str) -> dict[str, Any]:
    """The color scale: of values on both sides of zero one with white at zero, of angles a circle."""
    low = min(float(np.nanmin(v)) for v in values)
    high = max(float(np.nanmax(v)) for v in values)
    chosen = sheet.word("cmap", "")
    if min(-low, high) > _ANGLE and max(-low, high) <= np.pi * (1 + 1e-12):
        return {"cmap": chosen or "twilight_shifted", "vmin": -np.pi, "vmax": np.pi}
    if min(-low, high) < _BOTH_SIGNS * max(-low, high):
        return {"cmap": chosen or plain, "vmin": low, "vmax": high}
    largest = max(-low, high)
    return {"cmap": chosen or "RdBu_r", "vmin": -largest, "vmax": largest}


def matrices(sheet: Sheet, drawn: Drawn) -> Any:
    """Matrices as heat maps, the first row above; white is zero."""
    found = _all_panels(drawn, [rows_and_columns(array) for _, array in drawn])
    figure, grid = _grid(sheet, len(found), 3.4, 2.8)
    for axes, (node, words, panel) in zip(grid, found, strict=False):
        rows, columns = panel.shape
        largest = float(np.nanmax(np.abs(panel.values))) or 1.0
        mesh = axes.imshow(
            panel.values,
            cmap=sheet.word("cmap", "RdBu_r"),
            vmin=-largest,
            vmax=largest,
            extent=(0.5, columns + 0.5, rows + 0.5, 0.5),
            interpolation="nearest",
        )
        figure.colorbar(mesh, ax=axes, label=sheet.label(node, ""))
        axes.set_xlabel("column")
        axes.set_ylabel("row")
        sheet.finish(axes, words, 3.4 - _MARGIN)
    return figure


def phase_space(sheet: Sheet, drawn: Drawn) -> Any:
    """Functions over alpha, or over angle and momentum, with one color scale; white is zero."""
    # Methods have grids of their own: the rows and columns of others are empty.
    dims: list[tuple[str, ...]] = [
        ("momentum", "angle") if "angle" in array.dims else ("y", "x")
        for _, array in drawn
    ]
    found = [
        (
            node,
            words,
            panel.dropna(panel.dims[1], how="all").dropna(panel.dims[0], how="all"),
        )
        for node, words, panel in _all_panels(drawn, dims)
    ]
    colors = _colors(sheet, [panel.values for _, _, panel in found], "Blues")
    figure, grid = _grid(sheet, len(found), 2.7, 2.8)
    for axes, (_, words, panel) in zip(grid, found, strict=False):
        up, across = panel.dims
        mesh = axes.pcolormesh(
            panel[across].values,
            panel[up].values,
            panel.values,
            shading="nearest",
            rasterized=True,
            **colors,
        )
        if across == "angle":
            axes.set_xticks([-np.pi, 0, np.pi], ["-π", "0", "π"])
            axes.set_xlabel("x")
            axes.set_ylabel("p")
        else:
            axes.set_aspect("equal")
            axes.set_xlabel("Re α")
            axes.set_ylabel("Im α")
        sheet.finish(axes, words, 2.0)
    used = [axes for axes in grid if axes.get_visible()]
    label = sheet.label(drawn[0][0], "")
    figure.colorbar(mesh, ax=used, label=label, shrink=0.8)
    return figure


def rows_and_columns(array: xr.DataArray) -> tuple[str, ...]:
    """The dimensions of a matrix; empty for anything else."""
    rows = [str(d) for d in array.dims if str(d).endswith("_row")]
    columns = [str(d) for d in array.dims if str(d).endswith("_column")]
    return (rows[0], columns[0]) if rows and columns else ()


def panels(
    array: xr.DataArray, dims: tuple[str, ...]
) -> list[tuple[tuple[str, ...], xr.DataArray]]:
    """What is left after some dimensions, with the settings that differ."""
    others = [d for d in array.dims if d not in dims]
    if not others:
        return [((), array)]
    stacked = array.stack(panel=others)
    found = []
    for k in range(stacked.sizes["panel"]):
        panel = stacked.isel(panel=k)
        if not bool(np.isnan(panel).all()):
            found.append((tuple(settings(array, panel, others)), panel))
    return found


def _all_panels(
    drawn: Drawn, dims: list[tuple[str, ...]]
) -> list[tuple[tree.Expr, str, xr.DataArray]]:
    """Panels of all that is drawn, each in the order of its dimensions."""
    return [
        (node, ", ".join(words), panel.transpose(*dict.fromkeys(own)))
        for (node, array), own in zip(drawn, dims, strict=True)
        for words, panel in panels(array, own)
    ]


def _grid(
    sheet: Sheet, count: int, width: float, height: float
) -> tuple[Any, list[Any]]:
    """A figure with panels in up to three columns; panels that are not needed are hidden."""
    from matplotlib.figure import Figure

    shown = min(count, _MOST_PANELS)
    columns = min(shown, 3)
    rows = -(-shown // columns)
    figure = Figure(figsize=(width * columns, height * rows))
    axes = figure.subplots(rows, columns, squeeze=False)
    for spare in axes.flat[shown:]:
        spare.set_visible(False)
    more = f"(the first {shown} of {count} panels)" if count > shown else ""
    sheet.title(figure, width * columns - 0.3, more)
    return figure, list(axes.flat)


def _triangles(x: np.ndarray, y: np.ndarray) -> Any:
    """Triangles between points; both axes count the same."""
    import matplotlib.tri

    spread = [float(np.ptp(values)) or 1.0 for values in (x, y)]
    found = matplotlib.tri.Triangulation(x / spread[0], y / spread[1])
    return matplotlib.tri.Triangulation(x, y, found.triangles)
