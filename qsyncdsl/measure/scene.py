"""What measures look at: a state, operators on it, and the generator it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from qsyncdsl.algebra.operators import Monomial, Polynomial, Space
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.result import QuantumState

if TYPE_CHECKING:
    import scipy.sparse as sp


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
        for monomial, value in operator.terms.items():
            total = total + complex(value) * self.monomial(monomial)
        return total

    def expect(self, operator: Polynomial) -> complex:
        """<O> = Tr(O rho), from normal-ordered moments."""
        total, data = 0j, self.state.data
        for monomial, value in operator.terms.items():
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
        kind = self.state.parts[part].kind
        if kind == "boson":
            return self.letter(part, "a")
        if kind == "qubit":
            return self.letter(part, "minus")
        raise SolveError(
            Diagnostic("E601", f"{word} needs a boson or a qubit, not a {kind}")
        )

    def reduced(self, parts: tuple[int, ...]) -> np.ndarray:
        """Reduced density matrix of some parts, in the order given."""
        return reduced(self.state, parts)


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
