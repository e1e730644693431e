"""Stochastic equations of fields: many realizations side by side by a generated kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import FieldProblem, Point, Stretch, at_once
from qsyncdsl.result import FieldResult, Trust
from qsyncdsl.solve.fields import Numbers, numbers
from qsyncdsl.solve.lanes import streams
from qsyncdsl.solve.pulses import changes
from qsyncdsl.solve.sde_kernel import ACCURACY, Kernel, TooFast
from qsyncdsl.solve.times import coarse_events, sampling


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
        kernel = Kernel(self.problem, values, lanes, weak, order)
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
        kernel: Kernel,
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
        step = step or ACCURACY[kernel.order] / rate
        while self._first is None:
            self._keep(step)
            try:
                self._first = self._group(0, self.step)
            except TooFast as signal:
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
                except TooFast as signal:
                    step = min(step / 2, signal.step)
        found = {"samples": np.concatenate([g["samples"] for g in groups], axis=1)}
        found["numbers"] = np.concatenate([g["numbers"] for g in groups])
        return found | {k: g for k, g in groups[0].items() if k not in found}

    def _group(self, first: int, step: float) -> Mapping[str, np.ndarray]:
        """The realizations of all lanes; `numbers`: steps, how many were clipped, and their length.

        Raises:
            TooFast: If another step is needed.
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
