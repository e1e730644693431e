r"""Density matrices in time under kicks and static forces; values at a kick are those just before it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from qsyncdsl.algebra.windows import PlacedStart
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.model.rotors import Place
from qsyncdsl.problem import LindbladProblem, Point
from qsyncdsl.result import FloquetResult, PlacedState, QuantumState, Trust
from qsyncdsl.solve import coefficients
from qsyncdsl.solve.block_flow import Flow
from qsyncdsl.solve.checks import TOP_POPULATION, state_trust
from qsyncdsl.solve.kick_maps import common_period, moves, periods, unitary
from qsyncdsl.solve.windows import edge_weight, mean_label, moved, origin, parts_at

# Instants this close to a kick, in units of the period, are at it.
_NEAR = 1e-9
# Population at an end of a rotor's window that lets the window follow.
_EDGE = 1e-12


class KickedEvolution:
    """A state that is carried from one time to the next, in windows that follow its rotors."""

    def __init__(self, problem: LindbladProblem, point: Point, begin: float) -> None:
        self.problem = problem
        self.point = point
        self.now = begin
        self.lost = 0.0
        start = point.initial
        if point.previous is not None:
            before = point.previous
            centers = tuple(int(c) for c in before["centers"])
            self.place = Place(centers, tuple(before["beta"].tolist()))
            data = before["rho"]
        elif isinstance(start, PlacedStart):
            self.place, data = start.place, start.data
        else:
            self.place, data = origin(problem), np.asarray(start)
        rho = data if data.ndim == 2 else np.outer(data, data.conj())
        self._flows: dict[Place, tuple[Flow, dict[tuple[int, ...], Any]]] = {}
        self._enter(self.place)
        self.periods = np.array(periods(problem, self.flow.f))
        self.vector = self.flow.layout.pack(rho.astype(complex))
        self._done = np.zeros(len(self.periods))

    def to(self, time: float) -> PlacedState:
        """The state at a later time."""
        while len(self.periods):
            coming = self._done * self.periods
            first, near = float(coming.min()), _NEAR * float(self.periods.min())
            if first >= time - near:
                break
            self._advance(first)
            now = coming < first + near
            self._kick(tuple(np.flatnonzero(now).tolist()), first)
            self._done += now
        self._advance(time)
        place = replace(self.place, beta=self.flow.quasi_momentum(self.now))
        parts = parts_at(self.problem, place)
        rho = self.flow.layout.unpack(self.vector)
        return PlacedState(QuantumState(parts, rho), place)

    @property
    def error(self) -> float:
        """What steps and series leave of error in the elements of a state between two kicks, at most."""
        flows = [flow for flow, _ in self._flows.values()]
        return max(max(flow.step_error or 0.0, flow.tail) for flow in flows)

    def _enter(self, place: Place) -> None:
        if place not in self._flows:
            flow = Flow(self.problem, self.point, place)
            self._flows[place] = flow, {}
        self.place = place
        self.flow, self._kicks = self._flows[place]

    def _advance(self, time: float) -> None:
        if time > self.now:
            self.vector = self.flow.advance(self.vector, self.now, time)
            self.now = time
            self._follow()

    def _kick(self, which: tuple[int, ...], time: float) -> None:
        if moves(self.problem):
            table = self.problem.coefficients
            f = coefficients.evaluate(table, self.point.values, time)
            kick = unitary(self.problem, f, self.place, which)
        else:
            if which not in self._kicks:
                f = self.flow.f
                self._kicks[which] = unitary(self.problem, f, self.place, which)
            kick = self._kicks[which]
        rho = self.flow.layout.unpack(self.vector)
        self.vector = self.flow.layout.pack(kick @ rho @ kick.conj().T)

    def _follow(self) -> None:
        """Let the windows of pulled rotors follow, and note what was lost at their ends."""
        rho = self.flow.layout.unpack(self.vector)
        self.lost = max(self.lost, abs(1 - float(np.trace(rho).real)))
        centers = list(self.place.centers)
        for force in self.problem.forces:
            size = self.problem.parts[force.part].dimension
            if edge_weight(self.problem, force.part, rho) > _EDGE:
                shift = mean_label(self.problem, force.part, rho) - size // 2
                centers[force.part] += round(shift)
        new = replace(self.place, centers=tuple(centers))
        if new != self.place:
            for force in self.problem.forces:
                steps = new.centers[force.part] - self.place.centers[force.part]
                rho = moved(self.problem, force.part, rho, steps)
            self._enter(new)
            self.vector = self.flow.layout.pack(rho)


def evolve_kicked(
    problem: LindbladProblem, point: Point, times: np.ndarray
) -> FloquetResult:
    """States at increasing times.

    Raises:
        SolveError: E540-E543.
    """
    walk = KickedEvolution(problem, point, min(0.0, float(times[0])))
    states = tuple(walk.to(float(t)) for t in times)
    numbers, warnings = state_trust(states[-1].state)
    numbers["lost"] = walk.lost
    if not walk.flow.is_constant:
        numbers["flow_error"] = walk.error
    if walk.lost > TOP_POPULATION and not warnings:
        warnings = (
            Diagnostic(
                "W540",
                f"{walk.lost:.1e} of the state left the basis at kicks or by the force",
                help="raise levels or nmax",
            ),
        )
    facts = {"solver": "exact flow between kicks"}
    if problem.kicks:
        facts["values"] = "at the instant of a kick those just before it"
    if problem.forces:
        facts["momentum"] = "p = hbar*(n + beta): r.p in jumps takes beta, r.n does not"
    period = common_period(walk.periods.tolist()) if problem.kicks else 0.0
    weights = np.zeros(0)
    trust = Trust(numbers, facts, warnings)
    return FloquetResult(states, times, float(period), (), weights, None, trust)


def refuse_backend(backend: str) -> None:
    """E513: QuTiP's solvers know neither kicks nor quasi-momenta."""
    if backend == "qutip":
        raise SolveError(
            Diagnostic(
                "E513",
                "kicks and static forces are not part of the backend 'qutip'",
                help="leave 'backend' away",
            )
        )
