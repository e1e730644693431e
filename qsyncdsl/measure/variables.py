"""Typed variables in measures: values along trajectories, and means of functions of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qsyncdsl.measure.ensemble import sampled
from qsyncdsl.measure.values import Lifted
from qsyncdsl.model.evaluate import fail
from qsyncdsl.model.values import VariableValue
from qsyncdsl.syntax import tree


def along_paths(
    scenes: Sequence[Any], value: VariableValue, row: int, node: tree.Expr
) -> np.ndarray:
    """A variable along all trajectories, shape (R, T)."""
    if len(value.site) != len(value.variable.index):
        fail("E304", node, f"'{value.variable.written}' needs an index")
    if not sampled(scenes[0]):
        fail("E303", node, f"'{value.variable.written}' has no value here")
    real = value.variable.kind != "complex"
    name = value.variable.name
    parts = [scene.variable(name, row, real) for scene in scenes]
    found = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    return found.view(Lifted)


def amplitude(kind: str, values: np.ndarray) -> np.ndarray:
    """exp(i phi) of an angle; complex and real variables themselves."""
    plain = np.asarray(values)
    return np.exp(1j * plain) if kind == "angle" else plain.astype(complex)


def variables_only(value: Any) -> bool:
    """Whether this is a variable, or a list of variables."""
    items = value if isinstance(value, tuple) else (value,)
    return bool(items) and all(isinstance(item, VariableValue) for item in items)
