"""What measures look at: a state, operators on it, and the generator it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from qsyncdsl.algebra.operators import Monomial, Polynomial, Space
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure.parts import lowering
from qsyncdsl.result import QuantumState

if TYPE_CHECKING:
    import scipy.sparse as sp

# Dimension up to which states are written in the basis of numbers where their levels are displaced.
_MOST_NUMBERS = 4000
# Population that may be lost there.
_LOST = 1e-13


@dataclass(frozen=True)
class Scene:
    """A state with what is needed to measure it.

    Attributes:
        state: The density matrix.
        space: The modes, with numbers as coefficients; positions agree with the state's parts.
        result: What the solver gave, for measures that need more than the state.
        matrices: Matrices of monomials, shared between the points of a sweep.
        hbar: Value of hbar.
    """

    state: QuantumState
    space: Space
    result: Any = None
    matrices: dict[Monomial, sp.csr_array] = field(default_factory=dict, repr=False)
    hbar: float = 1.0
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def centers(self) -> dict[int, complex]:
        """The centers of the levels of bosons that are not about the vacuum."""
        return {
            k: mode.center for k, mode in enumerate(self.space.modes) if mode.center
        }

    def framed(self, operator: Polynomial) -> Polynomial:
        """An operator as it acts on the levels that are kept."""
        if not self.centers:
            return operator
        from qsyncdsl.algebra.displaced import displaced

        return displaced(operator, self.centers)

    def monomial(self, monomial: Monomial) -> sp.csr_array:
        """Matrix of a monomial, kept."""
        if monomial not in self.matrices:
            from qsyncdsl.algebra.matrices import monomial_matrix

            self.matrices[monomial] = monomial_matrix(
                self.space, monomial, self.state.dims
            )
        return self.matrices[monomial]

    def matrix(self, operator: Polynomial) -> sp.csr_array:
        """Matrix of an operator, shape (D, D)."""
        import scipy.sparse as sp

        size = len(self.state.data)
        total = sp.csr_array((size, size), dtype=complex)
        for monomial, value in self.framed(operator).terms.items():
            total = total + complex(value) * self.monomial(monomial)
        return total

    def expect(self, operator: Polynomial) -> complex:
        """<O> = Tr(O rho), from normal-ordered moments."""
        total, data = 0j, self.state.data
        for monomial, value in self.framed(operator).terms.items():
            if self.state.pure:
                moment = data.conj() @ (self.monomial(monomial) @ data)
            else:
                places, entries = self._entries(monomial)
                moment = entries @ data.ravel()[places]
            total += complex(value) * complex(moment)
        return total

    def _entries(self, monomial: Monomial) -> tuple[np.ndarray, np.ndarray]:
        """Places in a flat density matrix and factors whose sum is the mean of a monomial, kept."""
        key: Any = ("entries", monomial)
        if key not in self.matrices:
            entries = self.monomial(monomial).tocoo()
            rows, columns = (c.astype(np.int64) for c in entries.coords)
            kept = (columns * entries.shape[0] + rows, entries.data)
            self.matrices[key] = kept  # type: ignore[assignment]
        return self.matrices[key]  # type: ignore[return-value]

    def letter(self, part: int, name: str) -> Polynomial:
        """A named operator of a part."""
        return self.space.letter(part, name)

    def boson(self, part: int, word: str) -> Polynomial:
        """The annihilation operator of a part; qubits count with their two levels.

        Raises:
            SolveError: E601 for a part without ladder operators.
        """
        return self.letter(part, lowering(self.state.parts[part].kind, word))

    def reduced(self, parts: tuple[int, ...]) -> np.ndarray:
        """Reduced density matrix of some parts, in the order given, on the levels that are kept.

        What depends on the basis reads `in_numbers`.
        """
        return reduced(self.state, parts)


def in_numbers(
    scene: Any, parts: tuple[int, ...]
) -> tuple[np.ndarray, tuple[int, ...]]:
    """Reduced density matrix of some parts in the basis of their numbers, and its dimensions.

    Raises:
        SolveError: E618 where displaced levels need too many numbers.
    """
    rho = scene.reduced(parts)
    dims = tuple(scene.state.dims[k] for k in parts)
    centers = [scene.space.modes[k].center for k in parts]
    if not any(centers):
        return rho, dims
    shifts = [
        _shift(center, scene.reduced((k,)).diagonal().real) if center else np.eye(n)
        for k, n, center in zip(parts, dims, centers, strict=True)
    ]
    counts = tuple(len(shift) for shift in shifts)
    if int(np.prod(counts)) > _MOST_NUMBERS:
        labels = ", ".join(scene.state.parts[k].label for k in parts)
        message = (
            f"a state of {labels} would need {' x '.join(map(str, counts))} numbers"
        )
        help_ = (
            "its levels are displaced; 'frame = vacuum' keeps those about the vacuum"
        )
        raise SolveError(Diagnostic("E618", message, help=help_))
    for place, shift in enumerate(shifts):
        count, n = shift.shape
        left, right = int(np.prod(counts[:place])), int(np.prod(dims[place + 1 :]))
        tensor = rho.reshape(left, n, right, left, n, right)
        tensor = np.einsum("mn,anbcdf->ambcdf", shift, tensor)
        tensor = np.einsum("pd,ambcdf->ambcpf", shift.conj(), tensor)
        rho = tensor.reshape((left * count * right,) * 2)
    return rho, counts


def _shift(center: complex, populations: np.ndarray) -> np.ndarray:
    """D(center) from displaced levels to as many numbers as their populations need."""
    from qsyncdsl.algebra.displaced import displacement, numbers_for

    levels = len(populations)
    whole = displacement(center, numbers_for(center, levels), levels)
    inside = np.cumsum(np.abs(whole) ** 2, axis=0) @ np.abs(populations)
    enough = int(np.argmax(inside > inside[-1] - _LOST))
    return whole[: enough + 1]


def reduced(state: QuantumState, parts: tuple[int, ...]) -> np.ndarray:
    """Partial trace over all other parts, shape (d, d)."""
    dims = state.dims
    count = len(dims)
    rest = [k for k in range(count) if k not in parts]
    if state.pure:
        vector = state.data.reshape(dims).transpose([*parts, *rest])
        vector = vector.reshape(int(np.prod([dims[k] for k in parts])), -1)
        return np.asarray(vector @ vector.conj().T)
    tensor = state.rho.reshape(dims + dims)
    order = [*parts, *rest, *(count + k for k in parts), *(count + k for k in rest)]
    kept = int(np.prod([dims[k] for k in parts]))
    others = int(np.prod([dims[k] for k in rest])) if rest else 1
    tensor = tensor.transpose(order).reshape(kept, others, kept, others)
    return np.asarray(np.einsum("aibi->ab", tensor))
