"""Typed equations of motion and maps: deterministic and stochastic runs of compiled right sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import EquationProblem, Point, Stretch, at_once
from qsyncdsl.result import FieldResult, Trust
from qsyncdsl.solve.dynamics import Dynamics
from qsyncdsl.solve.equation_numbers import Data, data_of, noises, periods
from qsyncdsl.solve.fields import Sampling, coarse_events, even, sampling
from qsyncdsl.solve.flow import Flow
from qsyncdsl.solve.kernels import compiled
from qsyncdsl.solve.kick_times import falls, instants, intervals

# (fastest rate) x dt of stochastic runs, where no step is given.
_ACCURACY = 0.05
# Numbers of noise that are drawn at a time, and of all steps of a noise with a spectrum.
_DRAWN = 2_000_000
_SHAPED = 100_000_000


class EquationSolver:
    """Solves typed equations of one problem at many points; noises only where there are any."""

    def __init__(self, problem: EquationProblem) -> None:
        self.problem = problem
        self._shared: dict[str, Any] = {}

    def flow(self, point: Point) -> Flow:
        """The deterministic right side at a point, for fixed points, cycles and exponents."""
        problem = self.problem
        flow = Flow(
            problem.source,
            problem.size,
            data_of(problem, point.values),
            problem.angles,
            problem.discrete,
            problem.timed,
            labels(problem),
            shared=self._shared,
        )
        flow.tolerance = max(flow.tolerance * point.coarser, 1e-13)
        return flow

    def solve(self, point: Point) -> FieldResult:
        """Run from the initial values.

        Raises:
            SolveError: E510-E512 for times, E513 and E514 for values that leave the real numbers,
                E515, E561, E562 for noises.
        """
        run = self.begin(point)
        found: FieldResult = self._plain(point) if run is None else at_once(run)
        return found

    def begin(
        self, point: Point, settled: Mapping[str, float] | None = None
    ) -> Run | None:
        """What all realizations have in common; None where there is no noise.

        Raises:
            SolveError: As `solve`.
        """
        return Run(self, point) if self.problem.noisy else None

    def again(self, point: Point) -> Any:
        """The same point from another start, given as y."""

        def run(y: np.ndarray) -> FieldResult:
            start = self.unpacked(y[None])[:, 0]
            return self.solve(replace(point, initial=start, previous=None))

        return run

    def quiet(self, point: Point) -> Any:
        """The run without noise, done when it is asked for; None where it fails."""
        known: list[FieldResult | None] = []
        # the longest step of a run with noise is none of this one
        options = {key: v for key, v in point.options.items() if key != "dt"}
        calm = replace(point, options=options)

        def run() -> FieldResult | None:
            if not known:
                try:
                    known.append(self._plain(calm))
                except SolveError:
                    known.append(None)
            return known[0]

        return run

    # ── deterministic ────────────────────────────────────────────────────────────────────────

    def _plain(self, point: Point) -> FieldResult:
        problem, flow, start = self.problem, self.flow(point), self.packed(point)
        finest = 1.0 if problem.discrete else _spacing(flow, start)
        every = periods(problem, point.values)
        if every:
            finest = min(finest, min(every) / _A_PERIOD)
        chosen = sampling(
            point.options, problem.count, 1, finest, min(every, default=0.0)
        )
        if problem.discrete:
            chosen = _whole(chosen)
        elif not every:
            chosen = even(chosen)
        longest = float(point.options.get("dt", 0) or np.inf) * point.longer
        longest = min(longest, flow.changes(start, float(chosen.times[-1])).longest)
        if every:
            found = self._from_kick_to_kick(point, flow, every, start, chosen, longest)
        else:
            found = flow.at(start, chosen.times, longest)
        scheme = "map" if problem.discrete else "DOP853"
        if every:
            scheme += " between kicks; at the instant of a kick values just before it"
        facts = {
            "scheme": scheme,
            "start": _start_of(point),
        }
        steps = {} if problem.discrete else {"tolerance": flow.tolerance}
        trust = Trust(steps, facts)
        samples = self.unpacked(found)[:, None, :]
        result = FieldResult(
            problem.families, chosen.times, samples, chosen.series, False, trust
        )
        if every:
            reason = "kicks beside variables have no map of a period here"
            return replace(result, extra={"no_dynamics": reason})
        dynamics = Dynamics(flow, found, chosen.times, start)
        extra = {"dynamics": dynamics, "again": self.again(point)}
        return replace(result, extra=extra)

    def _from_kick_to_kick(
        self, point: Point, flow: Flow, every: list[float], start: np.ndarray, chosen: Sampling,
        longest: float,
    ) -> np.ndarray:  # fmt: skip
        """y at the times, shape (T, n)."""
        found = np.empty((len(chosen.times), len(start)))
        found[chosen.times <= 0] = start
        y = start
        kicks = instants(every, float(chosen.times[-1]))
        for begin, places, end in intervals(chosen.times, kicks):
            y = self.kicked(point, every, y, begin)
            # close to the end of the interval is at it
            inside = np.minimum(chosen.times[places], end) - begin
            last = end - begin
            wanted = np.append(inside[inside < last * (1 - 1e-12)], last)
            path = flow.at(y, wanted, longest)
            found[places] = path[np.searchsorted(wanted, inside)]
            y = path[-1]
        return found

    def kicked(
        self, point: Point, every: list[float], y: np.ndarray, time: float
    ) -> np.ndarray:
        """y after all kicks of a time, in the order written."""
        problem = self.problem
        for (_, name), period in zip(problem.kicks, every, strict=True):
            if falls(time, period):
                text = problem.source.replace("def right(", "def rates(")
                shared = self._shared.setdefault(name, {})
                flow = Flow(
                    text.replace(f"def {name}(", "def right("), problem.size,
                    data_of(problem, point.values), (), False, False, labels(problem),
                    shared=shared,
                )  # fmt: skip
                y = flow.after(y, 1.0)
        return y

    # ── real numbers and samples ─────────────────────────────────────────────────────────────

    def packed(self, point: Point, k: int = 0) -> np.ndarray:
        """y at the start of realization k."""
        problem = self.problem
        given = point.initial
        if point.previous is not None:
            samples = point.previous["samples"]
            given = samples[:, k % samples.shape[1]]
        elif np.ndim(given) == 2:
            means, variances = given
            given = means
            if problem.sampled:
                rng = np.random.default_rng([point.seed, k, 7])
                parts = rng.standard_normal((2, len(means)))
                spread = np.sqrt(variances.real / 2)
                given = means + spread * (parts[0] + 1j * parts[1])
        y = np.zeros(problem.size)
        for start, kind, family in zip(
            problem.starts, problem.kinds, problem.families, strict=True
        ):
            values = given[family.offset : family.offset + family.size]
            y[start : start + family.size] = values.real
            if kind == "complex":
                y[start + family.size : start + 2 * family.size] = values.imag
        return y

    def unpacked(self, found: np.ndarray) -> np.ndarray:
        """Samples of all variables, shape (F, T), from y, shape (T, n)."""
        problem = self.problem
        samples = np.empty((problem.count, len(found)), dtype=complex)
        for start, kind, family in zip(
            problem.starts, problem.kinds, problem.families, strict=True
        ):
            rows = slice(family.offset, family.offset + family.size)
            samples[rows] = found[:, start : start + family.size].T
            if kind == "complex":
                end = start + family.size
                samples[rows] += 1j * found[:, end : end + family.size].T
        return samples


def _start_of(point: Point) -> str:
    """Where a run begins, in words."""
    if point.previous is not None:
        return "end of the point before"
    return "initial values, 0 where none is given"


def labels(problem: EquationProblem) -> tuple[str, ...]:
    """Names of the entries of y: `x`, `re z`, `phi[3]`."""
    found = []
    for kind, family in zip(problem.kinds, problem.families, strict=True):
        sites = [f"[{k + 1}]" if family.shape else "" for k in range(family.size)]
        parts = ("re ", "im ") if kind == "complex" else ("",)
        found += [f"{part}{family.label}{site}" for part in parts for site in sites]
    return (*found, "t") if problem.timed else tuple(found)


def _whole(chosen: Sampling) -> Sampling:
    """Times of a map are whole numbers.

    Raises:
        SolveError: E511 for times between steps.
    """
    times = np.round(chosen.times)
    if chosen.series and np.any(times != chosen.times):
        raise SolveError(Diagnostic("E511", "the times of a map are whole numbers"))
    return Sampling(np.unique(times), chosen.series)


# Samples of a deterministic run in the time that the fastest variable needs to turn by a radian.
_PER_RADIAN = 4.0


def _spacing(flow: Flow, start: np.ndarray) -> float:
    """Time between samples."""
    return min(max(1 / (_PER_RADIAN * flow.fastest(start)), 1e-3), 0.25)


# Numbers that a run leaves before it returns from its kernel.
_AT_ONCE = 200_000
# Samples in a period of kicks, at least.
_A_PERIOD = 32
# Realizations that are also done with twice the step.
_PAIRED = 16


class Run:
    """The realizations of one point, each on its own."""

    unit = 1
    settled: Mapping[str, float] = {}

    def __init__(self, solver: EquationSolver, point: Point) -> None:
        problem, options = solver.problem, point.options
        self.count = int(options.get("realizations", 1))
        if self.count < 1:
            raise SolveError(Diagnostic("E511", "realizations must be at least 1"))
        self.solver, self.point = solver, point
        self.start = solver.packed(point)
        self.flow = solver.flow(point)
        step, given = 1.0, float(options.get("dt", 0) or 0)
        if not problem.discrete:
            step = given or _ACCURACY / self.flow.fastest(self.start)
        self.every = periods(problem, point.values)
        if not problem.discrete and not given:
            end = float(np.max(options.get("times", options.get("time", 0.0))))
            moved = self.flow.changes(self.start, end)
            step = min(step, moved.longest, _ACCURACY / max(moved.rate, 1e-300))
        shortest = min(self.every, default=0.0)
        # two steps lie between samples at least, so that a run with twice the step has the same ones
        finest = 2 * step if options.get("events") and not problem.discrete else step
        chosen = sampling(options, problem.count, self.count, finest, shortest)
        if problem.discrete:
            chosen = _whole(chosen)
        self.times, self.series = chosen.times, chosen.series
        gaps = np.diff(np.concatenate(([0.0], chosen.times)))
        gap = float(gaps[gaps > 0].min()) if np.any(gaps > 0) else 1.0
        self.stride = 1
        self.step = 1.0
        if not solver.problem.discrete:
            # even, so that a run with twice the step meets the same times
            self.stride = 2 * max(int(np.ceil(gap / (2 * step) - 1e-9)), 1)
            self.step = gap / self.stride
        self.places = np.round(chosen.times / self.step).astype(np.int64)
        off = np.abs(self.places * self.step - chosen.times).max()
        if off > 1e-6 * self.step + 1e-9 * chosen.times[-1]:
            self._refine()
        self.kicks: list[tuple[int, float]] = []
        if self.every:
            self._meet_kicks(step)
        self.data: Data = self.flow.data

    def _refine(self) -> None:
        """Times that are no multiples of one step: the nearest step is taken."""
        self.step = float(self.times[-1]) / np.ceil(float(self.times[-1]) / self.step)
        self.places = 2 * np.round(self.times / (2 * self.step)).astype(np.int64)

    def _meet_kicks(self, longest: float) -> None:
        """A step that kicks and times are even multiples of, or nearly where they have none in common."""
        kicks = instants(self.every, float(self.times[-1]))
        met = np.concatenate([self.times, kicks])
        shortest = min(self.every)
        first = max(int(np.ceil(shortest / (2 * longest) - 1e-9)), 1)
        for half in range(first, 64 * first + 1):
            self.step = shortest / (2 * half)
            pairs = met / (2 * self.step)
            if np.abs(pairs - np.round(pairs)).max() < 1e-6:
                break
        self.places = 2 * np.round(self.times / (2 * self.step)).astype(np.int64)
        places = 2 * np.round(np.array(kicks) / (2 * self.step)).astype(np.int64)
        self.kicks = list(zip(places.tolist(), kicks, strict=True))

    def key(self) -> tuple[Any, ...]:
        """Times and step."""
        families = tuple((f.label, f.shape) for f in self.solver.problem.families)
        return families, self.times, self.series, self.step

    def stretch(self, first: int, size: int) -> Mapping[str, np.ndarray]:
        """Samples (F, n, T) of some realizations; `coarse` of the first 16, with twice the step.

        Raises:
            SolveError: E513, E561, E562.
        """
        fine, coarse = [], []
        for k in range(first, first + size):
            paired = k < _PAIRED and not self.solver.problem.discrete
            one, half = self._realization(k, paired)
            fine.append(self.solver.unpacked(one))
            if half is not None:
                coarse.append(self.solver.unpacked(half))
        found = {"samples": np.stack(fine, axis=1)}
        return found if not coarse else found | {"coarse": np.stack(coarse, axis=1)}

    def result(self, stretches: Sequence[Stretch]) -> FieldResult:
        """The result of all realizations."""
        problem, found = self.solver.problem, [s.arrays for s in stretches]
        pairs = [arrays["coarse"] for arrays in found if "coarse" in arrays]
        coarse = np.concatenate(pairs, axis=1) if pairs else None
        if coarse is not None and coarse.shape[1] < min(_PAIRED, self.count):
            # one of them cannot be done with twice the step
            coarse = None
        calculus = str(self.point.options.get("calculus", "ito")).capitalize()
        facts = {
            "scheme": "predictor-corrector",
            "noise": "additive"
            if problem.additive
            else f"multiplied by variables, {calculus}",
            "realizations": str(self.count),
            "start": _start_of(self.point),
        }
        return FieldResult(
            problem.families,
            self.times,
            np.concatenate([arrays["samples"] for arrays in found], axis=1),
            self.series,
            True,
            Trust(
                {"dt": self.step},
                facts,
                coarse_events(self.point.options, self.times, self.step),
            ),
            coarse,
            {"quiet": self.solver.quiet(self.point)},
        )

    def _realization(
        self, k: int, paired: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """y at the times, shape (T, n); and with twice the step and the same noise.

        Raises:
            SolveError: E513.
        """
        self.start = self.solver.packed(self.point, k)
        total = int(self.places[-1])
        total += total % 2
        problem = self.solver.problem
        if total * max(sum(n.size for n in problem.noises), 1) > _SHAPED:
            message = (
                f"{total} steps of {len(problem.noises)} noises do not fit in memory"
            )
            raise SolveError(
                Diagnostic("E512", message, help="a longer dt, or a shorter time")
            )
        source = self.flow.driver.source

        def spectrum(name: str) -> Any:
            return compiled(source, name)

        drawn = noises(problem, self.point, self.data, spectrum, self.step, total, k)
        fine = self._advance(drawn, self.step, self.places)
        if not paired:
            return fine, None
        halves = 0.5 * (drawn[0::2] + drawn[1::2])
        try:
            return fine, self._advance(halves, 2 * self.step, self.places // 2)
        except SolveError:
            return fine, None

    def _advance(
        self, drawn: np.ndarray, step: float, places: np.ndarray
    ) -> np.ndarray:
        """y after given numbers of steps, those at a kick just before it."""
        if not self.kicks:
            return self._walked(self.start, drawn, step, places)
        coarser = round(step / self.step)
        found = np.empty((len(places), len(self.start)))
        found[places <= 0] = self.start
        y, first = self.start, int((places <= 0).sum())
        ends = [place for place, _ in self.kicks[1:]]
        for (place, time), stop in zip(
            self.kicks, [*ends, int(self.places[-1])], strict=True
        ):
            begin, end = place // coarser, stop // coarser
            y = self.solver.kicked(self.point, self.every, y, time)
            last = int(np.searchsorted(places, end, side="right"))
            own = places[first:last] - begin
            wanted = own if len(own) and own[-1] == end - begin else [*own, end - begin]
            path = self._walked(y, drawn[begin:end], step, np.array(wanted))
            found[first:last], first = path[: last - first], last
            y = path[-1]
        return found

    def _walked(
        self, start: np.ndarray, drawn: np.ndarray, step: float, places: np.ndarray
    ) -> np.ndarray:
        """y after given numbers of steps, without kicks."""
        y = start.copy()
        found = np.empty((len(places), len(y)))
        done = 0
        uniform = np.diff(places)
        first = 0
        if places[0] == 0:
            found[0], first = y, 1
        if (
            first < len(places)
            and len(uniform)
            and len(set(uniform[first:].tolist())) <= 1
        ):
            done = self._stretch(
                y, drawn, 0, int(places[first]), step, found[first : first + 1]
            )
            rest = len(places) - first - 1
            if rest:
                end = done + rest * int(uniform[-1])
                self._stretch(y, drawn, done, end, step, found[first + 1 :])
            return found
        # steps that all these places are multiples of; many samples at a time
        common = int(np.gcd.reduce(np.diff(places[first:], prepend=done))) or 1
        most = common * max(_AT_ONCE // len(y), 2)
        while first < len(places):
            last = int(np.searchsorted(places, done + most, "right"))
            last = max(last, first + 1)
            end = int(places[last - 1])
            count = 1 if last == first + 1 else (end - done) // common
            saved = np.empty((count + 1, len(y)))
            saved[0] = y
            rows = (places[first:last] - done) // common if count > 1 else [-1]
            done = self._stretch(y, drawn, done, end, step, saved[1:])
            found[first:last], first = saved[rows], last
        return found

    def _stretch(
        self, y: np.ndarray, drawn: np.ndarray, begin: int, end: int, step: float, out: np.ndarray
    ) -> int:  # fmt: skip
        """Steps `begin .. end - 1`, saved at equal distances."""
        problem = self.solver.problem
        stride = (end - begin) // len(out)
        if stride == 0:
            out[:] = y
            return end
        piece = np.ascontiguousarray(drawn[begin:end])
        if problem.discrete:
            self.flow.driver.call(
                "noisy_steps", y, piece, stride, self.data, self.data[4], out
            )
        else:
            ito = (
                not problem.additive
                and self.point.options.get("calculus", "ito") == "ito"
            )
            steps = (y, piece, step, stride, ito, self.data, self.data[4], out)
            self.flow.driver.call("stochastic", *steps)
        if not np.isfinite(y).all():
            label = labels(problem)[int(np.flatnonzero(~np.isfinite(y))[0])]
            raise SolveError(
                Diagnostic(
                    "E513",
                    f"'{label}' left the real numbers before t = {end * step:.4g} (step {step:.3g})",
                    help="is the model stable? else choose a smaller dt",
                )
            )
        return end
