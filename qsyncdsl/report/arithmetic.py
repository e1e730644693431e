"""Expressions over results: `S`, `Delta/K`, `-log(P)`, `C(14)`, on labelled arrays."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from qsyncdsl.model.environment import Environment
from qsyncdsl.model.evaluate import Evaluator, fail
from qsyncdsl.model.types import Model, Override, Scope
from qsyncdsl.model.values import Frame
from qsyncdsl.syntax import tree
from qsyncdsl.syntax.walk import mentions

_ARRAY: dict[str, Any] = {
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "abs": np.abs,
    "arg": np.angle,
    "real": np.real,
    "imag": np.imag,
    "floor": np.floor,
}


class ResultEvaluator(Evaluator):
    """Names are measures and coordinates first, then parameters as they were used."""

    def __init__(self, model: Model, dataset: xr.Dataset) -> None:
        values = json.loads(dataset.attrs.get("parameters", "{}"))
        overrides = [
            Override(name, complex(v["re"], v["im"]) if isinstance(v, dict) else v)
            for name, v in values.items()
        ]
        super().__init__(Environment(model, [overrides]))
        self.dataset = dataset
        self.model = model
        self.settled = frozenset(json.loads(dataset.attrs.get("settled", "[]")))

    def of(self, node: tree.Expr) -> Any:
        """An expression of a `plot` line: a labelled array or a number."""
        return self.evaluate(node, self.model.scope)

    def name(self, node: tree.Name, scope: Scope, frame: Frame) -> Any:
        """A variable or a coordinate of the dataset, else what the model declares."""
        if node.key in self.dataset.variables:
            return self.dataset[node.key]
        if node.key in self.model.parameters and node.key not in frame.bindings:
            return self._swept(node, scope, frame)
        return super().name(node, scope, frame)

    def _swept(self, node: tree.Name, scope: Scope, frame: Frame) -> Any:
        """A parameter that depends on a swept one follows it."""
        parameter = self.model.parameters[node.key]
        if parameter.random or parameter.index or node.key in self.settled:
            return super().name(node, scope, frame)
        swept = [
            n
            for n in self.dataset.coords
            if n in self.model.parameters and n != node.key
        ]
        if not any(mentions(parameter.value, {str(n)}) for n in swept):
            return super().name(node, scope, frame)
        return self.evaluate(parameter.value, parameter.scope, frame)

    def function(self, name: str, arguments: tuple[Any, ...], node: tree.Call) -> Any:
        """A function, element by element."""
        if name in _ARRAY and isinstance(arguments[0], xr.DataArray):
            return xr.apply_ufunc(_ARRAY[name], arguments[0], keep_attrs=True)
        if (
            name in ("max", "min")
            and len(arguments) == 1
            and isinstance(arguments[0], xr.DataArray)
        ):
            own = [
                d
                for d in arguments[0].dims
                if d not in ("method", "case", *self.model.parameters)
            ]
            return getattr(arguments[0], name)(own)
        return super().function(name, arguments, node)

    def word(self, node: tree.Call, name: str, scope: Scope, frame: Frame) -> Any:
        """`C(14)`: an element of an indexed measure or the value of a distribution."""
        arguments = [self.evaluate(a, scope, frame) for a in node.arguments]  # type: ignore[arg-type]
        if name in self.dataset.data_vars:
            array = self.dataset[name]
            own = [
                d
                for d in array.dims
                if d not in ("method", "case", *self.model.parameters)
            ]
            for dim, value in zip(own, arguments, strict=False):
                array = array.sel({dim: value}, method="nearest")
            return array
        if name in ("fraction", "mean"):
            array = arguments[0]
            own = [
                d
                for d in array.dims
                if d not in ("method", "case", "time", *self.model.parameters)
            ]
            return array.astype(float).mean(own)
        fail("E750", node, f"'{name}' cannot be drawn")
