"""One `plot` line: its data, its options, and how everything on it is named."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Hashable, Iterable
from typing import Any

import xarray as xr

from qsyncdsl.model.types import Experiment, Model
from qsyncdsl.report.arithmetic import ResultEvaluator
from qsyncdsl.report.names import drawn_name, short_number
from qsyncdsl.syntax import tree

# What is drawn: expressions with their values.
Drawn = list[tuple[tree.Expr, xr.DataArray]]

# Letters of a title to an inch of axes.
_LETTERS = 14
# Letters of a label along the height of a panel.
_LABEL_LETTERS = 34
_AXES = ("phi", "omega", "tau", "time")
_SYMBOLS = {"phi": "φ", "omega": "ω", "tau": "τ", "time": "t"}


class Sheet:
    """What the pictures of one `plot` line share.

    Attributes:
        values: Evaluates expressions over the dataset.
        moduli: Expressions whose values are complex: their modulus is drawn.
    """

    def __init__(
        self,
        dataset: xr.Dataset,
        model: Model,
        experiment: Experiment,
        request: tree.Plot,
    ) -> None:
        self.dataset = dataset
        self.experiment = experiment
        self.request = request
        self.values = ResultEvaluator(model, dataset)
        self.moduli: set[tree.Expr] = set()
        self.options = {
            s.place.name.key: s.value
            for s in request.options or ()
            if isinstance(s.place, tree.Place)
        }

    def expression(self, node: tree.Expr) -> str:
        """An expression as written, with Greek letters; between bars where its modulus is drawn."""
        text = " ".join(node.span.text.split()).replace("*", "·")
        text = re.sub(r"[A-Za-z_][A-Za-z_0-9]*", lambda m: drawn_name(m.group()), text)
        return f"|{text}|" if node in self.moduli else text

    def label(self, node: tree.Expr | None, dim: str) -> str:
        """An axis: the expression, or a coordinate's description and unit."""
        if node is not None and not isinstance(node, tree.Name):
            return self.expression(node)
        key = node.key if isinstance(node, tree.Name) else self.coordinate(dim)
        symbol = _SYMBOLS.get(key, drawn_name(key))
        if node in self.moduli:
            symbol = f"|{symbol}|"
        attrs = self.dataset[key].attrs if key in self.dataset.variables else {}
        described = attrs.get("long_name", "")
        told = described and described != key
        text = f"{_drawn_words(described)}  {symbol}" if told else symbol
        return text + (
            f"  [{_drawn_words(attrs['units'])}]" if "units" in attrs else ""
        )

    def value_label(self, drawn: Drawn) -> str:
        """The axis of values."""
        if len(drawn) > 1:
            return ", ".join(self.expression(node) for node, _ in drawn)
        node = drawn[0][0]
        if isinstance(node, tree.Name):
            return self.label(node, "")
        return self.expression(node)

    def coordinate(self, dim: str) -> str:
        """`n` for the dimension `P_n` of the measure P."""
        measure, _, rest = dim.partition("_")
        own = rest in ("n", *_AXES[:3]) and measure in self.dataset
        return rest if own else dim

    def is_axis(self, dim: str) -> bool:
        """Whether a dimension is a fine grid of an angle, a frequency or a time."""
        return dim in _AXES

    def word(self, option: str, default: str) -> str:
        """An option of the line."""
        node = self.options.get(option)
        return getattr(node, "key", None) or getattr(node, "value", None) or default

    def title(self, figure: Any, width: float, more: str = "") -> None:
        """The title of the line, or of the experiment, above panels that are `width` inches wide."""
        words = (
            f"{self.word('title', self.experiment.description or '')} {more}".strip()
        )
        if words:
            text = textwrap.fill(words, int(_LETTERS * width))
            figure.suptitle(text, x=0.02, ha="left")

    def finish(self, axes: Any, panel: str = "", width: float = 4.0) -> None:
        """What a panel of some width in inches shows, scales and limits."""
        if panel:
            text = textwrap.fill(panel, int(_LETTERS * width))
            axes.set_title(text, loc="left", fontsize=9)
        for axis in "xy":
            if f"{axis}scale" in self.options:
                getattr(axes, f"set_{axis}scale")(self.word(f"{axis}scale", "linear"))
            if f"{axis}label" in self.options:
                getattr(axes, f"set_{axis}label")(self.word(f"{axis}label", ""))
            label = getattr(axes, f"get_{axis}label")()
            letters = _LABEL_LETTERS if axis == "y" else int(_LETTERS * width)
            if len(label) > letters and "$" not in label:
                getattr(axes, f"set_{axis}label")(textwrap.fill(label, letters))
            if f"{axis}lim" in self.options:
                limits = self.values.of(self.options[f"{axis}lim"])
                getattr(axes, f"set_{axis}lim")(*limits)


def _drawn_words(text: str) -> str:
    """A description with what follows `_` in a symbol as a subscript: V_O, ω_c."""
    return re.sub(r"\b[^\W\d_]+_\w+\b", lambda found: drawn_name(found.group()), text)


def setting(name: str, value: Any) -> str:
    """`Δ = 0.3`; a method or case by its name alone."""
    if isinstance(value, str):
        return value.replace("_", " ")
    if isinstance(value, float):
        return f"{drawn_name(name)} = {short_number(value)}"
    return f"{drawn_name(name)} = {value}"


def settings(
    array: xr.DataArray, one: xr.DataArray, dims: Iterable[Hashable]
) -> list[str]:
    """What tells one curve or panel from the others along some dimensions.

    Points of a list of settings are named by what is set.
    """
    words = []
    for dim in dims:
        if array.sizes[dim] == 1:
            continue
        swept = [
            str(name)
            for name, c in array.coords.items()
            if c.dims == (dim,) and name != dim
        ]
        if dim == "point" and swept:
            place = {dim: one[dim].item()}
            words += [setting(n, array[n].sel(place).item()) for n in swept]
        else:
            words.append(setting(str(dim), one[dim].item()))
    return words
