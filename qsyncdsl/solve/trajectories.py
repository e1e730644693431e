"""Quantum jumps: what the realizations of a point have in common, and what is put together of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import Point, Request, Stretch, TrajectoryProblem, at_once
from qsyncdsl.result import TrajectoryResult, Trust
from qsyncdsl.solve import coefficients, jump_numbers
from qsyncdsl.solve.checks import TOP_POPULATION, refuse_unphysical
from qsyncdsl.solve.jump_checks import edge_trust, refuse_edges
from qsyncdsl.solve.jump_numbers import LONGEST, Numbers
from qsyncdsl.solve.pairwise import Pairwise
from qsyncdsl.solve.records import (
    Records,
    Shape,
    edges_of,
    recorded,
    refuse_large,
    shape_of,
)
from qsyncdsl.solve.times import duration, increasing, window
from qsyncdsl.solve.walks import OwnWalk, QutipWalk

# Bytes of a whole run's working arrays.
_ROOM = 4 << 30
# Samples in a window at least and at most, where only an average is asked for.
_SAMPLES = (400, 20_000)
# Samples in every period of kicks.
_A_PERIOD = 8
# Jumps of all realizations together below which a standard error means little.
_FEW_JUMPS = 10
# Last terms of a series that are told, relative to its largest.
_TAIL = 1e-6


class TrajectorySolver:
    """Solves one problem at many points."""

    def __init__(self, problem: TrajectoryProblem, backend: str = "own") -> None:
        self.problem = problem
        self.backend = backend

    def solve(self, point: Point) -> TrajectoryResult:
        """Run all realizations.

        Raises:
            SolveError: As `begin`; E550 for a run whose highest levels are populated, E551 for a run
                that fails.
        """
        found: TrajectoryResult = at_once(self.begin(point))
        return found

    def begin(self, point: Point, settled: Mapping[str, float] | None = None) -> Run:
        """What all realizations have in common.

        Args:
            settled: What another beginning of the same point has found.

        Raises:
            SolveError: E502, E503, E507 for operators and rates, E509-E512 for times and sizes.
        """
        realizations = int(point.options.get("realizations", 1))
        if realizations < 1:
            raise SolveError(Diagnostic("E511", "realizations must be at least 1"))
        _refuse_size(self.problem)
        f = coefficients.evaluate(self.problem.coefficients, point.values, 0.0)
        refuse_unphysical(self.problem.lindblad, f)
        end = _end(point.options)
        numbers = jump_numbers.numbers(self.problem, point, end)
        times, series = _times(self.problem, point, numbers.spectrum.radius, f)
        shape = shape_of(self.problem.parts, realizations, len(times), series)
        refuse_large(shape, list(dict.fromkeys(point.requests)))
        walk = QutipWalk if self.backend == "qutip" else OwnWalk
        return Run(
            self.problem,
            point,
            numbers,
            times,
            shape,
            walk(self.problem, point, numbers, times, settled or {}),
        )


def _end(options: Mapping[str, Any]) -> float:
    """The last time of a run."""
    if "times" in options:
        return float(increasing(options["times"])[-1])
    return duration(options, "the trajectories run")


def _times(
    problem: TrajectoryProblem, point: Point, radius: float, f: np.ndarray
) -> tuple[np.ndarray, bool]:
    """The times at which states are looked at, and whether they are asked for one by one."""
    options = point.options
    if "times" in options:
        return np.atleast_1d(np.asarray(options["times"], dtype=float)), True
    low, high = window(options, float(options["time"]))
    longest = (high - low) if problem.offsets == (0,) else LONGEST / radius
    count = int(np.clip(np.ceil((high - low) / longest), *_SAMPLES))
    if not problem.lindblad.kicks:
        return np.linspace(low, high, count + 1)[1:], False
    # Kicks change a state at once: samples lie in the middle of equal parts of every period.
    period = min(float(f[kick.period].real) for kick in problem.lindblad.kicks)
    if not period > 0:
        return np.array([high]), False
    count = max(count, int(np.ceil(_A_PERIOD * (high - low) / period)))
    parts = max(int(np.ceil(count * period / (high - low))), 1)
    places = np.arange(int(np.floor((high - low) * parts / period + 1e-9)))
    times = low + (places + 0.5) * period / parts
    return times if len(times) else np.array([(low + high) / 2]), False


def _refuse_size(problem: TrajectoryProblem) -> None:
    """E512 for a space whose states or generator do not fit in memory."""
    entries = sum(term.matrix.nnz for term in problem.terms)
    groups = 1 + len(problem.moving)
    bands = len(problem.offsets) * 2 * groups * problem.dimension
    need = 16.0 * 12 * problem.dimension + 8.0 * (
        bands if problem.source else 4 * entries
    )
    if need > _ROOM:
        message = f"{problem.dimension} basis states need {need / 2**30:.1f} GB"
        raise SolveError(Diagnostic("E512", message, help="keep fewer levels"))


@dataclass(frozen=True)
class Run:
    """All realizations at one point."""

    problem: TrajectoryProblem
    point: Point
    numbers: Numbers
    times: np.ndarray
    shape: Shape
    walk: OwnWalk | QutipWalk
    unit = 1

    @property
    def count(self) -> int:
        """Number of realizations."""
        return self.shape.realizations

    @property
    def settled(self) -> Mapping[str, float]:
        """The step, where coefficients depend on time."""
        return self.walk.settled

    def key(self) -> tuple[Any, ...]:
        """Times, sizes, and what is recorded; how finely, where that matters."""
        requests = tuple((r.kind, r.key) for r in dict.fromkeys(self.point.requests))
        shape = self.shape
        averaged = any(kind != "operator" for kind, _ in requests)
        grain = shape.grain if averaged else 0
        settled = tuple(sorted(self.settled.items()))
        return shape.dims, self.times, shape.series, grain, requests, settled

    def stretch(self, first: int, size: int) -> Mapping[str, np.ndarray]:
        """Records and jumps of some realizations.

        Raises:
            SolveError: E551; E550 if the first 1, 2, 4, ... of all populate the highest levels.
        """
        return self._stretch(first, size, self.point.requests)

    def _stretch(
        self, first: int, size: int, requests: Iterable[Request]
    ) -> Mapping[str, np.ndarray]:
        lindblad = self.problem.lindblad
        records = Records(self.shape, requests, lindblad if lindblad.forces else None)
        jumps, lost, awaited = [], [], []
        for k in range(first, first + size):
            place = 0
            for states in self.walk.begin(k):
                records.add(place, states, self.walk.where)
                place += len(states)
                if self.point.tell is not None:
                    self.point.tell((k + place / len(self.times)) / self.count)
            records.close(k)
            self._look(records.edges)
            jumps.append(self.walk.jumps())
            lost.append(self.walk.lost)
            awaited.append(self.walk.awaited)
        found = records.arrays()
        found["jump numbers"] = np.array([len(times) for times, _ in jumps])
        found["jump times"] = np.concatenate([times for times, _ in jumps])
        found["jump channels"] = np.concatenate([which for _, which in jumps])
        found["jumps awaited"] = np.array(awaited)
        found["lost"] = np.array([max(lost), self.walk.tail])
        return found

    def _look(self, edges: Pairwise) -> None:
        """Refuse populated edges; looked at after 1, 2, 4, ... realizations, whoever does them."""
        count, found = edges.prefix
        if 0 < count < self.count:
            refuse_edges(found, self._choice, False)

    @property
    def _choice(self) -> str:
        return str(self.point.options.get("cutoff", "refuse"))

    def result(self, stretches: Sequence[Stretch]) -> TrajectoryResult:
        """The result of all realizations.

        Raises:
            SolveError: E550.
        """
        shape, requests = self.shape, list(dict.fromkeys(self.point.requests))
        edges = Pairwise()
        for stretch in stretches:
            edges.add(stretch.first, stretch.size, edges_of(shape, stretch))
            self._look(edges)
        (all_edges,) = edges.sums()
        refuse_edges(all_edges, self._choice)
        jumps = tuple(pair for stretch in stretches for pair in _jumps(stretch))
        known = {
            request: recorded(shape, request, number, stretches)
            for number, request in enumerate(requests)
        }

        def record(request: Request) -> Any:
            if request not in known:
                refuse_large(shape, [*known, request])
                again = [
                    Stretch(s.first, s.size, self._stretch(s.first, s.size, [request]))
                    for s in stretches
                ]
                known[request] = recorded(shape, request, 0, again)
            return known[request]

        lindblad = self.problem.lindblad
        channels = lindblad.channels
        seen = sum(len(times) for times, _ in jumps)
        numbers = {"jumps": float(seen)}
        if seen < _FEW_JUMPS and self.count > 1:
            awaited = sum(float(s.arrays["jumps awaited"].sum()) for s in stretches)
            numbers["rare_jumps"] = (seen + awaited) / self.count
        lost, tail = np.max([s.arrays["lost"] for s in stretches], axis=0).tolist()
        if lindblad.kicks or lindblad.forces:
            numbers["lost"] = lost
        if lindblad.forces:
            numbers["series_tail"] = tail
        facts = {**self.walk.facts, "realizations": str(self.count)}
        trust = Trust({**self.walk.numbers, **numbers}, facts, _losses(lost, tail))
        return TrajectoryResult(
            self.problem.parts,
            self.times,
            self.count,
            shape.series,
            shape.blocks,
            jumps,
            tuple(channels[k].label for k in self.numbers.channels),
            _window(self.point, self.times),
            record,
            edge_trust(all_edges, trust),
            tuple(force.part for force in lindblad.forces),
        )


def _jumps(stretch: Stretch) -> list[tuple[np.ndarray, np.ndarray]]:
    """Times and channels of the jumps of each realization."""
    ends = np.cumsum(stretch.arrays["jump numbers"])[:-1]
    times = np.split(stretch.arrays["jump times"], ends)
    return list(
        zip(times, np.split(stretch.arrays["jump channels"], ends), strict=True)
    )


def _losses(lost: float, tail: float) -> tuple[Diagnostic, ...]:
    """W540 for states that were cut, W551 for generators that were not followed."""
    found = []
    if lost > TOP_POPULATION:
        message = (
            f"{lost:.1e} of a state left the basis at a kick or a move of its window"
        )
        found.append(Diagnostic("W540", message, help="raise levels or nmax"))
    if tail > _TAIL:
        message = f"the generator is a series in time that ends with {tail:.1e} of its largest term"
        found.append(Diagnostic("W551", message))
    return tuple(found)


def _window(point: Point, times: np.ndarray) -> tuple[float, float]:
    """The time over which jumps are counted."""
    if "times" in point.options:
        return float(min(times[0], 0.0)), float(times[-1])
    window = point.options.get("window")
    low = float(window[0]) if window else float(point.options.get("burn_in", 0))
    return low, float(times[-1])
