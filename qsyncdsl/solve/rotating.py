r"""Stationary product states of broken U(1) symmetry: they turn at an unknown frequency.

With one complex field the ordered states lie on a curve: for a real mean r the two real equations
$\langle O\rangle(x, \nu) = r$ give $x(r)$ and $\nu(r)$, and the strength $\eta = x/r$ by which the
fields have to be multiplied. Its minima are folds: where no point has $\eta = 1$ there is no ordered state.
The curve is followed by its arc length in $(\ln r, \ln x, \nu)$ (H. B. Keller, in Applications of Bifurcation
Theory, Academic Press 1977), so that neither folds nor a saturating mean stop it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from qsyncdsl.diagnostics import SolveError
from qsyncdsl.solve.field_map import Image, newton
from qsyncdsl.solve.selfconsistent import not_found


class TurningMap(Protocol):
    """What a map from one complex field to its mean must tell.

    `radius` is the size of the field in an unordered cell, `fastest` the largest rate there, `turning` the
    frequency at which a cell of this size turns under a field, `edge` how large the unknowns of a solution
    are where they are cut off, `normalized` the same with couplings of size 1 and all that it depends on.
    """

    @property
    def real(self) -> np.ndarray: ...  # noqa: D102
    def image(self, x: np.ndarray, nu: float, slopes: bool = True) -> Image: ...  # noqa: D102
    def radius(self) -> float: ...  # noqa: D102
    def fastest(self) -> float: ...  # noqa: D102
    def turning(self, x: np.ndarray) -> float: ...  # noqa: D102
    def edge(self, y: np.ndarray) -> float: ...  # noqa: D102
    def normalized(self, size: float) -> tuple[TurningMap, Any]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of the curve: the mean r, the field x that produces it, the frequency.

    Attributes:
        tangent: Of the curve in (ln r, ln x, nu/unit), of length 1.
        edge: That of the field map there.
    """

    mean: float
    x: float
    nu: float
    tangent: np.ndarray = field(repr=False, compare=False)
    edge: float = 0.0

    @property
    def strength(self) -> float:
        """eta."""
        return self.x / self.mean

    @property
    def climb(self) -> float:
        r"""$d\ln\eta/ds$ towards larger means."""
        return float(np.sign(self.tangent[0]) * (self.tangent[1] - self.tangent[0]))


@dataclass
class Curve:
    """The ordered states for all strengths of the fields, along the curve.

    It is followed in legs, each as far as its number says: what is found on it does not depend on what
    was looked for before.

    Attributes:
        field_map: With couplings of size 1.
        unit: Of frequencies.
        ends: Marks at the end of each leg.
        most: Edge from which on the curve is not worth following.
    """

    field_map: TurningMap
    unit: float
    marks: list[Mark] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    most: float = np.inf

    @property
    def lowest(self) -> Mark | None:
        """The mark of the smallest strength: a fold, or the threshold of the unordered state."""
        first = self.marks[: self.ends[0]] if self.ends else []
        return min(first, key=lambda mark: mark.strength, default=None)

    @property
    def bend(self) -> float | None:
        """How fast `climb` changes along the curve at its fold; None where the lowest mark is no fold."""
        first = self.marks[: self.ends[0]] if self.ends else []
        k = int(np.argmin([mark.strength for mark in first])) if first else 0
        if not 0 < k < len(first) - 1:
            return None
        low, high = first[k], first[k + 1]
        away = float(np.linalg.norm(self.place(high) - self.place(low)))
        return max((high.climb - low.climb) / away, 1e-6)

    @property
    def cut(self) -> bool:
        """Whether it was left because too much was cut off."""
        return bool(self.marks) and self.marks[-1].edge >= self.most

    def place(self, mark: Mark) -> np.ndarray:
        """(ln r, ln x, nu/unit)."""
        return np.array([np.log(mark.mean), np.log(mark.x), mark.nu / self.unit])


# Curves by everything but the size of the couplings, and how many are kept.
Curves = dict[Any, Curve]
_KEPT = 8
# Arc length of the first step, of the longest and of the shortest one; steps to each side at most.
_STEP, _LONGEST, _FINEST, _MOST = 0.15, 0.8, 1e-4, 250
# How far the curve is followed, as multiples of the mean at its start.
_SMALLEST, _LARGEST = 1e-4, 1e3
# Multiple of the smallest strength at which a leg of the curve ends; the next goes as much further.
_STRONGEST = 4.0
# The same below a fold, on the branch of smaller means.
_BELOW = 1.3
# Share of the way between two marks to which a fold is found; its strength has the square of it.
_FOLD = 1e-5


def on_curve(
    field_map: TurningMap, curves: Curves, size: float, near: Mark | None = None
) -> tuple[tuple[np.ndarray, float, Image, float] | None, float | None]:
    r"""The ordered state with the largest amplitude, as `newton` gives it, if there is one.

    Also how far the branch reaches beyond: $\ln(\text{size}/\eta_{min})$; None where there is no branch.

    Args:
        size: Of the coupling of the one complex field.
        near: Where the curve may be expected, as for `curve_of`.
    """
    curve = curve_of(field_map, curves, size, near=near)
    mark, lowest = crossing(curve, size), curve.lowest
    reach = None if lowest is None else float(np.log(size / lowest.strength))
    if mark is None:
        return None, reach
    x = np.array([mark.x / size], dtype=complex)
    return newton(field_map, x, mark.nu, True), reach


