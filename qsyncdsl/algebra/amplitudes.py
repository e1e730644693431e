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
_MIDDLE = 0.5


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
        """Largest |alpha| on what the fields run to, from a small and a large start."""
        largest = np.zeros(len(self.modes))
        for size in _STARTS:
            path = self._run(size)
            if path is not None:
                late = np.abs(path[len(path) // 2 :]).max(axis=0)
                largest = np.maximum(largest, np.where(np.isfinite(late), late, 0.0))
        return largest

    def fixed_point(self) -> np.ndarray | None:
        """A stable stationary field reached from near the vacuum, or None."""
        path = self._run(_STARTS[0])
        if path is None:
            return None
        from scipy.optimize import root

        n = len(self.modes)

        def real(x: np.ndarray) -> np.ndarray:
            v = self.velocity(x[:n] + 1j * x[n:])
            return np.concatenate([v.real, v.imag])

        start = path[len(path) // 2 :].mean(axis=0)
        found = root(real, np.concatenate([start.real, start.imag]), tol=1e-12)
        alpha = found.x[:n] + 1j * found.x[n:]
        residual = np.abs(self.velocity(alpha)).max(initial=0.0)
        scale = self.rate * max(1.0, np.abs(alpha).max(initial=0.0))
        if not np.isfinite(residual) or residual > 1e-8 * scale:
            return None
        steps = 1e-6 * max(1.0, float(np.abs(found.x).max(initial=0.0)))
        jacobian = np.array(
            [
                (real(found.x + steps * e) - real(found.x - steps * e)) / (2 * steps)
                for e in np.eye(2 * n)
            ]
        )
        stable = np.linalg.eigvals(jacobian).real.max(initial=-1.0) <= 1e-6 * self.rate
        return alpha if stable else None

    def _run(self, size: float) -> np.ndarray | None:
        """The fields along a run, shape (T, n); None where it goes nowhere."""
        from scipy.integrate import RK45

        n = len(self.modes)
        start = size * np.exp(0.7j * np.arange(1, n + 1))
        solver = RK45(
            lambda t, y: self.velocity(y), 0.0, start.astype(complex),
            60.0 / self.rate, rtol=1e-4, atol=1e-6,
        )  # fmt: skip
        path = [start]
        while solver.status == "running" and solver.nfev < _EVALUATIONS:
            solver.step()
            if not np.isfinite(solver.y).all() or np.abs(solver.y).max() > 1e6:
                return None
            path.append(solver.y)
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
