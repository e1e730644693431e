r"""The Fokker-Planck equation in the basis of Wigner functions of |n><m|, on a scale of its own.

With $\alpha = s\beta$, multiplication and derivatives act on Wigner functions of $\beta$ as

$$ \beta W \leftrightarrow \tfrac12(a\rho + \rho a), \quad
   \partial_\beta W \leftrightarrow \rho a^\dagger - a^\dagger\rho, \quad
   \partial_{\beta^*} W \leftrightarrow a\rho - \rho a , $$

so that any polynomial equation is a sparse linear one for a Hermitian matrix rho, which need not be
positive. Every term is a commutator: probability is conserved to rounding at any cutoff, and the error
falls exponentially with it. Unknowns are the real and imaginary parts of rho.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import scipy.sparse as sp

from qsyncdsl.result import RadialDensity
from qsyncdsl.solve.density_equation import Terms

# Nodes for each unit of the radius, in the units of the basis.
_NODES = 24
# Nodes of splines over the radius, and harmonics that are none.
_SPLINE, _NOTHING = 2000, 1e-15


@dataclass(frozen=True)
class Basis:
    """Levels and the scale s."""

    levels: int
    scale: float

    def generator(
        self,
        drift: Terms,
        diffusion: Terms,
        squeezing: Terms,
        x: complex = 0.0,
    ) -> Any:
        """The real matrix that acts on the unknowns."""
        size = self.levels**2
        total = sp.csr_array((size, size))
        for kind, terms in (
            ("drift", drift),
            ("diffusion", diffusion),
            ("squeezing", squeezing),
        ):
            for (p, q, m), value in terms.items():
                c = value * (1.0 if m == 0 else x if m > 0 else np.conj(x))
                if c == 0:
                    continue
                re, im = self.pieces(kind, p, q)
                total = total + c.real * re + c.imag * im
        return total

    def pieces(self, kind: str, p: int, q: int) -> tuple[Any, Any]:
        """What the real and the imaginary part of a coefficient multiply."""
        power = self.scale ** (p + q - (1 if kind == "drift" else 2))
        re, im = _pieces(self.levels, kind, p, q)
        return power * re, power * im

    def moment(self, p: int, q: int) -> np.ndarray:
        r"""The row that gives $E\,\alpha^{*p}\alpha^q$ from the unknowns."""
        return self.scale ** (p + q) * _moment(self.levels, p, q)

    @cached_property
    def trace(self) -> np.ndarray:
        """The row that gives the integral."""
        return self.moment(0, 0).real

    def density(self, y: np.ndarray) -> RadialDensity:
        """The harmonics over the radius."""
        x, w = np.polynomial.legendre.leggauss(int(_NODES * self.far))
        beta = (x + 1) * self.far / 2
        weights = w * self.far / 2 * beta * self.scale**2
        found = self._harmonics(y, beta)
        return RadialDensity(beta * self.scale, weights, found / self.scale**2)

    def at(self, y: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        """The density at many fields, shape (n,): harmonics over the radius by splines."""
        from scipy.interpolate import CubicSpline

        grid = np.linspace(0, self.far, _SPLINE)
        harmonics = self._harmonics(y, grid)
        radii, turn = np.abs(alpha) / self.scale, np.exp(1j * np.angle(alpha))
        total = np.zeros(len(alpha))
        for m, values in enumerate(harmonics):
            if np.abs(values).max() > _NOTHING * np.abs(harmonics[0]).max():
                own = CubicSpline(grid, values)(radii) * turn**m
                total += (1 if m == 0 else 2) * own.real
        return total / self.scale**2

    @property
    def far(self) -> float:
        """The radius beyond which there is nothing, in units of the scale."""
        return float(np.sqrt(self.levels) + 3.0)

    def _harmonics(self, y: np.ndarray, beta: np.ndarray) -> np.ndarray:
        r"""$w_{-m} = \sum_n\rho_{n+m,n}f_n^m(r)$ (Laguerre functions), shape (levels, n), r in units of the scale."""
        rho = (_form(self.levels)[0] @ y).reshape(self.levels, self.levels)
        found = np.zeros((self.levels, len(beta)), dtype=complex)
        for m in range(self.levels):
            below = np.diagonal(rho, -m)
            found[m] = (below[:, None] * _laguerre(m, len(below), beta)).sum(0).conj()
        return found


def _laguerre(m: int, count: int, beta: np.ndarray) -> np.ndarray:
    r"""Wigner functions of $|n + m\rangle\langle n|$ without their phase, shape (count, n).

    $\frac2\pi(-1)^n\sqrt{n!/(n+m)!}\,x^{m/2}e^{-x/2}L_n^m(x)$, $x = 4\beta^2$, by the stable recurrence.
    """
    from scipy.special import gammaln

    x = 4 * beta**2
    found = np.empty((count, len(beta)))
    with np.errstate(divide="ignore"):
        logs = (m / 2) * np.log(x) - x / 2 - gammaln(m + 1) / 2 if m else -x / 2
    found[0] = np.exp(logs)
    if count > 1:
        found[1] = -(m + 1 - x) / np.sqrt(m + 1) * found[0]
    for n in range(1, count - 1):
        root = np.sqrt((n + 1) * (n + 1 + m))
        found[n + 1] = (
            -(2 * n + 1 + m - x) * found[n] - np.sqrt(n * (n + m)) * found[n - 1]
        ) / root
    return 2 / np.pi * found


@lru_cache(maxsize=8)
def _form(levels: int) -> tuple[Any, Any]:
    """From the real unknowns to rho, flattened by rows, and back."""
    n, m = np.tril_indices(levels, -1)
    own = np.arange(levels)
    pairs = len(n)
    re = levels + np.arange(pairs)
    im = re + pairs
    rows = np.concatenate(
        [own * (levels + 1), n * levels + m, n * levels + m, m * levels + n, m * levels + n]
    )  # fmt: skip
    columns = np.concatenate([own, re, im, re, im])
    values = np.concatenate(
        [np.ones(levels), np.ones(pairs), np.full(pairs, 1j), np.ones(pairs), np.full(pairs, -1j)]
    )  # fmt: skip
    size = levels**2
    to = sp.csr_array((values, (rows, columns)), shape=(size, size))
    half = sp.diags_array(np.r_[np.ones(levels), np.full(2 * pairs, 0.5)])
    return to, sp.csr_array(half @ to.conj().T)


@lru_cache(maxsize=8)
def _operators(levels: int) -> dict[str, Any]:
    """beta, beta*, and their derivatives as superoperators on rho, flattened by rows."""
    a = sp.diags_array(np.sqrt(np.arange(1.0, levels)), offsets=1, format="csr")
    one = sp.eye_array(levels, format="csr")
    left, right = sp.kron(a, one, "csr"), sp.kron(one, a.T, "csr")
    left_dag, right_dag = sp.kron(a.T, one, "csr"), sp.kron(one, a, "csr")
    return {
        "z": (left + right) / 2,
        "z*": (left_dag + right_dag) / 2,
        "d": right_dag - left_dag,
        "d*": left - right,
    }


def _monomial(levels: int, p: int, q: int) -> Any:
    ops = _operators(levels)
    product = sp.eye_array(levels**2, format="csr")
    for name, power in (("z*", p), ("z", q)):
        for _ in range(power):
            product = ops[name] @ product
    return product


@lru_cache(maxsize=64)
def _pieces(levels: int, kind: str, p: int, q: int) -> tuple[Any, Any]:
    ops = _operators(levels)
    one, other = _monomial(levels, p, q), _monomial(levels, q, p)
    if kind == "drift":
        first, second = -ops["d"] @ one, -ops["d*"] @ other
    elif kind == "diffusion":
        both = ops["d"] @ ops["d*"]
        first, second = both @ one / 2, both @ other / 2
    else:
        first = ops["d"] @ (ops["d"] @ one) / 2
        second = ops["d*"] @ (ops["d*"] @ other) / 2
    to, back = _form(levels)
    re = back @ ((first + second) @ to)
    im = back @ ((1j * (first - second)) @ to)
    return _real(re), _real(im)


def _real(matrix: Any) -> Any:
    found = sp.csr_array(matrix.real)
    found.data[np.abs(found.data) < 1e-14] = 0.0
    found.eliminate_zeros()
    return found


@lru_cache(maxsize=64)
def _moment(levels: int, p: int, q: int) -> np.ndarray:
    trace = np.zeros(levels**2)
    trace[np.arange(levels) * (levels + 1)] = 1.0
    return np.asarray(_form(levels)[0].T @ (_monomial(levels, p, q).T @ trace))
