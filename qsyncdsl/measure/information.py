"""Entropies, mutual information and entanglement; natural logarithms throughout."""

from __future__ import annotations

from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure import gaussian
from qsyncdsl.measure.scene import Scene, in_numbers

Parts = tuple[int, ...]
# Eigenvalues of this size are rounding, not entanglement.
_ROUNDING = 1e-13


@gaussian.of_whole_runs
def entropy(scene: Scene, part: Parts | None = None) -> Any:
    r"""Von Neumann entropy $-\operatorname{Tr}\rho\ln\rho$ of some parts, or of all."""
    if gaussian.gaussian(scene):
        return gaussian.entropy(scene, part or ())
    return von_neumann(_state(scene, part))


@gaussian.of_whole_runs
def purity(scene: Scene, part: Parts | None = None) -> Any:
    r"""$\operatorname{Tr}\rho^2$ of some parts, or of all."""
    if gaussian.gaussian(scene):
        return np.exp(-gaussian.renyi(scene, part or ()))
    return float((np.abs(_state(scene, part)) ** 2).sum())


@gaussian.of_whole_runs
def mutual_information(
    scene: Scene, A: Parts, B: Parts, kind: str = "von_neumann"
) -> Any:
    r"""$I = S(A) + S(B) - S(AB)$; `renyi2` takes $S_2 = -\ln\operatorname{Tr}\rho^2$."""
    _refuse_overlap(A, B)
    if gaussian.gaussian(scene):
        of = gaussian.renyi if kind == "renyi2" else gaussian.entropy
        return of(scene, A) + of(scene, B) - of(scene, (*A, *B))
    states = [_state(scene, parts) for parts in (A, B, (*A, *B))]
    if kind == "renyi2":
        first, second, both = (
            float(-np.log((np.abs(rho) ** 2).sum())) for rho in states
        )
    else:
        first, second, both = (von_neumann(rho) for rho in states)
    return first + second - both


def negativity(scene: Scene, A: Parts, B: Parts) -> float:
    r"""Sum of the moduli of the negative eigenvalues of $\rho^{T_A}$."""
    values = _transposed_eigenvalues(scene, A, B)
    return float(-values[values < -_ROUNDING].sum()) + 0.0


@gaussian.of_whole_runs
def log_negativity(scene: Scene, A: Parts, B: Parts) -> Any:
    r"""$E_N = \ln\lVert\rho^{T_A}\rVert_1 = \ln(1 + 2\mathcal{N})$."""
    if gaussian.gaussian(scene):
        return gaussian.log_negativity(scene, A, B)
    return float(np.log1p(2 * negativity(scene, A, B)))


def concurrence(scene: Scene, a: int, b: int, levels: int = 0) -> float:
    r"""Wootters' concurrence of two two-level parts.

    With `levels = 2` the block of the two lowest levels of larger parts, renormalized to trace 1.

    Raises:
        SolveError: E603 for parts with more levels and no `levels = 2`.

    References:
        W. K. Wootters, Phys. Rev. Lett. 80, 2245 (1998).
    """
    dims = scene.state.dims
    if (dims[a], dims[b]) != (2, 2) and levels != 2:
        raise SolveError(
            Diagnostic(
                "E603",
                "concurrence is defined for two parts of two levels",
                help="write concurrence(a, b, levels = 2) for the block of the two lowest",
            )
        )
    rho, (da, db) = in_numbers(scene, (a, b))
    rho = rho.reshape(da, db, da, db)[:2, :2, :2, :2].reshape(4, 4)
    rho = rho / np.trace(rho)
    flip = np.fliplr(np.diag([-1.0, 1.0, 1.0, -1.0]))
    values = np.linalg.eigvals(rho @ flip @ rho.conj() @ flip)
    roots = np.sort(np.sqrt(np.maximum(values.real, 0)))[::-1]
    found = float(roots[0] - roots[1:].sum())
    return found if found > _ROUNDING else 0.0


def spin_correlation(scene: Scene, a: int, b: int) -> float:
    r"""$\langle\sigma^z_a\sigma^z_b\rangle - \langle\sigma^z_a\rangle\langle\sigma^z_b\rangle$."""
    x, y = scene.letter(a, "z"), scene.letter(b, "z")
    return float((scene.expect(x * y) - scene.expect(x) * scene.expect(y)).real)


