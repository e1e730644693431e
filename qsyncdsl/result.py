"""The corridor from numerics to measures: states of a system with what is known of their error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qsyncdsl.diagnostics import Diagnostic

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Part:
    """One tensor factor of the Hilbert space.

    Attributes:
        label: The mode as the user writes it: `a`, `b[2, 3]`, `left.a`.
        kind: Word of the mode kind: `boson`, `qubit`, `spin`, `levels`, `ensemble`, `rotor`.
        dimension: Number of basis states kept.
        offset: Label of the first basis state: 0, or -nmax for a rotor.
    """

    label: str
    kind: str
    dimension: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Trust:
    """What a solver knows of the error of its answer, as numbers with names.

    Attributes:
        numbers: For instance `residual`, `trace_error`, `smallest_eigenvalue`, `top_population`.
        facts: Choices and findings in words: the solver, the symmetry, the sector.
        warnings: Diagnostics with W codes.
    """

    numbers: dict[str, float] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    warnings: tuple[Diagnostic, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Numbers, facts and warnings as one flat document."""
        return {
            **self.numbers,
            **self.facts,
            "warnings": [warning.to_json() for warning in self.warnings],
        }


@dataclass(frozen=True, slots=True)
class QuantumState:
    """A state on named tensor factors, mixed or pure.

    Attributes:
        parts: The factors; the first varies slowest in the flat basis index.
        data: Density matrix, shape (D, D), trace 1; or state vector, shape (D,), norm 1.
    """

    parts: tuple[Part, ...]
    data: np.ndarray = field(repr=False)

    @property
    def dims(self) -> tuple[int, ...]:
        """Dimensions of the factors."""
        return tuple(part.dimension for part in self.parts)

    @property
    def pure(self) -> bool:
        """Whether it is kept as a vector."""
        return self.data.ndim == 1

    @property
    def rho(self) -> np.ndarray:
        """Density matrix, shape (D, D)."""
        data = self.data
        return data[:, None] * data.conj()[None, :] if self.pure else data


def level_populations(states: Iterable[QuantumState]) -> dict[str, np.ndarray]:
    """Populations of the levels of every boson, the largest over some states; by label."""
    found: dict[str, np.ndarray] = {}
    for state in states:
        data = state.data
        diagonal = abs(data) ** 2 if state.pure else abs(data.diagonal())
        populations = diagonal.reshape(state.dims)
        for axis, part in enumerate(state.parts):
            if part.kind != "boson":
                continue
            others = tuple(k for k in range(len(state.parts)) if k != axis)
            own = populations.sum(axis=others)
            before = found.get(part.label)
            found[part.label] = own if before is None else own.clip(min=before)
    return found


@dataclass(frozen=True, slots=True)
class SteadyResult:
    """The stationary state of one point; the generator is kept for spectra and gaps."""

    state: QuantumState
    generator: Any
    trust: Trust


@dataclass(frozen=True, slots=True)
class EvolutionResult:
    r"""States on a grid of times, shape (T,).

    Attributes:
        mean: $\int_{t_0}^{t_1}\rho\,dt/(t_1 - t_0)$ over the window of a run that asks for a mean,
            integrated with the state; None where there is none.
    """

    times: np.ndarray
    states: tuple[QuantumState, ...]
    trust: Trust
    mean: QuantumState | None = None


@dataclass(frozen=True, slots=True)
class PlacedState:
    """A state in a window of the basis; `place` says where its rotors are."""

    state: QuantumState
    place: Any


