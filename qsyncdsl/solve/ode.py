"""Deterministic equations of fields: adaptive integration of the generated drift."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import FieldProblem, Point
from qsyncdsl.result import FieldResult, Trust
from qsyncdsl.solve.dynamics import Dynamics
from qsyncdsl.solve.fields import Numbers, numbers, sampling
from qsyncdsl.solve.flow import Flow
from qsyncdsl.solve.kernels import compiled, integrate, integrator_source

_TOLERANCE = 1e-9
# Real parts of all fields, then imaginary parts.
_RIGHT = """def right(y, data, out):
    cr, ci, wr, wi, tables = data
    n = len(y) // 2
    re, im = y[:n].reshape((n, 1)), y[n:].reshape((n, 1))
    drift(cr, ci, wr, wi, tables, re, im, out[:n].reshape((n, 1)), out[n:].reshape((n, 1)))
"""


class ClassicalSolver:
    """Solves the classical equations of one problem at many points."""

    def __init__(self, problem: FieldProblem) -> None:
        self.problem = problem
        drift = problem.source[: problem.source.index("def advance(")]
        self._text = "\n\n".join([drift, _RIGHT])
        self._shared: dict[str, Any] = {}
        self.source = integrator_source([drift, _RIGHT], 1, 2 * problem.sums)
        self.tables = problem.tables or (np.zeros((1, 1), dtype=np.int64),)

    def solve(self, point: Point) -> FieldResult:
        """Integrate from the initial means.

        Raises:
            SolveError: E510, E511 for times, E514 where the integration fails.
        """
        assert point.initial is not None
        chosen = sampling(point.options, self.problem.count, 1, 0.05)
        means = point.initial[0]
        if point.previous is not None:
            means = point.previous["samples"][:, 0]
        start = np.concatenate([means.real, means.imag])
        step = float(point.options.get("dt", 0) or np.inf)
        values = numbers(self.problem, point)
        if values.moving or np.isfinite(step):
            found = self._by_scipy(values, start, chosen.times, step)
        else:
            data = (*_parts(values.c), *_parts(values.w), self.tables)
            tolerance = (_TOLERANCE, 1e-12)
            found = integrate(self.source, start, chosen.times, data, tolerance).T
        size = self.problem.count
        samples = (found[:size] + 1j * found[size:])[:, None, :]
        facts = {
            "scheme": "DOP853",
            "start": "means of the initial state"
            if point.previous is None
            else "end of the point before",
        }
        trust = Trust({"tolerance": _TOLERANCE}, facts)
        result = FieldResult(
            self.problem.families, chosen.times, samples, chosen.series, False, trust
        )
        dynamics = Dynamics(self.flow(point), found.T, chosen.times, start)
        extra = {"dynamics": dynamics, "again": self._again(point)}
        return replace(result, extra=extra)

    def flow(self, point: Point) -> Flow:
        """The right side for the real parts of all fields, then their imaginary parts."""
        values = numbers(self.problem, point)
        size = self.problem.count
        names = [
            f"{part} {family.label}{f'[{k + 1}]' if family.shape else ''}"
            for part in ("re", "im")
            for family in self.problem.families
            for k in range(family.size)
        ]
        data = (*_parts(values.c), *_parts(values.w), self.tables)
        return Flow(
            self._text, 2 * size, data, (), False, values.moving, tuple(names),
            2 * self.problem.sums, self._shared,
        )  # fmt: skip

    def _again(self, point: Point) -> Callable[[np.ndarray], FieldResult]:
        """The same point from other fields."""

        def run(y: np.ndarray) -> FieldResult:
            fields = y[: len(y) // 2] + 1j * y[len(y) // 2 :]
            initial = np.array([fields, np.zeros_like(fields)])
            return self.solve(replace(point, initial=initial, previous=None))

        return run

    def _by_scipy(
        self, values: Numbers, start: np.ndarray, times: np.ndarray, step: float
    ) -> np.ndarray:
        """With a longest step, or with coefficients that depend on time; shape (2F, T)."""
        right = compiled(self.source, "right")
        fixed = (*_parts(values.w), self.tables)

        def rates(time: float, y: np.ndarray) -> np.ndarray:
            c = values.at(time) if values.moving else values.c
            out = np.empty(len(y))
            right(y, (*_parts(c), *fixed), out)
            return out

        found = solve_ivp(
            rates,
            (0.0, float(times[-1])),
            start,
            method="DOP853",
            t_eval=times,
            rtol=_TOLERANCE,
            atol=1e-12,
            max_step=step,
        )
        if not found.success or not np.isfinite(found.y).all():
            raise SolveError(
                Diagnostic(
                    "E514",
                    f"the integration ended at t = {found.t[-1] if len(found.t) else 0:.4g}",
                    help="does a field grow without bound?",
                )
            )
        return np.asarray(found.y)


def _parts(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.ascontiguousarray(values.real), np.ascontiguousarray(values.imag)
