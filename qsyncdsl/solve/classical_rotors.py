r"""Classical rotors in time: kicks, and between them the exact flow where it is affine.

Other flows go by the Runge-Kutta method of fourth order in fixed steps. The mean over time is that of
states inside the periods, at Gauss points.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.linalg

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import Point, RotorProblem
from qsyncdsl.result import RotorResult, Trust
from qsyncdsl.solve import at_rest, coefficients
from qsyncdsl.solve.dynamics import Dynamics
from qsyncdsl.solve.flow import Flow
from qsyncdsl.solve.kernels import compiled, module_source
from qsyncdsl.solve.times import duration, increasing, window

# Gauss points of a period.
_POINTS = 5
# Times of the average of rotors without kicks.
_TIMES = 4001


class ClassicalRotors:
    """Solves one problem at many points."""

    def __init__(self, problem: RotorProblem) -> None:
        self.problem = problem
        self._shared: dict[str, Any] = {}

    def solve(self, point: Point) -> RotorResult:
        """Run from the initial angles and momenta; without times, the fixed point they run to.

        Raises:
            SolveError: E507 for a coefficient that is not finite, E510, E511 for times, E540 for
                periods that differ; E520, E521 and E527 where there is no stationary state.
        """
        f = self._numbers(point)
        start = np.asarray(point.initial, dtype=float)
        if point.previous is not None:
            start = np.asarray(point.previous["last"], dtype=float)
        run = self._kicked if self.problem.kicks else self._free
        again = {
            "again": lambda y: self.solve(replace(point, initial=y, previous=None))
        }
        if at_rest.asked(point.options):
            found, dynamics = self._stationary(f, start)
            return replace(found, extra={"dynamics": dynamics, **again})
        result = run(point, f, start)
        times = result.path_times
        if self.problem.kicks:
            times = np.round(times / self._period(f))
        flow = self.flow(point)
        extra = {
            "dynamics": Dynamics(flow, result.path, times, start),
            **again,
        }
        return replace(result, extra=extra)

    def flow(self, point: Point) -> Flow:
        """The map of a period, or the rates, at a point."""
        f = self._numbers(point)
        return self._flow(f, self._period(f) if self.problem.kicks else 1.0)

    def _numbers(self, point: Point) -> np.ndarray:
        f = coefficients.evaluate(self.problem.coefficients, point.values).real
        if not np.isfinite(f).all():
            raise SolveError(
                Diagnostic("E507", "a coefficient of the model is not finite here")
            )
        return np.asarray(f)

    def _flow(self, f: np.ndarray, span: float) -> Flow:
        problem = self.problem
        count = len(problem.labels)
        names = tuple(f"{m}.{x}" for x in "xp" for m in problem.labels)
        c, propagator = self._data(f, span)
        data: Any = (c, propagator) if problem.kicks else (c,)
        return Flow(
            problem.source,
            2 * count,
            data,
            tuple(range(count)),
            bool(problem.kicks),
            False,
            names,
            shared=self._shared,
        )

    def _data(self, f: np.ndarray, span: float) -> tuple[np.ndarray, np.ndarray]:
        """Parameters of the source, and the affine propagator (empty where there is none)."""
        kicks, affine = self.problem.kicks, self.problem.affine
        c = np.ascontiguousarray(f[kicks + affine :])
        size = 2 * len(self.problem.labels)
        if not affine:
            return np.append(c, span), np.zeros((0, 0))
        generator = np.zeros((size + 1, size + 1))
        generator[:size] = f[kicks : kicks + affine].reshape(size, size + 1)
        found = scipy.linalg.expm(generator * span)[:size]
        return np.append(c, span), np.ascontiguousarray(found)

    def _stationary(
        self, f: np.ndarray, start: np.ndarray
    ) -> tuple[RotorResult, Dynamics]:
        """The fixed point."""
        if self.problem.kicks:
            raise SolveError(at_rest.never("kicks act"))
        flow = self._flow(f, 1.0)
        y = at_rest.fixed_point(flow, start, bound=False)
        trust, dynamics = at_rest.trust(flow, y), Dynamics.at_rest(flow, y, start)
        values, path = y[:, None], y[None]
        return (
            RotorResult(None, values, np.ones(1), y, path, np.zeros(1), trust),
            dynamics,
        )

    # ── kicked ───────────────────────────────────────────────────────────────────────────────

    def _period(self, f: np.ndarray) -> float:
        periods = f[: self.problem.kicks]
        if periods[0] <= 0 or np.ptp(periods) > 1e-12 * periods[0]:
            listed = " and every ".join(f"{p:.6g}" for p in periods)
            raise SolveError(
                Diagnostic(
                    "E540",
                    f"kicks every {listed} have no common period that is known",
                    help="give all kicks one positive period",
                )
            )
        return float(periods[0])

    def _kicked(self, point: Point, f: np.ndarray, start: np.ndarray) -> RotorResult:
        period = self._period(f)
        flow = self._flow(f, period)
        facts = {
            "scheme": "exact between kicks" if self.problem.affine else "Runge-Kutta 4",
            "values": "at the instant of a kick those just before it",
        }
        if "times" in point.options:
            times = increasing(point.options["times"])
            counts = np.round(times / period)
            if np.abs(counts * period - times).max() > 1e-9 * period:
                raise SolveError(
                    Diagnostic(
                        "E511",
                        f"classical kicked rotors are known at whole periods of {period:g}",
                        help="ask for such times, or for an average: time = T",
                    )
                )
            path = flow.at(start, counts)
            weights = np.full(len(times), 1 / len(times))
            trust = Trust({}, facts)
            return RotorResult(times, path.T, weights, path[-1], path, times, trust)
        low, high = window(point.options, duration(point.options, "the rotors run"))
        first, count = round(low / period), round(high / period)
        count = max(count, first + 1)
        strobe = flow.at(start, np.arange(count + 1))
        values, weights = self._inside(f, period, strobe[first:-1])
        facts["average"] = f"over periods {first + 1}..{count}, inside them"
        path, times = strobe[first:], period * np.arange(first, count + 1)
        trust = Trust({}, facts)
        return RotorResult(None, values, weights, strobe[-1], path, times, trust)

    def _inside(
        self, f: np.ndarray, period: float, strobe: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """States at Gauss points inside the periods that begin with given states."""
        nodes, shares = np.polynomial.legendre.leggauss(_POINTS)
        source = module_source([self.problem.source])
        kick, along = compiled(source, "kick"), compiled(source, "along")
        c, _ = self._data(f, period)
        after = np.empty_like(strobe)
        for y, z in zip(strobe, after, strict=True):
            kick(y, c, z)
        found = []
        for x in (nodes + 1) / 2:
            span = x * period
            c, m = self._data(f, span)
            states = np.empty_like(after)
            for z, out in zip(after, states, strict=True):
                along(z, c, m, out)
            found.append(states.T)
        weights = np.repeat(shares / 2, len(strobe)) / len(strobe)
        return np.concatenate(found, axis=1), weights

    # ── without kicks ────────────────────────────────────────────────────────────────────────

    def _free(self, point: Point, f: np.ndarray, start: np.ndarray) -> RotorResult:
        flow = self._flow(f, 1.0)
        flow.tolerance = max(flow.tolerance * point.coarser, 1e-13)
        trust = Trust({"tolerance": flow.tolerance}, {"scheme": "DOP853"})
        if "times" in point.options:
            times = increasing(point.options["times"])
            path = flow.at(start, times)
            weights = np.full(len(times), 1 / len(times))
            return RotorResult(times, path.T, weights, path[-1], path, times, trust)
        low, high = window(point.options, duration(point.options, "the rotors run"))
        times = np.linspace(low, high, _TIMES)
        path = flow.at(start, times)
        weights = np.full(_TIMES, 1.0)
        weights[[0, -1]] /= 2
        weights /= weights.sum()
        return RotorResult(None, path.T, weights, path[-1], path, times, trust)
