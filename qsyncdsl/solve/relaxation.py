r"""Following moment equations to where they stand, and the root of Newton's method there.

Compiled together with `right_sides` and `dormand_prince`; read as text. The flow decides which of several
roots is the physical one, so it is followed, but only until Newton's method contracts: loosely, by
explicit steps, and on from where these have led by L-stable ones where rates of one atom stand beside much
faster collective ones. All of it is in real numbers: a complex moment has two rows, a real one (of a
Hermitian operator) only the first. An attempt that leaves what a state can have is given up at once: a loose
step may lead a closure where its moments grow without bound.
L. F. Shampine, M. W. Reichelt, SIAM J. Sci. Comput. 18, 1 (1997), Sec. 3.
"""

# ruff: noqa: C901, F821, PLR0915, SIM110
# mypy: ignore-errors

import numpy as np

# A stable root is that of the flow where it is as near as this, relative to the moments, or where Newton's
# method agreed on it as often as this while the flow went on: spirals may come near it only slowly.
NEAR, AGREED = 0.1, 2
# Relative steps of Newton's method that may be rounding: rates differ by as much as the number of atoms.
ROUNDING = 1e-8
# Times over which the moments of a stretch are averaged: what circles about a root is near it on the mean.
SAMPLES = 16
# Moments are followed from here on: collective states grow out of correlations of the order of 1/N.
SMALLEST = 1e-10


