"""Named states of one mode: vectors where they are pure, matrices where they are mixed."""

from __future__ import annotations

from functools import lru_cache
from math import lgamma

import numpy as np

from qsyncdsl.algebra.operators import SystemMode


class NoRoom(ValueError):
    """A state of which the levels keep too little."""


def vacuum(mode: SystemMode) -> np.ndarray:
    """The lowest level; n = 0 of a rotor."""
    return _level(mode, -mode.kind.first(mode.size))


def fock(mode: SystemMode, n: int) -> np.ndarray:
    """Level n.

    Raises:
        ValueError: If that level is not kept.
    """
    return _level(mode, n - mode.kind.first(mode.size))


def up(mode: SystemMode) -> np.ndarray:
    """The highest level of a spin or qubit."""
    return _level(mode, mode.dimension - 1)


def down(mode: SystemMode) -> np.ndarray:
    """The lowest level of a spin or qubit."""
    return _level(mode, 0)


def coherent(
    mode: SystemMode,
    alpha: complex = 0.0,
    x: float = 0.0,
    p: float = 0.0,
    hbar: float = 1.0,
) -> np.ndarray:
    r"""Coherent state: $e^{-|\alpha|^2/2}\alpha^n/\sqrt{n!}$, cut and normalized; on a rotor a wave packet.

    Raises:
        ValueError: If the cutoff keeps less than 99.99 % of it.
    """
    if mode.kind.name == "rotor":
        return _packet(mode, x, p, hbar)
    n = np.arange(mode.dimension)
    if alpha == 0:
        return vacuum(mode)
    logs = (
        n * np.log(abs(alpha))
        - abs(alpha) ** 2 / 2
        - _log_factorials(mode.dimension) / 2
    )
    vector = np.exp(logs + 1j * n * np.angle(alpha))
    return _normalized(vector, f"coherent({abs(alpha):.4g})", mode)


@lru_cache(maxsize=64)
def _log_factorials(count: int) -> np.ndarray:
    """log(n!) for n < count."""
    return np.array([lgamma(n + 1) for n in range(count)])


def thermal(mode: SystemMode, n: float) -> np.ndarray:
    r"""$\rho_{kk} \propto (n/(n+1))^k$, cut and normalized.

    Raises:
        ValueError: If n is negative.
    """
    if n < 0:
        raise ValueError("a thermal state has a mean number that is not negative")
    weights = (n / (n + 1.0)) ** np.arange(mode.dimension)
    return np.diag(weights / weights.sum()).astype(complex)


def _packet(mode: SystemMode, x: float, p: float, hbar: float) -> np.ndarray:
    r"""$\psi_n \propto e^{-(\hbar n - p)^2/2\hbar - inx}$: both widths are $\sqrt{\hbar/2}$."""
    reach = int(np.ceil(abs(p) / hbar + 9 / np.sqrt(hbar))) + 1
    every = np.arange(-reach, reach + 1)
    whole = np.sqrt(np.exp(-((hbar * every - p) ** 2) / hbar).sum())
    n = mode.kind.first(mode.size) + np.arange(mode.dimension)
    vector = np.exp(-((hbar * n - p) ** 2) / (2 * hbar) - 1j * n * x) / whole
    return _normalized(vector, f"coherent(x = {x:.4g}, p = {p:.4g})", mode)


def _level(mode: SystemMode, k: int) -> np.ndarray:
    if not 0 <= k < mode.dimension:
        raise NoRoom(f"'{mode.label}' has {mode.dimension} levels")
    vector = np.zeros(mode.dimension, dtype=complex)
    vector[k] = 1
    return vector


def _normalized(vector: np.ndarray, what: str, mode: SystemMode) -> np.ndarray:
    weight = float(np.linalg.norm(vector) ** 2)
    if weight < 0.9999:
        raise NoRoom(
            f"{mode.dimension} levels of '{mode.label}' keep only {100 * weight:.{_digits(weight)}g} % of {what}"
        )
    return np.asarray(vector / np.sqrt(weight))


def _digits(weight: float) -> int:
    """Digits of a share that show that it is less than all."""
    return 3 if weight < 0.99 else 6
