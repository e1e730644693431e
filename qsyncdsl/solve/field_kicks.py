r"""Kicks of classical fields: the flow of the symbol of the generator for a unit of time.

A function of commuting quadratures shifts the fields, one of numbers of quanta alone turns them: such flows are
recognized by their properties at random fields and done exactly. Others are integrated until half the step changes
nothing.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import FieldKick, FieldProblem
from qsyncdsl.solve import kick_steps
from qsyncdsl.solve.fields import Numbers
from qsyncdsl.solve.kernels import compiled, module_text, tableau
from qsyncdsl.solve.kick_times import common, falls, instants, positive_period

# What half the step may change, and how many steps a kick may take.
_SETTLED, _MOST = 1e-11, 1 << 14
# Agreement of what recognizes an exact flow, relative.
_EXACT = 1e-11
SHIFT, TURN, FLOW = 0, 1, 2


def with_flow(source: str, name: str, drift: str = "kick_drift") -> str:
    """A drift with `flowed` for it, under another name."""
    return _together(source, kick_steps.flowed, name, drift)


def with_kick(source: str, name: str, drift: str = "kick_drift") -> str:
    """A drift with `kicked` for it, under another name."""
    return _together(source, kick_steps.kicked, name, drift)


def _together(source: str, function: Any, name: str, drift: str) -> str:
    text = inspect.getsource(function)
    text = text.replace(f"def {function.__name__}(", f"def {name}(")
    return source + "\n\n" + text.replace("kick_drift(", f"{drift}(")


class FieldKicks:
    """The kicks of a problem at one point.

    Attributes:
        periods: Of each kick.
        kinds: Of each kick: shift, turn or flow.
        steps: Of each kick, as many as it has needed.

    Raises:
        SolveError: E540 for a period that is not positive.
    """

    def __init__(self, problem: FieldProblem, values: Numbers, lanes: int) -> None:
        self.problem, self.values = problem, values
        self.periods = [
            positive_period(complex(values.c[k.period])) for k in problem.kicks
        ]
        self._lanes = lanes
        self._exact = [self._compiled(k, with_kick, "kicked") for k in problem.kicks]
        self._flows: dict[int, Any] = {}
        tables = problem.tables or (np.zeros((1, 1), dtype=np.int64),)
        parts = (values.c.real, values.c.imag, values.w.real, values.w.imag)
        self._data = (*map(np.ascontiguousarray, parts), tables)
        a, b, *_ = tableau()
        self.weights = (a, b)
        self.steps = [4] * len(problem.kicks)
        shape = problem.count, lanes
        self.kinds = [self._kind(k, shape) for k in range(len(problem.kicks))]

    @property
    def period(self) -> float:
        """The period of all kicks; 0 where they differ."""
        return common(self.periods)

    @property
    def shortest(self) -> float:
        """The shortest period."""
        return min(self.periods)

    def times(self, end: float) -> list[float]:
        """When anything is kicked before a time, ascending from 0."""
        return instants(self.periods, end)

    def apply(self, xr: np.ndarray, xi: np.ndarray, time: float) -> None:
        """All kicks at a time, in the order written, on fields of shape (F, lanes)."""
        for k, period in enumerate(self.periods):
            if falls(time, period):
                self.kick(k, xr, xi)

    def kick(self, k: int, xr: np.ndarray, xi: np.ndarray) -> None:
        """One kick, in place.

        Raises:
            SolveError: E514 for a flow that does not settle.
        """
        kind = self.kinds[k]
        if kind != FLOW:
            self._exact[k](xr, xi, *self._data, kind == TURN, 1.0)
            return
        coarse = xr.copy(), xi.copy()
        self._flow(k, *coarse, self.steps[k])
        while True:
            fine = xr.copy(), xi.copy()
            self._flow(k, *fine, 2 * self.steps[k])
            size = 1.0 + max(np.abs(fine[0]).max(), np.abs(fine[1]).max())
            change = max(np.abs(x - y).max() for x, y in zip(fine, coarse, strict=True))
            if change <= _SETTLED * size:
                break
            self.steps[k] *= 2
            coarse = fine
            if self.steps[k] > _MOST or not np.isfinite(change):
                raise SolveError(
                    Diagnostic(
                        "E514",
                        "the flow of a kick leaves the real numbers, or does not settle",
                        help="is its generator bounded from one side, or the kick very strong?",
                    )
                )
        xr[:], xi[:] = fine

    def _compiled(self, kick: FieldKick, text: Any, name: str) -> Any:
        source = module_text([text(kick.source, name)], self._lanes, 2 * kick.sums)
        return compiled(source, name)

    def _flow(self, k: int, xr: np.ndarray, xi: np.ndarray, steps: int) -> None:
        if k not in self._flows:
            kick = self.problem.kicks[k]
            self._flows[k] = self._compiled(kick, with_flow, "flowed")
        self._flows[k](xr, xi, *self._data, steps, 1.0, *self.weights)

    def _kind(self, k: int, shape: tuple[int, int]) -> int:
        """Which exact form a flow has: it is tried at random fields."""
        rng = np.random.default_rng(k)
        tries = [rng.standard_normal((2, *shape)) for _ in range(2)]
        if all(self._is_flow(k, fields, False) for fields in tries):
            return SHIFT
        return TURN if all(self._is_flow(k, fields, True) for fields in tries) else FLOW

    def _is_flow(self, k: int, fields: np.ndarray, turns: bool) -> bool:
        """Whether two parts of a shift or turn are the whole, and the turn is all of the drift."""

        def moved(*lengths: float, turning: bool = turns) -> np.ndarray:
            found = fields.copy()
            for length in lengths:
                self._exact[k](found[0], found[1], *self._data, turning, length)
            return found

        whole, drift = moved(1.0), moved(1.0, turning=False) - fields
        size = 1.0 + float(np.abs(drift).max())
        if not np.abs(whole - moved(0.37, 0.63)).max() <= _EXACT * size:
            return False
        radial = drift[0] * fields[0] + drift[1] * fields[1]
        return not turns or bool(np.abs(radial).max() <= _EXACT * size)