def curve_of(
    field_map: TurningMap,
    curves: Curves,
    size: float,
    most: float = np.inf,
    near: Mark | None = None,
) -> Curve:
    """The curve that a map belongs to, followed now or before.

    Args:
        most: Edge from which on it is not worth following.
        near: A mark of the same curve where more or less is cut off.
    """
    alike, key = field_map.normalized(size)
    curve = curves.get(key)
    if curve is None:
        if len(curves) > _KEPT:
            curves.clear()
        curve = curves[key] = Curve(alike, alike.fastest(), most=most)
        _trace(curve, near)
    return curve


def corrected(curve: Curve, guess: np.ndarray, normal: np.ndarray) -> Mark | None:
    """The point of the curve in the plane through a guess (Newton's method)."""
    place, before = guess.copy(), np.inf
    for _ in range(12):
        mean, x, nu = np.exp(place[0]), np.exp(place[1]), place[2] * curve.unit
        image = curve.field_map.image(np.array([x], dtype=complex), float(nu))
        miss = image.means[0] / mean - 1.0
        rows = _rows(curve, image, float(mean), float(x))
        if abs(miss) < 1e-9:
            tangent = np.cross(rows[0], rows[1])
            length = np.linalg.norm(tangent)
            edge = curve.field_map.edge(image.y)
            tangent = tangent / max(length, 1e-300)
            return Mark(float(mean), float(x), float(nu), tangent, edge)
        if not abs(miss) < 3 * before:
            return None
        before = abs(miss)
        matrix = np.vstack([rows, normal])
        right = [-miss.real, -miss.imag, -normal @ (place - guess)]
        if abs(np.linalg.det(matrix)) < 1e-300:
            return None
        step = np.linalg.solve(matrix, right)
        place = place + step * min(1.0, 1.0 / max(np.abs(step).max(), 1e-300))
    return None


def _rows(curve: Curve, image: Image, mean: float, x: float) -> np.ndarray:
    """Derivatives of Re and Im of <O>/r - 1, shape (2, 3)."""
    slopes = np.array(
        [
            -image.means[0] / mean,
            image.slope[0, 0] * x / mean,
            image.slope[0, 2] * curve.unit / mean,
        ]
    )
    return np.stack([slopes.real, slopes.imag])


def _trace(curve: Curve, near: Mark | None) -> None:
    """Follow the curve from its start to both sides, and refine its fold."""
    across = np.array([0.0, 1.0, 0.0])
    start = None if near is None else corrected(curve, curve.place(near), across)
    start = start or _start(curve)
    if start is None:
        return
    curve.marks = [start]
    rising = np.sign(start.tangent[0]) * start.tangent
    _follow(curve, -rising, _BELOW)
    curve.marks.reverse()
    _follow(curve, rising, _STRONGEST)
    _refine(curve)
    curve.ends = [len(curve.marks)]


def _follow(curve: Curve, direction: np.ndarray, strongest: float) -> None:
    """Append points until eta grows away or stands still, or there is no solution.

    Args:
        direction: Of the first step.
        strongest: Multiple of the smallest eta to go to.
    """
    start = last = curve.marks[-1]
    step = _STEP
    for _ in range(_MOST):
        found = corrected(curve, curve.place(last) + step * direction, direction)
        bend = 0.0 if found is None else float(abs(found.tangent @ direction))
        if found is None or bend < 0.8:
            step *= 0.5
            if step < _FINEST:
                return
            continue
        direction = np.sign(found.tangent @ direction) * found.tangent
        cut = found.edge >= max(curve.most, last.edge)
        still = abs(found.strength / last.strength - 1) < 1e-7
        last = found
        curve.marks.append(last)
        if bend > 0.97:
            step = min(1.5 * step, _LONGEST)
        best = min(mark.strength for mark in curve.marks)
        # towards small means the curve ends at the threshold of the unordered state
        if (still and last.mean < start.mean) or last.strength > strongest * best:
            return
        if not start.mean * _SMALLEST < last.mean < start.mean * _LARGEST:
            return
        if cut:
            return


def _between(curve: Curve, low: Mark, high: Mark, share: float) -> Mark | None:
    """The point of the curve beside a point of the chord of two marks."""
    first, second = curve.place(low), curve.place(high)
    chord = second - first
    length = float(np.linalg.norm(chord))
    # a cubic through both ends along their tangents
    a, b = (np.sign(m.tangent @ chord) * m.tangent * length for m in (low, high))
    s = share
    guess = (
        (2 * s**3 - 3 * s**2 + 1) * first
        + (s**3 - 2 * s**2 + s) * a
        + (3 * s**2 - 2 * s**3) * second
        + (s**3 - s**2) * b
    )
    return corrected(curve, guess, chord / length)


