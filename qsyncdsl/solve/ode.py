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
from qsyncdsl.solve import at_rest
from qsyncdsl.solve.dop853 import Dop853
from qsyncdsl.solve.drivers import Driver
from qsyncdsl.solve.dynamics import Dynamics
from qsyncdsl.solve.field_kicks import (
    FLOW,
    TURN,
    FieldKicks,
    with_flow,
    with_kick,
)
from qsyncdsl.solve.fields import Numbers, numbers
from qsyncdsl.solve.flow import Flow
from qsyncdsl.solve.kick_times import intervals
from qsyncdsl.solve.pulses import changes
from qsyncdsl.solve.times import Sampling, even, sampling

_TOLERANCE = 1e-9
# Below this a tolerance only asks for rounding.
FINEST = 1e-13
# Times between samples of an average at most, and samples while the fastest field turns by a radian.
_FINEST_TIMES, _PER_RADIAN = 0.05, 6.0
# Samples in a period of kicks, at least; steps of its map, at first and at most.
_A_PERIOD = 32
_STEPS, _MOST_STEPS = 4, 1 << 14
# Real parts of all fields, then imaginary parts.
_RIGHT = """def right(y, data, out):
    cr, ci, wr, wi, tables = data
    n = len(y) // 2
    re, im = y[:n].reshape((n, 1)), y[n:].reshape((n, 1))
    drift(cr, ci, wr, wi, tables, re, im, out[:n].reshape((n, 1)), out[n:].reshape((n, 1)))
"""
# From just before a kick to just before the next one.
_MAP = """def right(y, data, out):
    cr, ci, wr, wi, tables, plan, span, a, b = data
    n = len(y) // 2
    out[:] = y
    re, im = out[:n].reshape((n, 1)), out[n:].reshape((n, 1))
{kicks}
    along(re, im, cr, ci, wr, wi, tables, plan[-1], span[0], a, b)
"""
_EXACT = "    kick_{0}(re, im, cr, ci, wr, wi, tables, {1}, 1.0)"
_FLOWING = "    kick_{0}(re, im, cr, ci, wr, wi, tables, plan[{0}], 1.0, a, b)"


class PeriodMap(Flow):
    """The map of a period of kicks; its number of steps is found when it is first run."""

    def settled_at(self, plan: np.ndarray, states: np.ndarray) -> PeriodMap:
        """The map with the entry of its data that has the number of steps, and states to try them on."""
        self._plan, self._states = plan, states
        return self

    @property
    def driver(self) -> Driver:
        """Runs of y."""
        driver = super().driver
        states, self._states = self._states, self._states[:0]
        before = None
        while len(states) and self._plan[-1] <= _MOST_STEPS:
            after = np.empty_like(states)
            for y, out in zip(states, after, strict=True):
                driver.right(y, self.data, out)
            scale = 1 + np.abs(after).max()
            if before is not None and np.abs(after - before).max() < 1e-12 * scale:
                break
            before = after
            self._plan[-1] *= 2
        return driver

    @property
    def tangent_driver(self) -> Driver:
        """Runs of y with tangent vectors."""
        _ = self.driver
        return super().tangent_driver


