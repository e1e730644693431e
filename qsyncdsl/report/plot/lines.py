"""Curves and bars, with bands for their errors."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from qsyncdsl.report.names import drawn_name
from qsyncdsl.report.plot.maps import panels
from qsyncdsl.report.plot.sheet import Drawn, Sheet, setting, settings
from qsyncdsl.syntax import tree
from qsyncdsl.syntax.walk import names_in

# Size of the axes in inches, and what a legend beside them takes.
_WIDTH, _HEIGHT = 4.6, 3.2
_BESIDE = 1.9
# More curves than this are told apart by a color scale, where they differ in one number.
_MOST_LABELS = 7
# A legend of more names, or of longer ones, stands beside the axes instead of on the curves.
_FEW_LABELS = 3
_SHORT_LABEL = 22
# Curves of one picture; of more every second, third, ... is drawn.
_MOST_CURVES = 400
# Names in a legend that would otherwise be longer than the picture.
_MOST_LEGEND = 18
# Curves with fewer points show them.
_FEW_POINTS = 30
# Dashes of the first, second and third measure.
_DASHES = ("-", "--", ":")
# A step of an angle that is its wrap from π to -π.
_WRAP = 1.5 * np.pi


class _Curve(NamedTuple):
    """A curve, its name in the legend, and standard errors.

    Attributes:
        words: Which measure, if there are several, and the values of other dimensions.
        family: The curves of one measure that are told apart by nothing but a number of theirs.
    """

    words: tuple[str, ...]
    values: xr.DataArray
    error: np.ndarray | None
    family: str = ""

    @property
    def text(self) -> str:
        """The name in the legend."""
        return ", ".join(self.words)


class _Scale(NamedTuple):
    """Colors of curves that differ in one number only.

    Attributes:
        measures: Names of the measures, where there are several: each has a dash.
    """

    name: str
    numbers: list[float]
    measures: list[str]

    def color(self, k: int) -> Any:
        """The color of a curve; the last are not so bright that they are lost on white."""
        return self.mappable().to_rgba(self.numbers[k])

    def mappable(self) -> Any:
        """What a color bar is drawn of."""
        import matplotlib as mpl

        low, high = min(self.numbers), max(self.numbers)
        colors = mpl.colormaps["viridis"](np.linspace(0, 0.92, 256))
        return mpl.cm.ScalarMappable(
            mpl.colors.Normalize(low, high), mpl.colors.ListedColormap(colors)
        )


def lines(sheet: Sheet, drawn: Drawn) -> Any:
    """Values along one dimension; a curve for each value of every other dimension."""
    from matplotlib.figure import Figure

    axes_of = sheet.request.axes
    versus = axes_of.x if isinstance(axes_of, tree.Versus) else None
    x = sheet.values.of(versus) if versus is not None else None
    dim = _x_dimension(drawn[0][1], x)
    groups = [_curves(sheet, node, array, dim, len(drawn)) for node, array in drawn]
    styles = _styles(groups)
    if _of_levels(groups):
        groups = [_under_one_name(group) for group in groups]
    curves = [curve for group in groups for curve in group]
    every = -(-len(curves) // _MOST_CURVES)
    curves, styles = curves[::every], styles[::every]
    scale = _scale(curves, len(groups) > 1)
    beside = scale is None and _long(curves)
    figure = Figure(figsize=(_WIDTH + (_BESIDE if beside else 0.0), _HEIGHT))
    axes = figure.subplots()
    for k, curve in enumerate(curves):
        extra = styles[k]
        if scale is not None:
            extra = extra | {"color": scale.color(k)}
        across = _across(sheet, curve.values, x, dim)
        if sheet.coordinate(dim) == "n" and scale is None:
            _bars(axes, across, curve, k, len(curves))
        else:
            fine = sheet.is_axis(dim) and dim != "time"
            _line(axes, across, curve, fine, extra)
    axes.set_xlabel(sheet.label(versus, dim))
    axes.set_ylabel(sheet.value_label(drawn))
    _legend(figure, axes, curves, scale, beside)
    if dim == "phi":
        _phase_axis(axes)
    sheet.title(figure, _WIDTH)
    sheet.finish(axes)
    return figure


def _styles(groups: list[list[_Curve]]) -> list[dict[str, Any]]:
    """Colors and dashes that show what belongs together; empty where the cycle does.

    Of several measures with curves for the same settings, a color is a setting and a dash a
    measure. Levels have the color of their measure, and dashes so that equal ones are both seen.
    """
    empty: list[dict[str, Any]] = [{} for group in groups for _ in group]
    if len(groups) < 2 or any(len(g) != len(groups[0]) for g in groups):
        return empty
    if len(groups[0]) < 2:
        return empty
    levels = _of_levels(groups)
    return [
        {"color": f"C{(i if levels else k) % 7}", "linestyle": _DASHES[i % 3]}
        for i, group in enumerate(groups)
        for k, _ in enumerate(group)
    ]


def _of_levels(groups: list[list[_Curve]]) -> bool:
    """Whether several measures have levels as curves, and nothing else."""
    families = [{curve.family for curve in group} for group in groups]
    return len(groups) > 1 and all(len(f) == 1 and "" not in f for f in families)


def _under_one_name(group: list[_Curve]) -> list[_Curve]:
    """Levels with the name of their measure at the first of them."""
    first, *rest = group
    return [
        first._replace(words=(first.family,)),
        *(curve._replace(words=()) for curve in rest),
    ]


def _line(
    axes: Any, across: np.ndarray, curve: _Curve, fine: bool, extra: dict[str, Any]
) -> None:
    """A line with the band of its error; angles do not draw their wraps."""
    keep = ~np.isnan(curve.values.values)
    x, y = across[keep], curve.values.values[keep]
    marker = "o" if keep.sum() < _FEW_POINTS and not fine else None
    wraps = _wraps(y)
    (line,) = axes.plot(
        np.insert(x.astype(float), wraps, np.nan),
        np.insert(y.astype(float), wraps, np.nan),
        label=curve.text,
        marker=marker,
        ms=3,
        **extra,
    )
    if curve.error is None:
        return
    error = curve.error[keep]
    axes.fill_between(x, y - error, y + error, color=line.get_color(), alpha=0.2, lw=0)


def _wraps(y: np.ndarray) -> np.ndarray:
    """Where an angle in [-π, π] passes from one end to the other."""
    if not len(y) or np.max(np.abs(y)) > np.pi + 1e-9:
        return np.array([], dtype=int)
    return np.flatnonzero(np.abs(np.diff(y)) > _WRAP) + 1


def _bars(axes: Any, across: np.ndarray, curve: _Curve, k: int, count: int) -> None:
    """Populations, curve beside curve."""
    keep = ~np.isnan(curve.values.values)
    shift = 0.8 * (k / count - 0.4 + 0.4 / count)
    axes.bar(
        across[keep] + shift,
        curve.values.values[keep],
        0.8 / count,
        label=curve.text,
        yerr=None if curve.error is None else curve.error[keep],
        error_kw={"lw": 0.8},
    )


def _x_dimension(array: xr.DataArray, x: Any) -> str:
    """The dimension along the horizontal axis."""
    if isinstance(x, xr.DataArray) and x.dims:
        along = [d for d in x.dims if d not in ("method", "case")]
        return str((along or x.dims)[0])
    own = [d for d in array.dims if d not in ("method", "case")]
    for dim in ("phi", "omega", "tau", "n", "time"):
        if dim in own:
            return dim
    return str(own[-1]) if own else "method"


def _across(sheet: Sheet, curve: xr.DataArray, x: Any, dim: str) -> np.ndarray:
    """Places along the horizontal axis."""
    if dim == "point" and isinstance(sheet.request.axes, tree.Versus):
        values = x.sel(point=curve["point"]).values if "point" in x.dims else x
        return np.asarray(values)
    if isinstance(x, xr.DataArray) and dim in x.dims:
        for other in x.dims:
            if other != dim:
                known = other in curve.coords and curve[other].ndim == 0
                x = x.sel({other: curve[other]}) if known else x.isel({other: 0})
        return np.asarray(x.values)
    if dim not in curve.coords:
        return np.arange(1, curve.sizes[dim] + 1)
    values = np.asarray(curve[dim].values)
    return values if values.dtype.kind in "if" else np.arange(len(values))


def _curves(
    sheet: Sheet, node: tree.Expr, array: xr.DataArray, dim: str, count: int
) -> list[_Curve]:
    """One curve for each value of the other dimensions, named by what differs."""
    error = _error(sheet, node, array)
    if dim == "point":
        return _scattered_curves(sheet, node, array, error, count)
    if dim not in array.dims:
        known = sheet.dataset[dim].values if dim in sheet.dataset else [1]
        array = array.expand_dims({dim: known})
    array, same = _once(array, dim)
    others = [d for d in array.dims if d != dim]
    items = [d for d in others if d == f"{getattr(node, 'key', '')}_item"]
    own_item = items[0] if items and array.sizes[items[0]] > 1 else None
    stacked = array.stack(curve=others) if others else array.expand_dims("curve")
    found = []
    for k in range(stacked.sizes["curve"]):
        curve = stacked.isel(curve=k)
        if bool(np.isnan(curve).all()):
            continue
        words = [sheet.expression(node)] if count > 1 else []
        words += settings(array, curve, [d for d in others if d != own_item]) + same
        family = ", ".join(words) or sheet.expression(node)
        if own_item is not None:
            level = f"{sheet.expression(node)}({curve[own_item].item()})"
            words = [level, *words[1:]] if count > 1 else [level, *words]
        spread = None
        if error is not None:
            own = error.sel({d: curve[d].item() for d in others if d in error.dims})
            spread = np.broadcast_to(own.values, curve.shape)
        grouped = family if own_item is not None else ""
        found.append(_Curve(tuple(words), curve, spread, grouped))
    return found


def _error(sheet: Sheet, node: tree.Expr, array: xr.DataArray) -> xr.DataArray | None:
    """The standard errors of a measure, or of one of its values such as `C(14)`."""
    name = node.function if isinstance(node, tree.Call) else node
    found = sheet.dataset.get(f"{getattr(name, 'key', '')}_error")
    if found is None:
        return None
    chosen = {
        d: array[d].item()
        for d in found.dims
        if d not in array.dims and d in array.coords and array[d].ndim == 0
    }
    found = found.sel(chosen)
    return found if set(found.dims) <= set(array.dims) else None


def _once(array: xr.DataArray, dim: str) -> tuple[xr.DataArray, list[str]]:
    """Without the swept parameters that change nothing, and words for them.

    Methods and cases that give the same are drawn each on its own.
    """
    words = []
    for other in array.dims:
        kept = other in (dim, "method", "case", "realization")
        if kept or str(other).endswith("_item") or array.sizes[other] == 1:
            continue
        first = array.isel({other: [0]})
        if np.array_equal(array, np.broadcast_to(first, array.shape), equal_nan=True):
            array = first
            words.append(f"all {drawn_name(str(other))}")
    return array, words


def _scattered_curves(
    sheet: Sheet,
    node: tree.Expr,
    array: xr.DataArray,
    error: xr.DataArray | None,
    count: int,
) -> list[_Curve]:
    """One curve for each set of the other swept parameters, its points in order."""
    x = _versus_name(sheet)
    swept = [
        str(name)
        for name, c in array.coords.items()
        if c.dims == ("point",) and name not in ("point", x)
    ]
    rows = list(zip(*(array[name].values.tolist() for name in swept), strict=True))
    spreads = dict(panels(error, ("point",))) if error is not None else {}
    found = []
    for words, panel in panels(array, ("point",)):
        spread = spreads.get(words)
        for row in sorted(set(rows)) or [()]:
            chosen = [k for k, other in enumerate(rows) if other == row]
            chosen = chosen if rows else list(range(panel.sizes["point"]))
            if x:
                chosen.sort(key=lambda k: panel[x].values[k])
            curve = panel.isel(point=chosen)
            if bool(np.isnan(curve).all()):
                continue
            texts = [sheet.expression(node)] if count > 1 else []
            texts += [*words, *map(setting, swept, row)]
            own = None if spread is None else spread.isel(point=chosen).values
            found.append(_Curve(tuple(texts), curve, own))
    return found


def _versus_name(sheet: Sheet) -> str:
    """The swept parameter along the horizontal axis of scattered points."""
    axes = sheet.request.axes
    if isinstance(axes, tree.Versus):
        for name in names_in(axes.x):
            if name.key in sheet.dataset.coords:
                return name.key
    return ""


def _scale(curves: list[_Curve], several: bool) -> _Scale | None:
    """A scale of colors for many curves; None where they have names.

    Args:
        several: Whether there are several measures, each with a curve for the same numbers.
    """
    measures = list(dict.fromkeys(c.words[0] for c in curves if several and c.words))
    texts = [", ".join(c.words[1:] if several else c.words) for c in curves]
    numbers = [re.search(r"= (-?[\d.]+(?:e[-+]?\d+)?)$", text) for text in texts]
    names = {text.rpartition(" = ")[0] for text in texts}
    many = len(curves) > _MOST_LABELS * max(len(measures), 1)
    if not many or not all(numbers) or len(names) != 1 or len(measures) > len(_DASHES):
        return None
    values = [float(found.group(1)) for found in numbers if found]
    return _Scale(names.pop(), values, measures)


def _long(curves: list[_Curve]) -> bool:
    """Whether a legend would cover much of the axes."""
    lengths = [len(curve.text) for curve in curves if curve.text]
    return len(lengths) > _FEW_LABELS or max(lengths, default=0) > _SHORT_LABEL


def _legend(
    figure: Any, axes: Any, curves: list[_Curve], scale: _Scale | None, beside: bool
) -> None:
    """Names of curves, or the scale of their colors."""
    if scale is not None:
        figure.colorbar(scale.mappable(), ax=axes, label=scale.name)
        if scale.measures:
            _dashes_of_measures(axes, scale.measures)
    elif beside:
        handles, texts = axes.get_legend_handles_labels()
        shown = texts[:_MOST_LEGEND]
        if len(texts) > len(shown):
            shown[-1] = f"... {len(texts)} curves"
        size = 8 if len(shown) <= _MOST_LABELS else 6
        figure.legend(
            handles[: len(shown)], shown, fontsize=size, loc="outside right upper"
        )
    elif any(curve.text for curve in curves):
        axes.legend()


def _dashes_of_measures(axes: Any, names: list[str]) -> None:
    """A legend of dashes: colors are told by their scale."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color="0.3", linestyle=dash)
        for dash, _ in zip(_DASHES, names, strict=False)
    ]
    axes.legend(handles, names)


def _phase_axis(axes: Any) -> None:
    axes.set_xlim(-np.pi, np.pi)
    axes.set_xticks(
        [-np.pi, -np.pi / 2, 0, np.pi / 2, np.pi], ["-π", "-π/2", "0", "π/2", "π"]
    )
