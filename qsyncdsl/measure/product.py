r"""What measures look at under mean field: a product state $\bigotimes_c\rho_c$, at one time or along a run.

Means of products of operators on different cells are products of means, at each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeGuard

import numpy as np

from qsyncdsl.algebra.operators import Monomial, Polynomial, Space
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure.ensemble import FieldParts
from qsyncdsl.measure.parts import lowering
from qsyncdsl.measure.statistics import behind_mean
from qsyncdsl.result import Part, ProductResult

# Largest dimension of a density matrix that is put together from those of several cells.
_DIMENSION = 2000


@dataclass(frozen=True)
class ProductScene:
    """A product state with what is needed to measure it.

    Attributes:
        space: The modes, with numbers as coefficients.
        given: What the solver gave.
        at: Place in time; None for all times, over which measures are averaged.
        shared: What the scenes of all times have in common.
    """

    space: Space
    given: ProductResult = field(repr=False)
    at: int | None = None
    hbar: float = 1.0
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)
    known: dict[Any, Any] = field(default_factory=dict, repr=False)
    shared: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def result(self) -> ProductResult | None:
        """The result where times are a dimension."""
        return self.given if self.at is not None else None

    @cached_property
    def state(self) -> FieldParts:
        """The modes."""
        modes = [m for m in self.space.modes if m.ensemble is None]
        return FieldParts(
            tuple(
                Part(m.label, m.kind.name, m.dimension, m.kind.first(m.size))
                for m in modes
            )
        )

    def one_by_one(self) -> tuple[ProductScene, ...]:
        """A scene for each time."""
        assert self.given.times is not None
        return tuple(
            replace(self, at=k, known={}) for k in range(len(self.given.times))
        )

    # ── cells ────────────────────────────────────────────────────────────────────────────────

    @property
    def _places(self) -> dict[int, tuple[int, int, int]]:
        """Kind, cell and part of every mode."""
        if "places" not in self.shared:
            self.shared["places"] = {
                offset + cell: (kind, cell, part)
                for kind, cells in enumerate(self.given.kinds)
                for part, offset in enumerate(cells.offsets)
                for cell in range(cells.count)
            }
        found: dict[int, tuple[int, int, int]] = self.shared["places"]
        return found

    def cell(self, kind: int, number: int) -> np.ndarray:
        """Density matrices of a cell at the times of this scene, shape (T, D, D)."""
        cells = self.given.cells[kind]
        times = slice(None) if self.at is None else [self.at]
        return cells.at(times, [cells.class_of[number]])[:, 0]

    def mean(self, kind: int, number: int) -> np.ndarray:
        """The density matrix of a cell, averaged over the times of this scene, shape (1, D, D)."""
        if self.at is not None:
            return self.cell(kind, number)
        cells = self.given.cells[kind]
        return cells.averaged(cells.class_of[number])[None]

    def _moment(self, kind: int, number: int, monomial: Monomial) -> np.ndarray:
        """Means of a monomial on one cell at the times of this scene; equal cells share them."""
        column = int(self.given.cells[kind].class_of[number])
        key = (kind, column, monomial)
        if key not in self.shared:
            import scipy.sparse as sp

            from qsyncdsl.algebra.matrices import monomial_matrix

            cells = self.given.kinds[kind]
            dims = [part.dimension for part in cells.parts]
            own = Space(tuple(self.space.modes[o] for o in cells.offsets))
            entries = sp.coo_array(monomial_matrix(own, monomial, dims))
            self.shared[key] = self.given.cells[kind].means(entries, column)
        series: np.ndarray = self.shared[key]
        return series if self.at is None else series[self.at : self.at + 1]

    def series(self, operator: Polynomial) -> np.ndarray:
        """<O> at the times of this scene, shape (T,).

        Raises:
            SolveError: E610 for a function of operators of several cells.
        """
        times = self.given.cells[0].times if self.at is None else 1
        total = np.zeros(times, dtype=complex)
        for monomial, value in operator.terms.items():
            factors: dict[tuple[int, int], list[Any]] = {}
            for key, word in monomial:
                if not isinstance(key, int) or word[0] in ("f", "product"):
                    message = (
                        "functions of operators have no mean in a product state here"
                    )
                    raise SolveError(Diagnostic("E610", message))
                kind, number, part = self._places[key]
                factors.setdefault((kind, number), []).append((part, word))
            product: Any = complex(value)
            for (kind, number), own in factors.items():
                product = product * self._moment(kind, number, tuple(own))
            total += product
        return total

    def expect(self, operator: Polynomial) -> complex:
        """<O>, averaged over the times of this scene."""
        return complex(self.series(operator).mean())

    def reduced(self, parts: tuple[int, ...]) -> np.ndarray:
        """Density matrix of some modes, in the order given, averaged over the times.

        Raises:
            SolveError: E611 where it would be too large.
        """
        groups: dict[tuple[int, int], list[int]] = {}
        for position in parts:
            kind, number, part = self._places[position]
            groups.setdefault((kind, number), []).append(part)
        factors, order = [], []
        alone = len(groups) == 1
        for (kind, number), own in groups.items():
            dims = [p.dimension for p in self.given.kinds[kind].parts]
            rho = self.mean(kind, number) if alone else self.cell(kind, number)
            factors.append((_traced(rho, dims, own), [dims[k] for k in own]))
            offsets = self.given.kinds[kind].offsets
            order += [offsets[k] + number for k in own]
        dims = [d for _, own in factors for d in own]
        if np.prod(dims) > _DIMENSION:
            message = (
                f"a density matrix of dimension {np.prod(dims):.0f} is not put together"
            )
            raise SolveError(Diagnostic("E611", message, help="name fewer modes"))
        total = factors[0][0]
        for factor, _ in factors[1:]:
            size = total.shape[1] * factor.shape[1]
            total = np.einsum("tab,tcd->tacbd", total, factor).reshape(-1, size, size)
        mean = total.mean(axis=0).reshape(dims + dims)
        axes = [order.index(p) for p in parts]
        size = int(np.prod(dims))
        moved = mean.transpose([*axes, *(len(dims) + k for k in axes)])
        return np.asarray(moved.reshape(size, size))

    # ── operators ────────────────────────────────────────────────────────────────────────────

    def letter(self, part: int, name: str) -> Polynomial:
        """A named operator of a part."""
        return self.space.letter(part, name)

    def boson(self, part: int, word: str) -> Polynomial:
        """The lowering operator of a boson or qubit.

        Raises:
            SolveError: E601 for a part without ladder operators.
        """
        return self.letter(part, lowering(self.state.parts[part].kind, word))

    # ── amplitudes ───────────────────────────────────────────────────────────────────────────

    def amplitudes(self, modes: tuple[int, ...], word: str) -> np.ndarray:
        """<a> of some modes at the times of this scene, shape (n, 1, T)."""
        known: dict[Any, np.ndarray] = {}
        found = []
        for mode in modes:
            kind, cell, part = self._places[mode]
            key = kind, int(self.given.cells[kind].class_of[cell]), part
            if key not in known:
                known[key] = self.series(self.boson(mode, word))
            found.append(known[key])
        return np.array(found)[:, None, :]

    def frequency(self, part: int) -> float | None:
        """Angular velocity of a mode in a stationary state; None along a run.

        0 in a state that does not turn.
        """
        if self.given.times is not None:
            return None
        kind, _, inner = self._places[part]
        return (
            0.0 if self.given.frequency is None else self.given.frequency[kind][inner]
        )

    @property
    def turning(self) -> bool:
        """Whether the phases of a stationary state are free, so that its means are no static ones."""
        return self.given.times is None and self.given.frequency is not None

    def family(self, position: int) -> Any:
        """The declared mode of a field."""
        return next(
            f for f in self.given.families if f.offset <= position < f.offset + f.size
        )


def factorized(scene: Any) -> TypeGuard[ProductScene]:
    """Whether a scene is a product state."""
    return isinstance(scene, ProductScene)


def scenes(
    result: ProductResult, space: Space, hbar: float, options: Mapping[str, Any]
) -> tuple[ProductScene, ...]:
    """One scene, or one for each time that was asked for."""
    whole = ProductScene(space, result, None, hbar, {"window": options.get("window")})
    if result.times is None or result.series:
        return whole.one_by_one() if result.series else (whole,)
    behind = behind_mean(
        result.times,
        options,
        lambda places: [replace(whole, at=k, known={}) for k in places],
    )
    return (replace(whole, parameters={"behind": behind}),)


def _traced(rho: np.ndarray, dims: list[int], kept: list[int]) -> np.ndarray:
    """Partial trace over the other parts of a cell, shape (T, d, d)."""
    rest = [k for k in range(len(dims)) if k not in kept]
    n = len(dims)
    tensor = rho.reshape(-1, *dims, *dims)
    order = [*kept, *rest, *(n + k for k in kept), *(n + k for k in rest)]
    d = int(np.prod([dims[k] for k in kept]))
    others = int(np.prod([dims[k] for k in rest])) if rest else 1
    tensor = tensor.transpose([0, *(1 + k for k in order)]).reshape(
        -1, d, others, d, others
    )
    return np.asarray(np.einsum("taibi->tab", tensor))


# ── measures ─────────────────────────────────────────────────────────────────────────────────


def growth_rate(scene: Any) -> float:
    r"""Largest $\mathrm{Re}\,\lambda$ of a small perturbation of the stationary product state.

    Raises:
        SolveError: E616 unless the state is a stationary mean field.
    """
    if not factorized(scene) or scene.given.growth is None:
        raise SolveError(
            Diagnostic(
                "E616",
                "growth_rate looks at a stationary mean field",
                help="solve meanfield(state = incoherent)",
            )
        )
    return float(_growth(scene)[0])


def growth_frequency(scene: Any) -> float:
    r"""Frequency of the perturbation that grows fastest: $e^{-i\omega t}$ has $+\omega$.

    Where nothing leaves the phase free, $\pm\omega$ grow together, and it is positive.

    Raises:
        SolveError: E616 unless the state is a stationary mean field.
    """
    growth_rate(scene)
    return float(_growth(scene)[1])


def _growth(scene: ProductScene) -> tuple[float, float]:
    if "growth" not in scene.known:
        scene.known["growth"] = scene.given.growth()
    found: tuple[float, float] = scene.known["growth"]
    return found
