"""Adaptive integration inside compiled code: DOP853 with dense output, SciPy's coefficients.

SciPy's own loop spends more time in Python than in small right sides; this one is compiled with them.
E. Hairer, S. P. Norsett, G. Wanner, Solving Ordinary Differential Equations I, Sec. II.10.

The source of `integrate` is read and put behind that of a function `right(y, data, out)`.
"""

# ruff: noqa: F821, C901, PLR0915
# mypy: ignore-errors

import numpy as np


def combine(weights, count, k, out):
    """Sum of the first slopes with some weights."""
    out[:] = 0.0
    for m in range(count):
        w = weights[m]
        if w != 0.0:
            for j in range(len(out)):
                out[j] += w * k[m, j]


def integrate(first, times, relative, absolute, longest, tableau, data):
    """y at `times` (ascending, from 0 on) for y' = right(y), y(0) = first, in steps up to `longest`.

    Returns the values, shape (T, n), the number of steps, and the time reached: less than the last
    one where a value left the real numbers or the step became too small.
    """
    a, b, e3, e5, a_extra, d = tableau
    n = len(first)
    found = np.empty((len(times), n))
    k = np.empty((16, n))
    y, trial, inside = first.copy(), np.empty(n), np.empty(n)
    dense = np.empty((7, n))
    now, place, steps = 0.0, 0, 0
    end = times[-1]
    while place < len(times) and times[place] <= 0.0:
        found[place] = y
        place += 1
    right(y, data, k[0])
    # Hairer, Norsett, Wanner, Sec. II.4: of a state at rest the slope alone says nothing
    size, slope, bend = 0.0, 0.0, 0.0
    for j in range(n):
        scale = absolute + relative * abs(y[j])
        size += (y[j] / scale) ** 2
        slope += (k[0, j] / scale) ** 2
    h = 0.01 * np.sqrt(size / slope) if size > 0 and slope > 0 else 1e-6
    h = min(max(h, 1e-6), end)
    for j in range(n):
        inside[j] = y[j] + h * k[0, j]
    right(inside, data, k[1])
    for j in range(n):
        scale = absolute + relative * abs(y[j])
        bend += ((k[1, j] - k[0, j]) / scale) ** 2
    steepest = np.sqrt(max(slope, bend / h**2) / n)
    moving = steepest > 1e-15
    h = min(100 * h, (0.01 / steepest) ** (1 / 8)) if moving else 1e-3 * h
    h = min(max(h, 1e-6), end)
    rejected = False
    while place < len(times):
        h = min(h, end - now, longest)
        if h <= 1e-14 * max(abs(now), 1e-12):
            return found, steps, now
        for s in range(1, 12):
            combine(a[s], s, k, inside)
            for j in range(n):
                inside[j] = y[j] + h * inside[j]
            right(inside, data, k[s])
        combine(b, 12, k, trial)
        for j in range(n):
            trial[j] = y[j] + h * trial[j]
        right(trial, data, k[12])
        combine(e5, 13, k, inside)
        combine(e3, 13, k, dense[0])
        fifth, third = 0.0, 0.0
        for j in range(n):
            scale = absolute + relative * max(abs(y[j]), abs(trial[j]))
            fifth += (inside[j] / scale) ** 2
            third += (dense[0, j] / scale) ** 2
        error, square = 0.0, (fifth + 0.01 * third) * n
        # also where they are not numbers: such a step is none
        if square != 0:
            error = h * fifth / np.sqrt(square)
        if not np.isfinite(error):
            if h < 1e-9 * end:
                return found, steps, now
            h *= 0.1
            rejected = True
            continue
        if error > 1.0:
            h *= max(0.2, 0.9 * error ** (-1 / 8))
            rejected = True
            continue
        # the last time may be missed by rounding
        reach = now + h + 1e-13 * abs(end)
        if place < len(times) and times[place] <= reach:
            for s in range(3):
                combine(a_extra[s], 13 + s, k, inside)
                for j in range(n):
                    inside[j] = y[j] + h * inside[j]
                right(inside, data, k[13 + s])
            for j in range(n):
                change = trial[j] - y[j]
                dense[0, j] = change
                dense[1, j] = h * k[0, j] - change
                dense[2, j] = 2 * change - h * (k[12, j] + k[0, j])
            for r in range(4):
                combine(d[r], 16, k, dense[3 + r])
                for j in range(n):
                    dense[3 + r, j] *= h
            while place < len(times) and times[place] <= reach:
                x = (times[place] - now) / h
                for j in range(n):
                    value = 0.0
                    for r in range(6, -1, -1):
                        value += dense[r, j]
                        value *= x if (6 - r) % 2 == 0 else 1 - x
                    found[place, j] = y[j] + value
                place += 1
        now += h
        steps += 1
        factor = 10.0 if error == 0 else min(10.0, 0.9 * error ** (-1 / 8))
        h *= min(1.0, factor) if rejected else factor
        rejected = False
        y[:] = trial
        k[0] = k[12]
    return found, steps, now
