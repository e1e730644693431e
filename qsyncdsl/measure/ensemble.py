r"""What measures look at under field methods: samples of complex fields along trajectories.

Moments of samples of the Wigner function are those of symmetrically ordered operators: the mean of
an operator is the mean of its Weyl symbol, $\langle a^\dagger a\rangle = E|\alpha|^2 - \tfrac12$.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NoReturn, TypeGuard

import numpy as np

from qsyncdsl.algebra.operators import Polynomial, Space
from qsyncdsl.algebra.phase_space import (
    FieldPolynomial,
    NoPhaseSpace,
    normal_symbol,
    weyl_symbol,
)
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure.parts import no_density_matrix
from qsyncdsl.problem import FieldFamily
from qsyncdsl.result import FieldResult, Part


@dataclass(frozen=True)
class FieldParts:
    """The modes of something that is no density matrix, for messages and positions."""

    parts: tuple[Part, ...]

    @property
    def dims(self) -> tuple[int, ...]:
        """Dimensions of the parts, where each has a density matrix.

        Raises:
            SolveError: E611 where they have none.
        """
        if not all(part.dimension for part in self.parts):
            raise SolveError(
                Diagnostic(
                    "E611",
                    "this measure needs a density matrix; this method has none",
                    help="solve by 'steadystate' or 'evolve'",
                )
            )
        return tuple(part.dimension for part in self.parts)


# Operators and symbols that are kept at most.
_KEPT = 1000


@dataclass(frozen=True)
class FieldScene:
    """Samples of fields with what is needed to measure them.

    Attributes:
        samples: Shape (F, R, T).
        space: The modes, with numbers as coefficients.
        result: What the solver gave.
        single: Whether this is one time of a series.
        known: What measures keep for one another.
        matrices: Operators and symbols, kept for all parts of the samples and points of a sweep.
    """

    samples: np.ndarray = field(repr=False)
    space: Space
    given: FieldResult = field(repr=False)
    hbar: float = 1.0
    single: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)
    known: dict[Any, Any] = field(default_factory=dict, repr=False)
    matrices: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def result(self) -> FieldResult | None:
        """The result where times are a dimension."""
        return self.given if self.single else None

    @property
    def times(self) -> np.ndarray:
        """Times of the samples."""
        return self.given.times[: self.samples.shape[2]]

    @cached_property
    def state(self) -> FieldParts:
        """The modes."""
        return FieldParts(
            tuple(Part(m.label, m.kind.name, 0) for m in self.space.modes)
        )

    def one_by_one(self) -> tuple[FieldScene, ...]:
        """A scene for each time."""
        return tuple(
            replace(self, samples=self.samples[:, :, k : k + 1], single=True, known={})
            for k in range(self.samples.shape[2])
        )

    def rerun(self, start: np.ndarray) -> FieldScene:
        """The same point from another start, where there is no noise."""
        result = self.given.extra["again"](start)
        return replace(self, samples=result.samples, given=result, known={})

    def quiet(self) -> FieldScene | None:
        """The same point without noise, where it is known."""
        run = self.given.extra.get("quiet")
        result = run() if run is not None else None
        if result is None:
            return None
        return replace(self, samples=result.samples, given=result, known={})

    # ── means ────────────────────────────────────────────────────────────────────────────────

    def values(self, operator: Polynomial) -> np.ndarray:
        """The symbol of an operator on every sample, shape (R, T).

        Raises:
            SolveError: E610 for an operator without a symbol.
        """
        total = np.zeros(self.samples.shape[1:], dtype=complex)
        for fields, value in self._symbol(operator).items():
            product: Any = complex(value)
            for key, p, q in fields:
                z = self.samples[key]
                common = min(p, q)
                if common:
                    product = product * (z.real**2 + z.imag**2) ** common
                if q > p:
                    product = product * z ** (q - p)
                elif p > q:
                    product = product * z.conj() ** (p - q)
            total += product
        return total

    def _symbol(self, operator: Polynomial) -> FieldPolynomial:
        """The symbol, kept for other parts of the samples."""
        key = ("symbol", id(operator))
        if key in self.matrices:
            known: FieldPolynomial = self.matrices[key][0]
            return known
        symbol = weyl_symbol if self.given.symmetric else normal_symbol
        try:
            found: FieldPolynomial = symbol(operator)
        except NoPhaseSpace as reason:
            message = f"this has no value on trajectories of fields: {reason}"
            raise SolveError(Diagnostic("E610", message)) from None
        # operators that depend on parameters are new at every look: not all of them are kept
        if len(self.matrices) < _KEPT:
            # the operator is kept for its id
            self.matrices[key] = (found, operator)
        return found

    def expect(self, operator: Polynomial) -> complex:
        """<O>, the mean over realizations and times."""
        return complex(self.values(operator).mean())

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
            "trajectories of fields have none", "solve by 'steadystate' or 'evolve'"
        )

    def variable(self, name: str, row: int, real: bool) -> np.ndarray:
        """A typed variable on every sample, shape (R, T)."""
        family = next(f for f in self.given.families if f.label == name)
        values = self.samples[family.offset + row]
        return values.real if real else values

    # ── lattices ─────────────────────────────────────────────────────────────────────────────

    def family(self, position: int) -> FieldFamily:
        """The declared mode of a field."""
        return next(
            f for f in self.given.families if f.offset <= position < f.offset + f.size
        )


def sampled(scene: Any) -> TypeGuard[FieldScene]:
    """Whether a scene has samples rather than a density matrix."""
    return isinstance(scene, FieldScene)