class ClassicalSolver:
    """Solves the classical equations of one problem at many points."""

    def __init__(self, problem: FieldProblem) -> None:
        self.problem = problem
        drift = problem.source[: problem.source.index("def advance(")]
        self._text = "\n\n".join([drift, _RIGHT])
        self._shared: dict[str, Any] = {}
        self.tables = problem.tables or (np.zeros((1, 1), dtype=np.int64),)

    def solve(self, point: Point) -> FieldResult:
        """Integrate from the initial means; without times, the fixed point they run to.

        Raises:
            SolveError: E510, E511 for times, E514 where the integration fails; E512, E520, E521 and E527 where there
                is no stationary state.
        """
        assert point.initial is not None
        values = numbers(self.problem, point)
        kicks = FieldKicks(self.problem, values, 1) if self.problem.kicks else None
        means = point.initial[0]
        if point.previous is not None:
            means = point.previous["samples"][:, 0]
        start = np.concatenate([means.real, means.imag])
        if at_rest.asked(point.options):
            return self._stationary(point, values, start)
        finest = min(_FINEST_TIMES, kicks.shortest / _A_PERIOD) if kicks else 0.0
        finest = finest or self._spacing(point, values, start)
        chosen = sampling(
            point.options,
            self.problem.count,
            1,
            finest,
            kicks.shortest if kicks else 0.0,
        )
        chosen = chosen if kicks else even(chosen)
        step = float(point.options.get("dt", 0) or np.inf) * point.longer
        tolerance = _tolerance(point)
        if kicks:
            return self._kicked(point, values, kicks, start, chosen, step)
        found = self._smooth(values, start, chosen.times, step, tolerance)
        size = self.problem.count
        samples = (found[:size] + 1j * found[size:])[:, None, :]
        facts = {
            "scheme": "DOP853",
            "start": "means of the initial state"
            if point.previous is None
            else "end of the point before",
        }
        trust = Trust({"tolerance": tolerance}, facts)
        result = FieldResult(
            self.problem.families, chosen.times, samples, chosen.series, False, trust
        )
        flow = self.flow(point)
        dynamics = Dynamics(flow, found.T, chosen.times, start)
        extra = {"dynamics": dynamics, "again": self._again(point)}
        stays = replace(trust, warnings=at_rest.unmoved(flow, found.T, start))
        return replace(result, extra=extra, trust=stays)

    def _stationary(
        self, point: Point, values: Numbers, start: np.ndarray
    ) -> FieldResult:
        """The fixed point."""
        if values.moving or self.problem.kicks:
            what = "kicks act" if self.problem.kicks else "coefficients depend on time"
            raise SolveError(at_rest.never(what))
        flow = self.flow(point)
        y = at_rest.fixed_point(flow, start, bound=False)
        size = self.problem.count
        samples = (y[:size] + 1j * y[size:])[:, None, None]
        dynamics = Dynamics.at_rest(flow, y, start)
        return FieldResult(
            self.problem.families, np.zeros(1), samples, False, False, at_rest.trust(flow, y),
            extra={"dynamics": dynamics, "again": self._again(point)},
        )  # fmt: skip

    def _spacing(self, point: Point, values: Numbers, start: np.ndarray) -> float:
        """Between the samples of an average: some of them in the time of the fastest turn by a radian."""
        if "times" in point.options:
            return _FINEST_TIMES
        data = (*_parts(values.c), *_parts(values.w), self.tables)
        right, size = self._driver(data).right, 1.0 + float(np.abs(start).max())

        def rate(y: np.ndarray) -> np.ndarray:
            out = np.empty(len(y))
            right(np.ascontiguousarray(y), data, out)
            return out

        base, best = rate(start), 0.0
        v = np.random.default_rng(0).standard_normal(len(start))
        for _ in range(8):
            v /= np.linalg.norm(v) or 1.0
            v = (rate(start + 1e-6 * size * v) - base) / (1e-6 * size)
            best = max(best, float(np.linalg.norm(v)))
        return (
            min(_FINEST_TIMES, 1 / (_PER_RADIAN * best)) if best > 0 else _FINEST_TIMES
        )

    def _smooth(
        self, values: Numbers, start: np.ndarray, times: np.ndarray, step: float, tolerance: float,
        begin: float = 0.0,
    ) -> np.ndarray:  # fmt: skip
        """Fields at `begin + times`, shape (2F, T)."""
        if values.moving or np.isfinite(step):
            return self._by_scipy(values, start, times, step, tolerance, begin)
        data = (*_parts(values.c), *_parts(values.w), self.tables)
        return self._driver(data).integrate(start, times, data, tolerance).T

    def _driver(self, data: Any) -> Driver:
        """Runs of y; the integrator is compiled once for all models."""
        if "plain" not in self._shared:
            self._shared["plain"] = Driver([self._text], data, 1, 2 * self.problem.sums)
        driver: Driver = self._shared["plain"]
        return driver

    # ── kicks ────────────────────────────────────────────────────────────────────────────────

    def _kicked(
        self, point: Point, values: Numbers, kicks: FieldKicks, start: np.ndarray,
        chosen: Sampling, step: float,
    ) -> FieldResult:  # fmt: skip
        """From kick to kick; the record of the map of a period beside the times that were asked for."""
        size = self.problem.count
        found = np.empty((2 * size, len(chosen.times)))
        found[:, chosen.times <= 0] = start[:, None]
        y, strobe = start.copy(), [start.copy()]
        times = kicks.times(float(chosen.times[-1]))
        for begin, places, end in intervals(chosen.times, times):
            re, im = y[:size].reshape(size, 1), y[size:].reshape(size, 1)
            kicks.apply(re, im, begin)
            inside = np.append(chosen.times[places], end) - begin
            ends = len(inside) - 1
            if ends and inside[-1] - inside[-2] < 1e-9 * inside[-1]:
                inside, ends = inside[:-1], ends - 1
            path = self._smooth(values, y, inside, step, _tolerance(point), begin)
            found[:, places] = path[:, : places.stop - places.start]
            y = path[:, ends].copy()
            strobe.append(y.copy())
        facts = {
            "scheme": "DOP853 between kicks",
            "start": "means of the initial state"
            if point.previous is None
            else "end of the point before",
            "values": "at the instant of a kick those just before it",
        }
        samples = (found[:size] + 1j * found[size:])[:, None, :]
        trust = Trust({"tolerance": _tolerance(point)}, facts)
        result = FieldResult(
            self.problem.families, chosen.times, samples, chosen.series, False, trust
        )
        if values.moving or not kicks.period:
            reason = "coefficients and kicks of different periods have no map"
            return replace(result, extra={"no_dynamics": reason})
        # the last stretch may end inside a period
        whole = strobe[:-1] if len(strobe) > 2 else strobe
        path = np.array(whole)
        counts = np.arange(len(whole), dtype=float)
        low = float(chosen.times[0]) if not chosen.series else 0.0
        first = min(int(low / kicks.period), max(len(whole) - 2, 0))
        flow = self._map(values, kicks, path)
        dynamics = Dynamics(flow, path[first:], counts[first:], start)
        extra = {"dynamics": dynamics, "again": self._again(point)}
        return replace(result, extra=extra)

    def _map(self, values: Numbers, kicks: FieldKicks, path: np.ndarray) -> Flow:
        """The map of a period, with as many steps as states of a record need."""
        problem = self.problem
        drift = problem.source[: problem.source.index("def advance(")]
        pieces, lines = [with_flow(drift, "along", "drift")], []
        for k, (kick, kind) in enumerate(zip(problem.kicks, kicks.kinds, strict=True)):
            name = f"kick_drift_{k}"
            source = kick.source.replace("def kick_drift(", f"def {name}(")
            together = with_flow if kind == FLOW else with_kick
            pieces.append(together(source, f"kick_{k}", name))
            line = _FLOWING if kind == FLOW else _EXACT
            lines.append(line.format(k, kind == TURN))
        text = "\n\n".join([*pieces, _MAP.format(kicks="\n".join(lines))])
        plan = np.array([*(2 * n for n in kicks.steps), _STEPS])
        span = np.array([kicks.period])
        parts = (*_parts(values.c), *_parts(values.w), self.tables)
        return PeriodMap(
            text, 2 * problem.count, (*parts, plan, span, *kicks.weights), (), True, False,
            self._labels(), 2 * max([problem.sums, *(k.sums for k in problem.kicks)]),
            self._shared.setdefault(text, {}),
        ).settled_at(plan, path[np.linspace(0, len(path) - 1, 4).astype(int)])  # fmt: skip

    # ── the right side ───────────────────────────────────────────────────────────────────────

    def flow(self, point: Point) -> Flow:
        """The right side for the real parts of all fields, then their imaginary parts."""
        values = numbers(self.problem, point)
        if self.problem.kicks:
            assert point.initial is not None
            means = point.initial[0]
            start = np.concatenate([means.real, means.imag])
            return self._map(values, FieldKicks(self.problem, values, 1), start[None])
        data = (*_parts(values.c), *_parts(values.w), self.tables)
        return Flow(
            self._text, 2 * self.problem.count, data, (), False, values.moving, self._labels(),
            2 * self.problem.sums, self._shared,
        )  # fmt: skip

    def _labels(self) -> tuple[str, ...]:
        """Names of the entries of y."""
        return tuple(
            f"{part} {family.label}{f'[{k + 1}]' if family.shape else ''}"
            for part in ("re", "im")
            for family in self.problem.families
            for k in range(family.size)
        )

    def _again(self, point: Point) -> Callable[[np.ndarray], FieldResult]:
        """The same point from other fields."""

        def run(y: np.ndarray) -> FieldResult:
            fields = y[: len(y) // 2] + 1j * y[len(y) // 2 :]
            initial = np.array([fields, np.zeros_like(fields)])
            return self.solve(replace(point, initial=initial, previous=None))

        return run

    def _by_scipy(
        self, values: Numbers, start: np.ndarray, times: np.ndarray, step: float, tolerance: float,
        begin: float,
    ) -> np.ndarray:  # fmt: skip
        """With a longest step, or with coefficients that depend on time; shape (2F, T)."""
        fixed = (*_parts(values.w), self.tables)
        right = self._driver((*_parts(values.c), *fixed)).right

        def rates(time: float, y: np.ndarray) -> np.ndarray:
            c = values.at(begin + time) if values.moving else values.c
            out = np.empty(len(y))
            right(y, (*_parts(c), *fixed), out)
            return out

        if values.moving:
            end = begin + float(times[-1])
            step = min(step, changes(values.at, begin, end).longest)
        found = solve_ivp(
            rates,
            (0.0, float(times[-1])),
            start,
            method=Dop853,
            t_eval=times,
            rtol=tolerance,
            atol=tolerance / 1000,
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


def _tolerance(point: Point) -> float:
    """Of the steps at a point."""
    return max(_TOLERANCE * point.coarser, FINEST)


def _parts(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.ascontiguousarray(values.real), np.ascontiguousarray(values.imag)