def slopes(y, equations, out):
    """The Jacobian of the real form of the right side, for the rows that are not zero for all times."""
    n = len(y) // 2
    z = np.empty(n, dtype=np.complex128)
    for k in range(n):
        z[k] = y[2 * k] + 1j * y[2 * k + 1]
    found = np.zeros((2, n * n), dtype=np.complex128)
    target, values, start, fields, p, q = equations[1]
    add_terms(target, values, start, fields, p, q, z, found[0])
    target, values, start, fields, p, q = equations[2]
    add_terms(target, values, start, fields, p, q, z, found[1])
    rows = equations[3]
    for i in range(len(rows)):
        for j in range(len(rows)):
            u = found[0, (rows[i] // 2) * n + rows[j] // 2]
            v = found[1, (rows[i] // 2) * n + rows[j] // 2]
            if rows[i] % 2 == 0:
                out[i, j] = (u + v).real if rows[j] % 2 == 0 else (v - u).imag
            else:
                out[i, j] = (u + v).imag if rows[j] % 2 == 0 else (u - v).real


def factored(a, pivots):
    """LU factors of a small matrix in its place, rows exchanged; False for a singular one.

    G. H. Golub, C. F. Van Loan, Matrix Computations, 4th ed., Sec. 3.4.
    """
    n = len(a)
    for k in range(n):
        best = k
        for r in range(k + 1, n):
            if abs(a[r, k]) > abs(a[best, k]):
                best = r
        pivots[k] = best
        if not (abs(a[best, k]) > 0.0):
            return False
        if best != k:
            for c in range(n):
                a[k, c], a[best, c] = a[best, c], a[k, c]
        for r in range(k + 1, n):
            factor = a[r, k] / a[k, k]
            a[r, k] = factor
            if factor != 0.0:
                for c in range(k + 1, n):
                    a[r, c] -= factor * a[k, c]
    return True


def solved(a, pivots, x):
    """Put the solution for the right side x in its place."""
    n = len(a)
    for k in range(n):
        x[k], x[pivots[k]] = x[pivots[k]], x[k]
    for r in range(1, n):
        for c in range(r):
            x[r] -= a[r, c] * x[c]
    for r in range(n - 1, -1, -1):
        for c in range(r + 1, n):
            x[r] -= a[r, c] * x[c]
        x[r] /= a[r, r]


def largest(y):
    """The largest absolute value."""
    found = 0.0
    for value in y:
        # not a number stays
        if not (abs(value) <= found):
            found = abs(value)
    return found


def norm(a):
    """The largest sum of absolute values of a row."""
    found = 0.0
    for i in range(len(a)):
        total = 0.0
        for j in range(len(a)):
            total += abs(a[i, j])
        found = max(found, total)
    return found


def possible(y, equations):
    """Whether moments that are bounded in all states are near their bounds at most."""
    caps = equations[4]
    for k in range(len(y)):
        if not (abs(y[k]) <= caps[k]):
            return False
    return True


def root_near(y, equations, precision):
    """The root beside y: whether there is one, and its distance from y relative to y.

    Each of Newton's steps is less than half of the last one.
    """
    rows = equations[3]
    n = len(rows)
    root, rate = y.copy(), np.empty(len(y))
    matrix, step, pivots = np.empty((n, n)), np.empty(n), np.empty(n, dtype=np.int64)
    before = length = np.inf
    for _ in range(40):
        means_right(root, equations[0], rate)
        slopes(root, equations, matrix)
        for k in range(n):
            step[k] = -rate[rows[k]]
        if not factored(matrix, pivots):
            return root, False, 0.0
        solved(matrix, pivots, step)
        for k in range(n):
            root[rows[k]] += step[k]
        length = largest(step) / max(largest(root), 1.0)
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
    return root, True, largest(root - y) / max(largest(y), 1e-3)


def holds(root, equations):
    """Whether small deviations from a root do not grow."""
    n = len(equations[3])
    matrix = np.empty((n, n))
    slopes(root, equations, matrix)
    growth = -np.inf
    for value in np.linalg.eigvals(matrix.astype(np.complex128)):
        growth = max(growth, value.real)
    return growth < 1e-9 * norm(matrix)


def explicit(first, equations, relative, precision, most, tableau):
    """Where y' = right(y), y(0) = first comes to rest, by DOP853; and whether it does so in `most` steps.

    Without rest, the moments that were reached.
    """
    y = first.copy()
    n = len(equations[3])
    matrix = np.empty((n, n))
    slopes(y, equations, matrix)
    span = 10.0 / max(norm(matrix), 1e-300)
    last, same, taken = y.copy(), 0, 0
    while taken < most:
        times = span * np.arange(1, SAMPLES + 1) / SAMPLES
        found, steps, reached = integrate(
            y, times, relative, SMALLEST * relative, tableau, equations[0]
        )
        if not (reached >= span * (1.0 - 1e-12)) or not possible(found[-1], equations):
            return y, False
        y = found[-1].copy()
        root, there, distance = root_near(y, equations, precision)
        same = same + 1 if there and largest(root - last) < 1e-6 else 0
        last[:] = root
        near = there and (distance < NEAR or (same >= AGREED and distance < 1.0))
        if near and holds(root, equations):
            return root, True
        middle = np.zeros(len(y))
        for moments in found:
            middle += moments / SAMPLES
        root, there, distance = root_near(middle, equations, precision)
        if there and distance < NEAR and holds(root, equations):
            return root, True
        taken += steps
        span *= 1.4
    return y, False


def implicit(first, equations, relative, precision, most):
    """The same by a Rosenbrock method of order 2 whose steps are bounded by what grows only.

    What decays is taken to have decayed: a spiral of many turns is crossed in a few steps. What grows, such
    as a collective state out of correlations of the order of 1/N, is followed to a relative error.
    Where this leads to what no state can have, nothing was learned: the first moments are returned.
    """
    rows = equations[3]
    n = len(rows)
    y, rate = first.copy(), np.empty(len(first))
    middle, ahead = np.empty(len(first)), np.empty(len(first))
    k1, k2, k3 = np.zeros(len(first)), np.zeros(len(first)), np.zeros(len(first))
    matrix, left = np.empty((n, n)), np.empty((n, n))
    part, pivots = np.empty(n), np.empty(n, dtype=np.int64)
    means_right(y, equations[0], rate)
    slopes(y, equations, matrix)
    fastest = max(norm(matrix), 1e-300)
    h = 0.1 / fastest
    d = 1.0 / (2.0 + np.sqrt(2.0))
    e32 = 6.0 + np.sqrt(2.0)
    wait, pause = 0, 4
    for _ in range(most):
        for i in range(n):
            for j in range(n):
                left[i, j] = -h * d * matrix[i, j]
            left[i, i] += 1.0
        if not factored(left, pivots):
            return y, False
        for k in range(n):
            part[k] = rate[rows[k]]
        solved(left, pivots, part)
        for k in range(n):
            k1[rows[k]] = part[k]
        means_right(y + 0.5 * h * k1, equations[0], middle)
        for k in range(n):
            part[k] = middle[rows[k]] - k1[rows[k]]
        solved(left, pivots, part)
        for k in range(n):
            k2[rows[k]] = part[k] + k1[rows[k]]
        trial = y + h * k2
        means_right(trial, equations[0], ahead)
        for k in range(n):
            j = rows[k]
            part[k] = ahead[j] - e32 * (k2[j] - middle[j]) - 2.0 * (k1[j] - rate[j])
        solved(left, pivots, part)
        for k in range(n):
            k3[rows[k]] = part[k]
        most_of_all = max(largest(y), largest(trial))
        worst = 0.0
        for j in range(0, len(y), 2):
            before = np.hypot(y[j], y[j + 1])
            after = np.hypot(trial[j], trial[j + 1])
            re = k1[j] - 2.0 * k2[j] + k3[j]
            im = k1[j + 1] - 2.0 * k2[j + 1] + k3[j + 1]
            scale = most_of_all if after <= before else after + SMALLEST
            error = h / 6.0 * np.hypot(re, im) / (relative * scale)
            if not (error <= worst):
                worst = error
        if not np.isfinite(worst):
            h *= 0.1
        elif worst > 1.0:
            h *= max(0.2, 0.8 * worst ** (-1 / 3))
        else:
            if not possible(trial, equations):
                return first.copy(), False
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


def relaxed(first, equations, attempts, precision, tableau):
    """The stable root that the flow from `first` leads to: whether it was found, and the rates left there.

    Args:
        equations: The right side, its derivatives, the rows of the real form, and the bounds of moments.
        attempts: In turn, shape (A, 3): 0 for explicit steps from the start, 1 for implicit ones on from
            where the attempt before has led; the relative error of a step; the number of steps.

    Returns:
        The root, whether it is one, and the largest rate in units of the fastest ones.
    """
    y = first.copy()
    n = len(equations[3])
    for kind, relative, most in attempts:
        if kind == 0.0:
            y, stands = explicit(
                first, equations, relative, precision, int(most), tableau
            )
        else:
            y, stands = implicit(y, equations, relative, precision, int(most))
        if stands:
            matrix, rate = np.empty((n, n)), np.empty(len(y))
            slopes(y, equations, matrix)
            means_right(y, equations[0], rate)
            scale = norm(matrix) * max(largest(y), 1.0)
            return y, True, largest(rate) / max(scale, 1e-300)
    return y, False, 0.0