@dataclass(frozen=True, slots=True)
class FloquetResult:
    r"""States of a kicked or periodic model.

    Attributes:
        strobe: Just before the kicks: the steady state, or those of a record.
        times: Of the record, shape (P + 1,); None for a steady state.
        period: T.
        inside: States at times inside the periods.
        weights: Of `inside`, for the mean over time; sum 1.
        generator: The period map, for multipliers; None for records.
        inner_times: Of `inside`, in a record.
        mixture: Weights of `strobe`, where quasi-momenta are averaged over.
    """

    strobe: tuple[PlacedState, ...]
    times: np.ndarray | None
    period: float
    inside: tuple[PlacedState, ...] = field(repr=False)
    weights: np.ndarray = field(repr=False)
    generator: Any = field(repr=False)
    trust: Trust
    inner_times: np.ndarray | None = field(default=None, repr=False)
    mixture: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RotorResult:
    """Classical rotors along a record.

    Attributes:
        times: Of `values` where they were asked for one by one; None for an average.
        values: Angles and momenta, shape (2 R, T): at the times, or inside the periods of a window.
        weights: Of the values of an average; sum 1.
        last: At the end, shape (2 R,).
        path: Angles and momenta one after the other, shape (T, 2 R): at whole periods where there are
            kicks.
        path_times: Of the path.
        symmetric: False: values are no samples of a distribution, there is no noise.
        extra: The flow with the path, and a run from another start.
    """

    times: np.ndarray | None
    values: np.ndarray = field(repr=False)
    weights: np.ndarray = field(repr=False)
    last: np.ndarray = field(repr=False)
    path: np.ndarray = field(repr=False)
    path_times: np.ndarray = field(repr=False)
    trust: Trust
    symmetric: bool = False
    extra: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class EigenResult:
    """Levels of H/hbar and the ground state.

    Attributes:
        state: The ground state, a product over the groups.
        energies: The lowest levels of the whole, ascending, shape (K,).
        groups: Sets of parts that H does not couple, each with its own levels.
    """

    state: QuantumState
    energies: np.ndarray
    groups: tuple[tuple[tuple[int, ...], np.ndarray], ...]
    trust: Trust


@dataclass(frozen=True, slots=True)
class FieldResult:
    r"""Samples of complex fields along trajectories.

    Attributes:
        labels: Name, first row and number of sites of each mode, with the shape of its lattice.
        times: Times of the samples, shape (T,).
        samples: Fields, shape (F, R, T): field, realization, time.
        series: Whether the times were asked for one by one, rather than for an average.
        symmetric: Whether moments of the samples are those of the Wigner function; else the fields
            are mean values.
        coarse: The first realizations with twice the step and the same noise, shape (F, R', T).
    """

    families: tuple[Any, ...]
    times: np.ndarray
    samples: np.ndarray = field(repr=False)
    series: bool
    symmetric: bool
    trust: Trust
    coarse: np.ndarray | None = field(default=None, repr=False)
    extra: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Blocks:
    """Averages over parts of a run.

    Attributes:
        sums: Sum over the states of each block, shape (B, ...); (B, T, ...) for a series.
        weights: Number of states in each block (and at each time).
    """

    sums: np.ndarray = field(repr=False)
    weights: np.ndarray = field(repr=False)


@dataclass(frozen=True, slots=True)
class TrajectoryResult:
    """State vectors with quantum jumps: what was recorded of them.

    Attributes:
        times: Times of the samples, shape (T,).
        realizations: Number R of trajectories.
        series: Whether the times were asked for one by one, rather than for an average.
        blocks: Block of each state, shape (R,) where blocks are realizations, (T,) where there is
            one realization only.
        jumps: For each realization the times and the channels of its jumps.
        channels: The jump operators as text, in the order of the channels.
        record: Called with a request for what was recorded: values of shape (R, T) of an
            operator, else `Blocks`. What nobody asked for before is found by a second run.
        pulled: Parts whose basis moves under a static force: operators have no fixed matrix.
    """

    parts: tuple[Part, ...]
    times: np.ndarray
    realizations: int
    series: bool
    blocks: np.ndarray = field(repr=False)
    jumps: tuple[tuple[np.ndarray, np.ndarray], ...] = field(repr=False)
    channels: tuple[str, ...]
    window: tuple[float, float]
    record: Any = field(repr=False)
    trust: Trust = field(default_factory=Trust)
    pulled: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class GaussianResult:
    r"""Means and covariances at times.

    Attributes:
        times: Shape (T,).
        means: <a_k>, shape (T, F).
        covariances: Symmetrized, of $(q_1, p_1, q_2, \dots)$, shape (T, 2F, 2F); vacuum has 1/2.
    """

    families: tuple[Any, ...]
    times: np.ndarray
    means: np.ndarray = field(repr=False)
    covariances: np.ndarray = field(repr=False)
    trust: Trust = field(default_factory=Trust)


@dataclass(frozen=True, slots=True)
class RadialDensity:
    r"""A density over $\alpha = re^{i\varphi}$: $W = \sum_m w_m(r)e^{im\varphi}$, $w_{-m} = w_m^*$.

    Attributes:
        radii: Nodes, shape (n,).
        weights: Of the integral over $r\,dr$, shape (n,).
        harmonics: $w_m$ for m = 0 .. M, shape (M + 1, n).
    """

    radii: np.ndarray = field(repr=False)
    weights: np.ndarray = field(repr=False)
    harmonics: np.ndarray = field(repr=False)


