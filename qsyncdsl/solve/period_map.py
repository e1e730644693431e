r"""The stroboscopic map of a kicked or periodic model: from just before a kick to just before a later one.

$\rho \mapsto \mathcal{E}_b \mathcal{K} \cdots \mathcal{E}_1 \mathcal{K}\rho$ over b periods, with $\mathcal{K}\rho =
U\rho U^\dagger$. Under a static force the map returns after b periods if $fT/\hbar = a/b$.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse.linalg as spla

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.solve import coefficients
from qsyncdsl.solve.block_flow import Flow
from qsyncdsl.solve.kick_maps import moves, periods, schedule, unitary

# Size of the space of Hermitian matrices up to which all multipliers are found at once.
_ALL = 256
_TOLERANCE = 1e-11
# Applications of the map to refine what the eigenvalue solver gives.
_REFINEMENTS = 3


class PeriodMap:
    """The map of one cycle of periods, on packed density matrices.

    Args:
        flow: The evolution between kicks, in one window.
        period: T.
        count: Periods of a cycle, b.
    """

    def __init__(self, flow: Flow, period: float, count: int = 1) -> None:
        self.flow = flow
        self.period = period
        self.count = count
        problem = flow.problem
        each = periods(problem, flow.f)
        self._acts = schedule(each, period) if each else []
        self._kicks: dict[Any, np.ndarray] = {}
        self._blocks: dict[tuple[int, int], list[np.ndarray]] = {}
        self._known: np.ndarray | None = None
        self._vectors: np.ndarray | None = None

    # ── application ──────────────────────────────────────────────────────────────────────────

    @property
    def inner(self) -> list[float]:
        """The instants of kicks inside a period, from its begin."""
        return [t for t, _ in self._acts[1:]]

    def _unitary(self, k: int, j: int) -> np.ndarray:
        """The j-th kicks of period k."""
        flow, (t, which) = self.flow, self._acts[j]
        turn = k % self.count if moves(flow.problem) else 0
        key = turn, j if turn or moves(flow.problem) else 0, which
        if key not in self._kicks:
            f = flow.f
            if moves(flow.problem):
                table, now = flow.problem.coefficients, turn * self.period + t
                f = coefficients.evaluate(table, flow.point.values, now)
            self._kicks[key] = unitary(flow.problem, f, flow.place, which)
        return self._kicks[key]

    def _turned(self, vector: np.ndarray, k: int, j: int) -> np.ndarray:
        kick, layout = self._unitary(k, j), self.flow.layout
        return layout.pack(kick @ layout.unpack(vector) @ kick.conj().T)

    def kicked(self, vector: np.ndarray, k: int) -> np.ndarray:
        """The elements just after the kicks at the begin of period k."""
        return self._turned(vector, k, 0) if self._acts else vector

    def between(
        self, vector: np.ndarray, begin: float, end: float, k: int
    ) -> np.ndarray:
        """The flow within period k, with the kicks inside of it; a kick at `end` is yet to come."""
        near = 1e-9 * self.period
        for j, t in enumerate(self.inner, start=1):
            at = k * self.period + t
            if begin - near <= at < end - near:
                vector = self.flow.advance(vector, begin, at)
                vector, begin = self._turned(vector, k, j), at
        return self.flow.advance(vector, begin, end)

    def one(self, vector: np.ndarray, k: int, often: bool = True) -> np.ndarray:
        """Period k, counted from 0: kicks and the flow after them."""
        vector = self.kicked(vector, k)
        begin, end = k * self.period, (k + 1) * self.period
        if not often or not self.flow.has_propagators or self.count > 64:
            return self.between(vector, begin, end, k)
        first = (k % self.count) * self.period
        edges = [0.0, *self.inner, self.period]
        self.flow.calibrate(vector, begin, begin + edges[1])
        for j, (a, b) in enumerate(pairwise(edges)):
            if j:
                vector = self._turned(vector, k, j)
            place = k % self.count, j
            if place not in self._blocks:
                self._blocks[place] = self.flow.propagators(first + a, first + b)
            blocks = zip(
                self._blocks[place], pairwise(self.flow.layout.starts), strict=True
            )
            vector = np.concatenate([block @ vector[m:n] for block, (m, n) in blocks])
        return vector

    def cycle(self, vector: np.ndarray) -> np.ndarray:
        """All periods of a cycle."""
        for k in range(self.count):
            vector = self.one(vector, k)
        return vector

    # ── multipliers ──────────────────────────────────────────────────────────────────────────

    def multipliers(self, k: int, start: np.ndarray | None = None) -> np.ndarray:
        """The k eigenvalues of largest modulus of the cycle, that of the stationary state first."""
        self._solve(k, start)
        assert self._known is not None
        return self._known[:k]

    def decay_rates(self, k: int) -> np.ndarray:
        r"""$\ln\mu/bT$ of the multipliers, per unit of time."""
        values = self.multipliers(k)
        values = values[np.abs(values) > 1e-14]
        return np.log(values.astype(complex)) / (self.count * self.period)

    def steady(self, start: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
        """The stroboscopic steady state, packed, and its residual.

        Raises:
            SolveError: E504 where it is not unique, E505 where it does not settle.
        """
        values = self.multipliers(3, start)
        if len(values) > 1 and abs(values[1]) > 1 - 1e-9:
            raise SolveError(
                Diagnostic(
                    "E504",
                    "the stroboscopic steady state is not unique: the second multiplier is "
                    f"{_number(values[1])}",
                    help="start from an initial state: floquet(periods = 500)",
                )
            )
        assert self._vectors is not None
        vector = self._normalized(self._complex(self._vectors[:, 0]))
        for _ in range(_REFINEMENTS):
            vector = self._normalized(self.cycle(vector))
        after = self.cycle(vector)
        residual = float(np.abs(after - vector).max())
        numbers = {
            "residual": residual,
            "lost_per_cycle": abs(1 - self._trace(after)),
        }
        return vector, numbers

    def _trace(self, vector: np.ndarray) -> float:
        diagonal = self.flow.layout.rows == self.flow.layout.columns
        return float(vector[diagonal].real.sum())

    def _normalized(self, vector: np.ndarray) -> np.ndarray:
        return vector / self._trace(vector)

    def _real(self, vector: np.ndarray) -> np.ndarray:
        return np.concatenate([vector.real, vector.imag])

    def _complex(self, vector: np.ndarray) -> np.ndarray:
        size = self.flow.layout.size
        return vector[:size] + 1j * vector[size:]

    def _solve(self, k: int, start: np.ndarray | None) -> None:
        if self._known is not None and len(self._known) >= min(k, self._most):
            return
        if self._most <= _ALL:
            self._all()
            return
        if start is None and self._vectors is not None:
            start = self._complex(self._vectors[:, 0].real)
        first = self._start() if start is None else start
        wanted = min(max(k + 2, 4), self._most - 2)
        size = 2 * self.flow.layout.size

        def apply(x: np.ndarray) -> np.ndarray:
            layout = self.flow.layout
            hermitian = layout.pack(layout.unpack(self._complex(x)))
            return self._real(self.cycle(hermitian))

        operator = spla.LinearOperator((size, size), matvec=apply, dtype=float)
        try:
            values, vectors = spla.eigs(
                operator,
                k=wanted,
                which="LM",
                v0=self._real(first),
                ncv=min(max(3 * wanted + 12, 30), size - 1),
                tol=_TOLERANCE,
                maxiter=300,
            )
        except spla.ArpackNoConvergence:
            raise SolveError(
                Diagnostic(
                    "E505",
                    "the multipliers of the period map did not converge",
                    help="ask for a record: floquet(periods = 500)",
                )
            ) from None
        self._sorted(values, vectors)

    @property
    def _most(self) -> int:
        """Dimension of the space of Hermitian matrices."""
        return self.flow.layout.dimension**2

    def _start(self) -> np.ndarray:
        """A mixed state around the middle of the basis."""
        size = self.flow.layout.dimension
        n = np.arange(size)
        weights = np.exp(-((n - size // 2) ** 2) / (2 * (size / 8 + 1) ** 2))
        return self.flow.layout.pack(np.diag(weights / weights.sum()).astype(complex))

    def _all(self) -> None:
        """All multipliers, from the map of every element of a basis of Hermitian matrices."""
        layout = self.flow.layout
        size = layout.dimension
        rows, columns = np.triu_indices(size)
        found = np.zeros((size**2, size**2))
        basis: list[np.ndarray] = []
        for m, n in zip(rows, columns, strict=True):
            for unit in (1.0,) if m == n else (1.0, 1j):
                rho = np.zeros((size, size), dtype=complex)
                rho[m, n], rho[n, m] = unit, np.conj(unit)
                basis.append(layout.pack(rho))
        upper, diagonal = rows != columns, rows == columns
        for k, vector in enumerate(basis):
            rho = layout.unpack(self.cycle(vector))[rows, columns]
            image = np.empty(size**2)
            image[self._slots(upper, 0)] = rho.real
            image[self._slots(upper, 1)[upper]] = rho.imag[upper]
            found[:, k] = image
        assert diagonal.sum() == size
        values, vectors = np.linalg.eig(found)
        stacked = np.array([self._real(b) for b in basis]).T
        self._sorted(values, stacked @ vectors)

    @staticmethod
    def _slots(upper: np.ndarray, second: int) -> np.ndarray:
        """Positions of the real (0) or imaginary (1) parts in the list of the basis."""
        widths = np.where(upper, 2, 1)
        return np.concatenate([[0], np.cumsum(widths)[:-1]]) + second

    def _sorted(self, values: np.ndarray, vectors: np.ndarray) -> None:
        """Largest modulus first; the stationary state, with its trace, before all others."""
        order = np.lexsort((np.round(-values.imag, 12), np.round(-np.abs(values), 12)))
        best = int(np.argmin(np.abs(values - 1)))
        order = np.concatenate([[best], order[order != best]])
        self._known = values[order]
        leading = vectors[:, best]
        turned = leading / leading[np.argmax(np.abs(leading))]
        self._vectors = np.concatenate(
            [turned.real[:, None], vectors[:, order[1:]]], axis=1
        )


def _number(value: Any) -> str:
    z = complex(value)
    return f"{z.real:.6g}" if abs(z.imag) < 1e-12 else f"{z:.6g}"
