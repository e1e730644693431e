r"""Exact dissipative evolution between kicks, also where rotors are pulled by a static force.

Without kicks a rotor or a boson that only loses quanta evolves diagonal by diagonal. Constant generators are
exponentials. Of moving ones the equation is solved in fixed steps of order 8, on stretches of time on which
their entries are Legendre series, that take the diagonal exactly: far from it elements turn fast and are coupled
slowly.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse.linalg as spla

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.model.rotors import Place
from qsyncdsl.problem import LindbladProblem, Point
from qsyncdsl.solve.block_generator import NEAR
from qsyncdsl.solve.march import march
from qsyncdsl.solve.stretch_series import SeriesGenerator
from qsyncdsl.solve.stretches import Piece, Stretch, appended, label_steps

# Largest block of elements whose exponential or propagator is taken as a dense matrix.
DENSE = 1200
# Memory for the propagators of one stretch, in bytes.
_PROPAGATORS = 4e8
# A step times what it must be short against.
_STEP = 0.75
# Change of a state by halving the steps that is small enough; times that they are halved, at most.
_STEP_ERROR, _FINEST = 1e-11, 64
# Steps whose tables are made at once.
_AT_ONCE = 64


class Flow(SeriesGenerator):
    """The evolution between kicks at one point, in one window of the basis.

    Args:
        problem: The master equation.
        point: Values of its parameters.
        place: Centers of the rotors' windows.
        period: Of coefficients that depend on time; None where they need not repeat.
    """

    def __init__(
        self,
        problem: LindbladProblem,
        point: Point,
        place: Place,
        period: float | None = None,
    ) -> None:
        super().__init__(problem, point, place, period)
        self.refinement = 1
        self.step_error: float | None = None
        self._exponentials: dict[float, list[np.ndarray]] = {}

    # ── time ─────────────────────────────────────────────────────────────────────────────────

    def advance(self, vector: np.ndarray, begin: float, end: float) -> np.ndarray:
        """The elements at `end` from those at `begin`; the window stays where it is."""
        if end <= begin:
            return vector
        if self.is_constant:
            return self._exponential(vector, end - begin)
        if self.moving and not self.repeats:
            return self._controlled(vector, begin, end)
        self.calibrate(vector, begin, end)
        return self._along(vector, begin, end)

    def _controlled(self, vector: np.ndarray, begin: float, end: float) -> np.ndarray:
        """The same where one interval says nothing of the next: steps are halved in each."""
        self.refinement = max(1, self.refinement // 4)
        fine, error = self._halved(vector, begin, end)
        self.step_error = max(self.step_error or 0.0, error)
        return fine

    def calibrate(self, vector: np.ndarray, begin: float, end: float) -> None:
        """Halve the steps, once and for all, until a state no longer notices."""
        if self.is_constant or self.step_error is not None:
            return
        _, self.step_error = self._halved(vector, begin, end)
        self.refinement //= 2

    def _halved(
        self, vector: np.ndarray, begin: float, end: float
    ) -> tuple[np.ndarray, float]:
        """The elements at `end`, by steps that are halved until little changes, and by how much it last did."""
        coarse = self._along(vector, begin, end)
        while True:
            self.refinement *= 2
            fine = self._along(vector, begin, end)
            error = float(np.abs(fine - coarse).max())
            if error < _STEP_ERROR or self.refinement > _FINEST:
                return fine, error
            coarse = fine

    def _along(self, vector: np.ndarray, begin: float, end: float) -> np.ndarray:
        """The evolution through all breaks."""
        times = self.breaks(begin, end)
        before = self.labels(begin)
        for a, b in pairwise(times):
            inside = self.inside(a, b)
            vector = self.relabel(vector, before, inside)
            vector = self._cross(vector, a, b, inside)
            before = inside
        return self.relabel(vector, before, self.labels(end))

    # ── constant generators ──────────────────────────────────────────────────────────────────

    def _exponential(self, vector: np.ndarray, span: float) -> np.ndarray:
        starts = self.layout.starts
        if np.diff(starts).max() > DENSE:
            return np.asarray(spla.expm_multiply(self.constant * span, vector))
        blocks = self.exponentials(span)
        return np.concatenate(
            [
                block @ vector[a:b]
                for block, a, b in zip(blocks, starts[:-1], starts[1:], strict=True)
            ]
        )

    def exponentials(self, span: float) -> list[np.ndarray]:
        """exp(L span), block by block."""
        key = float(f"{span:.13e}")
        if key not in self._exponentials:
            if len(self._exponentials) > 64:
                self._exponentials.clear()
            starts = self.layout.starts
            self._exponentials[key] = [
                scipy.linalg.expm(self.constant[a:b, a:b].toarray() * span)
                for a, b in pairwise(starts)
            ]
        return self._exponentials[key]

    # ── moving generators ────────────────────────────────────────────────────────────────────

    def _cross(
        self, vector: np.ndarray, a: float, b: float, labels: dict[int, int]
    ) -> np.ndarray:
        """Evolution between two breaks."""
        while a < b:
            stretch, high = self.around(a, b, labels)
            inner = high if high < b - NEAR * (b - a) else b
            vector = self._march(stretch, vector, *self.span(stretch, a, inner))
            a = inner
        return vector

    def _march(
        self, stretch: Stretch, vector: np.ndarray, u: float, v: float
    ) -> np.ndarray:
        """From one u to another."""
        if v <= u:
            return vector
        return self._stepped(stretch, vector[:, None], u, v, self.layout.starts)[:, 0]

    def _stepped(
        self,
        stretch: Stretch,
        columns: np.ndarray,
        u: float,
        v: float,
        starts: np.ndarray,
    ) -> np.ndarray:
        """The steps on the blocks that begin at `starts`."""
        count = self._steps(stretch, u, v)
        pattern, step = self.pattern, (v - u) / count
        for done in range(0, count, _AT_ONCE):
            now = min(count - done, _AT_ONCE)
            tables, turns = self.table(
                stretch, u + done * step, u + (done + now) * step, now
            )
            columns = march(
                pattern.indptr, pattern.indices, tables, turns, step, columns, starts
            )
        return columns

    # ── propagators ──────────────────────────────────────────────────────────────────────────

    def propagators(self, begin: float, end: float) -> list[np.ndarray]:
        """The evolution from one time to another as a matrix for each block."""
        if self.is_constant:
            return self.exponentials(end - begin)
        pieces = self._pieces_between(begin, end)
        found = []
        for block in range(len(self.layout.starts) - 1):
            a, b = self.layout.starts[block : block + 2]
            total = np.eye(b - a, dtype=complex)
            known: dict[Any, np.ndarray] = {}
            for piece, repeats in pieces:
                key = (
                    id(getattr(piece.stretch, "series", None)),
                    piece.u,
                    piece.v,
                    piece.steps,
                )
                if key not in known:
                    known[key] = self._block_piece(piece, block)
                total = np.linalg.matrix_power(known[key], repeats) @ total
            found.append(total)
        return found

    @property
    def has_propagators(self) -> bool:
        """Whether propagators fit in memory."""
        sizes = np.diff(self.layout.starts).astype(float)
        return bool((sizes**2).sum() * 16 < _PROPAGATORS and sizes.max() <= DENSE)

    def _block_piece(self, piece: Piece, block: int) -> np.ndarray:
        """One piece with the relabeling behind it, on one block."""
        a, b = self.layout.starts[block : block + 2]
        columns = np.eye(b - a, dtype=complex)
        if piece.v > piece.u:
            ends = self.layout.starts[block : block + 2]
            columns = self._stepped(piece.stretch, columns, piece.u, piece.v, ends)
        for part, steps in piece.steps:
            source = self.shift(part, steps)[a:b]
            inside = np.where(source >= 0, source - a, 0)
            columns = np.where((source >= 0)[:, None], columns[inside], 0)
        return columns

    def _pieces_between(self, begin: float, end: float) -> list[tuple[Piece, int]]:
        """The pieces of an interval, equal neighbors together."""
        found: list[tuple[Piece, int]] = []
        before = self.labels(begin)
        for a, b in pairwise(self.breaks(begin, end)):
            inside = self.inside(a, b)
            if inside != before:
                found = appended(
                    found, Piece(None, 0.0, 0.0, label_steps(before, inside))
                )
            inner = a
            while inner < b - NEAR * (b - a):
                stretch, high = self.around(inner, b, inside)
                last = min(b, high)
                u, v = self.span(stretch, inner, last)
                after = inside if last < b - NEAR * (b - a) else self.labels(b)
                found = appended(
                    found, Piece(stretch, u, v, label_steps(inside, after))
                )
                inner, before = last, after
        return found

    def _steps(self, stretch: Stretch, u: float, v: float) -> int:
        needed = self.refinement * stretch.size * (v - u) / _STEP
        if needed > 2e6:
            raise SolveError(
                Diagnostic(
                    "E543",
                    f"the generator is too stiff to be followed in time: {needed:.1g} steps",
                    help="fewer levels, or rates of more equal size",
                )
            )
        return max(int(np.ceil(needed)), self.refinement)
