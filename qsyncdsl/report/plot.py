"""Pictures of results: lines, heat maps, distributions, functions on phase space."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from qsyncdsl.model.types import Experiment, Model
from qsyncdsl.report.arithmetic import ResultEvaluator
from qsyncdsl.report.names import pretty_name
from qsyncdsl.syntax import tree
from qsyncdsl.syntax.walk import names_in

# Letters of a title that fit above the axes.
_TITLE = 56

# Okabe and Ito's colors, safe for the color blind; black last.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_STYLE = {
    "axes.prop_cycle": "cycler('color', ['" + "','".join(_COLORS) + "'])",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
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
# More curves than this are told apart by a color scale instead of a legend.
_MOST_LABELS = 7
# Curves of one picture; of more every second, third, ... is drawn.
_MOST_CURVES = 400
# Names in a legend that would otherwise cover the picture.
_MOST_LEGEND = 16
_MOST_PANELS = 12


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
    requests = [r for r in experiment.requests if isinstance(r, tree.Plot)]
    if not requests or not dataset.data_vars:
        return ()
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    files: list[Path] = []
    style = {k: v for k, v in _STYLE.items() if k != "axes.prop_cycle"}
    with plt.rc_context(style | {"axes.prop_cycle": plt.cycler("color", _COLORS)}):
        for number, request in enumerate(requests, start=1):
            figure = _Picture(dataset, model, experiment, request).figure()
            if figure is None:
                continue
            for form in formats:
                path = folder / f"{experiment.name}_{number}.{form}"
                beside = path.with_suffix(f".part.{form}")
                figure.savefig(
                    beside, metadata={"Date": None} if form == "svg" else None
                )
                beside.replace(path)
                files.append(path)
            plt.close(figure)
    return tuple(files)


def _rows_and_columns(array: xr.DataArray) -> tuple[str, ...]:
    """The dimensions of a matrix; empty for anything else."""
    rows = [str(d) for d in array.dims if str(d).endswith("_row")]
    columns = [str(d) for d in array.dims if str(d).endswith("_column")]
    return (rows[0], columns[0]) if rows and columns else ()


class _Picture:
    """One `plot` line."""

    def __init__(
        self,
        dataset: xr.Dataset,
        model: Model,
        experiment: Experiment,
        request: tree.Plot,
    ) -> None:
        self.dataset = dataset
        self.model = model
        self.experiment = experiment
        self.request = request
        self.values = ResultEvaluator(model, dataset)
        self.options = {
            s.place.name.key: s.value
            for s in request.options or ()
            if isinstance(s.place, tree.Place)
        }

    def figure(self) -> Any | None:
        """The figure, or None where nothing has a value."""
        found = [(node, self._array(node)) for node in self.request.values]
        drawn = [
            (n, a) for n, a in found if a is not None and not bool(np.isnan(a).all())
        ]
        if not drawn:
            return None
        if isinstance(self.request.axes, tree.Over):
            return self._maps(drawn, self.request.axes)
        if all({"x", "y"} <= set(a.dims) for _, a in drawn):
            return self._phase_space(drawn)
        if all(_rows_and_columns(a) for _, a in drawn):
            return self._matrices(drawn)
        return self._lines(drawn)

    def _array(self, node: tree.Expr) -> xr.DataArray | None:
        names = {str(name) for name in self.dataset.data_vars}
        used = {name.key for name in names_in(node)}
        if not used & names and not used & set(map(str, self.dataset.coords)):
            return None
        value = self.values.of(node)
        if isinstance(value, tuple):
            value = xr.concat(
                [v for v in value if isinstance(v, xr.DataArray)], dim="component"
            )
        if not isinstance(value, xr.DataArray):
            return None
        return abs(value) if np.iscomplexobj(value.values) else value

    # ── lines ────────────────────────────────────────────────────────────────────────────────

    def _lines(self, drawn: list[tuple[tree.Expr, xr.DataArray]]) -> Any:
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(figsize=(4.6, 3.2))
        first = drawn[0][1]
        versus = (
            self.request.axes.x if isinstance(self.request.axes, tree.Versus) else None
        )
        x = self.values.of(versus) if versus is not None else None
        dim = self._x_dimension(first, x)
        curves = [
            c
            for node, array in drawn
            for c in self._curves(node, array, dim, len(drawn))
        ]
        every = -(-len(curves) // _MOST_CURVES)
        curves = curves[::every]
        many = len(curves) > _MOST_LABELS
        colors = (
            plt.get_cmap("viridis")(np.linspace(0, 0.92, len(curves))) if many else None
        )
        for k, (text, curve, error) in enumerate(curves):
            across = self._across(curve, x, dim)
            keep = ~np.isnan(curve.values)
            extra = {} if colors is None else {"color": colors[k]}
            few = keep.sum() < 30 and dim not in ("phi", "omega", "tau", "time")
            marker = "o" if few else None
            if self._coordinate(dim) == "n" and not many:
                axes.bar(
                    across[keep] + 0.8 * (k / len(curves) - 0.4 + 0.4 / len(curves)),
                    curve.values[keep],
                    0.8 / len(curves),
                    label=text,
                    **extra,
                )
                continue
            (line,) = axes.plot(
                across[keep],
                curve.values[keep],
                label=text,
                marker=marker,
                ms=3,
                **extra,
            )
            if error is not None:
                low, high = curve.values - error, curve.values + error
                axes.fill_between(
                    across[keep],
                    low[keep],
                    high[keep],
                    color=line.get_color(),
                    alpha=0.2,
                    lw=0,
                )
        axes.set_xlabel(self._label(versus, dim))
        axes.set_ylabel(self._value_label(drawn))
        self._legend(figure, axes, curves, many)
        if dim == "phi":
            _phase_axis(axes)
        self._finish(axes)
        return figure

    def _x_dimension(self, array: xr.DataArray, x: Any) -> str:
        """The dimension along the horizontal axis."""
        if isinstance(x, xr.DataArray) and x.dims:
            return str(x.dims[0])
        own = [d for d in array.dims if d not in ("method", "case")]
        for dim in ("phi", "omega", "tau", "n", "time"):
            if dim in own:
                return dim
        return str(own[-1]) if own else "method"

    def _across(self, curve: xr.DataArray, x: Any, dim: str) -> np.ndarray:
        if dim == "point" and isinstance(self.request.axes, tree.Versus):
            place = curve["point"]
            return np.asarray(x.sel(point=place).values) if "point" in x.dims else x
        if isinstance(x, xr.DataArray) and x.dims == (dim,):
            return np.asarray(x.values)
        if dim not in curve.coords:
            return np.arange(1, curve.sizes[dim] + 1)
        values = np.asarray(curve[dim].values)
        return values if values.dtype.kind in "if" else np.arange(len(values))

    def _curves(
        self, node: tree.Expr, array: xr.DataArray, dim: str, count: int
    ) -> list[tuple[str, xr.DataArray, Any]]:
        """One curve for each value of the other dimensions, named by what differs."""
        if dim == "point":
            return self._scattered_curves(node, array, count)
        if dim not in array.dims:
            array = array.expand_dims(
                {dim: self.dataset[dim].values if dim in self.dataset else [1]}
            )
        others = [d for d in array.dims if d != dim]
        stacked = array.stack(curve=others) if others else array.expand_dims("curve")
        error = self.dataset.get(f"{getattr(node, 'key', '')}_error")
        found = []
        for k in range(stacked.sizes["curve"]):
            curve = stacked.isel(curve=k)
            if bool(np.isnan(curve).all()):
                continue
            where = {d: curve[d].item() for d in others if array.sizes[d] > 1}
            words = [self._expression(node)] if count > 1 else []
            words += [_setting(str(d), v) for d, v in where.items()]
            spread = None
            if error is not None:
                spread = error.sel({d: curve[d].item() for d in others}).values
            found.append((", ".join(words), curve, spread))
        return found

    def _scattered_curves(
        self, node: tree.Expr, array: xr.DataArray, count: int
    ) -> list[tuple[str, xr.DataArray, Any]]:
        """One curve for each set of the other swept parameters, its points in order."""
        x = self._versus_name()
        swept = [
            str(name)
            for name, c in array.coords.items()
            if c.dims == ("point",) and name not in ("point", x)
        ]
        rows = list(zip(*(array[name].values.tolist() for name in swept), strict=True))
        found = []
        for words, panel in self._panels(array, ("point",)):
            for row in sorted(set(rows)) or [()]:
                chosen = [k for k, other in enumerate(rows) if other == row]
                curve = panel.isel(point=chosen) if rows else panel
                curve = curve.sortby(x) if x else curve
                if bool(np.isnan(curve).all()):
                    continue
                texts = [self._expression(node)] if count > 1 else []
                texts += words + [
                    _setting(n, v) for n, v in zip(swept, row, strict=True)
                ]
                found.append((", ".join(texts), curve, None))
        return found

    def _versus_name(self) -> str:
        """The swept parameter along the horizontal axis of scattered points."""
        axes = self.request.axes
        if isinstance(axes, tree.Versus):
            for name in names_in(axes.x):
                if name.key in self.dataset.coords:
                    return name.key
        return ""

    def _legend(self, figure: Any, axes: Any, curves: list[Any], many: bool) -> None:
        import matplotlib as mpl

        if not many:
            if any(text for text, _, _ in curves):
                axes.legend()
            return
        numbers = [
            re.search(r"= (-?[\d.]+(?:e[-+]?\d+)?)$", text) for text, _, _ in curves
        ]
        names = {text.rpartition(" = ")[0] for text, _, _ in curves}
        if all(numbers) and len(names) == 1:
            values = [float(match.group(1)) for match in numbers if match]
            scale = mpl.cm.ScalarMappable(
                mpl.colors.Normalize(min(values), max(values)), "viridis"
            )
            figure.colorbar(scale, ax=axes, label=names.pop())
        else:
            handles, texts = axes.get_legend_handles_labels()
            shown = texts[:_MOST_LEGEND]
            if len(texts) > len(shown):
                shown[-1] = f"... {len(texts)} curves"
            axes.legend(
                handles[: len(shown)], shown, ncols=2, fontsize=6, loc="upper right"
            )

    # ── maps ─────────────────────────────────────────────────────────────────────────────────

    def _maps(
        self, drawn: list[tuple[tree.Expr, xr.DataArray]], over: tree.Over
    ) -> Any:
        """A heat map for each value, method and case over two swept quantities."""
        x, y = self.values.of(over.x), self.values.of(over.y)
        dims = (str(x.dims[0]), str(y.dims[0]))
        panels = [
            (node, words, panel)
            for node, array in drawn
            for words, panel in self._panels(array, dims)
        ][:_MOST_PANELS]
        figure, grid = _grid(len(panels), 3.9, 3.2)
        for axes, (node, words, panel) in zip(grid, panels, strict=False):
            mesh = self._map(axes, x, y, panel, dims)
            figure.colorbar(mesh, ax=axes, label=self._expression(node))
            axes.set_xlabel(self._label(over.x, dims[0]))
            axes.set_ylabel(self._label(over.y, dims[1]))
            self._finish(axes, ", ".join(words) if len(panels) > 1 else None)
        return figure

    def _map(
        self,
        axes: Any,
        x: xr.DataArray,
        y: xr.DataArray,
        panel: xr.DataArray,
        dims: tuple[str, str],
    ) -> Any:
        """One heat map, on a grid or over the triangles between scattered points."""
        cmap = self._word("cmap", "viridis")
        if dims[0] != dims[1]:
            values = panel.transpose(dims[1], dims[0]).values
            return axes.pcolormesh(
                x.values,
                y.values,
                values,
                shading="nearest",
                rasterized=True,
                cmap=cmap,
            )
        keep = ~np.isnan(panel.values)
        across, up, values = x.values[keep], y.values[keep], panel.values[keep]
        axes.plot(across, up, ".", ms=0.6, color="k", alpha=0.25)
        return axes.tripcolor(
            _triangles(across, up),
            values,
            shading="gouraud",
            rasterized=True,
            cmap=cmap,
        )

    def _matrices(self, drawn: list[tuple[tree.Expr, xr.DataArray]]) -> Any:
        """Matrices as heat maps, the first row above; white is zero."""
        panels = [
            (node, words, panel.transpose(*_rows_and_columns(array)))
            for node, array in drawn
            for words, panel in self._panels(array, _rows_and_columns(array))
        ][:_MOST_PANELS]
        figure, grid = _grid(len(panels), 3.4, 2.8)
        for axes, (node, words, panel) in zip(grid, panels, strict=False):
            rows, columns = panel.shape
            largest = float(np.nanmax(np.abs(panel.values))) or 1.0
            mesh = axes.imshow(
                panel.values,
                cmap=self._word("cmap", "RdBu_r"),
                vmin=-largest,
                vmax=largest,
                extent=(0.5, columns + 0.5, rows + 0.5, 0.5),
                interpolation="nearest",
            )
            figure.colorbar(mesh, ax=axes, label=self._expression(node))
            axes.set_xlabel("column")
            axes.set_ylabel("row")
            self._finish(axes, ", ".join(words) if len(panels) > 1 else None)
        return figure

    def _phase_space(self, drawn: list[tuple[tree.Expr, xr.DataArray]]) -> Any:
        """Functions over alpha, with one color scale; white is zero."""
        panels = [
            (node, words, panel)
            for node, array in drawn
            for words, panel in self._panels(array, ("x", "y"))
        ][:_MOST_PANELS]
        largest = max(float(np.nanmax(np.abs(panel.values))) for _, _, panel in panels)
        figure, grid = _grid(len(panels), 2.7, 2.8)
        for axes, (_, words, panel) in zip(grid, panels, strict=False):
            values = panel.transpose("y", "x")
            mesh = axes.pcolormesh(
                values["x"].values,
                values["y"].values,
                values.values,
                shading="nearest",
                cmap=self._word("cmap", "RdBu_r"),
                vmin=-largest,
                vmax=largest,
                rasterized=True,
            )
            axes.set_aspect("equal")
            axes.set_xlabel("Re α")
            axes.set_ylabel("Im α")
            self._finish(axes, ", ".join(words) or None)
        used = list(grid)[: len(panels)]
        figure.colorbar(mesh, ax=used, label=self._expression(drawn[0][0]), shrink=0.8)
        return figure

    def _panels(
        self, array: xr.DataArray, dims: tuple[str, ...]
    ) -> list[tuple[list[str], xr.DataArray]]:
        """What is left after two dimensions, with the settings that differ."""
        others = [d for d in array.dims if d not in dims]
        if not others:
            return [([], array)]
        stacked = array.stack(panel=others)
        found = []
        for k in range(stacked.sizes["panel"]):
            panel = stacked.isel(panel=k)
            if not bool(np.isnan(panel).all()):
                words = [
                    _setting(str(d), panel[d].item())
                    for d in others
                    if array.sizes[d] > 1
                ]
                found.append((words, panel))
        return found

    # ── words ────────────────────────────────────────────────────────────────────────────────

    def _expression(self, node: tree.Expr) -> str:
        """An expression as written, with Greek letters."""
        text = " ".join(node.span.text.split()).replace("*", "·")
        return re.sub(r"[A-Za-z_][A-Za-z_0-9]*", lambda m: pretty_name(m.group()), text)

    def _label(self, node: tree.Expr | None, dim: str) -> str:
        """An axis: the expression, or a coordinate's description and unit."""
        if node is not None and not isinstance(node, tree.Name):
            return self._expression(node)
        key = node.key if isinstance(node, tree.Name) else self._coordinate(dim)
        symbol = {"phi": "φ", "omega": "ω", "tau": "τ", "time": "t"}.get(
            key, pretty_name(key)
        )
        attrs = self.dataset[key].attrs if key in self.dataset.variables else {}
        described = attrs.get("long_name", "")
        text = f"{described}  {symbol}" if described and described != key else symbol
        return text + (f"  [{attrs['units']}]" if "units" in attrs else "")

    def _coordinate(self, dim: str) -> str:
        """`n` for the dimension `P_n` of the measure P."""
        measure, _, rest = dim.partition("_")
        return (
            rest
            if rest in ("n", "phi", "omega", "tau") and measure in self.dataset
            else dim
        )

    def _value_label(self, drawn: list[tuple[tree.Expr, xr.DataArray]]) -> str:
        if len(drawn) > 1:
            return ", ".join(self._expression(node) for node, _ in drawn)
        node = drawn[0][0]
        return (
            self._label(node, "")
            if isinstance(node, tree.Name)
            else self._expression(node)
        )

    def _word(self, option: str, default: str) -> str:
        node = self.options.get(option)
        return getattr(node, "key", None) or getattr(node, "value", None) or default

    def _finish(self, axes: Any, title: str | None = None) -> None:
        """Title, scales and limits."""
        described = title if title is not None else self.experiment.description
        words = self._word("title", described or "")
        axes.set_title(textwrap.fill(words, _TITLE), loc="left")
        for axis in "xy":
            if f"{axis}scale" in self.options:
                getattr(axes, f"set_{axis}scale")(self._word(f"{axis}scale", "linear"))
            if f"{axis}label" in self.options:
                getattr(axes, f"set_{axis}label")(self._word(f"{axis}label", ""))
            if f"{axis}lim" in self.options:
                getattr(axes, f"set_{axis}lim")(
                    *self.values.of(self.options[f"{axis}lim"])
                )


