r"""Stationary product states of broken U(1) symmetry: they turn at an unknown frequency.

With one complex field the ordered states lie on a curve: for a real mean r the two real equations
$\langle O\rangle(x, \nu) = r$ give $x(r)$ and $\nu(r)$, and the strength $\eta = x/r$ by which the
fields have to be multiplied. Its minima are folds: where no point has $\eta = 1$ there is no ordered state.
The curve is followed by its arc length in $(\ln r, \ln x, \nu)$ (H. B. Keller, in Applications of Bifurcation
Theory, Academic Press 1977), so that neither folds nor a saturating mean stop it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.solve.cells import CellEquations
from qsyncdsl.solve.field_map import TOLERANCE, FieldMap, Image, newton
from qsyncdsl.solve.selfconsistent import Stationary, angular_velocities, not_found


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
    """

    mean: float
    x: float
    nu: float
    tangent: np.ndarray = field(repr=False, compare=False)

    @property
    def strength(self) -> float:
        """eta."""
        return self.x / self.mean


@dataclass
class Curve:
    """The ordered states for all strengths of the fields, along the curve.

    It is followed in legs, each as far as its number says: what is found on it does not depend on what
    was looked for before.

    Attributes:
        field_map: With couplings of size 1.
        unit: Of frequencies.
        edge: That of the field map, at the smallest strength.
        ends: Marks at the end of each leg.
        most: Largest edge with which the curve is worth following.
        guess: A mark of the same curve with fewer coherences.
    """

    field_map: TurningMap
    unit: float
    marks: list[Mark] = field(default_factory=list)
    edge: float = 0.0
    ends: list[int] = field(default_factory=list)
    most: float = np.inf
    guess: Mark | None = None

    def place(self, mark: Mark) -> np.ndarray:
        """(ln r, ln x, nu/unit)."""
        return np.array([np.log(mark.mean), np.log(mark.x), mark.nu / self.unit])


# Coherences where they are cut off, in units of the largest unknown, from which on more are taken.
EDGE = 1e-8
# Curves by everything but the size of the couplings.
Curves = dict[Any, Curve]
# Arc length of the first step, of the longest and of the shortest one; steps to each side at most.
_STEP, _LONGEST, _FINEST, _MOST = 0.15, 0.8, 1e-4, 250
# How far the curve is followed, as multiples of the mean at its start.
_SMALLEST, _LARGEST = 1e-4, 1e3
# Multiple of the smallest strength at which a leg of the curve ends; the next goes as much further.
_STRONGEST = 4.0
# The same below a fold, on the branch of smaller means.
_BELOW = 1.3


def ordered(
    cells: CellEquations, curves: Curves, fewer: Curves | None = None
) -> tuple[Stationary | None, float]:
    """The state of broken U(1) symmetry with the largest amplitude, if there is one; and its edge.

    Args:
        fewer: The curves with fewer coherences, where they were too few.

    Raises:
        SolveError: E523 where there is not exactly one complex mean field.
    """
    if not len(cells.fields):
        return None, 0.0
    field_map = FieldMap(cells)
    if len(field_map.fields) != 1 or field_map.real[0]:
        raise SolveError(
            Diagnostic(
                "E523",
                f"the rotating branch of {len(field_map.fields)} different mean fields is not followed",
                help="solve meanfield(time = T) from a coherent initial state",
            )
        )
    a, b = field_map.strength_slopes(np.zeros(1, dtype=complex))
    direction = np.concatenate([a[:, 0], b[:, 0]])
    size = float(np.linalg.norm(direction))
    if size == 0:
        return None, 0.0
    found, edge = on_curve(field_map, curves, size, EDGE, fewer)
    if found is None:
        return None, edge
    _, nu, image, error = found
    frequency = angular_velocities(cells, nu)
    state = Stationary(cells, image.y, nu, frequency, error, "Newton, rotating frame")
    return state, edge


def on_curve(
    field_map: TurningMap,
    curves: Curves,
    size: float,
    most: float = np.inf,
    fewer: Curves | None = None,
) -> tuple[tuple[np.ndarray, float, Image, float] | None, float]:
    """The ordered state with the largest amplitude, as `newton` gives it, if there is one; and its edge.

    Args:
        size: Of the coupling of the one complex field.
        most: Largest edge of an answer; where it is larger none is looked for.
        fewer: The curves with fewer coherences, where they were too few.
    """
    alike, key = field_map.normalized(size)
    curve = curves.get(key)
    if curve is None:
        if len(curves) > 8:
            curves.clear()
        before = (fewer or {}).get(key)
        guess = min(before.marks, key=_strength, default=None) if before else None
        curve = curves[key] = Curve(alike, alike.fastest(), most=most, guess=guess)
        _trace(curve)
    mark = None if curve.edge >= curve.most else _crossing(curve, size)
    if mark is None:
        return None, curve.edge
    x = np.array([mark.x / size], dtype=complex)
    found = newton(field_map, x, mark.nu, True)
    return found, curve.edge if found is None else field_map.edge(found[2].y)