@gaussian.of_whole_runs
def discord(scene: Scene, a: int, b: int, measured: int | None = None) -> Any:
    r"""Quantum discord of two qubits, projective measurements on `measured` (default `b`).

    $D = S(\rho_m) - S(\rho_{ab}) + \min_{\{\Pi_k\}}\sum_k p_k S(\rho_{\text{other}|k})$.

    Raises:
        SolveError: E604 unless both parts have two levels.
    """
    from scipy.optimize import minimize

    if gaussian.gaussian(scene):
        return gaussian.discord(scene, a, b, measured)
    dims = scene.state.dims
    if (dims[a], dims[b]) != (2, 2):
        raise SolveError(
            Diagnostic("E604", "discord of a density matrix is for two qubits")
        )
    second = b if measured is None else measured
    first = a if second == b else b
    rho = scene.reduced((first, second)).reshape(2, 2, 2, 2)

    def conditional(angles: np.ndarray) -> float:
        theta, phi = angles
        up = np.array([np.cos(theta / 2), np.exp(1j * phi) * np.sin(theta / 2)])
        down = np.array([np.sin(theta / 2), -np.exp(1j * phi) * np.cos(theta / 2)])
        total = 0.0
        for vector in (up, down):
            after = np.einsum("aibj,i,j->ab", rho, vector.conj(), vector)
            weight = float(np.trace(after).real)
            if weight > 1e-14:
                total += weight * von_neumann(after / weight)
        return total

    starts = [
        (t, p)
        for t in np.linspace(0, np.pi / 2, 4)
        for p in np.linspace(0, np.pi, 5)[:-1]
    ]
    best = min(starts, key=lambda s: conditional(np.array(s)))
    found = minimize(
        conditional, best, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13}
    )
    local = von_neumann(np.einsum("aiaj->ij", rho))
    return max(0.0, local - von_neumann(rho.reshape(4, 4)) + float(found.fun))


def fidelity(scene: Scene, state: np.ndarray) -> float:
    r"""$F = \big(\operatorname{Tr}\sqrt{\sqrt\sigma\rho\sqrt\sigma}\big)^2$ with a density matrix $\sigma$."""
    values, vectors = np.linalg.eigh(state)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.conj().T
    inner = np.linalg.eigvalsh(root @ _state(scene, None) @ root)
    return float(np.sqrt(np.maximum(inner, 0)).sum() ** 2)


def von_neumann(rho: np.ndarray) -> float:
    """Entropy of a density matrix in nats, block by block of its pattern."""
    values = block_eigenvalues(rho)
    values = values[values > 1e-300]
    return float(-(values * np.log(values)).sum()) + 0.0


def block_eigenvalues(matrix: np.ndarray) -> np.ndarray:
    """Eigenvalues of a Hermitian matrix, by the connected blocks of its pattern."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    if len(matrix) <= 32:
        return np.linalg.eigvalsh(matrix)
    pattern = csr_array(np.abs(matrix) > 1e-300)
    count, which = connected_components(pattern, directed=False)
    if count == 1:
        return np.linalg.eigvalsh(matrix)
    order = np.argsort(which, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(which[order])) + 1)
    return np.concatenate([np.linalg.eigvalsh(matrix[np.ix_(g, g)]) for g in groups])


def _state(scene: Scene, parts: Parts | None) -> np.ndarray:
    if parts is None and isinstance(scene, Scene):
        return scene.state.rho
    return scene.reduced(
        tuple(range(len(scene.state.parts))) if parts is None else parts
    )


def _refuse_overlap(first: Parts, second: Parts) -> None:
    """E605: a part on both sides."""
    if set(first) & set(second):
        raise SolveError(Diagnostic("E605", "the two subsystems share a mode"))


def _transposed_eigenvalues(scene: Scene, first: Parts, second: Parts) -> np.ndarray:
    """Eigenvalues of the partial transpose of the state of two subsystems."""
    _refuse_overlap(first, second)
    dims = scene.state.dims
    da = int(np.prod([dims[k] for k in first]))
    db = int(np.prod([dims[k] for k in second]))
    rho = scene.reduced((*first, *second)).reshape(da, db, da, db)
    return block_eigenvalues(rho.transpose(2, 1, 0, 3).reshape(da * db, da * db))
