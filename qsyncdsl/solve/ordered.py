r"""Ordered states with as many coherences as they have.

A curve of ordered states is followed with few coherences, between states whose charges differ by little: it
tells where the state with all of its coherences is, which Newton's method then finds. Where the curve has its
fold it is corrected too, so that whether there is a state does not depend on what was left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import MeanFieldProblem, Point
from qsyncdsl.solve.cell_operators import CellOperators
from qsyncdsl.solve.cells import CellEquations
from qsyncdsl.solve.field_map import TOLERANCE, FieldMap, Image, newton
from qsyncdsl.solve.rotating import (
    Curve,
    Curves,
    Mark,
    corrected,
    crossing,
    curve_of,
    on_curve,
)
from qsyncdsl.solve.selfconsistent import Stationary, angular_velocities

# Coherences between states whose charges differ by less than this are kept at first; more of them while
# the last ones are larger than `EDGE`, relative to the largest element.
_BAND, EDGE = 40, 1e-8
# The same for curves that are only followed to know where to look: their marks are trusted so far.
_GUIDE, _ROUGH = 16, 0.25
# How much further the next band goes.
_WIDER = 1.5
# How far a state may lie from where fewer coherences have it: in ln r, and nu in its unit.
_FAR = 0.3

# Change of ln eta to which a fold is found, and steps at most.
_LOWEST, _STEPS = 1e-13, 6
# Folds that are kept.
_KEPT = 8

# A state as `newton` gives it: fields, frequency, cells, error.
Found = tuple[np.ndarray, float, Image, float]


@dataclass
class Band:
    """The equations with the coherences of a band, and what was found with them.

    Attributes:
        width: None where all coherences are kept.
        folds: The lowest marks of curves that were followed with fewer coherences, with these.
    """

    width: int | None
    operators: CellOperators
    curves: Curves = field(default_factory=dict)
    folds: dict[Any, Mark | None] = field(default_factory=dict)


@dataclass(frozen=True)
class _Guide:
    """A curve with few coherences that tells where to look, and those."""

    curve: Curve
    width: int | None

    @property
    def lowest(self) -> Mark:
        """Its mark of the smallest strength."""
        mark = self.curve.lowest
        assert mark is not None
        return mark


class Bands:
    """Ordered states of one problem.

    Args:
        operators: With all coherences.
    """

    def __init__(self, problem: MeanFieldProblem, operators: CellOperators) -> None:
        self.problem = problem
        self.whole = Band(None, operators)
        self.widest = max((int(np.ptp(c)) for c in problem.charges or ()), default=0)
        self._bands: dict[int, Band] = {}

    def ordered(self, point: Point) -> tuple[Stationary | None, float | None]:
        r"""The state of broken U(1) symmetry with the largest amplitude, if there is one.

        Also how far its branch reaches beyond, $\ln(\eta/\eta_{min})$ for couplings of size $\eta$; None where
        there is no branch.

        Raises:
            SolveError: E523 where there is not exactly one complex mean field.
        """
        field_map = self._map(self.whole, point)
        size = _size(field_map) if len(field_map.fields) else 0.0
        if size == 0:
            return None, None
        if self.widest <= 2 * _BAND:
            found, reach = on_curve(field_map, self.whole.curves, size)
            return None if found is None else _stationary(field_map, found), reach
        for guide in self._guides(point, size):
            known = self._guided(point, size, guide)
            if known is not None:
                return known
        return None, None

    def curved(self, point: Point) -> bool:
        """Whether there is one complex mean field: ordered states then lie on a curve."""
        field_map = self._map(self.whole, point)
        return len(field_map.fields) == 1 and not field_map.real[0]

    def _guided(
        self, point: Point, size: float, guide: _Guide
    ) -> tuple[Stationary | None, float | None] | None:
        """State and reach from a curve with few coherences; None where they are not near it."""
        found: Found | None = None
        lowest = guide.lowest
        for band in self._from(guide.width):
            field_map = self._map(band, point)
            mark = _lowest(band, field_map, size, guide, lowest)
            if mark is None:
                return None
            lowest = mark
            known = _beside(field_map, size, guide, lowest, found)
            if known is None:
                return None
            found, reach, edge = known
            if edge < EDGE:
                break
        return None if found is None else _stationary(field_map, found), reach

    def followed(
        self, point: Point, fields: np.ndarray, nu: float
    ) -> Stationary | None:
        """The ordered state near given fields and frequency, if there is one."""
        if np.abs(fields).max(initial=0.0) <= TOLERANCE:
            return None
        state = None
        for band in self._from(0):
            field_map = self._map(band, point)
            found = newton(field_map, fields.astype(complex), nu, True)
            if found is None or np.abs(found[0]).max() <= TOLERANCE:
                return None
            state = _stationary(field_map, found, "Newton from the point before")
            if field_map.edge(found[2].y) < EDGE:
                break
        return state

    def _band(self, width: int | None) -> Band:
        if width is None:
            return self.whole
        if width not in self._bands:
            self._bands[width] = Band(width, CellOperators(self.problem, width))
        return self._bands[width]

    def _from(self, least: int | None) -> Iterator[Band]:
        """Bands, one wider than the other, in which states are solved."""
        width = _BAND
        while least is not None and self.widest > 2 * _BAND and width < self.widest:
            if width >= least:
                yield self._band(width)
            width = int(_WIDER * width)
        yield self.whole

    def _map(self, band: Band, point: Point) -> FieldMap:
        return FieldMap(CellEquations(band.operators, point, {}))

    def _guides(self, point: Point, size: float) -> Iterator[_Guide]:
        """Curves with few coherences and more that tell where to look; none where there is no order."""
        width, near = _GUIDE, None
        while True:
            band = self._band(width if width < self.widest else None)
            field_map = self._map(band, point)
            most = np.inf if band.width is None else _ROUGH
            curve = curve_of(field_map, band.curves, size, most, near)
            near = curve.lowest
            if near is None and width < _BAND:
                # a few coherences may have no curve where all have one
                width = _BAND
                continue
            if near is None:
                return
            mark = crossing(curve, size)
            if mark is None:
                mark = near if size < near.strength else curve.marks[-1]
            if band.width is None or max(near.edge, mark.edge) < _ROUGH:
                yield _Guide(curve, band.width)
            if band.width is None:
                return
            width = int(_WIDER * width)


def _lowest(
    band: Band, field_map: FieldMap, size: float, guide: _Guide, before: Mark
) -> Mark | None:
    """The lowest mark of the curve with the coherences of a band; None where it is not near.

    Args:
        before: The same with fewer coherences.
    """
    if band.width == guide.width:
        return guide.lowest
    alike, key = field_map.normalized(size)
    key = (key, guide.width)
    if key not in band.folds:
        if len(band.folds) >= _KEPT:
            band.folds.clear()
        curve = Curve(alike, guide.curve.unit)
        # at the same mean: the curve has one point there
        found = corrected(curve, curve.place(before), np.array([1.0, 0.0, 0.0]))
        bend = guide.curve.bend
        if found is not None and bend is not None:
            found = _bottom(curve, found, bend)
        if found is not None:
            away = np.abs(curve.place(found) - curve.place(before)).max()
            found = found if away < _FAR else None
        band.folds[key] = found
    return band.folds[key]


def _bottom(curve: Curve, mark: Mark, bend: float) -> Mark | None:
    """The fold beside a mark, where `climb` vanishes (the secant method)."""
    for _ in range(_STEPS):
        if mark.climb**2 < 2 * _LOWEST * bend:
            break
        along = np.sign(mark.tangent[0]) * mark.tangent
        step = float(np.clip(-mark.climb / bend, -_FAR, _FAR))
        found = corrected(curve, curve.place(mark) + step * along, along)
        if found is None:
            return None
        bend = max((found.climb - mark.climb) / step, bend / 4)
        mark = found
    return mark


def _beside(
    field_map: FieldMap, size: float, guide: _Guide, lowest: Mark, near: Found | None
) -> tuple[Found | None, float, float] | None:
    """State, reach and edge from a curve with fewer coherences; None where they are not near it.

    Args:
        lowest: The lowest mark with these coherences.
        near: The state with fewer coherences.
    """
    reach, before = float(np.log(size / lowest.strength)), guide.lowest
    if reach < 0:
        return None, reach, lowest.edge
    if near is not None:
        x, nu = near[0], near[1]
    else:
        # as seen from the fold: a state right beside it is beside it with any coherences
        mark = crossing(guide.curve, size / lowest.strength * before.strength)
        if mark is None:
            return None
        x = np.array([mark.x / before.x * lowest.x / size], dtype=complex)
        nu = mark.nu + lowest.nu - before.nu
    found = newton(field_map, x, nu, True)
    if found is None:
        return None
    moved = abs(np.log(abs(found[0][0] / x[0]))), abs(found[1] - nu) / guide.curve.unit
    if not max(moved) < _FAR:
        return None
    return found, reach, field_map.edge(found[2].y)


def _size(field_map: FieldMap) -> float:
    """Size of the coupling of the one complex field."""
    if len(field_map.fields) != 1 or field_map.real[0]:
        raise SolveError(
            Diagnostic(
                "E523",
                f"the rotating branch of {len(field_map.fields)} different mean fields is not followed",
                help="solve meanfield(time = T) from a coherent initial state",
            )
        )
    a, b = field_map.strength_slopes(np.zeros(1, dtype=complex))
    return float(np.linalg.norm(np.concatenate([a[:, 0], b[:, 0]])))


def _stationary(
    field_map: FieldMap, found: Found, scheme: str = "Newton, rotating frame"
) -> Stationary:
    """A state with what is known of it."""
    _, nu, image, error = found
    frequency = angular_velocities(field_map.cells, nu)
    return Stationary(field_map.cells, image.y, nu, frequency, error, scheme)