@dataclass(frozen=True, slots=True)
class DensityResult:
    r"""Stationary densities of fields that are independent but for their mean.

    Attributes:
        densities: The different ones.
        class_of: Which of them each field has, shape (F,).
        frequency: Of the frame in which they stand, $\langle\alpha\rangle \propto e^{-i\nu t}$; None where the
            phase is not free.
        reach: As of a `ProductResult`.
    """

    families: tuple[Any, ...]
    densities: tuple[RadialDensity, ...]
    class_of: np.ndarray = field(repr=False)
    trust: Trust
    frequency: float | None = None
    reach: float | None = None


@dataclass(frozen=True, slots=True)
class PermutationResult:
    """A stationary permutation-symmetric state; `answer` finds means and lines."""

    problem: Any
    answer: Any = field(repr=False)
    trust: Trust
    times: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class MomentResult:
    """Moments at times, or stationary ones.

    Attributes:
        problem: Which moments these are.
        times: Shape (T,); None for a stationary state.
        values: Shape (T, M).
        point: Values of the parameters, for equations of two times.
    """

    problem: Any
    times: np.ndarray | None
    values: np.ndarray = field(repr=False)
    trust: Trust
    series: bool = False
    regression: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CellStates:
    """Density matrices of the inequivalent cells of one kind at all times, as their real unknowns.

    Thousands of times are kept for an average; few of them are ever needed as matrices.

    Attributes:
        unknowns: Shape (T, n, classes).
        basis: Makes density matrices of them, and functionals of operators.
        class_of: The class of every cell.
    """

    unknowns: np.ndarray = field(repr=False)
    basis: Any = field(repr=False)
    class_of: np.ndarray = field(repr=False)

    @property
    def times(self) -> int:
        """How many times there are."""
        return len(self.unknowns)

    @property
    def classes(self) -> int:
        """How many inequivalent cells there are."""
        return int(self.unknowns.shape[2])

    def at(self, times: Any = slice(None), classes: Any = slice(None)) -> np.ndarray:
        """Density matrices at some times of some classes, shape (T, classes, D, D)."""
        chosen = self.unknowns[times][:, :, classes].swapaxes(1, 2)
        rows = chosen.reshape(-1, chosen.shape[2])
        matrices: np.ndarray = self.basis.to_matrices(rows)
        return matrices.reshape(*chosen.shape[:2], *matrices.shape[1:])

    def means(self, operator: Any, number: int) -> np.ndarray:
        """Means of an operator (sparse, D x D) on a class at all times, shape (T,)."""
        row = self.basis.row(operator).tocoo()
        found: np.ndarray = self.unknowns[:, row.coords[1], number] @ row.data
        return found

    def averaged(self, number: int) -> np.ndarray:
        """The mean over the times of the density matrix of a class, shape (D, D)."""
        mean = self.unknowns[:, :, number].mean(axis=0)
        found: np.ndarray = self.basis.to_matrices(mean[None])[0]
        return found


@dataclass(frozen=True, slots=True)
class ProductResult:
    r"""A product state $\bigotimes_c\rho_c$ at times, or a stationary one.

    Attributes:
        times: Shape (T,); None for a stationary state.
        kinds: The cells of the problem.
        cells: Their states, one entry for each kind.
        series: Whether the times were asked for one by one, rather than for an average.
        frequency: Angular velocity of each part of each kind in a stationary state, $\langle a\rangle
            \propto e^{-i\nu t}$; None where the phase is not free.
        growth: Called for the largest growth rate of a small perturbation and its frequency.
        fields: The mean fields of a stationary state and their angular velocity.
        reach: $\ln(\eta/\eta_{min})$: how far the couplings are above those where the ordered branch ends, or,
            negative, below; None where that is not known.
    """

    families: tuple[Any, ...]
    times: np.ndarray | None
    kinds: tuple[Any, ...]
    cells: tuple[CellStates, ...]
    series: bool
    trust: Trust
    frequency: tuple[tuple[float, ...], ...] | None = None
    growth: Any = field(default=None, repr=False)
    fields: tuple[np.ndarray, float] | None = field(default=None, repr=False)
    reach: float | None = None
