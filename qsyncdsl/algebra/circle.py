r"""Coherent states of a rotor and its Husimi function.

$$ \langle n|x, p\rangle = \sqrt{\hbar}\,G(p_n - p)^{1/2}\,e^{-inx}, \qquad p_n = \hbar(n + \beta), $$

with G the normal density of variance $\hbar/2$: both widths are $\sqrt{\hbar/2}$, and
$\int dx\,dp\,|x, p\rangle\langle x, p|/2\pi\hbar = 1$ over the circle and all p.
"""

from __future__ import annotations

import numpy as np


def husimi_grid(extent: float, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Angles from -pi to pi and momenta from -extent to extent."""
    return np.linspace(-np.pi, np.pi, points), np.linspace(-extent, extent, points)


def packets(p: np.ndarray, momenta: np.ndarray, hbar: float) -> np.ndarray:
    r"""$|\langle n|x, p\rangle|$ at momenta p, for states of momenta $p_n$, shape (P, N)."""
    away = p[:, None] - momenta[None, :]
    return np.asarray(np.exp(-(away**2) / (2 * hbar)) * (hbar / np.pi) ** 0.25)


def husimi_of_matrix(
    rho: np.ndarray, x: np.ndarray, packet: np.ndarray, hbar: float
) -> np.ndarray:
    r"""$Q(x, p) = \langle x, p|\rho|x, p\rangle/2\pi\hbar$, shape (P, X).

    The sum over matrix elements at a distance d has the phase $e^{-idx}$ in common.
    """
    size = len(rho)
    total = np.zeros((len(packet), len(x)))
    for d in range(size):
        band = np.diagonal(rho, d)
        overlap = (packet[:, : size - d] * packet[:, d:]) @ band
        wave = np.exp(-1j * d * x)
        total += (1 if d == 0 else 2) * (overlap[:, None] * wave[None, :]).real
    return total / (2 * np.pi * hbar)


def husimi_of_vectors(
    states: np.ndarray, x: np.ndarray, packet: np.ndarray, first: int, hbar: float
) -> np.ndarray:
    """The sum of the Husimi functions of vectors, shape (N, m), whose labels begin with `first`."""
    waves = np.exp(1j * np.outer(first + np.arange(len(states)), x))
    total = np.zeros((len(packet), len(x)))
    for column in states.T:
        found = (packet * column[None, :]) @ waves
        total += found.real**2 + found.imag**2
    return total / (2 * np.pi * hbar)
