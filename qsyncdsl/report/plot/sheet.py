"""One `plot` line: its data, its options, and how everything on it is named."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
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
# Dimensions whose values are words.
_WORDS = ("method", "case", "direction")
_AXES = ("phi", "omega", "tau", "time")
_SYMBOLS = {"phi": "φ", "omega": "ω", "tau": "τ", "time": "t"}


class Sheet:
    """What the pictures of one `plot` line share.

    Attributes:
        dataset: The results at what the line's `at` names: the nearest values that there are.
        chosen: Those values, in words.
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
        self.chosen: list[str] = []
        whole = ResultEvaluator(model, dataset)
        for place, value in _settings(request.at):
            given = getattr(value, "key", "") if place in _WORDS else whole.of(value)
            dataset, word = _at(dataset, place, given)
            self.chosen += [word] if word else []
        self.dataset = dataset
        self.experiment = experiment
        self.request = request
        self.values = ResultEvaluator(model, dataset)
        self.moduli: set[tree.Expr] = set()
        self.options = dict(_settings(request.options))

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
        told = self.word("title", self.experiment.description or "")
        words = " ".join(
            x for x in (", ".join([told, *self.chosen]).removeprefix(", "), more) if x
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


def _settings(
    given: tuple[tree.Setting, ...] | None,
) -> list[tuple[str, tree.Expr]]:
    """Names and values of settings."""
    return [
        (s.place.name.key, s.value)
        for s in given or ()
        if isinstance(s.place, tree.Place)
    ]


def _at(dataset: xr.Dataset, name: str, value: Any) -> tuple[xr.Dataset, str]:
    """The results at the nearest value of a dimension, and that value in words.

    They are left as they are where another grid was chosen, and the name has no dimension.
    """
    if name not in dataset.coords or dataset[name].ndim != 1:
        return dataset, ""
    (dim,), known = dataset[name].dims, dataset[name].values
    if isinstance(value, str):
        fits = known == value
    else:
        away = np.abs(known - value)
        fits = away == away.min()
    if not fits.any():
        return dataset, ""
    first = int(np.flatnonzero(fits)[0])
    found = dataset.isel({dim: fits if dim == "point" else first})
    return found, setting(name, known[first].item())


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
