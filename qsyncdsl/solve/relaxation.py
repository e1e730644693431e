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
# Moments are followed from here on: collective states grow out of correlations of the order of 1/N.
SMALLEST = 1e-10
# Rounding of a sum of terms as large as the largest moment: what vanishes on paper is not followed.
LAST_DIGIT = 1e-16


def slopes(y, equations, out):
    """The Jacobian of the real form of the right side, for the rows that are not zero for all times."""
    out[:] = 0.0
    add_slopes(y, equations[1], equations[5], 1.0, out)
    add_slopes(y, equations[2], equations[5], -1.0, out)


def add_slopes(y, terms, places, sign, out):
    r"""Add $\partial\dot z_i/\partial z_j$ (sign 1) or $\partial\dot z_i/\partial z_j^*$ (sign -1)."""
    target, values, start, fields, p, q = terms
    count = len(places) // 2
    for n in range(len(target)):
        re, im = values[n].real, values[n].imag
        for k in range(start[n], start[n + 1]):
            x, v = y[2 * fields[k]], y[2 * fields[k] + 1]
            for _ in range(q[k]):
                re, im = re * x - im * v, re * v + im * x
            for _ in range(p[k]):
                re, im = re * x + im * v, im * x - re * v
        i, j = 2 * (target[n] // count), 2 * (target[n] % count)
        for a in range(2):
            row = places[i + a]
            if row < 0:
                continue
            if places[j] >= 0:
                out[row, places[j]] += re if a == 0 else im
            if places[j + 1] >= 0:
                out[row, places[j + 1]] += -sign * im if a == 0 else sign * re


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


def step(y, h, relative, tableau, equations, k, inside, trial):
    """One step of DOP853 from y, whose slope is k[0], to `trial`, whose slope is k[12]: the error in units of
    what is allowed, of the modulus of each moment. E. Hairer, S. P. Norsett, G. Wanner, Solving Ordinary Differential
    Equations I, Sec. II.10.
    """
    a, b, e3, e5, _, _ = tableau
    n = len(y)
    for s in range(1, 12):
        combine(a[s], s, k, inside)
        for j in range(n):
            inside[j] = y[j] + h * inside[j]
        means_right(inside, equations[0], k[s])
    combine(b, 12, k, trial)
    for j in range(n):
        trial[j] = y[j] + h * trial[j]
    means_right(trial, equations[0], k[12])
    rounding = LAST_DIGIT * max(largest(y), largest(trial))
    fifth, third = 0.0, 0.0
    for j in range(0, n, 2):
        before, after = np.hypot(y[j], y[j + 1]), np.hypot(trial[j], trial[j + 1])
        scale = relative * (SMALLEST + max(before, after)) + rounding
        for i in range(j, j + 2):
            first, second = 0.0, 0.0
            for m in range(13):
                first += e5[m] * k[m, i]
                second += e3[m] * k[m, i]
            fifth += (first / scale) ** 2
            third += (second / scale) ** 2
    square = (fifth + 0.01 * third) * n
    return h * fifth / np.sqrt(square) if square != 0 else 0.0


def followed(y, h, span, relative, most, equations, tableau, k, middle):
    """Follow y' = right(y) in its place over a time of at least `span`, by at most `most` steps.

    Args:
        h: The first step.
        k: Slopes, shape (13, n); k[0] is the one at y.
        middle: Where the mean of y is put.

    Returns:
        The next step, the number of steps, the time; and whether y is possible and the time was reached.
    """
    n = len(y)
    inside, trial = np.empty(n), np.empty(n)
    now, taken = 0.0, 0
    middle[:] = 0.0
    while now < span:
        h = min(h, span)
        taken += 1
        error = step(y, h, relative, tableau, equations, k, inside, trial)
        if taken > most or not (h > 1e-14 * span):
            return h, taken, now, False
        if not (error <= 1.0):
            h *= max(0.2, 0.9 * error ** (-1 / 8)) if np.isfinite(error) else 0.1
            continue
        if not possible(trial, equations):
            return h, taken, now, False
        # the integral of the cubic through both ends with their slopes
        for j in range(n):
            middle[j] += h / 2 * (y[j] + trial[j]) + h * h / 12 * (k[0, j] - k[12, j])
        now += h
        h *= 10.0 if error == 0 else min(10.0, 0.9 * error ** (-1 / 8))
        y[:] = trial
        k[0] = k[12]
    for j in range(n):
        middle[j] /= now
    return h, taken, now, True


def explicit(first, equations, relative, precision, most, tableau):
    """Where y' = right(y), y(0) = first comes to rest, by DOP853; and whether it does so in `most` steps.

    Without rest, the moments that were reached.
    """
    y, n = first.copy(), len(first)
    begin, middle, last, unstable = y.copy(), np.empty(n), y.copy(), np.full(n, np.inf)
    matrix, k = np.empty((len(equations[3]), len(equations[3]))), np.empty((13, n))
    slopes(y, equations, matrix)
    means_right(y, equations[0], k[0])
    span = 10.0 / max(norm(matrix), 1e-300)
    h = 0.01 * span
    same, taken = 0, 0
    while taken < most:
        begin[:] = y
        h, steps, _, fine = followed(
            y, h, span, relative, most, equations, tableau, k, middle
        )
        if not fine:
            return begin, False
        taken += steps
        root, there, distance = root_near(y, equations, precision)
        same = same + 1 if there and largest(root - last) < 1e-6 else 0
        last[:] = root
        near = there and (distance < NEAR or (same >= AGREED and distance < 1.0))
        if not near:
            # what circles about a root is near it on the mean
            root, there, distance = root_near(middle, equations, precision)
            near = there and distance < NEAR
        if near and largest(root - unstable) > 1e-9 * largest(root):
            if holds(root, equations):
                return root, True
            unstable[:] = root
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


def relaxed(first, values, drift, slope, other, form, attempts, precision, tableau):
    """Put the stable root that the flow from each row of `first` leads to, shape (B, 2M), in its place.

    Args:
        values: Coefficients of the terms of the right side, shape (B, T).
        drift: target, start, fields, p, q of the terms.
        slope, other: The same of its derivatives, behind the terms that they come from and what the
            coefficients of these are multiplied with.
        form: Rows of the real form that are not zero for all times, bounds of all, places among the rows.
        attempts: In turn, shape (A, 3): 0 for explicit steps from the start, 1 for implicit ones on from
            where the attempt before has led; the relative error of a step; the number of steps.

    Returns:
        Whether there is a root, shape (B,), and the largest rate there in units of the fastest ones.
    """
    count, n = len(first), len(form[0])
    stand, residual = np.zeros(count, dtype=np.bool_), np.zeros(count)
    matrix, rate = np.empty((n, n)), np.empty(first.shape[1])
    for k in range(count):
        c = values[k]
        equations = (
            (drift[0], c, drift[1], drift[2], drift[3], drift[4]),
            (slope[2], c[slope[0]] * slope[1], slope[3], slope[4], slope[5], slope[6]),
            (other[2], c[other[0]] * other[1], other[3], other[4], other[5], other[6]),
            form[0],
            form[1],
            form[2],
        )
        y, stands = first[k].copy(), False
        for kind, relative, most in attempts:
            if kind == 0.0:
                y, stands = explicit(
                    first[k], equations, relative, precision, int(most), tableau
                )
            else:
                y, stands = implicit(y, equations, relative, precision, int(most))
            if stands:
                break
        if stands:
            first[k] = y
            slopes(y, equations, matrix)
            means_right(y, equations[0], rate)
            scale = norm(matrix) * max(largest(y), 1.0)
            residual[k] = largest(rate) / max(scale, 1e-300)
        stand[k] = stands
    return stand, residual
