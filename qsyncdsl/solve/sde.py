"""Stochastic equations of fields: many realizations side by side by a generated kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import FieldProblem, Point, Stretch, at_once
from qsyncdsl.result import FieldResult, Trust
from qsyncdsl.solve.field_kicks import FieldKicks
from qsyncdsl.solve.fields import Numbers, coarse_events, numbers, sampling
from qsyncdsl.solve.kernels import kernel_source, loaded
from qsyncdsl.solve.kick_times import intervals
from qsyncdsl.solve.lanes import streams
from qsyncdsl.solve.pulses import changes

# The step is chosen so that (fastest rate) x dt is this; a run that leaves twice the value behind
# is begun again with half the step.
_ACCURACY = {1: 0.01, 2: 0.08}
# Bytes of saved fields that one call of the kernel returns at most.
_CHUNK = 16 << 20
_CHECKS = 24
# Bytes of fields and noises that a run may need.
_ROOM = 4 << 30


class LangevinSolver:
    """Solves the Langevin equations of one problem at many points."""

    def __init__(self, problem: FieldProblem, symmetric: bool = True) -> None:
        self.problem = problem
        self.symmetric = symmetric

    def solve(self, point: Point) -> FieldResult:
        """Run all realizations.

        Raises:
            SolveError: As `begin`.
        """
        found: FieldResult = at_once(self.begin(point))
        return found

    def begin(self, point: Point, settled: Mapping[str, float] | None = None) -> Run:
        """What all realizations have in common: numbers, the times, and the step they begin with.

        Args:
            settled: What another beginning of the same point has found.

        Raises:
            SolveError: E510-E512 for times, E513 for a trajectory that leaves the real numbers,
                E515 for negative rates.
        """
        realizations = int(point.options.get("realizations", 1))
        if realizations < 1:
            raise SolveError(Diagnostic("E511", "realizations must be at least 1"))
        # Times that are refused need no compiled kernel.
        sampling(point.options, self.problem.count, realizations, np.inf)
        values = numbers(self.problem, point)
        weak = point.options.get("noise") == "weak"
        order = 1 if point.options.get("scheme") == "euler" else 2
        lanes = 1 if realizations == 1 else 4 if realizations <= 4 else 16
        kernel = _Kernel(self.problem, values, lanes, weak, order)
        return Run(self.problem, point, kernel, realizations, self.symmetric, settled)


class Run:
    """All realizations at one point, in groups of as many as the kernel has lanes.

    The first group settles the step and the times that are kept; where the fields of another become too
    fast for that step, it takes a shorter one.
    """

    def __init__(
        self,
        problem: FieldProblem,
        point: Point,
        kernel: _Kernel,
        realizations: int,
        symmetric: bool,
        settled: Mapping[str, float] | None,
    ) -> None:
        self.problem, self.point, self.kernel = problem, point, kernel
        self.count, self.unit, self.symmetric = realizations, kernel.lanes, symmetric
        self._given = bool(float(point.options.get("dt", 0) or 0))
        self._first: Mapping[str, np.ndarray] | None = None
        if settled is not None:
            self._keep(settled["step"])
            return
        step = float(point.options.get("dt", 0) or 0)
        rate = max(kernel.rate(self._start(0)), self._change(kernel.values))
        step = step or _ACCURACY[kernel.order] / rate
        while self._first is None:
            self._keep(step)
            try:
                self._first = self._group(0, self.step)
            except _TooFast as signal:
                step = min(self.step / 2, signal.step)

    def _change(self, values: Numbers) -> float:
        """How fast coefficients change in time, relative to their size."""
        if not values.moving or self._given:
            return 0.0
        given = self.point.options.get("times", self.point.options.get("time", 0.0))
        return changes(values.at, 0.0, float(np.max(given))).rate

    def _keep(self, step: float) -> None:
        """Choose the times for a step."""
        kicks = self.kernel.kicks
        period = kicks.shortest if kicks else 0.0
        options, fields = self.point.options, self.problem.count
        finest = 2 * step if options.get("events") else step
        chosen = sampling(options, fields, self.count, finest, period)
        self.times, self.series = chosen.times, chosen.series
        self.step = min(step, _gap(chosen.times))

    @property
    def settled(self) -> Mapping[str, float]:
        """The step of the first realizations."""
        return {"step": self.step}

    def key(self) -> tuple[Any, ...]:
        """Lanes, times and step."""
        families = tuple((f.label, f.shape) for f in self.problem.families)
        return families, self.unit, self.times, self.series, self.symmetric, self.step

    def stretch(self, first: int, size: int) -> Mapping[str, np.ndarray]:
        """Samples (F, n, T) of some realizations; `coarse` of the first, with twice the step.

        Raises:
            SolveError: E513.
        """
        groups = []
        for begin in range(first, first + size, self.unit):
            if begin == 0 and self._first is not None:
                groups.append(self._first)
                continue
            step = self.step
            while True:
                try:
                    groups.append(self._group(begin, step))
                    break
                except _TooFast as signal:
                    step = min(step / 2, signal.step)
        found = {"samples": np.concatenate([g["samples"] for g in groups], axis=1)}
        found["numbers"] = np.concatenate([g["numbers"] for g in groups])
        return found | {k: g for k, g in groups[0].items() if k not in found}

    def _group(self, first: int, step: float) -> Mapping[str, np.ndarray]:
        """The realizations of all lanes; `numbers`: steps, how many were clipped, and their length.

        Raises:
            _TooFast: If another step is needed.
        """
        kernel, lanes, times = self.kernel, self.unit, self.times
        kept = min(lanes, self.count - first)
        samples = np.empty((self.problem.count, kept, len(times)), dtype=complex)
        start, state = self._start(first), streams(self.point.seed, first, lanes)
        watch = not self._given
        for place, found in kernel.run(start, state, times, step, watch):
            samples[:, :, place] = found[:, :kept]
            if self.point.tell is not None:
                done = (place.stop or 0) / len(times)
                self.point.tell(min(1.0, (first + kept * done) / self.count))
        counts = np.array([[kernel.steps, kernel.clipped, step]], dtype=float)
        coarse = self._coarse(kept) if first == 0 and kernel.noisy else None
        more = {} if coarse is None else {"coarse": coarse}
        return {"samples": samples, "numbers": counts, **more}

    def _coarse(self, kept: int) -> np.ndarray | None:
        """The first realizations with twice the step and the same noise; None where that fails."""
        start, state = self._start(0), streams(self.point.seed, 0, self.unit)
        coarse = np.empty((self.problem.count, kept, len(self.times)), dtype=complex)
        try:
            for place, found in self.kernel.run(
                start, state, self.times, self.step, False, 2
            ):
                coarse[:, :, place] = found[:, :kept]
        except SolveError:
            return None
        return coarse

    def _start(self, first: int) -> np.ndarray:
        """Fields at the start, drawn from the Wigner function of the initial state."""
        point, lanes = self.point, self.unit
        if point.previous is not None:
            samples = point.previous["samples"]
            columns = np.arange(first, first + lanes) % samples.shape[1]
            return np.ascontiguousarray(samples[:, columns])
        assert point.initial is not None
        mean, variance = point.initial[0], point.initial[1].real
        if not self.symmetric:
            variance = np.zeros_like(variance)
        found = np.empty((len(mean), lanes), dtype=complex)
        for lane in range(lanes):
            rng = np.random.default_rng([point.seed, first + lane, 1])
            z = rng.standard_normal((2, len(mean)))
            found[:, lane] = mean + np.sqrt(variance / 2) * (z[0] + 1j * z[1])
        return found

    def result(self, stretches: Sequence[Stretch]) -> FieldResult:
        """The result of all realizations."""
        found = [s.arrays for s in stretches]
        numbers = np.concatenate([arrays["numbers"] for arrays in found])
        steps, clipped = numbers[:, 0].sum(), numbers[:, 1].sum()
        updates = steps * self.problem.count * self.unit
        longest = float(numbers[:, 2].max())
        trust = _trust(self.problem, longest, clipped, updates, self.count)
        late = coarse_events(self.point.options, self.times, self.step)
        trust = replace(trust, warnings=(*trust.warnings, *late))
        if self.point.previous is not None:
            facts = {**trust.facts, "start": "end of the point before"}
            trust = replace(trust, facts=facts)
        return FieldResult(
            self.problem.families,
            self.times,
            np.concatenate([arrays["samples"] for arrays in found], axis=1),
            self.series,
            self.symmetric,
            trust,
            found[0].get("coarse"),
        )


def _gap(times: np.ndarray) -> float:
    gaps = np.diff(np.concatenate(([0.0], times)))
    return float(gaps[gaps > 0].min()) if np.any(gaps > 0) else 1.0


class _TooFast(Exception):
    """The step is too long for what the fields have become."""

    def __init__(self, step: float) -> None:
        self.step = step


class _Kernel:
    """The compiled kernel with the numbers of one point and room to work in."""

    def __init__(
        self, problem: FieldProblem, values: Numbers, lanes: int, weak: bool, order: int
    ) -> None:
        self.problem = problem
        self.values = values
        self.lanes = lanes
        self.order = order
        self.noisy = problem.noisy
        source = kernel_source(problem, lanes, order if weak else 0)
        self._call, self._drift = loaded(source, "run"), loaded(source, "drift")
        shape = (problem.count, lanes)
        room = 8 * lanes * 10 * problem.count
        if room > _ROOM:
            raise SolveError(
                Diagnostic(
                    "E512",
                    f"{problem.count} fields in {lanes} lanes need {room / 2**30:.1f} GB",
                    help="fewer realizations need fewer lanes",
                )
            )
        self._room = tuple(np.zeros(shape) for _ in range(8))
        self.tables = problem.tables or (np.zeros((1, 1), dtype=np.int64),)
        self._baths = values.baths or (np.zeros((1, 1)),)
        self.kicks = FieldKicks(problem, values, lanes) if problem.kicks else None
        self.clipped = self.steps = 0

    def run(
        self,
        start: np.ndarray,
        state: np.ndarray,
        times: np.ndarray,
        longest: float,
        watch: bool,
        coarser: int = 1,
    ) -> Iterator[tuple[Any, np.ndarray]]:
        """Advance through `times`; yields positions in them with the fields there.

        Args:
            watch: Whether to stop, by `_TooFast`, when the fields have become faster.
            coarser: How many steps are taken as one, with the mean of their noises.
        """
        xr = np.ascontiguousarray(start.real)
        xi = np.ascontiguousarray(start.imag)
        self.clipped = self.steps = 0
        if times[0] <= 0:
            yield slice(0, 1), start[:, :, None]
        first = int(times[0] <= 0)
        if self.kicks is None:
            stretches = [(0.0, slice(first, len(times)), float(times[-1]))]
        else:
            stretches = intervals(times, self.kicks.times(float(times[-1])))
        checked = 0
        for begin, places, end in stretches:
            if self.kicks is not None:
                self.kicks.apply(xr, xi, begin)
            now, size = begin, xr.size
            chosen = times[places]
            for place, gap, saves in _pieces(chosen, begin, end, longest, size):
                stride, dt = _steps(gap, longest)
                found = self._chunk(
                    xr, xi, state, now, dt * coarser, stride // coarser, saves, coarser
                )
                now += gap * saves
                if place is None:
                    continue
                now = float(chosen[place + saves - 1])
                done = places.start + place
                yield slice(done, done + saves), np.moveaxis(found, 0, -1)
                if watch and done + saves >= checked * len(times) / _CHECKS:
                    checked += 1
                    rate = self.rate(xr + 1j * xi)
                    if rate * longest > 2 * _ACCURACY[self.order]:
                        raise _TooFast(_ACCURACY[self.order] / rate)

    def _chunk(
        self,
        xr: np.ndarray,
        xi: np.ndarray,
        state: np.ndarray,
        now: float,
        dt: float,
        stride: int,
        saves: int,
        halves: int,
    ) -> np.ndarray:
        count = stride * saves
        values = self.values
        moving = values.moving
        rows = count + 1 if moving else 1
        c = (
            np.array([values.at(now + m * dt) for m in range(rows)])
            if moving
            else values.c[None]
        )
        out = np.empty((2, saves, *xr.shape))
        saved, clipped, reached = self._call(
            xr, xi, state,
            np.ascontiguousarray(c.real), np.ascontiguousarray(c.imag),
            np.ascontiguousarray(values.w.real), np.ascontiguousarray(values.w.imag),
            self.tables, self._baths, dt, count, stride, halves, self.order, moving,
            out[0], out[1], self._room,
        )  # fmt: skip
        self.clipped += int(clipped)
        self.steps += count
        if saved < saves or not np.isfinite(xr).all() or not np.isfinite(xi).all():
            time = now + reached * dt
            row = int(np.argwhere(~np.isfinite(xr + xi))[0][0])
            raise SolveError(
                Diagnostic(
                    "E513",
                    f"'{_label(self.problem, row)}' left the real numbers near t = {time:.4g} (step {dt:.3g})",
                    help="is the model stable? else choose a smaller dt",
                )
            )
        return out[0] + 1j * out[1]

    def rate(self, x: np.ndarray) -> float:
        """The fastest rate at some fields: the norm of the Jacobian, by power iteration."""
        drift = self.drift
        rng = np.random.default_rng(0)
        base = drift(x)
        v = rng.standard_normal(x.shape) + 1j * rng.standard_normal(x.shape)
        best = 1e-12
        size = 1.0 + float(np.abs(x).max())
        for _ in range(12):
            norm = np.linalg.norm(v, axis=0)
            v = v / np.where(norm > 0, norm, 1.0)
            step = 1e-6 * size
            v = (drift(x + step * v) - base) / step
            best = max(best, float(np.linalg.norm(v, axis=0).max()))
        return best

    def drift(self, x: np.ndarray) -> np.ndarray:
        """The drift at fields of shape (F, lanes)."""
        values = self.values
        dr, di = np.empty(x.shape), np.empty(x.shape)
        self._drift(
            np.ascontiguousarray(values.c.real), np.ascontiguousarray(values.c.imag),
            np.ascontiguousarray(values.w.real), np.ascontiguousarray(values.w.imag),
            self.tables, np.ascontiguousarray(x.real), np.ascontiguousarray(x.imag), dr, di,
        )  # fmt: skip
        return dr + 1j * di


def _steps(gap: float, longest: float) -> tuple[int, float]:
    """How many steps make a gap, and their length."""
    stride = max(int(np.ceil(gap / longest - 1e-9)), 1)
    # always even, so that a run with twice the step meets the same noise
    stride += stride % 2
    return stride, gap / stride


def _pieces(
    times: np.ndarray, begin: float, end: float, longest: float, size: int
) -> Iterator[tuple[int | None, float, int]]:
    """Calls of the kernel: the place of the first time, the gap before it, and how many equal gaps.

    The last one, if the end is no such time, has no place.
    """
    now, place = begin, 0
    uniform = _uniform(times)
    while place < len(times):
        gap = times[place] - now
        saves = 1
        if (uniform and place > 0) or (
            uniform and abs(gap - _spacing(times)) < 1e-9 * gap
        ):
            stride, _ = _steps(gap, longest)
            saves = max(min(_CHUNK // (16 * size), len(times) - place), 1)
            saves = max(min(saves, 200_000 // stride), 1)
        yield place, gap, saves
        place += saves
        now = float(times[place - 1])
    if end - now > 1e-9 * (end - begin):
        yield None, end - now, 1


def _uniform(times: np.ndarray) -> bool:
    gaps = np.diff(times)
    return len(gaps) == 0 or bool(np.ptp(gaps) <= 1e-9 * gaps.max())


def _spacing(times: np.ndarray) -> float:
    return float(times[1] - times[0]) if len(times) > 1 else float("inf")


def _label(problem: FieldProblem, row: int) -> str:
    for family in problem.families:
        if family.offset <= row < family.offset + family.size:
            site = row - family.offset + 1
            return f"{family.label}[{site}]" if family.shape else family.label
    return str(row)


def _trust(
    problem: FieldProblem,
    step: float,
    clipped: float,
    updates: float,
    realizations: int,
) -> Trust:
    facts = {"scheme": "predictor-corrector, Ito", "realizations": str(realizations)}
    warnings = []
    share = float(clipped / updates) if updates else 0.0
    values = {"dt": step}
    if problem.clippable:
        values["clipped_fraction"] = share
    if share > 1e-3:
        warnings.append(
            Diagnostic(
                "W510",
                f"the diffusion was negative in {100 * share:.2g} % of the steps and taken as 0",
                help="truncated Wigner is not valid here; compare with 'steadystate', or choose"
                " diffusion = limit_cycle",
            )
        )
    return Trust(values, facts, tuple(warnings))
