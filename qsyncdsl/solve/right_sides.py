"""Right sides of moment equations, compiled together with the integrator; read as text.

The functions do not depend on the model, so that they are compiled once.
"""

# mypy: ignore-errors

import numpy as np


def add_terms(target, values, start, fields, p, q, z, out):
    """Add all terms at the fields z to `out`, flat."""
    for n in range(len(target)):
        re, im = values[n].real, values[n].imag
        for k in range(start[n], start[n + 1]):
            x, y = z[fields[k]].real, z[fields[k]].imag
            for _ in range(q[k]):
                re, im = re * x - im * y, re * y + im * x
            for _ in range(p[k]):
                re, im = re * x + im * y, im * x - re * y
        out[target[n]] += complex(re, im)


def add_many(target, values, start, fields, p, q, z, out):
    """The same at each row of z, shape (B, F), into `out`, shape (B, S).

    `values` have the shape (B, T), or (1, T) where they are the same for all rows.
    """
    for k in range(len(z)):
        c = values[min(k, len(values) - 1)]
        add_terms(target, c, start, fields, p, q, z[k], out[k])


def means_right(y, data, out):
    """Mean fields alone, real and imaginary parts interleaved."""
    target, values, start, fields, p, q = data
    out[:] = 0.0
    for n in range(len(target)):
        re, im = values[n].real, values[n].imag
        for k in range(start[n], start[n + 1]):
            x, v = y[2 * fields[k]], y[2 * fields[k] + 1]
            for _ in range(q[k]):
                re, im = re * x - im * v, re * v + im * x
            for _ in range(p[k]):
                re, im = re * x + im * v, im * x - re * v
        out[2 * target[n]] += re
        out[2 * target[n] + 1] += im


def moments_right(y, data, out):
    """Means and covariance: rates of the first, J C + C J' + D of the second.

    Behind the fields the polynomials take normally ordered moments of pairs of them.
    """
    means, slope, other, normal, anomalous, pairs = data
    # 2 n + 4 n^2 numbers
    n = int((np.sqrt(1.0 + 4.0 * len(y)) - 1.0) / 4.0 + 0.5)
    z = np.empty(n + len(pairs), dtype=np.complex128)
    for k in range(n):
        z[k] = y[2 * k] + 1j * y[2 * k + 1]
    for row in range(len(pairs)):
        k, m = pairs[row, 0], pairs[row, 1]
        s, o = 1.0 - 2.0 * pairs[row, 2], 1.0 - 2.0 * pairs[row, 3]
        at, below = 2 * n + 4 * n * k + 2 * m, 2 * n + 4 * n * k + 2 * n + 2 * m
        re = y[at] - s * o * y[below + 1]
        im = o * y[at + 1] + s * y[below]
        if k == m and s != o:
            re -= 1.0
        z[n + row] = 0.5 * re + 0.5j * im
    means_right(z.view(np.float64), means, out[: 2 * n])
    found = np.zeros((4, n * n), dtype=np.complex128)
    for place, polynomial in enumerate((slope, other, normal, anomalous)):
        target, values, start, fields, p, q = polynomial
        add_terms(target, values, start, fields, p, q, z, found[place])
    jacobian = np.empty((2 * n, 2 * n))
    noise = np.empty((2 * n, 2 * n))
    for k in range(n):
        for m in range(n):
            p, q = found[0, k * n + m], found[1, k * n + m]
            jacobian[2 * k, 2 * m] = (p + q).real
            jacobian[2 * k, 2 * m + 1] = (q - p).imag
            jacobian[2 * k + 1, 2 * m] = (p + q).imag
            jacobian[2 * k + 1, 2 * m + 1] = (p - q).real
            # q = (b + b*)/sqrt 2, p = (b - b*)/(i sqrt 2)
            e, s = found[2, k * n + m], found[3, k * n + m]
            noise[2 * k, 2 * m] = (e + s).real
            noise[2 * k, 2 * m + 1] = (s - e).imag
            noise[2 * k + 1, 2 * m] = (s + e).imag
            noise[2 * k + 1, 2 * m + 1] = (e - s).real
    half = np.dot(jacobian, y[2 * n :].reshape((2 * n, 2 * n)))
    for a in range(2 * n):
        for b in range(2 * n):
            symmetric = 0.5 * (noise[a, b] + noise[b, a])
            out[2 * n + a * 2 * n + b] = half[a, b] + half[b, a] + symmetric


def waves_right(y, data, out):
    """The same on a lattice whose sites are alike: means of one site, and C(k) for each wave vector."""
    means, slope, other, normal, anomalous, phases, sizes = data
    f = sizes[0]
    waves, shifts = phases.shape
    n = 2 * f
    means_right(y[:n], means, out[:n])
    z = np.empty(f, dtype=np.complex128)
    for k in range(f):
        z[k] = y[2 * k] + 1j * y[2 * k + 1]
    found = np.zeros((4, f * f * shifts), dtype=np.complex128)
    for place, polynomial in enumerate((slope, other, normal, anomalous)):
        target, values, start, fields, p, q = polynomial
        add_terms(target, values, start, fields, p, q, z, found[place])
    jacobian = np.zeros((n, n), dtype=np.complex128)
    noise = np.zeros((n, n), dtype=np.complex128)
    here = np.empty((n, n), dtype=np.complex128)
    for w in range(waves):
        jacobian[:] = 0.0
        noise[:] = 0.0
        for k in range(f):
            for m in range(f):
                for s in range(shifts):
                    e = phases[w, s]
                    at = (k * f + m) * shifts + s
                    p, q = found[0, at], found[1, at]
                    jacobian[2 * k, 2 * m] += e * (p + q).real
                    jacobian[2 * k, 2 * m + 1] += e * (q - p).imag
                    jacobian[2 * k + 1, 2 * m] += e * (p + q).imag
                    jacobian[2 * k + 1, 2 * m + 1] += e * (p - q).real
                    u, v = found[2, at], found[3, at]
                    noise[2 * k, 2 * m] += e * (u + v).real
                    noise[2 * k, 2 * m + 1] += e * (v - u).imag
                    noise[2 * k + 1, 2 * m] += e * (v + u).imag
                    noise[2 * k + 1, 2 * m + 1] += e * (u - v).real
        first = n + w * 2 * n * n
        for a in range(n):
            for b in range(n):
                total = 0j
                for c in range(n):
                    at = first + 2 * (c * n + b)
                    total += jacobian[a, c] * (y[at] + 1j * y[at + 1])
                here[a, b] = total
        for a in range(n):
            for b in range(n):
                rate = here[a, b] + np.conj(here[b, a])
                rate += 0.5 * (noise[a, b] + np.conj(noise[b, a]))
                at = first + 2 * (a * n + b)
                out[at] = rate.real
                out[at + 1] = rate.imag
