r"""Right side of the equations of a few inequivalent cells, as products of matrices; read as text and compiled.

$\dot\rho = X + X^\dagger$ with $X = G\rho + \tfrac12\sum g A\rho B^\dagger$; G gathers the commutators and the losses.
Rows of the density matrix are multiplied side by side, which sparse superoperators do not allow.
"""

# mypy: ignore-errors
# ruff: noqa: F821

import numpy as np


def right(y, data, out):
    """Rates of change of all cells."""
    blocks = data[0]
    kinds, indptr, indices, shares, share_values = data[6:11]
    jumps, rows, columns, values = data[11:15]
    sizes, target, coefficient, start, fields, p, q = data[15:]
    mu = np.zeros(sizes[0], dtype=np.complex128)
    strength = np.zeros(sizes[1], dtype=np.complex128)
    means_of(y, data, mu)
    add_terms(target, coefficient, start, fields, p, q, mu, strength)
    for kind in range(len(blocks)):
        offset, classes = blocks[kind, 0], blocks[kind, 2]
        d, first = kinds[kind, 0], kinds[kind, 1]
        re, im = np.empty((d, d)), np.empty((d, d))
        x, z = np.empty((d, d)), np.empty((d, d))
        entries = indptr[first + d]
        g = np.empty(entries, dtype=np.complex128)
        above = d * (d - 1) // 2 * classes
        for c in range(classes):
            matrix(d, y, offset + c, classes, above, re, im)
            g[:] = 0.0
            for s in range(kinds[kind, 2], kinds[kind, 3]):
                f = strength[shares[s, 1] + c]
                g[shares[s, 0]] += f * share_values[s, 0]
                g[shares[s, 0]] += np.conj(f) * share_values[s, 1]
            product(d, g, indptr[first : first + d + 1], indices, re, im, x, z)
            for s in range(kinds[kind, 4], kinds[kind, 5]):
                f = 0.5 * strength[jumps[s, 0] + c]
                # A rho A' is Hermitian: what is below the diagonal is counted above it
                same = jumps[s, 1] == jumps[s, 3] and f.imag == 0.0
                if f == 0.0:
                    continue
                for e in range(jumps[s, 1], jumps[s, 2]):
                    i, k = rows[e], columns[e]
                    w = f * values[e]
                    for h in range(e if same else jumps[s, 3], jumps[s, 4]):
                        twice = 2.0 if same and h > e else 1.0
                        v, j, m = values[h], rows[h], columns[h]
                        a = twice * (w.real * v.real + w.imag * v.imag)
                        b = twice * (w.imag * v.real - w.real * v.imag)
                        x[i, j] += a * re[k, m] - b * im[k, m]
                        z[i, j] += a * im[k, m] + b * re[k, m]
            at = offset + c + d * classes
            for i in range(d):
                out[offset + c + i * classes] = 2.0 * x[i, i]
                for j in range(i + 1, d):
                    out[at] = x[i, j] + x[j, i]
                    out[at + above] = z[i, j] - z[j, i]
                    at += classes


def product(d, g, indptr, indices, re, im, x, z):
    """x + iz = G (re + i im), G by sparse rows."""
    for i in range(d):
        for j in range(d):
            x[i, j] = 0.0
            z[i, j] = 0.0
        for e in range(indptr[i], indptr[i + 1]):
            a, b, k = g[e].real, g[e].imag, indices[e]
            for j in range(d):
                x[i, j] += a * re[k, j] - b * im[k, j]
                z[i, j] += a * im[k, j] + b * re[k, j]


def matrix(d, y, begin, step, above, re, im):
    """The density matrix from populations, then real and imaginary parts above the diagonal."""
    at = begin + d * step
    for i in range(d):
        re[i, i] = y[begin + i * step]
        im[i, i] = 0.0
        for j in range(i + 1, d):
            a, b = y[at], y[at + above]
            re[i, j] = a
            im[i, j] = b
            re[j, i] = a
            im[j, i] = -b
            at += step
