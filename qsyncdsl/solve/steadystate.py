r"""Stationary density matrices, $\mathcal{L}\rho = 0$, $\operatorname{Tr}\rho = 1$, in the invariant sector.

Groups of parts that nothing couples are solved one by one. Else sparse LU of the real form of the
Liouvillian where its fill is bearable; else GMRES, preconditioned by the evolution of weakly coupled groups
or by the evolution without jumps. Every answer is checked by its residual.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property, reduce

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, ModelError, Note, SolveError
from qsyncdsl.problem import LindbladProblem, Point
from qsyncdsl.result import QuantumState, SteadyResult, Trust
from qsyncdsl.solve import coefficients, superoperator
from qsyncdsl.solve.batch import MOST_TOGETHER, batched
from qsyncdsl.solve.checks import (
    refuse_rates,
    refuse_unphysical,
    state_trust,
    top_populations,
)
from qsyncdsl.solve.direct import MOST_DENSE, density, direct, refuse_fill
from qsyncdsl.solve.exchange import Exchange, described, most_gain
from qsyncdsl.solve.factors import factorization
from qsyncdsl.solve.fewer import corrected
from qsyncdsl.solve.generator import At, Generator, prepare, refuse_vectors
from qsyncdsl.solve.groups import Partition, group_states, restricted, uncoupled
from qsyncdsl.solve.nearby import Nearby, alike
from qsyncdsl.solve.nojump import Elements, no_jump_steadystate
from qsyncdsl.solve.reached import outside
from qsyncdsl.solve.uncoupled import uncoupled_steadystate
from qsyncdsl.solve.uniqueness import component_count, several

# Real unknowns up to which, and from which on, the work of a sparse LU need not be estimated.
_FEW_UNKNOWNS, _MOST_UNKNOWNS = 600, 12_000
# Work n b^2 of an LU in a band above which an iterative solver is tried first: sooner where charges
# leave the jump chain many small blocks.
_MOST_WORK, _MOST_WORK_IN_BLOCKS = 4e9, 9e8
# Unknowns up to which one half of them is solved by LU where iterations are more than a few.
_MOST_HALVED, _FEW_ITERATIONS = 30_000, 160
_RESIDUAL = 1e-9
# Part of all elements that the unknowns must be for groups to be solved without charges, inverted.
_WHOLE = 4
# Rows of a state that are made Hermitian at once.
_ROWS = 64
# Dimension up to which states of no definite parity are looked for after an LU.
_PARITY = 400
_SYMMETRIC = Diagnostic(
    "W501",
    "the stationary state is not unique: there are others of no definite parity",
    notes=(Note("this is the one that is reached from the initial state"),),
)


class SteadyStateSolver:
    """Solves one problem at any number of points; what does not change is kept."""

    def __init__(
        self, problem: LindbladProblem, solver: str = "automatic", backend: str = "own"
    ) -> None:
        self.problem = problem
        self.solver = solver
        self.backend = backend
        self._generators: dict[tuple[frozenset[int], frozenset[int]], Generator] = {}
        self._groups: dict[tuple[int, ...], SteadyStateSolver] = {}
        self._nearby = Nearby()
        # The point that was iterated for last, and its answer.
        self._chained: tuple[At, Elements] | None = None

    @property
    def stretches(self) -> bool:
        """Whether points of a sweep may share the factors of one of them: small ones are solved at once."""
        return len(self.problem.parts) > 1 or self.problem.dimension**2 > MOST_TOGETHER

    def forget(self) -> None:
        """Give what was made at the last point free."""
        self._nearby.forget()
        self._chained = None

    def at(self, point: Point) -> At:
        """The generator at a point.

        Raises:
            SolveError: E501 (memory), E502 (H not Hermitian), E503 (a rate).
        """
        f = coefficients.evaluate(self.problem.coefficients, point.values)
        if self._hermitian and not any(f[k].imag for k, _ in self.problem.hamiltonian):
            refuse_rates(self.problem, f)
        else:
            refuse_unphysical(self.problem, f)
        on = superoperator.active(self.problem, f)
        phases = frozenset(np.flatnonzero(f.imag).tolist())
        if (on, phases) not in self._generators:
            self._generators[on, phases] = prepare(self.problem, on, phases)
        generator = self._generators[on, phases]
        return At(generator, f, point.alone)

    @cached_property
    def _hermitian(self) -> bool:
        """Whether all matrices of H are Hermitian: then H is, with real coefficients."""
        matrices = [self.problem.matrices[k] for _, k in self.problem.hamiltonian]
        return not any((m - superoperator.adjoint(m)).count_nonzero() for m in matrices)

    def solve(self, point: Point) -> SteadyResult:
        """The stationary state at a point.

        Raises:
            SolveError: Also E504 (not unique and no initial state), E505 (no convergence), E518 (no PARDISO).
        """
        if self.problem.coefficients.time_dependent or self.problem.kicks:
            raise SolveError(
                Diagnostic(
                    "E506",
                    "a model that depends on time has no stationary state",
                    help="solve by 'evolve'",
                )
            )
        at = self.at(point)
        if self.backend == "qutip":
            from qsyncdsl.solve.qutip_door import steadystate

            return self._finish(
                at, steadystate(self.problem, at.f), {"solver": "qutip"}
            )
        groups = uncoupled(self.problem, at.f)
        if len(groups) > 1 and self.solver == "automatic":
            return self._product(at, groups, point)
        if point.middle is not None and self.solver == "automatic":
            answer = self._along(at, point)
            if answer is not None:
                return answer
        answer = self._beside_fewer(at, point)
        if answer is not None:
            return answer
        if self._iterative(at):
            answer = self._iterated(at, point)
            if answer is not None:
                return answer
        # The LU in the middle of a stretch serves the points that come.
        alone = point.middle is None
        if alone:
            self._nearby.forget()
        found = direct(at, point, factorization(self.solver))
        if alone:
            self._nearby.keep(at, found.factors)
        rho, warnings, left = found.rho, found.warnings, found.left
        unknowns = len(at.blocks.even.first) if at.blocks else at.generator.unknowns
        by = " (PARDISO)" if self.solver == "pardiso" else ""
        solver = f"sparse LU{by}, {unknowns} unknowns"
        asked = not warnings and not point.sole
        symmetric = found.symmetric
        if asked and self._other_parity(at, rho, point):
            warnings = (_SYMMETRIC,)
            beside = outside(at, density(point.start))
            if beside is not None:
                rho, symmetric = rho / np.trace(rho) + beside, False
        unique = warnings[0].message if warnings else "unique"
        facts = {"solver": solver, "uniqueness": unique}
        if at.blocks and not warnings:
            facts["symmetry"] = self._symmetry(at, at.blocks.found)
        return self._finish(at, rho, facts, warnings, left / at.scale, symmetric)

    def solve_many(self, points: list[Point]) -> list[SteadyResult | SolveError | None]:
        """The stationary states at some points; a fault stands for a point without one.

        Points that one by one would be solved by LU share the steps of one elimination; an answer
        does not depend on which points it was found together with. None stands for points that are not
        helped by others: `solve` them one by one, so that not all their states are kept at once.
        """
        found: dict[int, SteadyResult | SolveError] = {}
        waiting: dict[int, list[tuple[int, At]]] = {}
        for k, point in enumerate(points):
            try:
                at = self.at(point)
                if self.backend == "own" and self._plain(at):
                    waiting.setdefault(id(at.generator), []).append((k, at))
            except SolveError as fault:
                found[k] = fault
        for group in waiting.values():
            found |= self._together(group)
        return [found.get(k) for k in range(len(points))]

    def _together(
        self, group: list[tuple[int, At]]
    ) -> dict[int, SteadyResult | SolveError]:
        """The answers of those points of one generator that could be found together."""
        found: dict[int, SteadyResult | SolveError] = {}
        parities = any(group[0][1].generator.symmetry.moduli)
        for (k, at), answer in zip(
            group, batched([at for _, at in group]), strict=True
        ):
            # Where states of no definite parity are possible, each point is asked for them.
            alone = (
                parities and answer is not None and component_count(at, answer[0]) != 1
            )
            if answer is not None and not alone:
                rho, residual = answer
                solver = f"LU of one pattern, {at.generator.unknowns} unknowns"
                found[k] = self._finish(at, rho, {"solver": solver}, (), residual)
        return found

    def _plain(self, at: At) -> bool:
        """Whether a point is solved as one whole, by an LU of all its unknowns."""
        moving = self.problem.coefficients.time_dependent or self.problem.kicks
        whole = len(uncoupled(self.problem, at.f)) == 1 or self.solver == "direct"
        if moving or not whole or self.solver == "pardiso" or self._iterative(at):
            return False
        # An even block on its own is faster than all unknowns at many points at once.
        return len(self.problem.parts) == 1 or at.blocks is None

    def _other_parity(self, at: At, rho: np.ndarray, point: Point) -> bool:
        """Whether there are other stationary states, of no definite parity.

        A U(1) symmetry cannot hide any: a connected group does not swap invariant subspaces.

        Raises:
            SolveError: E504 where one of these may be meant.
        """
        if not any(at.generator.symmetry.moduli) or self.problem.dimension > _PARITY:
            return False
        count = component_count(at, rho / np.trace(rho))
        if count is None or count == 1:
            return False
        if point.start is None:
            raise SolveError(several(count))
        return True

    def _along(self, at: At, point: Point) -> SteadyResult | None:
        """The answer by the LU in the middle of a stretch; None where that is no help."""
        if self._iterative(at) and not self._halved(at):
            return None
        try:
            refuse_fill(at.generator)
            middle = self.at(replace(point, values=point.middle or ()))
        except SolveError:
            return None
        found = self._nearby.solve(at, middle)
        if found is None or component_count(at, found[0]) != 1:
            return None
        rho, left, steps = found
        solver = f"GMRES preconditioned by the LU of a point nearby, {steps} iterations"
        facts = {"solver": solver, "uniqueness": "unique"}
        return self._finish(at, rho, facts, (), left / at.scale)

    def _beside_fewer(self, at: At, point: Point) -> SteadyResult | None:
        """The answer from that with fewer levels, to a part of what more of them change.

        None where that is no help. To compare with: what is known of the other answer is not examined again.
        """
        if point.fewer is None or not point.sole:
            return None
        solver, other = point.fewer()
        found = (
            solver._with_more(at, solver.at(other))
            if isinstance(solver, SteadyStateSolver)
            else None
        )
        if found is None:
            return None
        rho, text = found
        state = QuantumState(self.problem.parts, rho)
        tops = {f"top_population_{p.label}": top for p, top in top_populations(state)}
        return SteadyResult(state, at, Trust(tops, {"solver": text}))

    def _with_more(self, at: At, here: At) -> tuple[np.ndarray, str] | None:
        """A state with more levels by what was found with those of this solver, and how."""
        if self._chained is not None and alike(self._chained[0], here):
            states = superoperator.embedded(self.problem, at.generator.problem)
            if states is None:
                return None
            chain = no_jump_steadystate(at, near=(self._chained[1], states))
            return chain and (chain[0].matrix(), f"{chain[1]} from fewer levels")
        if not self._nearby.has(here) and self._iterative(here):
            return None
        here, factors = self._nearby.at(here)
        found = None if factors is None else corrected(at, here, factors)
        if found is None:
            return None
        rho, steps = found
        return (
            rho,
            f"GMRES preconditioned by the LU of fewer levels, {steps} iterations",
        )

    def _halved(self, at: At) -> bool:
        """Whether exchanges of parts leave few enough unknowns for an LU."""
        few = self.solver == "automatic" and at.generator.unknowns <= _MOST_HALVED
        return few and at.blocks is not None

    def _iterated(self, at: At, point: Point) -> SteadyResult | None:
        """The answer of an iterative solver; None where none converges, or where an LU can say more.

        Raises:
            SolveError: E504 where the answer is not the only one.
        """
        unknowns = at.generator.unknowns
        refuse_vectors(self.problem, unknowns)
        # Groups are solved without charges: not where those leave a small part of all elements.
        if _WHOLE * unknowns >= self.problem.dimension**2:
            found = uncoupled_steadystate(self.problem, at.f)
            if found is not None:
                rho, solver = found
                rho /= np.trace(rho)
                _make_hermitian(rho)
                residual = float(np.abs(at.apply(rho)).max() / at.scale)
                if residual <= _RESIDUAL:
                    return self._unique(at, rho, solver, residual, point.sole)
        # Where an even block is small enough for an LU, slow iterations are left for it.
        chain = (
            no_jump_steadystate(at, _FEW_ITERATIONS)
            if self._halved(at)
            else no_jump_steadystate(at)
        )
        if chain is None:
            return None
        elements, solver, largest = chain
        self._chained = (at, elements)
        rho = elements.matrix()
        return self._unique(at, rho, solver, largest / at.scale, point.sole)

    def _unique(
        self,
        at: At,
        rho: np.ndarray,
        solver: str,
        residual: float | None,
        sole: bool = False,
    ) -> SteadyResult | None:
        """An answer that was iterated for; None where there are others that an LU can name."""
        rho /= np.trace(rho)
        accurate = residual is None or residual <= _RESIDUAL
        count = 1 if sole else component_count(at, rho) if accurate else None
        if count is not None and count > 1:
            if at.generator.unknowns <= MOST_DENSE:
                return None
            raise SolveError(several(count))
        known = "unique" if count else "not known"
        facts = {"solver": solver, "uniqueness": known}
        return self._finish(at, rho, facts, (), residual)

    def _iterative(self, at: At) -> bool:
        if self.solver != "automatic":
            return self.solver == "iterative"
        unknowns = at.generator.unknowns
        if unknowns <= _FEW_UNKNOWNS:
            return False
        blocks = 0 in at.generator.symmetry.moduli
        most = _MOST_WORK_IN_BLOCKS if blocks else _MOST_WORK
        if unknowns > _MOST_UNKNOWNS:
            return True
        cost = at.elimination_cost
        if most < cost < most_gain(self.problem.parts) * most and at.blocks:
            # As many blocks as one is smaller, each with so much less of the band.
            cost *= (len(at.blocks.even.first) / unknowns) ** 2
        return cost > most

    def _symmetry(self, at: At, found: tuple[Exchange, ...] = ()) -> str:
        """The symmetries that were used, in words."""
        labels = [part.label for part in self.problem.parts]
        charges = at.generator.symmetry.describe(labels)
        words = described(found, labels)
        return ", ".join(words if words and charges == "none" else [charges, *words])

    def _product(self, at: At, groups: Partition, point: Point) -> SteadyResult:
        """Groups that nothing couples, each on its own: their product."""
        answers = [
            self._group(group).solve(
                replace(_inside(point, self.problem, group), fewer=None)
            )
            for group in groups
        ]
        refuse_vectors(self.problem, self.problem.dimension)
        order = group_states(self.problem, tuple(k for g in groups for k in g))
        rho = np.empty((len(order), len(order)), dtype=complex)
        rho[np.ix_(order, order)] = reduce(np.kron, [a.state.rho for a in answers])
        names = [
            f"({', '.join(self.problem.parts[k].label for k in g)})" for g in groups
        ]
        solvers = sorted({a.trust.facts["solver"] for a in answers})
        facts = {"solver": f"uncoupled groups {' '.join(names)}: {'; '.join(solvers)}"}
        given = tuple(
            w
            for a in answers
            for w in a.trust.warnings
            if w.code not in ("W502", "W503")
        )
        residual = sum(a.trust.numbers["residual"] for a in answers)
        told = {a.trust.facts.get("uniqueness", "unique") for a in answers}
        facts["uniqueness"] = "; ".join(sorted(told - {"unique"})) or "unique"
        symmetric = not any(w.code == "W501" for w in given)
        return self._finish(at, rho, facts, given, residual, symmetric)

    def _group(self, group: tuple[int, ...]) -> SteadyStateSolver:
        """The solver of one group that nothing couples to the others."""
        if group not in self._groups:
            problem = restricted(self.problem, group)
            self._groups[group] = SteadyStateSolver(problem, self.solver, self.backend)
        return self._groups[group]

    def _finish(
        self,
        at: At,
        rho: np.ndarray,
        facts: dict[str, str],
        given: tuple[Diagnostic, ...] = (),
        residual: float | None = None,
        symmetric: bool = True,
    ) -> SteadyResult:
        """Normalize, check and describe.

        Args:
            symmetric: Whether there are no elements between different charges.
        """
        rho /= np.trace(rho)
        _make_hermitian(rho)
        if residual is None:
            residual = float(np.abs(at.apply(rho)).max() / at.scale)
        if not np.isfinite(residual) or residual > _RESIDUAL:
            raise SolveError(
                Diagnostic(
                    "E505",
                    f"no stationary state was found: the residual is {residual:.2g}",
                    help="try solve steadystate(solver = iterative), or 'evolve'",
                )
            )
        facts = {"symmetry": self._symmetry(at), **facts}
        state = QuantumState(self.problem.parts, rho)
        labels = at.generator.labels if symmetric else None
        numbers, warnings = state_trust(state, labels)
        if self.problem.quadrature:
            numbers["quadrature_error"] = self.problem.quadrature
        given += self.problem.warnings
        return SteadyResult(
            state, at, Trust({"residual": residual, **numbers}, facts, given + warnings)
        )


def _inside(point: Point, problem: LindbladProblem, group: tuple[int, ...]) -> Point:
    """The point of one group: the others traced out of the initial state."""
    if point.initial is None or isinstance(point.initial, ModelError):
        return point
    state = QuantumState(problem.parts, point.initial)
    dims, count = state.dims, len(problem.parts)
    rest = [k for k in range(count) if k not in group]
    order = [*group, *rest, *(count + k for k in group), *(count + k for k in rest)]
    size = int(np.prod([dims[k] for k in group]))
    other = problem.dimension // size
    tensor = state.rho.reshape(dims + dims).transpose(order)
    small = np.einsum("aibi->ab", tensor.reshape(size, other, size, other))
    return replace(point, initial=small)


def _make_hermitian(rho: np.ndarray) -> None:
    """Take the Hermitian part in place: a large state is not copied."""
    if len(rho) <= _ROWS:
        rho += rho.conj().T
        rho /= 2
        return
    for first in range(0, len(rho), _ROWS):
        rows = slice(first, first + _ROWS)
        mean = (rho[rows, first:] + rho[first:, rows].conj().T) / 2
        rho[rows, first:] = mean
        rho[first:, rows] = mean.conj().T
