"""One figure for each `plot` line of an experiment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from qsyncdsl.model.types import Experiment, Model
from qsyncdsl.report.plot import lines, maps
from qsyncdsl.report.plot.sheet import Drawn, Sheet
from qsyncdsl.syntax import tree
from qsyncdsl.syntax.walk import names_in

# Okabe and Ito's colors, safe for the color blind; black last.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "figure.titlesize": 10,
    "font.size": 9,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.4,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "qsyncdsl",
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "xtick.direction": "out",
    "ytick.direction": "out",
}


def draw(
    dataset: xr.Dataset,
    model: Model,
    experiment: Experiment,
    folder: Path,
    formats: tuple[str, ...] = ("png", "svg"),
) -> tuple[Path, ...]:
    """One figure for each `plot` of an experiment, as `EXPERIMENT_K.png` and `.svg`.

    Plots whose measures have no values are left out.

    Raises:
        OSError: If the folder cannot be written.
    """
    files: list[Path] = []
    folder.mkdir(parents=True, exist_ok=True)
    for number, figure in figures(dataset, model, experiment):
        for form in formats:
            path = folder / f"{experiment.name}_{number}.{form}"
            beside = path.with_suffix(f".part.{form}")
            figure.savefig(beside, metadata={"Date": None} if form == "svg" else None)
            # The layout is that of the figure, whatever it is written as: finding it takes long.
            figure.set_layout_engine("none")
            beside.replace(path)
            files.append(path)
    return tuple(files)


def figures(
    dataset: xr.Dataset, model: Model, experiment: Experiment
) -> Iterator[tuple[int, Any]]:
    """The figures of an experiment with the numbers of their `plot` lines, one by one."""
    requests = [r for r in experiment.requests if isinstance(r, tree.Plot)]
    if not requests or not dataset.data_vars:
        return
    import matplotlib as mpl
    from matplotlib.rcsetup import cycler

    cycle = cycler(linestyle=["-", "--", ":"]) * cycler(color=_COLORS)
    with mpl.rc_context(_STYLE | {"axes.prop_cycle": cycle}):
        for number, request in enumerate(requests, start=1):
            figure = _figure(Sheet(dataset, model, experiment, request))
            if figure is not None:
                yield number, figure


def _figure(sheet: Sheet) -> Any | None:
    """The figure, or None where nothing has a value."""
    found = [(node, _array(sheet, node)) for node in sheet.request.values]
    drawn: Drawn = [
        (n, a) for n, a in found if a is not None and not bool(np.isnan(a).all())
    ]
    if not drawn:
        return None
    axes = sheet.request.axes
    if isinstance(axes, tree.Over):
        return maps.heat_maps(sheet, drawn, axes)
    if all(
        {"x", "y"} <= set(a.dims) or {"angle", "momentum"} <= set(a.dims)
        for _, a in drawn
    ):
        return maps.phase_space(sheet, drawn)
    if all(maps.rows_and_columns(a) for _, a in drawn):
        return maps.matrices(sheet, drawn)
    return lines.lines(sheet, drawn)


def _array(sheet: Sheet, node: tree.Expr) -> xr.DataArray | None:
    """The values of an expression; None where it has none. Complex values as they are."""
    names = {str(name) for name in sheet.dataset.data_vars}
    used = {name.key for name in names_in(node)}
    if not used & names and not used & set(map(str, sheet.dataset.coords)):
        return None
    value = sheet.values.of(node)
    if isinstance(value, tuple):
        value = xr.concat(
            [v for v in value if isinstance(v, xr.DataArray)], dim="component"
        )
    if not isinstance(value, xr.DataArray):
        return None
    if np.iscomplexobj(value.values):
        sheet.moduli.add(node)
        return abs(value)
    return value
