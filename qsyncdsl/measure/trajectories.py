r"""What measures look at under quantum jumps: states along trajectories, and their averages.

Linear measures are those of the mean density matrix over realizations and times. Along a trajectory
`<...>` is the mean in its own state at each time, so that functions of it need not be linear.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from qsyncdsl.algebra.operators import Monomial, Polynomial, Space
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure.parts import lowering
from qsyncdsl.problem import Request
from qsyncdsl.result import Blocks, Part, TrajectoryResult

if TYPE_CHECKING:
    import scipy.sparse as sp


@dataclass(frozen=True)
class TrajectoryState:
    """The tensor factors; the state itself is only known as far as it was asked for."""

    parts: tuple[Part, ...]

    @property
    def dims(self) -> tuple[int, ...]:
        """Dimensions of the factors."""
        return tuple(part.dimension for part in self.parts)


@dataclass(frozen=True)
class TrajectoryScene:
    """States along trajectories with what is needed to measure them.

    Attributes:
        given: What the solver recorded.
        space: The modes, with numbers as coefficients; positions agree with the parts.
        matrices: Matrices of monomials, shared between the points of a sweep.
        left_out: A block that is left out, for errors.
        place: The time of a series that is meant; None for all of them together.
    """

    given: TrajectoryResult = field(repr=False)
    space: Space
    matrices: dict[Monomial, sp.csr_array] = field(default_factory=dict, repr=False)
    hbar: float = 1.0
    left_out: int | None = None
    place: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def result(self) -> TrajectoryResult | None:
        """The result where times are a dimension."""
        return self.given if self.place is not None else None

    @property
    def times(self) -> np.ndarray:
        """Times of the samples."""
        return self.given.times[self._kept[1]]

    @cached_property
    def state(self) -> TrajectoryState:
        """The tensor factors."""
        return TrajectoryState(self.given.parts)

    def one_by_one(self) -> tuple[TrajectoryScene, ...]:
        """A scene for each time."""
        return tuple(replace(self, place=k) for k in range(len(self.given.times)))

    @cached_property
    def _kept(self) -> tuple[np.ndarray, np.ndarray]:
        """The realizations and times that are looked at."""
        given = self.given
        rows, columns = np.arange(given.realizations), np.arange(len(given.times))
        if self.left_out is not None:
            inside = given.blocks != self.left_out
            if len(given.blocks) == given.realizations and (
                given.series or given.realizations > 1
            ):
                rows = rows[inside]
            else:
                columns = columns[inside]
        if self.place is not None:
            columns = columns[columns == self.place]
        return rows, columns

    @property
    def rows(self) -> np.ndarray:
        """The realizations that are looked at."""
        return self._kept[0]

    # ── operators ────────────────────────────────────────────────────────────────────────────

    def matrix(self, operator: Polynomial) -> sp.csr_array:
        """Matrix of an operator, shape (D, D)."""
        import scipy.sparse as sp

        from qsyncdsl.algebra.matrices import monomial_matrix

        dims = self.state.dims
        size = int(np.prod(dims))
        total = sp.csr_array((size, size), dtype=complex)
        for monomial, value in operator.terms.items():
            if monomial not in self.matrices:
                self.matrices[monomial] = monomial_matrix(self.space, monomial, dims)
            total = total + complex(value) * self.matrices[monomial]
        return total

    def values(self, operator: Polynomial) -> np.ndarray:
        """<psi|O|psi> of every state, shape (R, T)."""
        found = self.given.record(_operator(self, operator))
        rows, columns = self._kept
        return np.asarray(found[np.ix_(rows, columns)])

    def expect(self, operator: Polynomial) -> complex:
        """<O>, the mean over realizations and times."""
        return complex(self.values(operator).mean())

    def letter(self, part: int, name: str) -> Polynomial:
        """A named operator of a part."""
        return self.space.letter(part, name)

    def boson(self, part: int, word: str) -> Polynomial:
        """The annihilation operator of a part; qubits count with their two levels.

        Raises:
            SolveError: E601 for a part without ladder operators.
        """
        return self.letter(part, lowering(self.state.parts[part].kind, word))

    # ── averages ─────────────────────────────────────────────────────────────────────────────

    def reduced(self, parts: tuple[int, ...]) -> np.ndarray:
        """Mean reduced density matrix of some parts, in the order given.

        Raises:
            SolveError: E662 for a rotor under a static force.
        """
        self._refuse_pulled(parts)
        return self._mean(self.given.record(Request("reduced", tuple(parts))))

    def relative_moments(self, a: int, b: int) -> dict[int, complex]:
        """C_k of `relative_phase` for every k that the cutoffs allow."""
        self._refuse_pulled((a, b))
        found = self._mean(self.given.record(Request("phase", (a, b))))
        positive = {k: complex(value) for k, value in enumerate(found)}
        return {-k: np.conj(value) for k, value in positive.items()} | positive

    def husimi(self, a: int, extent: float, points: int) -> np.ndarray:
        """Mean Husimi function of a rotor under a static force: each state at its own quasi-momentum."""
        request = Request("husimi", (a, extent, points, self.hbar))
        return np.asarray(self._mean(self.given.record(request)).real)

    def _refuse_pulled(self, parts: tuple[int, ...]) -> None:
        """E662: at different quasi-momenta density matrices have no mean."""
        for k in parts:
            if k in self.given.pulled:
                label = self.given.parts[k].label
                message = f"the quasi-momentum of '{label}' moves: there is no mean density matrix"
                help = (
                    "measure mean values like <r.p>, or solve by 'floquet' or 'evolve'"
                )
                raise SolveError(Diagnostic("E662", message, help=help))

    def _mean(self, blocks: Blocks) -> np.ndarray:
        sums, weights = blocks.sums, blocks.weights
        if self.left_out is not None:
            sums = np.delete(sums, self.left_out, axis=0)
            weights = np.delete(weights, self.left_out, axis=0)
        total, weight = sums.sum(axis=0), weights.sum(axis=0)
        if self.given.series:
            place = self.place if self.place is not None else slice(None)
            total, weight = total[place], weight[place]
            if self.place is None:
                total, weight = total.sum(axis=0), weight.sum()
        return np.asarray(total / weight)


def jumping(scene: Any) -> TypeGuard[TrajectoryScene]:
    """Whether a scene has state vectors along trajectories."""
    return isinstance(scene, TrajectoryScene)


def _operator(scene: TrajectoryScene, operator: Polynomial) -> Request:
    key = tuple(sorted((str(m), complex(v)) for m, v in operator.terms.items()))
    if scene.given.pulled:
        return Request("operator", key, None, operator)
    return Request("operator", key, scene.matrix(operator))


# ── finding out what is needed ───────────────────────────────────────────────────────────────


@dataclass
class Probe:
    """Stands for a result that is not there yet and notes what it is asked for."""

    parts: tuple[Part, ...]
    series: bool
    pulled: tuple[int, ...] = ()
    noted: dict[Request, None] = field(default_factory=dict)

    def result(self) -> TrajectoryResult:
        """A result with a few random states."""
        times = np.linspace(0.0, 1.0, 16)
        jumps = tuple((np.array([0.2, 0.5]), np.array([0, 0])) for _ in range(2))
        return TrajectoryResult(
            self.parts,
            times,
            2,
            self.series,
            np.arange(2),
            jumps,
            ("",),
            (0.0, 1.0),
            self._record,
            pulled=self.pulled,
        )

    def _record(self, request: Request) -> Any:
        self.noted[request] = None
        rng = np.random.default_rng(len(self.noted))
        if request.kind == "operator":
            return rng.random((2, 16)) + 1j * rng.random((2, 16))
        times = (16,) if self.series else ()
        if request.kind == "husimi":
            key: Any = request.key
            _, extent, points, _ = key
            flat = np.full((2, *times, points, points), 1 / (4 * np.pi * extent))
            return Blocks(flat, np.ones((2, *times)))
        dims = [self.parts[k].dimension for k in request.key]  # type: ignore[attr-defined]
        if request.kind == "phase":
            inner: tuple[int, ...] = (min(dims),)
            return Blocks(0.1 * rng.random((2, *times, *inner)), np.ones((2, *times)))
        # the room for the matrix is not there before it is known to be affordable
        size = int(np.prod(dims, dtype=np.int64))
        if size > 600:
            raise SolveError(Diagnostic("E512", "a large density matrix"))
        one = np.broadcast_to(np.eye(size) / size, (2, *times, size, size))
        return Blocks(one, np.ones((2, *times)))