def _strength(mark: Mark) -> float:
    return mark.strength


def followed(
    cells: CellEquations, fields: np.ndarray, nu: float
) -> tuple[Stationary | None, float]:
    """The ordered state near given fields and frequency, if there is one; and its edge."""
    if np.abs(fields).max(initial=0.0) <= TOLERANCE:
        return None, 0.0
    field_map = FieldMap(cells)
    found = newton(field_map, fields.astype(complex), nu, True)
    if found is None or np.abs(found[0]).max() <= TOLERANCE:
        return None, 0.0
    _, nu, image, error = found
    frequency = angular_velocities(cells, nu)
    scheme = "Newton from the point before"
    state = Stationary(cells, image.y, nu, frequency, error, scheme)
    return state, field_map.edge(image.y)


def _corrected(curve: Curve, guess: np.ndarray, normal: np.ndarray) -> Mark | None:
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
            return Mark(float(mean), float(x), float(nu), tangent / max(length, 1e-300))
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


def _trace(curve: Curve) -> None:
    """Follow the curve from its start to both sides, and refine its fold."""
    start = _near(curve) or _start(curve)
    if start is None:
        return
    curve.marks, curve.ends = [start], [1]
    curve.edge = _edge(curve, start)
    if curve.edge >= curve.most:
        return
    rising = np.sign(start.tangent[0]) * start.tangent
    _follow(curve, -rising, _BELOW)
    curve.marks.reverse()
    _follow(curve, rising, _STRONGEST)
    _refine(curve)
    curve.ends = [len(curve.marks)]
    curve.edge = _edge(curve, min(curve.marks, key=_strength))


def _edge(curve: Curve, mark: Mark) -> float:
    """How large the coherences are where they are cut off."""
    image = curve.field_map.image(np.array([mark.x], dtype=complex), mark.nu, False)
    return curve.field_map.edge(image.y)


def _near(curve: Curve) -> Mark | None:
    """The point of the curve beside one of the curve with fewer coherences."""
    if curve.guess is None:
        return None
    return _corrected(curve, curve.place(curve.guess), np.array([0.0, 1.0, 0.0]))


def _follow(curve: Curve, direction: np.ndarray, strongest: float) -> None:
    """Append points until eta grows away or stands still, or there is no solution.

    Args:
        direction: Of the first step.
        strongest: Multiple of the smallest eta to go to.
    """
    start = last = curve.marks[-1]
    step = _STEP
    for _ in range(_MOST):
        found = _corrected(curve, curve.place(last) + step * direction, direction)
        bend = 0.0 if found is None else float(abs(found.tangent @ direction))
        if found is None or bend < 0.8:
            step *= 0.5
            if step < _FINEST:
                return
            continue
        direction = np.sign(found.tangent @ direction) * found.tangent
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
    return _corrected(curve, guess, chord / length)


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
        mark = _corrected(curve, guess, np.array([0.0, 1.0, 0.0]))
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
    """The place of the fold: the smallest eta inside the curve."""
    from scipy.optimize import minimize_scalar

    marks = curve.marks
    k = int(np.argmin([mark.strength for mark in marks]))
    if not 0 < k < len(marks) - 1:
        return
    known: dict[float, Mark] = {}

    def strength(share: float) -> float:
        found = _between(curve, marks[k - 1], marks[k + 1], float(share))
        if found is None:
            return 1e30
        known[float(share)] = found
        return found.strength

    minimize_scalar(
        strength, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-4}
    )
    if known:
        best = min(known.values(), key=lambda mark: mark.strength)
        if best.strength < marks[k].strength:
            marks[k] = best


def _as_far_as(curve: Curve, strength: float) -> list[Mark]:
    """The marks of as many legs as are needed to reach a strength."""
    for leg in range(_MOST):
        if leg == len(curve.ends):
            marks = curve.marks
            if len(marks) < 2 or marks[-2].strength >= marks[-1].strength:
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


def _crossing(curve: Curve, ratio: float) -> Mark | None:
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
