"""Deterministic equations of fields: adaptive integration of the generated drift."""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import FieldProblem, Point
from qsyncdsl.result import FieldResult, Trust
from qsyncdsl.solve.fields import numbers, protocol_warnings, sampling
from qsyncdsl.solve.kernels import compiled, kernel_source

_TOLERANCE = 1e-9


class ClassicalSolver:
    """Solves the classical equations of one problem at many points."""

    def __init__(self, problem: FieldProblem) -> None:
        self.problem = problem
        self.kernel = compiled(kernel_source(problem, 1))

    def solve(self, point: Point) -> FieldResult:
        """Integrate from the initial means.

        Raises:
            SolveError: E510, E511 for times, E514 where the integration fails.
        """
        assert point.initial is not None
        chosen = sampling(point.options, self.problem.count, 1, 0.05)
        right = self._right_side(point)
        start = np.concatenate([point.initial[0].real, point.initial[0].imag])
        step = float(point.options.get("dt", 0) or np.inf)
        found = solve_ivp(
            right,
            (0.0, float(chosen.times[-1])),
            start,
            method="DOP853",
            t_eval=chosen.times,
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
        size = self.problem.count
        samples = (found.y[:size] + 1j * found.y[size:])[:, None, :]
        facts = {
            "scheme": "DOP853",
            "start": "means of the initial state",
            "protocol": "reset",
        }
        warnings = protocol_warnings(point.options)
        trust = Trust({"tolerance": _TOLERANCE}, facts, warnings)
        return FieldResult(
            self.problem.families, chosen.times, samples, chosen.series, False, trust
        )

    def _right_side(self, point: Point):  # type: ignore[no-untyped-def]
        values = numbers(self.problem, point)
        drift = self.kernel.py_func.__globals__["drift"]
        tables = self.problem.tables or (np.zeros((1, 1), dtype=np.int64),)
        wr, wi = (
            np.ascontiguousarray(values.w.real),
            np.ascontiguousarray(values.w.imag),
        )
        size = self.problem.count
        fixed = np.ascontiguousarray(values.c.real), np.ascontiguousarray(values.c.imag)

        def right(time: float, y: np.ndarray) -> np.ndarray:
            cr, ci = fixed
            if values.moving:
                c = values.at(time)
                cr, ci = np.ascontiguousarray(c.real), np.ascontiguousarray(c.imag)
            out = np.empty((2, size, 1))
            drift(
                cr, ci, wr, wi, tables, y[:size, None], y[size:, None], out[0], out[1]
            )
            return out.reshape(-1)

        return right
