"""Single realizations of quantum jumps: by the compiled evolution of a state vector, or by QuTiP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.model.rotors import Place
from qsyncdsl.problem import Point, TrajectoryProblem
from qsyncdsl.solve import jump_numbers
from qsyncdsl.solve.jump_numbers import LONGEST, Coefficients, Numbers, Table
from qsyncdsl.solve.kicks import Kicks
from qsyncdsl.solve.pulled import Course
from qsyncdsl.solve.pulses import changes
from qsyncdsl.solve.walkers import PulledWalker, Walker, start_of

# How momenta are meant under a static force.
MOMENTUM = "p = hbar*(n + beta): r.p in jumps takes beta, r.n does not"
# What one step may err by, in norm, where coefficients depend on time.
_ACCURACY = 1e-7


class OwnWalk:
    """Realizations by the compiled evolution."""

    def __init__(
        self,
        problem: TrajectoryProblem,
        point: Point,
        numbers: Numbers,
        times: np.ndarray,
        settled: Mapping[str, float],
    ) -> None:
        self.problem, self.point, self._numbers, self.times = (
            problem,
            point,
            numbers,
            times,
        )
        at = Coefficients(problem, point.values)
        exact = problem.offsets == (0,)
        longest = np.inf if exact else LONGEST / numbers.spectrum.radius
        self.longest = min(longest, 16.0 / max(numbers.spectrum.damping, 1e-300))
        end = float(times[-1])
        self.kicks = Kicks(problem.lindblad, at.fixed, end, point.values)
        self.settled: Mapping[str, float] = {}
        self.course = None
        if problem.lindblad.forces:
            accuracy = float(point.options.get("accuracy", 0) or _ACCURACY)
            self.course = Course(problem, point, accuracy)
        elif at.moving:
            self.settled = settled or self._moving_step(at, self.longest)
            self.longest = self.settled["step"]
            self.table = at.table(float(times[-1]), self.longest / 4)
        else:
            self.table = at.table(0.0, 1.0)
        self.numbers = dict(self.settled)
        between = "exact exponentials"
        if not exact:
            between = "Chebyshev series"
            self.numbers["series_cut_at"] = jump_numbers.TOLERANCE
        self.facts = {"solver": f"Monte Carlo wave functions, {between} between jumps"}
        if self.course is not None:
            self.facts["momentum"] = MOMENTUM

    def begin(self, realization: int) -> Iterator[np.ndarray]:
        """The states of a realization at the times, chunk by chunk."""
        self.kicks.lost = 0.0
        self._walker = self._new(realization)
        return self._walker.run(self.times, self.kicks)

    def _new(self, realization: int) -> Walker:
        if self.course is None:
            return self._at(self.table, self.longest, realization)
        longest = float(self.point.options.get("dt", 0) or np.inf)
        return PulledWalker(self.problem, self.course, self.point, realization, longest)

    @property
    def where(self) -> tuple[Place, ...] | None:
        """The windows of the states of the last chunk, where windows move."""
        return self._walker.where

    @property
    def lost(self) -> float:
        """Largest part of the state of this realization that left the basis at once."""
        return max(self.kicks.lost, getattr(self._walker, "lost", 0.0), 0.0)

    @property
    def awaited(self) -> float:
        """Jumps of this realization that were to be expected since its last one."""
        return self._walker.awaited

    @property
    def tail(self) -> float:
        """Of the worst series of a moving generator so far, relative to its largest term."""
        return 0.0 if self.course is None else self.course.tail

    def jumps(self) -> tuple[np.ndarray, np.ndarray]:
        """Times and channels of the jumps of the realization that was begun."""
        return self._walker.jumps()

    def _at(self, table: Table, longest: float, realization: int) -> Walker:
        return Walker(
            self.problem, self._numbers, table, longest, self.point, realization
        )

    def _moving_step(self, at: Coefficients, longest: float) -> dict[str, float]:
        """A step for coefficients that depend on time: halved until two halves agree with one.

        At least a thousand steps are made in all, so that no pulse falls between two.
        """
        end = float(self.times[-1])
        given = float(self.point.options.get("dt", 0) or 0)
        change = changes(at.row, 0.0, end)
        thousandth = end / 1000 if end > 0 else 1.0
        step = min(longest, thousandth, change.longest, given or np.inf)
        wanted = float(self.point.options.get("accuracy", 0) or _ACCURACY)
        while True:
            walker = self._at(at.table(end, step / 4), step, 0)
            error = walker.step_error(step, end, at=change.times)
            if error <= wanted or given:
                return {"step": float(step), "step_error": float(error)}
            step *= max(0.8 * (wanted / error) ** 0.2, 0.2)


class QutipWalk:
    """Realizations by QuTiP."""

    where = None
    lost = tail = awaited = 0.0

    def __init__(
        self,
        problem: TrajectoryProblem,
        point: Point,
        numbers: Numbers,
        times: np.ndarray,
        settled: Mapping[str, float],
    ) -> None:
        if problem.lindblad.kicks or problem.lindblad.forces:
            message = "kicks and static forces are not part of mcsolve"
            raise SolveError(Diagnostic("E513", message, help="backend = own"))
        self.problem, self.point, self.times = problem, point, times
        self.settled: Mapping[str, float] = {}
        self.numbers: Mapping[str, float] = {}
        self.facts = {"solver": "qutip.mcsolve"}

    def begin(self, realization: int) -> Iterator[np.ndarray]:
        """The states of a realization at the times."""
        from qsyncdsl.solve.qutip_door import trajectory

        sequence = np.random.SeedSequence([self.point.seed, realization, 2])
        states, when, which = trajectory(
            self.problem.lindblad,
            self.point.values,
            start_of(self.problem, self.point, realization),
            self.times,
            int(sequence.generate_state(1)[0]),
        )
        self._found = np.asarray(when, dtype=float), np.asarray(which, dtype=np.int64)
        yield states

    def jumps(self) -> tuple[np.ndarray, np.ndarray]:
        """Times and channels of the jumps of the realization that was begun."""
        return self._found
