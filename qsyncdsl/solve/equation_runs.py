"""Stochastic runs of typed equations and maps: realizations in fixed steps, kicks among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import Point, Stretch
from qsyncdsl.result import FieldResult, Trust
from qsyncdsl.solve.equation_numbers import Data, noises, periods
from qsyncdsl.solve.equation_state import labels, packed, start_of, unpacked
from qsyncdsl.solve.kernels import compiled
from qsyncdsl.solve.kick_times import instants
from qsyncdsl.solve.times import coarse_events, sampling, whole

if TYPE_CHECKING:
    from qsyncdsl.solve.equations import EquationSolver

# (fastest rate) x dt, where no step is given.
_ACCURACY = 0.05
# Numbers of noise that fit in memory, in all steps of a realization.
_SHAPED = 100_000_000
# Numbers that a run leaves before it returns from its kernel.
_AT_ONCE = 200_000
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
        self.start = packed(problem, point)
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
            chosen = whole(chosen)
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
        problem = self.solver.problem
        fine, coarse = [], []
        for k in range(first, first + size):
            paired = k < _PAIRED and not problem.discrete
            one, half = self._realization(k, paired)
            fine.append(unpacked(problem, one))
            if half is not None:
                coarse.append(unpacked(problem, half))
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
            "start": start_of(self.point),
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
        self.start = packed(self.solver.problem, self.point, k)
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
