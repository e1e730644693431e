r"""Classical amplitudes of bosons: where mean fields run to, moments factorized.

$$ \dot\alpha_k = \langle\mathcal{L}^\dagger[a_k]\rangle, \qquad
   \langle a^{\dagger p} a^q\rangle \to \bar\alpha^p\alpha^q . $$

A cheap estimate of how many levels a mode needs, and of the frame in which its state is near the
vacuum. Modes that are no bosons are taken at their middle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from qsyncdsl.algebra.heisenberg import drift
from qsyncdsl.algebra.system import System

# Evaluations of the right side for one start, and starts: near the vacuum and outside.
_EVALUATIONS = 1500
_STARTS = (0.1, 4.0)
# Growth from the third quarter of a run to the last one that is no coming to rest.
_GROWTH = 1.2
_MIDDLE = 0.5
# How far from a stationary field a run may end that goes there, relative.
_NEAR = 0.2
# Relative speed of a field at rest, and steps after which it is looked at.
_REST, _EVERY = 1e-4, 4


@dataclass(frozen=True)
class Amplitudes:
    """The classical fields of a system in plain numbers.

    Attributes:
        modes: Positions of the bosons.
        velocity: d alpha/dt for alpha, shapes (n,) and (n,).
        rate: A typical rate.
    """

    modes: tuple[int, ...]
    velocity: Callable[[np.ndarray], np.ndarray] = field(repr=False)
    rate: float

    def reached(self) -> np.ndarray:
        """Largest |alpha| on what the fields run to, from a small and a large start.

        A run that still grows at its end says nothing.
        """
        largest = np.zeros(len(self.modes))
        for size in _STARTS:
            path = self._run(size)
            if path is not None and not _grows(np.abs(path)):
                late = np.abs(path[len(path) // 2 :]).max(axis=0)
                largest = np.maximum(largest, np.where(np.isfinite(late), late, 0.0))
        return largest

    def fixed_point(self, start: np.ndarray) -> np.ndarray | None:
        """The stable stationary field that a start runs to; None where it runs to none."""
        path = self.run(start, 60.0 / self.rate, rest=True)
        if path is None:
            return None
        from scipy.optimize import root

        n = len(self.modes)

        def real(x: np.ndarray) -> np.ndarray:
            v = self.velocity(x[:n] + 1j * x[n:])
            return np.concatenate([v.real, v.imag])

        last = path[-1]
        found = root(real, np.concatenate([last.real, last.imag]), tol=1e-12)
        alpha = found.x[:n] + 1j * found.x[n:]
        residual = np.abs(self.velocity(alpha)).max(initial=0.0)
        scale = self.rate * max(1.0, np.abs(alpha).max(initial=0.0))
        if not np.isfinite(residual) or residual > 1e-8 * scale:
            return None
        # An unstable one is not where the run went, and one far away may not be.
        near = np.abs(alpha - last).max() <= _NEAR * max(1.0, np.abs(last).max())
        decay = np.linalg.eigvals(self.jacobian(alpha)).real.max(initial=-1.0)
        return alpha if near and decay < -1e-6 * self.rate else None

    def jacobian(self, alpha: np.ndarray) -> np.ndarray:
        r"""Of $(\alpha, \bar\alpha)$: the velocity of small deviations, shape (2n, 2n), complex."""
        n = len(alpha)
        step = 1e-6 * max(1.0, float(np.abs(alpha).max(initial=0.0)))

        def slope(direction: np.ndarray) -> np.ndarray:
            there, back = alpha + step * direction, alpha - step * direction
            return (self.velocity(there) - self.velocity(back)) / (2 * step)

        real = np.array([slope(e) for e in np.eye(n)]).T
        imaginary = np.array([slope(1j * e) for e in np.eye(n)]).T
        own, other = (real - 1j * imaginary) / 2, (real + 1j * imaginary) / 2
        return np.block([[own, other], [other.conj(), own.conj()]])

    def start(self, size: float) -> np.ndarray:
        """Fields of one size and of phases without any symmetry."""
        return size * np.exp(0.7j * np.arange(1, len(self.modes) + 1))

    def _run(self, size: float) -> np.ndarray | None:
        """The fields along a run, shape (T, n); None where it goes nowhere."""
        return self.run(self.start(size), 60.0 / self.rate)

    def run(
        self, start: np.ndarray, horizon: float, rest: bool = False
    ) -> np.ndarray | None:
        """The fields from a start, up to a time or until they take too long, shape (T, n).

        Args:
            rest: Whether to stop where they have come to rest.
        """
        from scipy.integrate import RK45

        start = np.asarray(start, dtype=complex)
        solver = RK45(
            lambda t, y: self.velocity(y), 0.0, start, horizon, rtol=1e-4, atol=1e-6
        )
        path = [start]
        while solver.status == "running" and solver.nfev < _EVALUATIONS:
            solver.step()
            if not np.isfinite(solver.y).all() or np.abs(solver.y).max() > 1e6:
                return None
            path.append(solver.y)
            if rest and len(path) % _EVERY == 0:
                speed = np.abs(self.velocity(solver.y)).max()
                if speed < _REST * self.rate * np.abs(solver.y).max():
                    break
        return np.array(path)


def amplitudes(system: System) -> Amplitudes:
    """The classical fields of a system whose coefficients are numbers.

    Raises:
        TypeError, ValueError: If a coefficient is no number (it depends on time), or an operator
            is no polynomial.
    """
    modes = tuple(
        k
        for k, mode in enumerate(system.space.modes)
        if mode.kind.name == "boson" and mode.ensemble is None
    )
    touched = {k for t in system.hamiltonian for k in t.operator.modes()}
    touched |= {k for j in system.jumps for k in j.operator.modes()}
    modes = tuple(k for k in modes if k in touched)
    row = {k: place for place, k in enumerate(modes)}
    dissipators = [
        (complex(j.rate), j.operator) for j in system.jumps if j.per_atom is None
    ]
    hamiltonian = system.total_hamiltonian
    terms: list[tuple[int, complex, list[tuple[int, int, int]]]] = []
    for k in modes:
        lower = system.space.letter(k, "a")
        right = drift(lower, hamiltonian, dissipators, system.hbar)
        for monomial, value in right.terms.items():
            number, factors = complex(value), []
            for key, word in monomial:
                if not isinstance(key, int) or word[0] in ("f", "product"):
                    raise ValueError("an operator is no polynomial")
                if key in row and word[0] == "a":
                    factors.append((row[key], word[1], word[2]))
                else:
                    number *= _MIDDLE
            terms.append((row[k], number, factors))

    def velocity(alpha: np.ndarray) -> np.ndarray:
        found = np.zeros(len(modes), dtype=complex)
        bar = alpha.conj()
        for place, number, factors in terms:
            value = number
            for m, p, q in factors:
                value = value * bar[m] ** p * alpha[m] ** q
            found[place] += value
        return found

    rates = [abs(rate) for rate, _ in dissipators if rate]
    typical = float(np.median(rates)) if rates else 1.0
    return Amplitudes(modes, velocity, max(typical, 1e-12))


def _grows(size: np.ndarray) -> bool:
    """Whether some |alpha|, shape (T, n), is larger in the last quarter than in the one before."""
    quarter = max(len(size) // 4, 1)
    last, before = size[-quarter:].max(axis=0), size[-2 * quarter : -quarter]
    return bool((last > _GROWTH * before.max(axis=0, initial=1e-3)).any())
