"""A right side together with its tangent dynamics, compiled behind it; read as text.

`plain(y, data, out)` is the right side of the model and `SIZE` the length of y. Directional derivatives
are five-point differences: exact for polynomials up to the fourth degree, and to about 1e-12 for functions
that vary on the scale given for each variable.
"""

# ruff: noqa: F821
# mypy: ignore-errors

import numpy as np


def right(z, data, out):
    """y and columns of tangent vectors, one after the other."""
    inner, scale = data
    n = SIZE
    plain(z[:n], inner, out[:n])
    point, two, one = np.empty(n), np.empty(n), np.empty(n)
    minus, back = np.empty(n), np.empty(n)
    for column in range((len(z) - n) // n):
        first = n + column * n
        size = 0.0
        for j in range(n):
            size = max(size, abs(z[first + j]) / scale[j])
        if size == 0.0:
            out[first : first + n] = 0.0
            continue
        h = 1e-3 / size
        for j in range(n):
            point[j] = z[j] + 2 * h * z[first + j]
        plain(point, inner, two)
        for j in range(n):
            point[j] = z[j] + h * z[first + j]
        plain(point, inner, one)
        for j in range(n):
            point[j] = z[j] - h * z[first + j]
        plain(point, inner, minus)
        for j in range(n):
            point[j] = z[j] - 2 * h * z[first + j]
        plain(point, inner, back)
        for j in range(n):
            slope = 8 * (one[j] - minus[j]) - (two[j] - back[j])
            out[first + j] = slope / (12 * h)