def _start(curve: Curve) -> Mark | None:
    """A point of the curve, from scans over frequencies at drives that unlock no cell."""
    field_map = curve.field_map
    radius = field_map.radius()
    for factor in (0.7, 1.0, 0.5, 1.4, 2.0, 0.35, 2.8):
        x = np.array([factor * curve.unit * radius], dtype=complex)
        spread = np.sinh(np.linspace(-5.0, 5.0, 41)) / np.sinh(5.0)
        grid = field_map.turning(x) + 6 * factor * curve.unit * spread
        marks = _crossings(curve, x, grid)
        if marks:
            return max(marks, key=lambda mark: mark.mean)
    return None


def _crossings(curve: Curve, x: np.ndarray, grid: np.ndarray) -> list[Mark]:
    """Points of the curve with a given field, between frequencies of a grid."""

    def mean(w: float) -> complex:
        return complex(curve.field_map.image(x, w, False).means[0])

    means = np.array([mean(w) for w in grid])
    grid, means = _peaks(mean, grid, means)
    angle = np.angle(means)
    crosses = (angle[:-1] * angle[1:] <= 0) & (np.abs(angle[:-1] - angle[1:]) < np.pi)
    found = []
    for k in np.flatnonzero(crosses):
        share = angle[k] / (angle[k] - angle[k + 1])
        size = abs(means[k]) + share * (abs(means[k + 1]) - abs(means[k]))
        nu = grid[k] + share * (grid[k + 1] - grid[k])
        guess = np.array([np.log(size), np.log(x[0].real), nu / curve.unit])
        mark = corrected(curve, guess, np.array([0.0, 1.0, 0.0]))
        if mark is not None:
            found.append(mark)
    return found


def _peaks(
    mean: Callable[[float], complex], grid: np.ndarray, means: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The grid with the places added where the phase comes closest to zero between its points."""
    from scipy.optimize import minimize_scalar

    angle = np.abs(np.angle(means))
    places, values = list(grid), list(means)
    for k in range(1, len(grid) - 1):
        if angle[k] > 0.5 or angle[k] > min(angle[k - 1], angle[k + 1]):
            continue
        sign = np.sign(np.angle(means[k]))
        best = minimize_scalar(
            lambda w, sign=sign: sign * np.angle(mean(float(w))),
            bounds=(float(grid[k - 1]), float(grid[k + 1])),
            method="bounded",
            options={"maxiter": 14},
        )
        places.append(float(best.x))
        values.append(mean(float(best.x)))
    order = np.argsort(places)
    return np.array(places)[order], np.array(values)[order]


def _refine(curve: Curve) -> None:
    r"""The place of the fold, where $d\ln\eta/ds$ vanishes beside the smallest eta."""
    from scipy.optimize import brentq

    marks = curve.marks
    k = int(np.argmin([mark.strength for mark in marks]))
    if not 0 < k < len(marks) - 1:
        return
    other = k + 1 if marks[k].climb < 0 else k - 1
    low, high = marks[min(k, other)], marks[max(k, other)]
    seen = {0.0: low, 1.0: high}

    def climb(share: float) -> float:
        if share not in seen:
            found = _between(curve, low, high, share)
            if found is None:
                raise not_found()
            seen[share] = found
        return seen[share].climb

    if climb(0.0) < 0 < climb(1.0):
        with suppress(SolveError):
            brentq(climb, 0.0, 1.0, xtol=_FOLD)
    marks[k] = min(seen.values(), key=lambda mark: mark.strength)


def _as_far_as(curve: Curve, strength: float) -> list[Mark]:
    """The marks of as many legs as are needed to reach a strength."""
    for leg in range(_MOST):
        if leg == len(curve.ends):
            marks = curve.marks
            if curve.cut or len(marks) < 2 or marks[-2].strength >= marks[-1].strength:
                break
            along = curve.place(marks[-1]) - curve.place(marks[-2])
            tangent = marks[-1].tangent
            _follow(curve, np.sign(tangent @ along) * tangent, _STRONGEST ** (leg + 1))
            if len(marks) == curve.ends[-1]:
                break
            curve.ends.append(len(marks))
        found = curve.marks[: curve.ends[leg]]
        if found and found[-1].strength >= strength:
            return found
    return curve.marks


def crossing(curve: Curve, ratio: float) -> Mark | None:
    """The state with the largest mean at which eta is the given ratio."""
    from scipy.optimize import brentq

    marks = _as_far_as(curve, ratio)
    for k in range(len(marks) - 2, -1, -1):
        low, high = marks[k], marks[k + 1]
        if (low.strength - ratio) * (high.strength - ratio) > 0:
            continue
        seen = {0.0: low, 1.0: high}

        def miss(
            share: float, low: Any = low, high: Any = high, seen: Any = seen
        ) -> float:
            if share not in seen:
                found = _between(curve, low, high, share)
                if found is None:
                    raise not_found()
                seen[share] = found
            return float(np.log(seen[share].strength / ratio))

        brentq(miss, 0.0, 1.0, xtol=1e-3)
        return min(seen.values(), key=lambda mark: abs(mark.strength - ratio))
    return None
