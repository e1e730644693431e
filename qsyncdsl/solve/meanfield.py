r"""Product states: in time, or stationary in a frame that turns at an unknown frequency."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import MeanFieldProblem, Point
from qsyncdsl.result import CellStates, ProductResult, QuantumState, Trust
from qsyncdsl.solve.beyond_product import left_out
from qsyncdsl.solve.cell_matrices import CellMatrices, matrix_integrator, suits
from qsyncdsl.solve.cell_operators import CellOperators
from qsyncdsl.solve.cells import CellEquations, integrator
from qsyncdsl.solve.checks import state_trust
from qsyncdsl.solve.field_map import TOLERANCE
from qsyncdsl.solve.kernels import run_integrator
from qsyncdsl.solve.ordered import Bands
from qsyncdsl.solve.selfconsistent import (
    Stationary,
    relaxed,
    turning_fields,
    unordered,
)
from qsyncdsl.solve.stability import growth
from qsyncdsl.solve.times import sampling_of_moments, window_of_moments

_RELATIVE, _ABSOLUTE = 1e-8, 1e-10
# Bytes of states that are kept; of those that are averaged over fewer, but a few hundred times.
_ROOM, _AVERAGED, _TIMES = 1 << 30, 1 << 26, 200
# Classes of cells whose states are looked at for the report.
_EXAMINED = 64
# Relative difference of two fields that are the same state with other cutoffs.
_SAME = 0.2
# Growth rates above this, in units of the largest frequency or rate, are an instability.
_UNSTABLE = 1e-6


class MeanFieldSolver:
    """Solves one problem at many points."""

    def __init__(self, problem: MeanFieldProblem) -> None:
        self.problem = problem
        self.operators = CellOperators(problem)
        self.bands = Bands(problem, self.operators)

    def solve(self, point: Point) -> ProductResult:
        """The product state in time (`time`, `times`) or a stationary one.

        Raises:
            SolveError: E503 and E507 for coefficients, E510-E512 for times, E514 where the
                integration fails, E520 where no stationary state is found.
        """
        options = point.options
        if "times" in options or options.get("time"):
            return self._evolved(point)
        return self._stationary(point)

    # ── time ─────────────────────────────────────────────────────────────────────────────────

    def _evolved(self, point: Point) -> ProductResult:
        options = point.options
        series = "times" in options
        cells = CellEquations(self.operators, point, _bytes(self.problem, point))
        size = 8 * cells.size
        room = _ROOM if series else min(_ROOM, max(_AVERAGED, size * _TIMES))
        wanted = sampling_of_moments(options, size, room)
        wanted = wanted if series else window_of_moments(options, wanted)
        y = integrated(cells, start_vector(cells, point), wanted, point.coarser)
        numbers = {"tolerance": _RELATIVE * point.coarser}
        facts = {"scheme": "DOP853"}
        return self._result(cells, y, wanted, series, facts, point, numbers=numbers)

    def _result(
        self,
        cells: CellEquations,
        y: np.ndarray,
        times: np.ndarray | None,
        series: bool,
        facts: dict[str, str],
        point: Point,
        frequency: tuple[tuple[float, ...], ...] | None = None,
        numbers: Mapping[str, float] | None = None,
        growth_of: Callable[[], tuple[float, float]] | None = None,
        fields: tuple[np.ndarray, float] | None = None,
        reach: float | None = None,
    ) -> ProductResult:
        found = []
        for kind, layout in enumerate(cells.layouts):
            base = cells.operators.bases[kind]
            n, m = base.unknowns, len(layout.members)
            own = y[:, layout.offset : layout.offset + n * m].reshape(-1, n, m)
            found.append(CellStates(own, base, layout.class_of))
        trust = self._trust(
            found, {"tolerance": _RELATIVE, **(numbers or {})}, facts, point
        )
        return ProductResult(
            self.problem.families, times, self.problem.kinds, tuple(found), series, trust,
            frequency, growth_of, fields, reach,
        )  # fmt: skip

    def _trust(
        self,
        found: list[CellStates],
        numbers: dict[str, float],
        facts: dict[str, str],
        point: Point,
    ) -> Trust:
        """The worst numbers over the inequivalent cells at the end."""
        warnings: dict[str, Diagnostic] = {}
        smallest, trace = 0.0, 0.0
        count = 0
        for kind, cells in zip(self.problem.kinds, found, strict=True):
            count += cells.classes
            for rho in cells.at([-1], slice(_EXAMINED))[0]:
                more, warned = state_trust(QuantumState(kind.parts, rho))
                smallest = min(smallest, more.pop("smallest_eigenvalue", 0.0))
                trace = max(trace, abs(np.trace(rho) - 1))
                for name, value in more.items():
                    numbers[name] = max(numbers.get(name, 0.0), value)
                for warning in warned:
                    warnings.setdefault(warning.help, warning)
        numbers |= {"smallest_eigenvalue": smallest, "trace_error": trace}
        facts["inequivalent cells"] = f"{count} of {self.problem.count}"
        if self.problem.charges is not None:
            facts["symmetry"] = "U(1)"
        return Trust(numbers, facts, tuple(warnings.values()))

    # ── stationary ───────────────────────────────────────────────────────────────────────────

    def _stationary(self, point: Point) -> ProductResult:
        if self.problem.coefficients.time_dependent:
            raise SolveError(
                Diagnostic(
                    "E521",
                    "coefficients depend on time: there is no stationary state",
                    help="solve meanfield(time = T) or meanfield(times = linspace(0, T, n))",
                )
            )
        options = point.options
        rotating = self.problem.charges is not None
        if options.get("branch") == "rotating" and not rotating:
            raise SolveError(
                Diagnostic(
                    "E522",
                    "no state can rotate: a term of the model fixes the phase",
                    help="solve meanfield(branch = static), or meanfield(time = T)",
                )
            )
        if options.get("state") == "incoherent":
            found = unordered(CellEquations(self.operators, point, {}))
        elif rotating and options.get("branch") != "static":
            found = self._turning(point)
        else:
            cells = CellEquations(self.operators, point, _bytes(self.problem, point))
            found = relaxed(cells, start_vector(cells, point), integrated)
        facts = {"scheme": found.scheme}
        return self._result(
            found.cells, found.y[None, :], None, False, facts, point, found.frequency,
            {"residual": found.residual, **left_out(found)}, lambda: growth(found),
            turning_fields(found), found.reach,
        )  # fmt: skip

    def _turning(self, point: Point) -> Stationary:
        """The ordered state of largest amplitude, or the branch of the point before while it is stable."""
        before = point.previous
        if before is not None and "fields" in before:
            kept = self._on_its_branch(point, before)
            if kept is not None:
                return kept
        near = None if point.guess is None else self._followed(point, point.guess)
        if near is not None and point.guess is not None:
            size = np.abs(turning_fields(near)[0]).max()
            other = np.abs(point.guess["fields"]).max()
            if abs(size - other) < _SAME * other:
                return near
        state, reach = self.bands.ordered(point)
        state = state or unordered(CellEquations(self.operators, point, {}))
        return replace(state, reach=reach)

    def _on_its_branch(
        self, point: Point, before: Mapping[str, np.ndarray]
    ) -> Stationary | None:
        """Where the branch of the point before goes on; None where it ends and nothing else is stable.

        Near a fold, or from afar, Newton's method may find the unstable side of the branch, or nothing:
        the curve of ordered states then tells whether there is a stable one.
        """
        if np.abs(before["fields"]).max(initial=0.0) > TOLERANCE:
            found = self._followed(point, before)
            if found is not None and not _unstable(found):
                return found
            found = self.bands.ordered(point)[0] if self.bands.curved(point) else None
            if found is not None and not _unstable(found):
                return found
        still = unordered(CellEquations(self.operators, point, {}))
        return None if _unstable(still) else still

    def _followed(
        self, point: Point, before: Mapping[str, np.ndarray]
    ) -> Stationary | None:
        """The ordered state near given fields that turn."""
        return self.bands.followed(point, before["fields"], float(before["frequency"]))


def _unstable(found: Stationary) -> bool:
    """Whether a small perturbation grows."""
    rate, frequency = growth(found)
    return rate > _UNSTABLE * (1.0 + abs(frequency) + abs(found.nu))


def ending(result: ProductResult) -> dict[str, np.ndarray]:
    """The last states of all cells, and the fields that turn: the start of the next point."""
    found = {}
    for kind, cells in enumerate(result.cells):
        found[f"states {kind}"] = cells.at([-1])[0]
        found[f"class {kind}"] = np.asarray(cells.class_of)
    if result.fields is not None:
        fields, nu = result.fields
        found |= {"fields": fields, "frequency": np.array(nu)}
    return found


def start_vector(cells: CellEquations, point: Point) -> np.ndarray:
    """The initial product state of the inequivalent cells."""
    if point.previous is not None:
        return _previous_vector(cells, point.previous)
    factors: Any = point.initial
    y = np.empty(cells.size)
    for kind, layout in enumerate(cells.layouts):
        base, cell_kind = cells.operators.bases[kind], cells.problem.kinds[kind]
        columns = []
        for cell in layout.members:
            rho = np.ones((1, 1), dtype=complex)
            for offset in cell_kind.offsets:
                state = factors[offset + cell]
                matrix = state if state.ndim == 2 else np.outer(state, state.conj())
                rho = np.kron(rho, matrix)
            columns.append(base.to_vector(rho))
        n, m = base.unknowns, len(columns)
        y[layout.offset : layout.offset + n * m] = np.stack(columns, axis=1).reshape(-1)
    return y


def _previous_vector(
    cells: CellEquations, previous: Mapping[str, np.ndarray]
) -> np.ndarray:
    """The last product state of the point before."""
    y = np.empty(cells.size)
    for kind, layout in enumerate(cells.layouts):
        base = cells.operators.bases[kind]
        class_of = previous[f"class {kind}"]
        states = previous[f"states {kind}"]
        columns = [base.to_vector(states[class_of[c]]) for c in layout.members]
        size = base.unknowns * len(columns)
        y[layout.offset : layout.offset + size] = np.stack(columns, axis=1).reshape(-1)
    return y


def _bytes(problem: MeanFieldProblem, point: Point) -> dict[int, list[bytes]]:
    """The initial states of all cells, to be compared."""
    if point.previous is not None:
        return {
            kind: [bytes(str(c), "ascii") for c in point.previous[f"class {kind}"]]
            for kind in range(len(problem.kinds))
        }
    factors: Any = point.initial
    known = {id(f): f for f in factors}
    listed = {key: np.round(f, 14).tobytes() for key, f in known.items()}
    return {
        kind: [
            b"".join(listed[id(factors[o + cell])] for o in cells.offsets)
            for cell in range(cells.count)
        ]
        for kind, cells in enumerate(problem.kinds)
    }


def integrated(
    cells: CellEquations, y: np.ndarray, times: np.ndarray, coarser: float = 1.0
) -> np.ndarray:
    """The unknowns at times from 0 on, shape (T, n)."""
    source, data = integrator(), cells.data
    if suits(cells):
        source, data = matrix_integrator(), CellMatrices(cells).data
    moving = cells.values.moving
    tolerances = max(_RELATIVE * coarser, 1e-13), _ABSOLUTE * coarser
    return run_integrator(
        source, y, times, data if moving else lambda _: data(), moving, tolerances,
        coefficients=cells.values.at,
    )  # fmt: skip
