r"""Following moment equations to where they stand, and the root of Newton's method there.

Compiled together with `right_sides` and `dormand_prince`; read as text. The flow decides which of several
roots is the physical one, so it is followed, but only until Newton's method contracts: loosely, by
explicit steps, and on from where these have led by L-stable ones where rates of one atom stand beside much
faster collective ones.
L. F. Shampine, M. W. Reichelt, SIAM J. Sci. Comput. 18, 1 (1997), Sec. 3.
"""

# ruff: noqa: F821
# mypy: ignore-errors

import numpy as np

# A stable root is that of the flow where it is as near as this, relative to the moments, or where Newton's
# method agreed on it as often as this while the flow went on: spirals may come near it only slowly.
NEAR, AGREED = 0.1, 2
# Relative steps of Newton's method that may be rounding: rates differ by as much as the number of atoms.
ROUNDING = 1e-8
# Moments are followed from here on: collective states grow out of correlations of the order of 1/N.
SMALLEST = 1e-10


def slopes(y, equations, out):
    """The Jacobian of the real form of the right side, shape (2n, 2n)."""
    n = len(y) // 2
    z = np.empty(n, dtype=np.complex128)
    for k in range(n):
        z[k] = y[2 * k] + 1j * y[2 * k + 1]
    found = np.zeros((2, n * n), dtype=np.complex128)
    target, values, start, fields, p, q = equations[1]
    add_terms(target, values, start, fields, p, q, z, found[0])
    target, values, start, fields, p, q = equations[2]
    add_terms(target, values, start, fields, p, q, z, found[1])
    for k in range(n):
        for m in range(n):
            u, v = found[0, k * n + m], found[1, k * n + m]
            out[2 * k, 2 * m] = (u + v).real
            out[2 * k, 2 * m + 1] = (v - u).imag
            out[2 * k + 1, 2 * m] = (u + v).imag
            out[2 * k + 1, 2 * m + 1] = (u - v).real


def root_near(y, equations, precision):
    """The root beside y: whether there is one, and its distance from y relative to y.

    Each of Newton's steps is less than half of the last one.
    """
    n = len(y)
    root, rate, matrix = y.copy(), np.empty(n), np.empty((n, n))
    before = length = np.inf
    for _ in range(40):
        means_right(root, equations[0], rate)
        slopes(root, equations, matrix)
        step = np.linalg.solve(matrix, -rate)
        root += step
        length = np.abs(step).max() / max(np.abs(root).max(), 1.0)
        if length < precision:
            break
        if not (length < 0.5 * before):
            # steps that no longer shrink are rounding where they are small
            if before < ROUNDING:
                break
            return root, False, 0.0
        before = length
    if not (length < ROUNDING):
        return root, False, 0.0
    return root, True, np.abs(root - y).max() / max(np.abs(y).max(), 1e-3)


def holds(root, equations):
    """Whether small deviations from a root do not grow."""
    matrix = np.empty((len(root), len(root)))
    slopes(root, equations, matrix)
    growth = np.linalg.eigvals(matrix.astype(np.complex128)).real.max()
    return growth < 1e-9 * np.abs(matrix).sum(axis=1).max()


def explicit(first, equations, relative, precision, most, tableau):
    """Where y' = right(y), y(0) = first comes to rest, by DOP853; and whether it does so in `most` steps.

    Without rest, the moments that were reached.
    """
    y = first.copy()
    matrix = np.empty((len(y), len(y)))
    slopes(y, equations, matrix)
    span = 10.0 / max(np.abs(matrix).sum(axis=1).max(), 1e-300)
    last, same, taken = y.copy(), 0, 0
    while taken < most:
        times = np.array([span])
        found, steps, reached = integrate(
            y, times, relative, SMALLEST * relative, tableau, equations[0]
        )
        if not (reached >= span * (1.0 - 1e-12)) or not np.isfinite(found).all():
            return y, False
        y = found[0].copy()
        root, there, distance = root_near(y, equations, precision)
        same = same + 1 if there and np.abs(root - last).max() < 1e-6 else 0
        last[:] = root
        near = there and (distance < NEAR or (same >= AGREED and distance < 1.0))
        if near and holds(root, equations):
            return root, True
        taken += steps
        span *= 1.4
    return y, False


def implicit(first, equations, relative, precision, most):
    """The same by a Rosenbrock method of order 2 whose steps are bounded by what grows only.

    What decays is taken to have decayed: a spiral of many turns is crossed in a few steps. What grows, such
    as a collective state out of correlations of the order of 1/N, is followed to a relative error.
    """
    n = len(first)
    y, rate, middle, ahead = first.copy(), np.empty(n), np.empty(n), np.empty(n)
    matrix = np.empty((n, n))
    means_right(y, equations[0], rate)
    slopes(y, equations, matrix)
    fastest = max(np.abs(matrix).sum(axis=1).max(), 1e-300)
    h = 0.1 / fastest
    d = 1.0 / (2.0 + np.sqrt(2.0))
    e32 = 6.0 + np.sqrt(2.0)
    wait, pause = 0, 4
    for _ in range(most):
        inverse = np.linalg.inv(np.eye(n) - h * d * matrix)
        k1 = inverse @ rate
        means_right(y + 0.5 * h * k1, equations[0], middle)
        k2 = inverse @ (middle - k1) + k1
        trial = y + h * k2
        means_right(trial, equations[0], ahead)
        k3 = inverse @ (ahead - e32 * (k2 - middle) - 2.0 * (k1 - rate))
        largest = max(np.abs(y).max(), np.abs(trial).max())
        worst = 0.0
        for j in range(0, n, 2):
            before = np.hypot(y[j], y[j + 1])
            after = np.hypot(trial[j], trial[j + 1])
            re = k1[j] - 2.0 * k2[j] + k3[j]
            im = k1[j + 1] - 2.0 * k2[j + 1] + k3[j + 1]
            scale = largest if after <= before else after + SMALLEST
            worst = max(worst, h / 6.0 * np.hypot(re, im) / (relative * scale))
        if not np.isfinite(worst):
            h *= 0.1
        elif worst > 1.0:
            h *= max(0.2, 0.8 * worst ** (-1 / 3))
        else:
            y[:] = trial
            rate[:] = ahead
            slopes(y, equations, matrix)
            h *= 5.0 if worst < 4e-3 else 0.8 * worst ** (-1 / 3)
            wait += 1
            if wait >= pause:
                root, there, distance = root_near(y, equations, precision)
                if there and distance < NEAR and holds(root, equations):
                    return root, True
                wait, pause = 0, min(2 * pause, 16)
        if h * fastest < 1e-12:
            break
    return y, False
