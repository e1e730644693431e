r"""What measures look at under `fokkerplanck`: densities over alpha of independent fields.

Moments are those of symmetrically ordered operators; products of operators of different fields have
the products of their means.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import pi
from typing import Any, NoReturn, TypeGuard

import numpy as np

from qsyncdsl.algebra.operators import Polynomial, Space
from qsyncdsl.algebra.phase_space import NoPhaseSpace, weyl_symbol
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure.ensemble import FieldParts
from qsyncdsl.measure.parts import no_density_matrix
from qsyncdsl.measure.values import PhaseSpaceMap
from qsyncdsl.result import DensityResult, Part, RadialDensity


@dataclass(frozen=True)
class DensityScene:
    """Densities with what is needed to measure them: they have moments and pictures, but are no states."""

    space: Space
    given: DensityResult = field(repr=False)
    hbar: float = 1.0
    result: None = None
    known: dict[Any, complex] = field(default_factory=dict, repr=False)

    @cached_property
    def state(self) -> FieldParts:
        """The modes."""
        return FieldParts(
            tuple(Part(m.label, m.kind.name, 0) for m in self.space.modes)
        )

    def density(self, part: int) -> RadialDensity:
        """The density of a field."""
        return self.given.densities[self.given.class_of[part]]

    def moment(self, part: int, p: int, q: int) -> complex:
        r"""$E\,\alpha^{*p}\alpha^q = 2\pi\int w_{p-q}(r)\,r^{p+q}\,r\,dr$."""
        key = (int(self.given.class_of[part]), p, q)
        if key not in self.known:
            density = self.density(part)
            m = abs(p - q)
            total = 0j
            if m < len(density.harmonics):
                power = density.weights * density.radii ** (p + q)
                total = 2 * pi * complex(power @ density.harmonics[m])
            self.known[key] = total if p >= q else total.conjugate()
        return self.known[key]

    def expect(self, operator: Polynomial) -> complex:
        """<O>, the mean of its Weyl symbol.

        Raises:
            SolveError: E610 for an operator without a symbol.
        """
        try:
            polynomial = weyl_symbol(operator)
        except NoPhaseSpace as reason:
            message = f"this has no value on a density of phase space: {reason}"
            raise SolveError(Diagnostic("E610", message)) from None
        total = 0j
        for fields, value in polynomial.items():
            product = complex(value)
            for key, p, q in fields:
                product *= self.moment(key, p, q)
            total += product
        return total

    def letter(self, part: int, name: str) -> Polynomial:
        """A named operator of a part."""
        return self.space.letter(part, name)

    def boson(self, part: int, word: str) -> Polynomial:
        """The annihilation operator of a part."""
        return self.letter(part, "a")

    def reduced(self, parts: tuple[int, ...]) -> NoReturn:
        """There is no density matrix here.

        Raises:
            SolveError: E611.
        """
        raise no_density_matrix(
            "a density of phase space is none", "solve by 'steadystate'"
        )

    # ── lattices ─────────────────────────────────────────────────────────────────────────────

    def amplitudes(self, modes: tuple[int, ...], word: str) -> np.ndarray:
        """<a> of some modes, shape (n, 1, 1)."""
        return np.array([self.moment(k, 0, 1) for k in modes])[:, None, None]

    def frequency(self, part: int) -> float:
        """Angular velocity of a mode; 0 where the density does not turn."""
        return self.given.frequency or 0.0

    @property
    def turning(self) -> bool:
        """Whether the phase is free, so that a mean is no static one."""
        return self.given.frequency is not None

    def family(self, position: int) -> Any:
        """The declared mode of a field."""
        return next(
            f for f in self.given.families if f.offset <= position < f.offset + f.size
        )

    # ── pictures ─────────────────────────────────────────────────────────────────────────────

    def phases(self, part: int) -> dict[int, complex]:
        r"""$E\,e^{ik\varphi}$ of the phase of the field."""
        density = self.density(part)
        means = 2 * pi * density.harmonics @ density.weights
        return {
            k: c for m, c in enumerate(means) for k, c in ((-m, c), (m, np.conj(c)))
        }

    def map(self, part: int, extent: float, points: int) -> PhaseSpaceMap:
        """The density over alpha."""
        density = self.density(part)
        m = np.arange(len(density.harmonics))
        double = np.where(m > 0, 2.0, 1.0)

        def on(alpha: np.ndarray) -> np.ndarray:
            r, angle = np.abs(alpha), np.angle(alpha)
            total = np.zeros(alpha.shape)
            for k in m:
                w = np.interp(r, density.radii, density.harmonics[k], right=0.0)
                total += double[k] * (w * np.exp(1j * k * angle)).real
            return total

        axis = np.linspace(-extent, extent, points)
        return PhaseSpaceMap(
            axis,
            axis,
            on(axis[None, :] + 1j * axis[:, None]),
            lambda z: float(on(np.array([complex(z)]))[0]),
        )


def densities(scene: Any) -> TypeGuard[DensityScene]:
    """Whether a scene has densities of phase space."""
    return isinstance(scene, DensityScene)