def _grid(count: int, width: float, height: float) -> tuple[Any, Any]:
    """A figure with panels in up to three columns; panels that are not needed are hidden."""
    import matplotlib.pyplot as plt

    columns = min(count, 3)
    rows = -(-count // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(width * columns, height * rows), squeeze=False
    )
    for spare in axes.flat[count:]:
        spare.set_visible(False)
    return figure, list(axes.flat)


def _triangles(x: np.ndarray, y: np.ndarray) -> Any:
    """Triangles between points; both axes count the same."""
    import matplotlib.tri

    spread = [float(np.ptp(values)) or 1.0 for values in (x, y)]
    found = matplotlib.tri.Triangulation(x / spread[0], y / spread[1])
    return matplotlib.tri.Triangulation(x, y, found.triangles)


def _phase_axis(axes: Any) -> None:
    axes.set_xlim(-np.pi, np.pi)
    axes.set_xticks(
        [-np.pi, -np.pi / 2, 0, np.pi / 2, np.pi], ["-π", "-π/2", "0", "π/2", "π"]
    )


def _setting(name: str, value: Any) -> str:
    """`Δ = 0.3`; a method or case by its name alone."""
    if isinstance(value, str):
        return value.replace("_", " ")
    if isinstance(value, float):
        return f"{pretty_name(name)} = {value:.4g}"
    return f"{pretty_name(name)} = {value}"
