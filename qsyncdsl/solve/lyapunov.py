"""Lyapunov exponents by tangent dynamics, orthonormalized as it goes."""

from __future__ import annotations

import numpy as np

from qsyncdsl.solve.flow import Flow

# Orthonormalizations in a run, and a part of them that is left out at the start.
_STEPS = 2000
_SKIPPED = 0.1
_BLOCKS = 10


def lyapunov(
    flow: Flow, y: np.ndarray, duration: float, count: int
) -> tuple[np.ndarray, np.ndarray]:
    r"""The largest exponents, and their standard errors from ten stretches of the run.

    $\lambda_k = \lim \frac1t\sum\ln R_{kk}$ with $R$ of the QR decompositions of the tangent vectors.

    References:
        G. Benettin, L. Galgani, A. Giorgilli, J.-M. Strelcyn, Meccanica 15, 9 (1980).

    Args:
        y: A state on the attractor.
        duration: Length of the run; steps of a map.
    """
    length: float
    if flow.discrete:
        # stretches of few steps: tangent vectors must not overflow
        length = min(max(int(np.ceil(duration / _STEPS)), 1), 8)
        steps = max(int(duration / length), 2 * _BLOCKS)
    else:
        longest = 2 / flow.fastest(y)
        steps = max(int(np.ceil(duration / longest)), 2 * _BLOCKS)
        length = duration / steps
    vectors = np.linalg.qr(
        np.random.default_rng(0).standard_normal((flow.size, count))
    )[0]
    growth = np.empty((steps, count))
    for step in range(steps):
        y, vectors = flow.with_tangent(y, vectors, length, 1e-8)
        vectors, upper = np.linalg.qr(vectors)
        growth[step] = np.log(np.maximum(np.abs(np.diag(upper)), 1e-300)) / length
        y[flow.angles] %= 2 * np.pi
    kept = growth[int(_SKIPPED * steps) :]
    means = np.array([b.mean(axis=0) for b in np.array_split(kept, _BLOCKS)])
    found = kept.mean(axis=0)
    order = np.argsort(-found)
    error = means.std(axis=0, ddof=1) / np.sqrt(_BLOCKS)
    return found[order], error[order]
