"""Checks of a problem at a point and of the states that come out."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import zpotrf

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import Combination, LindbladProblem
from qsyncdsl.result import Part, QuantumState

# Population of the highest level above which the cutoff is called too small.
TOP_POPULATION = 1e-6
# Dimension up to which all eigenvalues of a density matrix are looked at.
_EIGENVALUES = 600
# Eigenvalues above minus this are not told from zero.
_ROUNDING = 1e-12


def combine(problem: LindbladProblem, combination: Combination, f: np.ndarray):  # type: ignore[no-untyped-def]
    """The operator of a combination at a point, sparse (D, D)."""
    total = None
    for k, index in combination:
        term = f[k] * problem.matrices[index]
        total = term if total is None else total + term
    if total is None:
        return problem.matrices[0] * 0 if problem.matrices else None
    return total


def refuse_unphysical(problem: LindbladProblem, f: np.ndarray) -> None:
    """Refuse a Hamiltonian that is not Hermitian and rates that are not.

    Raises:
        SolveError: E502, E503, E507 (a coefficient that is not finite).
    """
    refuse_rates(problem, f)
    hamiltonian = combine(problem, problem.hamiltonian, f)
    if hamiltonian is not None and hamiltonian.nnz:
        difference = abs(hamiltonian - hamiltonian.conj().T).max()
        if difference > 1e-10 * abs(hamiltonian).max():
            raise SolveError(
                Diagnostic(
                    "E502",
                    f"the Hamiltonian is not Hermitian here: H - H† reaches {difference:.2g}",
                    help="a coefficient of a Hermitian term must be real",
                )
            )


def refuse_rates(problem: LindbladProblem, f: np.ndarray) -> None:
    """Refuse rates that are complex or negative.

    Raises:
        SolveError: E503, E507 (a coefficient that is not finite).
    """
    if not np.isfinite(f).all():
        raise SolveError(
            Diagnostic("E507", "a coefficient of the model is not finite here")
        )
    for channel in problem.channels:
        refuse_rate(f[channel.rate], channel.label)


def refuse_rate(rate: complex, label: str) -> None:
    """Refuse the rate of one dissipator if it is complex or negative.

    Raises:
        SolveError: E503.
    """
    if abs(rate.imag) > 1e-12 * abs(rate) or rate.real < 0:
        message = f"the rate of the dissipator {label} is {_number(rate)} here"
        help_ = "a rate is real and not negative"
        raise SolveError(Diagnostic("E503", message, help=help_))


def _number(value: complex) -> str:
    return f"{value.real:.6g}" if value.imag == 0 else f"{value:.6g}"


# A level is empty if the one below has so much more.
_EMPTY = 1e-6


def state_trust(
    state: QuantumState, labels: np.ndarray | None = None
) -> tuple[dict[str, float], tuple[Diagnostic, ...]]:
    """Numbers that tell how far a density matrix can be trusted, and warnings.

    Args:
        labels: Charges of the basis states, shape (D, k), where the matrix has no elements between
            different ones.

    Returns:
        `smallest_eigenvalue` (where affordable; 0 where none is below -1e-12) and, for each boson and
        rotor, the population of its highest level; W502 where that is above 1e-6.
    """
    numbers: dict[str, float] = {}
    warnings = []
    if not state.pure and len(state.data) <= _EIGENVALUES:
        numbers["smallest_eigenvalue"] = _smallest(state.rho, labels)
    for part, top in top_populations(state):
        numbers[f"top_population_{part.label}"] = top
        if top > TOP_POPULATION:
            option = f"levels_{part.label}" if part.kind == "boson" else "nmax"
            warnings.append(
                Diagnostic(
                    "W502",
                    f"the highest level kept of '{part.label}' has population {top:.1e}",
                    help=f"raise {option} (now {part.dimension} levels)",
                )
            )
    return numbers, tuple(warnings)


def top_populations(state: QuantumState) -> list[tuple[Part, float]]:
    """The population of the highest level of each boson, and of the ends of each rotor."""
    diagonal = np.abs(state.data) ** 2 if state.pure else np.diag(state.data).real
    populations = diagonal.reshape(state.dims)
    found = []
    for axis, part in enumerate(state.parts):
        if part.kind not in ("boson", "rotor"):
            continue
        others = tuple(k for k in range(len(state.parts)) if k != axis)
        levels = populations.sum(axis=others)
        ends = float(max(abs(levels[0]), abs(levels[-1])))
        found.append((part, top_level(levels) if part.kind == "boson" else ends))
    return found


def top_level(levels: np.ndarray) -> float:
    """The population of the highest level, or of the one below where a parity leaves that empty."""
    top = abs(float(levels[-1]))
    below = abs(float(levels[-2])) if len(levels) > 2 else 0.0
    return below if top < _EMPTY * below else top


def _smallest(rho: np.ndarray, labels: np.ndarray | None) -> float:
    """The smallest eigenvalue where one is negative, else 0; block by block of equal charges."""
    if labels is None or not labels.shape[1]:
        return _negative(rho)
    _, which = np.unique(labels, axis=0, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    blocks = np.split(order, np.cumsum(np.bincount(which.ravel()))[:-1])
    return min(_negative(rho[np.ix_(b, b)]) for b in blocks)


def _negative(block: np.ndarray) -> float:
    """The smallest eigenvalue if it is below -1e-12, else 0: a Cholesky factor is cheaper."""
    lifted = block + _ROUNDING * np.eye(len(block))
    _, failed = zpotrf(lifted, overwrite_a=True)
    return min(0.0, float(np.linalg.eigvalsh(block)[0])) if failed else 0.0
