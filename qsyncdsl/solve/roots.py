"""Square roots of small covariance matrices, as text for the generated kernels.

The function is read as text and put into a generated module. Nothing here is called from Python.
"""

# mypy: ignore-errors

import numpy as np


def square_root(c, g, v, n):
    r"""Symmetric g with $g\,g^T = c$ in the first n rows, negative eigenvalues of c taken as 0.

    Jacobi's method (Golub, Van Loan, Matrix Computations, 4th ed., Sec. 8.5); c is overwritten, v is
    room for the eigenvectors. The symmetric root depends smoothly on c, unlike eigenvectors.

    Returns 1 if an eigenvalue was negative beyond rounding, else 0.
    """
    scale = 0.0
    for i in range(n):
        scale = max(scale, abs(c[i, i]))
        for j in range(n):
            v[i, j] = 1.0 if i == j else 0.0
    for _ in range(30):
        off = 0.0
        for i in range(n):
            for j in range(i + 1, n):
                off = max(off, abs(c[i, j]))
        if off <= 1e-14 * scale:
            break
        for i in range(n):
            for j in range(i + 1, n):
                if abs(c[i, j]) <= 1e-16 * scale:
                    continue
                theta = (c[j, j] - c[i, i]) / (2.0 * c[i, j])
                sign = 1.0 if theta >= 0.0 else -1.0
                t = sign / (abs(theta) + np.sqrt(theta * theta + 1.0))
                cosine = 1.0 / np.sqrt(t * t + 1.0)
                sine = t * cosine
                for k in range(n):
                    x, y = c[k, i], c[k, j]
                    c[k, i], c[k, j] = cosine * x - sine * y, sine * x + cosine * y
                for k in range(n):
                    x, y = c[i, k], c[j, k]
                    c[i, k], c[j, k] = cosine * x - sine * y, sine * x + cosine * y
                    x, y = v[k, i], v[k, j]
                    v[k, i], v[k, j] = cosine * x - sine * y, sine * x + cosine * y
    negative = 0
    for i in range(n):
        for j in range(n):
            g[i, j] = 0.0
    for k in range(n):
        if c[k, k] < -1e-12 * scale:
            negative = 1
        root = np.sqrt(max(c[k, k], 0.0))
        for i in range(n):
            for j in range(n):
                g[i, j] += root * v[i, k] * v[j, k]
    return negative
