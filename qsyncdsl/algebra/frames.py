r"""Which frame holds a state in few levels: the classical field, and the fluctuations about it.

About a stable stationary field the fluctuations $\delta = (a - \alpha, a^\dagger - \bar\alpha)$ obey

$$ \dot C = J C + C J^T + D, \qquad
   D_{XY} = \sum_k \gamma_k \langle [L_k^\dagger, X]\,[Y, L_k] \rangle , $$

with $C_{XY} = \langle X Y\rangle$ and means of operators replaced by products of fields. A Gaussian state whose
largest variance of a quadrature is V has populations that fall as $((V - 1/2)/(V + 1/2))^n$.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qsyncdsl.algebra.amplitudes import Amplitudes, amplitudes
from qsyncdsl.algebra.operators import Polynomial
from qsyncdsl.algebra.system import System

# Levels about the vacuum that are few anyway.
FEW = 40
# A frame is worth its lost sparsity where it needs this part of the levels about the vacuum.
_WORTH = 0.6
# Population that is cut off, levels that are kept at least, and deviations of a number.
_LOST, _LEAST, _DEVIATIONS = 1e-9, 6, 5.0
# Other starts, in units of the field: as many stable fields as these find are known.
_RADII, _PHASES = (0.4, 1.6), 3
# Digits after the point of a center: a basis need not be exact, and is the same on all machines.
_DIGITS = 3


@dataclass(frozen=True)
class Frame:
    """Centers of the levels of some bosons.

    Attributes:
        centers: By position in the space; only those that are not 0.
        levels: Numbers of levels that hold the fluctuations, by position.
        sole: Whether all starts of the classical field end there.
    """

    centers: Mapping[int, complex]
    levels: Mapping[int, int]
    sole: bool = True


class NoFieldError(ValueError):
    """Why there is no classical field to displace by."""


def stationary_frame(system: System, asked: bool) -> Frame | None:
    """The frame about the stationary classical field; None where levels about the vacuum do.

    Args:
        system: With numbers as coefficients.
        asked: Whether the frame is wanted in any case: then for all modes, however small the field.

    Raises:
        NoFieldError: If it is wanted, and there is no stable field.
    """
    fields = _fields(system)
    alpha = fields.fixed_point(fields.start(0.1))
    if alpha is None:
        raise NoFieldError("the classical field runs to no stable stationary value")
    if not asked and about_vacuum(float(np.abs(alpha).max(initial=0.0))) < FEW:
        return None
    sole = _is_sole(fields, alpha)
    levels = _levels(system, fields, alpha)
    chosen = {
        k: complex(np.round(value, _DIGITS))
        for k, value in zip(fields.modes, alpha, strict=True)
        if asked or levels[k] < _WORTH * about_vacuum(abs(value))
    }
    return Frame({k: c for k, c in chosen.items() if c}, levels, sole)


def moving_frame(
    system: System, start: np.ndarray, horizon: float, asked: bool
) -> Frame | None:
    """The frame about the middle of the way that the classical field takes from a start.

    Args:
        start: Amplitudes of all modes of the space.

    Raises:
        NoFieldError: If it is wanted, and the field runs away.
    """
    fields = _fields(system)
    path = fields.run(np.asarray(start)[list(fields.modes)], horizon)
    if path is None:
        raise NoFieldError("the classical field grows without bound")
    centers, levels = {}, {}
    for place, k in enumerate(fields.modes):
        way = path[:, place]
        middle = complex(
            (way.real.max() + way.real.min()) / 2,
            (way.imag.max() + way.imag.min()) / 2,
        )
        needed = about_vacuum(float(np.abs(way - middle).max()))
        plain = about_vacuum(float(np.abs(way).max()))
        if asked or (plain >= FEW and needed < _WORTH * plain):
            centers[k], levels[k] = complex(np.round(middle, _DIGITS)), needed
    return Frame({k: c for k, c in centers.items() if c}, levels)


def about_vacuum(amplitude: float) -> int:
    """Levels for a number about |alpha|^2, as wide as that of a van der Pol oscillator."""
    n = amplitude**2
    return int(np.ceil(n + _DEVIATIONS * np.sqrt(1.5 * n) + _LEAST))


def _fields(system: System) -> Amplitudes:
    if any(mode.kind.name != "boson" for mode in system.space.modes):
        raise NoFieldError("there are modes that are no bosons")
    words = {
        word[0]
        for operator in _operators(system)
        for monomial in operator.terms
        for _, word in monomial
    }
    if words - {"a"}:
        raise NoFieldError("an operator is no polynomial of a and a'")
    try:
        return amplitudes(system)
    except (TypeError, ValueError) as reason:
        raise NoFieldError("a coefficient depends on time") from reason


def _operators(system: System) -> list[Polynomial]:
    return [t.operator for t in system.hamiltonian] + [j.operator for j in system.jumps]


def _is_sole(fields: Amplitudes, alpha: np.ndarray) -> bool:
    """Whether other starts run to the same field: else a mode may be in several states, or in a cycle."""
    size = max(1.0, float(np.abs(alpha).max(initial=0.0)))
    for radius in _RADII:
        for k in range(_PHASES):
            turned = radius * size * np.exp(2j * np.pi * k / _PHASES)
            found = fields.fixed_point(turned * fields.start(1.0))
            if found is None or np.abs(found - alpha).max() > 1e-3 * size:
                return False
    return True


def _levels(system: System, fields: Amplitudes, alpha: np.ndarray) -> dict[int, int]:
    """Levels for the Gaussian fluctuations of each mode about its field."""
    from scipy.linalg import solve_sylvester

    n = len(alpha)
    letters = [system.space.letter(k, "a") for k in fields.modes]
    letters += [letter.dag() for letter in letters]
    known = dict(zip(fields.modes, alpha, strict=True))
    diffusion = np.zeros((2 * n, 2 * n), dtype=complex)
    for jump in system.jumps:
        adjoint, rate = jump.operator.dag(), complex(jump.rate)
        left = [adjoint.commutator(x) for x in letters]
        right = [y.commutator(jump.operator) for y in letters]
        for i, x in enumerate(left):
            for j, y in enumerate(right):
                if x and y:
                    diffusion[i, j] += rate * classical(x * y, known)
    drift = fields.jacobian(alpha)
    covariance = solve_sylvester(drift, drift.T, -diffusion)
    found = {}
    for place, k in enumerate(fields.modes):
        number = covariance[n + place, place].real
        squeezing = abs(covariance[place, place])
        variance = max(0.0, number) + 0.5 + squeezing
        ratio = min(0.999, (variance - 0.5) / (variance + 0.5))
        count = np.log(_LOST) / np.log(max(ratio, 1e-6))
        found[k] = int(np.ceil(_LEAST + count))
    return found


def classical(operator: Polynomial, alpha: Mapping[int, complex]) -> complex:
    """An operator with fields in place of a: of normal order, each mode with its own."""
    total = 0j
    for monomial, value in operator.terms.items():
        number = complex(value)
        for key, (_, p, q) in monomial:
            field = complex(alpha.get(key, 0j))  # type: ignore[arg-type]
            number *= field.conjugate() ** p * field**q
        total += number
    return total
