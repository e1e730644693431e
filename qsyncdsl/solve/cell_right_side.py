"""Right side of the equations of a product state, for any model; read as text and compiled.

Density matrices are real vectors; those of the cells of one kind stand side by side, the classes of
cells varying fastest.
"""

# mypy: ignore-errors
# ruff: noqa: F821

import numpy as np


def means_of(y, data, mu):
    """Mean values of the operators that other cells see, and their sums over all cells."""
    blocks, looks, look_index, look_value, sums, counts = data[:6]
    for k in range(len(looks)):
        offset, classes = blocks[looks[k, 0], 0], blocks[looks[k, 0], 2]
        for c in range(classes):
            total = 0j
            for e in range(looks[k, 1], looks[k, 2]):
                total += look_value[e] * y[offset + look_index[e] * classes + c]
            mu[looks[k, 3] + c] = total
    for k in range(len(sums)):
        first = blocks[sums[k, 2], 3]
        total = 0j
        for c in range(blocks[sums[k, 2], 2]):
            total += counts[first + c] * mu[sums[k, 1] + c]
        mu[sums[k, 0]] = total


def right(y, data, out):
    """Rates of change of all cells."""
    blocks = data[0]
    parts, indptr, indices, values = data[6:10]
    sizes, target, coefficient, start, fields, p, q = data[10:]
    mu = np.zeros(sizes[0], dtype=np.complex128)
    strength = np.zeros(sizes[1], dtype=np.complex128)
    means_of(y, data, mu)
    add_terms(target, coefficient, start, fields, p, q, mu, strength)
    out[:] = 0.0
    for k in range(len(parts)):
        kind, first, place, imaginary = parts[k]
        offset, unknowns, classes = blocks[kind, 0], blocks[kind, 1], blocks[kind, 2]
        if classes == 1:
            g = 1.0
            if place >= 0:
                g = -strength[place].imag if imaginary else strength[place].real
            if g == 0.0:
                continue
            for row in range(unknowns):
                total = 0.0
                for e in range(indptr[first + row], indptr[first + row + 1]):
                    total += values[e] * y[offset + indices[e]]
                out[offset + row] += g * total
            continue
        weight = np.ones(classes)
        if place >= 0:
            for c in range(classes):
                g = strength[place + c]
                weight[c] = -g.imag if imaginary else g.real
        for row in range(unknowns):
            here = offset + row * classes
            for e in range(indptr[first + row], indptr[first + row + 1]):
                there = offset + indices[e] * classes
                value = values[e]
                for c in range(classes):
                    out[here + c] += value * weight[c] * y[there + c]
