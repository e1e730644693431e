r"""Stationary product states: mean fields that reproduce themselves.

For given fields x and frequency $\nu$ the cells are linear, $(\mathcal{L}_c(x) + i\nu[Q, \cdot])\rho_c = 0$;
Newton's method solves $\langle O\rangle(x, \nu) = x$ with derivatives from the same factorization. With a U(1)
symmetry and one complex field the states that break it lie on a curve: for a real mean r the two real
equations $\langle O\rangle(x, \nu) = r$ give $x(r)$ and $\nu(r)$, and the strength $\eta(r) = x/r$ by which the
fields have to be multiplied. Its minima are folds: where no r has $\eta = 1$ there is no ordered state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.solve.cells import CellEquations
from qsyncdsl.solve.polynomials import derivative

# Unknowns of a cell up to which its equations are solved densely.
_DENSE = 260
# Elements of the matrices of small cells that are kept at a time.
_CHUNK = 4_000_000
# Fields up to which their self-consistency is solved by Newton's method.
_FIELDS = 64
_TOLERANCE = 1e-11


@dataclass(frozen=True)
class Stationary:
    """A self-consistent state.

    Attributes:
        y: The unknowns.
        nu: Frequency at which it turns; 0 where it does not.
        frequency: For each kind the angular velocity of each part; None where nothing can turn.
        residual: Largest mismatch of a field, relative to the fields.
    """

    cells: CellEquations
    y: np.ndarray
    nu: float
    frequency: tuple[tuple[float, ...], ...] | None
    residual: float
    scheme: str


@dataclass(frozen=True)
class Image:
    """The stationary cells in given fields, and how their means respond.

    Attributes:
        y: The unknowns.
        means: Of the fields, shape (r,).
        slope: d means/d directions: (Re x, Im x) of each field, then nu; shape (r, 2r + 1).
    """

    y: np.ndarray
    means: np.ndarray
    slope: np.ndarray


class FieldMap:
    """The map from fields to the means that they produce."""

    def __init__(self, cells: CellEquations) -> None:
        self.cells = cells
        self.fields = cells.fields
        if len(self.fields) > _FIELDS:
            raise SolveError(
                Diagnostic(
                    "E520",
                    f"{len(self.fields)} different mean fields are too many for a stationary solution",
                    help="solve meanfield(time = T)",
                )
            )
        self.real = np.array(
            [cells.operators.hermitian(cells.look_at(int(p))[0]) for p in self.fields]
        )
        self._strengths = cells.polynomial()
        self._slopes = [
            derivative(self._strengths, cells.means, star) for star in (False, True)
        ]
        rotating = cells.problem.charges is not None
        kinds = range(len(cells.layouts))
        self.rotations = (
            [cells.operators.rotation(k) for k in kinds] if rotating else None
        )

    def strengths(self, x: np.ndarray) -> np.ndarray:
        """g for given fields."""
        return self._strengths.at(self._means(x))

    def _means(self, x: np.ndarray) -> np.ndarray:
        mu = np.zeros(self.cells.means, dtype=complex)
        mu[self.fields] = x
        return mu

    def strength_slopes(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """dg/dx and dg/dx*, shape (strengths, r)."""
        mu = self._means(x)
        a, b = (slope.at(mu)[:, self.fields] for slope in self._slopes)
        return a, b

    def radius(self) -> float:
        """The size of the first field's operator without fields."""
        cells = self.cells
        still = self.image(np.zeros(len(self.fields), dtype=complex), 0.0, False)
        look, _ = cells.look_at(int(self.fields[0]))
        kind, operator = cells.operators.looks[look]
        base = cells.operators.bases[kind]
        number = base.row(operator.conj().T @ operator) @ cells.vectors(still.y, kind)
        return float(np.sqrt(np.abs(number[0]).mean()))

    def fastest(self) -> float:
        """The largest static rate of change of the lowest coherences."""
        cells = self.cells
        g = cells.static.at(np.zeros(cells.means, dtype=complex))
        found = 0.0
        for (kind, _), first in zip(
            cells.operators.operators, cells.strength_place, strict=True
        ):
            mine = np.abs(g[first : first + len(cells.layouts[kind].members)])
            found += float(np.median(mine))
        return found

    def image(self, x: np.ndarray, nu: float, slopes: bool = True) -> Image:
        """Solve all classes of cells in given fields."""
        cells, r = self.cells, len(self.fields)
        g = self.strengths(x)
        directions = np.zeros((cells.strengths, 2 * r), dtype=complex)
        if slopes:
            a, b = self.strength_slopes(x)
            directions[:, :r], directions[:, r:] = a + b, 1j * (a - b)
        y = np.empty(cells.size)
        changes = np.zeros((cells.size, 2 * r + 1))
        for kind, layout in enumerate(cells.layouts):
            n, m = cells.operators.bases[kind].unknowns, len(layout.members)
            own = slice(layout.offset, layout.offset + n * m)
            found, slope = np.empty((n, m)), np.zeros((n, m, 2 * r + 1))
            if n <= _DENSE and m > 1:
                chunk = max(_CHUNK // n**2, 1)
                for first in range(0, m, chunk):
                    some = slice(first, min(first + chunk, m))
                    found[:, some], slope[:, some] = self._stack(
                        kind, some, g, directions, nu, slopes
                    )
            else:
                for column in range(m):
                    found[:, column], slope[:, column] = self._cell(
                        kind, column, g, directions, nu, slopes
                    )
            y[own] = found.reshape(-1)
            changes[own] = slope.reshape(n * m, -1)
        means = cells.mean_values(y)[self.fields]
        slope = np.zeros((r, 2 * r + 1), dtype=complex)
        if slopes:
            for k in range(2 * r + 1):
                slope[:, k] = cells.mean_values(changes[:, k])[self.fields]
        return Image(y, means, slope)

    def _stack(
        self,
        kind: int,
        some: slice,
        g: np.ndarray,
        directions: np.ndarray,
        nu: float,
        slopes: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Many small classes at once: states, shape (n, m), and changes, shape (n, m, directions)."""
        cells = self.cells
        operators = cells.operators
        base = operators.bases[kind]
        n, m = base.unknowns, some.stop - some.start
        count = directions.shape[1] + 1
        matrices = np.zeros((m, n, n))
        if self.rotations is not None and nu:
            matrices += nu * self.rotations[kind].toarray()
        own = [k for k, (other, _, _) in enumerate(operators.real) if other == kind]
        for k in own:
            first = cells.strength_place[k]
            strength = g[first + some.start : first + some.stop]
            for values, matrix in (
                (strength.real, operators.real[k][1]),
                (-strength.imag, operators.real[k][2]),
            ):
                if values.any() and matrix.nnz:
                    entries = matrix.tocoo()
                    rows, columns = entries.coords
                    matrices[:, rows, columns] += values[:, None] * entries.data
        matrices[:, 0] = 0.0
        matrices[:, 0, base.form.populations] = 1.0
        if not slopes:
            right = np.zeros((m, n, 1))
            right[:, 0] = 1.0
            return np.linalg.solve(matrices, right)[:, :, 0].T, np.zeros((n, m, count))
        inverse = np.linalg.inv(matrices)
        rho = inverse[:, :, 0].T
        forces = np.zeros((n, m, count))
        for k in own:
            first = cells.strength_place[k]
            row = directions[first + some.start : first + some.stop]
            if row.any():
                _, re, im = operators.real[k]
                forces[:, :, :-1] -= (re @ rho)[:, :, None] * row.real - (im @ rho)[
                    :, :, None
                ] * row.imag
        if self.rotations is not None:
            forces[:, :, -1] = -(self.rotations[kind] @ rho)
        forces[0] = 0.0
        changes = inverse @ forces.transpose(1, 0, 2)
        return rho, changes.transpose(1, 0, 2)

    def _cell(
        self,
        kind: int,
        column: int,
        g: np.ndarray,
        directions: np.ndarray,
        nu: float,
        slopes: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """One class: its state, and its change along each direction."""
        cells = self.cells
        operators = cells.operators
        matrix = cells.generator(kind, column, g)
        if self.rotations is not None and nu:
            matrix = matrix + nu * self.rotations[kind]
        solve = _solver(matrix, operators.bases[kind].form.populations)
        n = matrix.shape[0]
        right = np.zeros(n)
        right[0] = 1.0
        rho = solve(right)
        if not slopes:
            return rho, np.zeros((n, directions.shape[1] + 1))
        forces = np.zeros((n, directions.shape[1] + 1))
        for k, (other, re, im) in enumerate(operators.real):
            row = (
                directions[cells.strength_place[k] + column] if other == kind else None
            )
            if row is None or not row.any():
                continue
            forces[:, :-1] -= np.outer(re @ rho, row.real) - np.outer(
                im @ rho, row.imag
            )
        if self.rotations is not None:
            forces[:, -1] = -(self.rotations[kind] @ rho)
        forces[0] = 0.0
        used = np.flatnonzero(forces.any(axis=0))
        found = np.zeros_like(forces)
        for one in used:
            found[:, one] = solve(forces[:, one])
        return rho, found


def _solver(matrix: Any, populations: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Solutions of L x = b with a given trace in place of the first population's equation."""
    n = matrix.shape[0]
    if n <= _DENSE:
        dense = matrix.toarray()
        dense[0] = 0.0
        dense[0, populations] = 1.0
        factors = scipy.linalg.lu_factor(dense, check_finite=False)
        return lambda b: np.asarray(
            scipy.linalg.lu_solve(factors, b, check_finite=False)
        )
    keep = np.ones(n)
    keep[0] = 0.0
    trace = sp.csr_array(
        (
            np.ones(len(populations)),
            (np.zeros(len(populations), dtype=int), populations),
        ),
        shape=(n, n),
    )
    whole = sp.csc_array(sp.diags_array(keep) @ matrix + trace)
    # In a fast frame the turning is far larger than the decay: pivots beside the diagonal would fill
    # the factors. Every unknown decays, so that none are needed; one refinement mends the rounding.
    options = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0}
    try:
        factors = spla.splu(whole, options={"SymmetricMode": True}, **options)
    except RuntimeError:
        raise SolveError(
            Diagnostic("E504", "the stationary state of a cell is not unique")
        ) from None

    def solve(b: np.ndarray) -> np.ndarray:
        first = factors.solve(b)
        return np.asarray(first + factors.solve(b - whole @ first))

    return solve


# ── Newton ───────────────────────────────────────────────────────────────────────────────────


def newton(
    field_map: Any, x: np.ndarray, nu: float, turning: bool
) -> tuple[np.ndarray, float, Image, float] | None:
    """Fields and frequency that reproduce themselves, near a guess; None where it does not converge.

    While it turns, the phase of the largest field is kept.
    """
    r = len(x)
    scale = max(float(np.abs(x).max(initial=0.0)), 1e-3)
    free = [*range(r), *(r + k for k in range(r) if not field_map.real[k])]
    main = int(np.argmax(np.where(field_map.real, 0.0, np.abs(x)))) if r else 0
    image = field_map.image(x, nu)
    for _ in range(30):
        miss = image.means - x
        error = float(np.abs(miss).max(initial=0.0)) / scale
        if error < _TOLERANCE or not r:
            return x, nu, image, error
        slope = image.slope.copy()
        slope[:, :r] -= np.eye(r)
        slope[:, r : 2 * r] -= 1j * np.eye(r)
        columns = [*free, 2 * r] if turning else free
        matrix = np.concatenate([slope.real, slope.imag[~field_map.real]])[:, columns]
        right = -np.concatenate([miss.real, miss.imag[~field_map.real]])
        if turning:
            gauge = np.zeros(len(columns))
            unit = x[main] / abs(x[main])
            gauge[columns.index(main)], gauge[columns.index(r + main)] = (
                -unit.imag,
                unit.real,
            )
            matrix, right = np.vstack([matrix, gauge]), np.append(right, 0.0)
        step = np.linalg.lstsq(matrix, right, rcond=None)[0]
        full = np.zeros(2 * r + 1)
        full[columns] = step
        length = 1.0
        while True:
            trial = x + length * (full[:r] + 1j * full[r : 2 * r])
            turned = nu + length * full[-1]
            moved = field_map.image(trial, turned)
            now = float(np.abs(moved.means - trial).max()) / scale
            if now < error or length < 1e-3:
                break
            length *= 0.5
        if now >= error:
            return (x, nu, image, error) if error < 1e-8 else None
        x, nu, image = trial, turned, moved
    return None


# ── states that keep the symmetry ────────────────────────────────────────────────────────────


def unordered(cells: CellEquations) -> Stationary:
    """The stationary state that is reached from vanishing fields.

    Raises:
        SolveError: E520.
    """
    field_map = FieldMap(cells)
    x = np.zeros(len(field_map.fields), dtype=complex)
    still = field_map.image(x, 0.0, False)
    if np.abs(still.means).max(initial=0.0) < _TOLERANCE:
        frequency = _frequency(cells, 0.0)
        return Stationary(cells, still.y, 0.0, frequency, 0.0, "incoherent")
    found = newton(field_map, x, 0.0, False)
    if found is None:
        raise _not_found()
    _, _, image, error = found
    return Stationary(
        cells, image.y, 0.0, _frequency(cells, 0.0), error, "Newton, incoherent"
    )


def relaxed(
    cells: CellEquations,
    y: np.ndarray,
    integrated: Callable[[CellEquations, np.ndarray, np.ndarray], np.ndarray],
) -> Stationary:
    """The static state that the initial one runs into: evolution, then Newton's method.

    Raises:
        SolveError: E520 where the state goes on moving.
    """
    field_map = FieldMap(cells)
    span = 10.0
    for _ in range(9):
        y = integrated(cells, y, np.array([span]))[-1]
        x = cells.mean_values(y)[field_map.fields]
        found = newton(field_map, x, 0.0, False)
        if found is not None:
            _, _, image, error = found
            if np.abs(image.y - y).max() < 0.05:
                frequency = _frequency(cells, 0.0)
                return Stationary(
                    cells, image.y, 0.0, frequency, error, "evolution, Newton"
                )
        span *= 1.6
    raise _not_found()


def _not_found() -> SolveError:
    return SolveError(
        Diagnostic(
            "E520",
            "no stationary product state was found: it may oscillate",
            help="solve meanfield(time = T, window = [T1, T]), or start from another initial state",
        )
    )


def _frequency(cells: CellEquations, nu: float) -> tuple[tuple[float, ...], ...] | None:
    """The angular velocity of each part of each kind of cell."""
    charges = cells.problem.charges
    if charges is None:
        return None
    found = []
    for kind, charge in zip(cells.problem.kinds, charges, strict=True):
        table = charge.reshape([part.dimension for part in kind.parts])
        steps = []
        for axis in range(table.ndim):
            first = np.take(table, 1, axis=axis) - np.take(table, 0, axis=axis)
            steps.append(nu * float(first.flat[0]))
        found.append(tuple(steps))
    return tuple(found)


# ── ordered states ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of the curve: the mean r, the field x that produces it, the frequency."""

    mean: float
    x: float
    nu: float

    @property
    def strength(self) -> float:
        """eta."""
        return self.x / self.mean


@dataclass
class Curve:
    """The ordered states for all strengths of the fields, r ascending.

    Attributes:
        scale: Size of the couplings for which it was computed.
    """

    field_map: Any
    scale: float
    marks: list[Mark] = field(default_factory=list)


# Curves by everything but the size of the couplings.
Curves = dict[Any, Curve]
# Steps of the curve, and how far it is followed.
_STEP = 1.25
_FINEST = 1.002
_SMALLEST = 1e-4
_LARGEST = 1e3
# Multiple of the smallest strength at which the curve is left.
_STRONGEST = 15.0


def ordered(cells: CellEquations, curves: Curves) -> Stationary | None:
    """The state of broken U(1) symmetry with the largest amplitude; None if there is none.

    Raises:
        SolveError: E520 where there is not exactly one complex mean field.
    """
    if not len(cells.fields):
        return None
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
        return None
    static = field_map.strengths(np.zeros(1, dtype=complex))
    key = (
        np.round(static, 13).tobytes(),
        np.round(direction / size, 12).tobytes(),
        tuple(layout.class_of.tobytes() for layout in cells.layouts),
    )
    found = on_curve(field_map, curves, key, size)
    if found is None:
        return None
    _, nu, image, error = found
    frequency = _frequency(cells, nu)
    return Stationary(cells, image.y, nu, frequency, error, "Newton, rotating frame")


def on_curve(
    field_map: Any, curves: Curves, key: Any, size: float
) -> tuple[np.ndarray, float, Image, float] | None:
    """The ordered state with the largest amplitude, as `newton` gives it; None if there is none.

    Args:
        key: Everything but the size of the coupling of the one complex field.
    """
    curve = curves.get(key)
    if curve is None:
        if len(curves) > 8:
            curves.clear()
        curve = curves[key] = Curve(field_map, size)
        _trace(curve)
    ratio = size / curve.scale
    mark = _crossing(curve, ratio)
    if mark is None:
        return None
    return newton(field_map, np.array([mark.x / ratio], dtype=complex), mark.nu, True)


def turning_fields(found: Stationary) -> tuple[np.ndarray, float]:
    """The mean fields of a state, and the frequency at which they turn."""
    cells = found.cells
    return cells.mean_values(found.y)[cells.fields], found.nu


# Growth rates above this, in units of the largest frequency or rate, are an instability.
_UNSTABLE = 1e-6


def followed(
    cells: CellEquations, curves: Curves, fields: np.ndarray, nu: float
) -> Stationary:
    """The branch on which the point before was, where it is still there and stable; else the other.

    Raises:
        SolveError: E520 where nothing is found.
    """
    if np.abs(fields).max(initial=0.0) > _TOLERANCE:
        found = newton(FieldMap(cells), fields.astype(complex), nu, True)
        if found is not None and np.abs(found[0]).max() > _TOLERANCE:
            _, nu, image, error = found
            frequency = _frequency(cells, nu)
            scheme = "Newton from the point before"
            state = Stationary(cells, image.y, nu, frequency, error, scheme)
            if not _unstable(state):
                return state
    still = unordered(cells)
    return (ordered(cells, curves) or still) if _unstable(still) else still


def _unstable(found: Stationary) -> bool:
    """Whether a small perturbation grows."""
    from qsyncdsl.solve.stability import growth

    rate, frequency = growth(found)
    return rate > _UNSTABLE * (1.0 + abs(frequency) + abs(found.nu))


def _locked(curve: Curve, mean: float, x: float, nu: float) -> Mark | None:
    """The field and frequency that produce a real mean, near a guess (Newton's method)."""
    before = np.inf
    for _ in range(12):
        image = curve.field_map.image(np.array([x], dtype=complex), nu)
        miss = image.means[0] - mean
        if abs(miss) < 1e-9 * mean:
            return Mark(mean, float(x), float(nu))
        if abs(miss) > 3 * before:
            return None
        before = abs(miss)
        along, turn = image.slope[0, 0], image.slope[0, 2]
        matrix = np.array([[along.real, turn.real], [along.imag, turn.imag]])
        if abs(np.linalg.det(matrix)) < 1e-300:
            return None
        step = np.linalg.solve(matrix, [-miss.real, -miss.imag])
        x, nu = x + step[0], nu + step[1]
        if not (np.isfinite(x) and x > 0):
            return None
    return None


def _trace(curve: Curve) -> None:
    """Follow the curve from its start to both sides, and refine its fold."""
    start = _start(curve)
    if start is None:
        return
    curve.marks = [start]
    _follow(curve, start, 1 / _STEP)
    curve.marks.reverse()
    _follow(curve, start, _STEP)
    _refine(curve)


def _follow(curve: Curve, start: Mark, factor: float) -> None:
    """Append points until eta grows away or stands still, or there is no solution."""
    first = start.mean
    last, before = start, start
    while first * _SMALLEST < last.mean * factor < first * _LARGEST:
        guess = _extrapolated(before, last, last.mean * factor)
        found = _locked(curve, last.mean * factor, *guess)
        if found is None:
            factor = factor**0.5
            if abs(np.log(factor)) < np.log(_FINEST):
                return
            continue
        before, last = last, found
        curve.marks.append(last)
        best = min(mark.strength for mark in curve.marks)
        # towards small means the curve ends at the threshold of the unordered state
        still = abs(last.strength / before.strength - 1) < 1e-7
        if (factor < 1 and still) or last.strength > _STRONGEST * best:
            return


def _extrapolated(before: Mark, last: Mark, mean: float) -> tuple[float, float]:
    """Field and frequency at another mean, along the last step."""
    if before.mean == last.mean:
        return last.x * mean / last.mean, last.nu
    share = (mean - last.mean) / (last.mean - before.mean)
    growth = np.clip(share * np.log(last.x / before.x), -0.7, 0.7)
    return last.x * float(np.exp(growth)), last.nu + share * (last.nu - before.nu)


def _reached(
    curve: Curve, before: Mark, last: Mark, mean: float, depth: int = 7
) -> Mark | None:
    """The point with a given mean, from a near one in as many steps as it takes."""
    found = _locked(curve, mean, *_extrapolated(before, last, mean))
    if found is not None or depth == 0:
        return found
    middle = _reached(curve, before, last, (last.mean + mean) / 2, depth - 1)
    if middle is None:
        return None
    return _reached(curve, last, middle, mean, depth - 1)


def _start(curve: Curve) -> Mark | None:
    """A point of the curve, from a scan over frequencies at a drive that unlocks no cell."""
    field_map = curve.field_map
    radius, rate = field_map.radius(), field_map.fastest()
    for factor in (0.7, 1.0, 0.5, 1.4, 2.0, 0.35, 2.8):
        x = factor * rate * radius / curve.scale
        grid = 6 * factor * rate * np.sinh(np.linspace(-3.5, 3.5, 33)) / np.sinh(3.5)

        def mean(w: float, x: float = x) -> complex:
            return complex(
                field_map.image(np.array([x], dtype=complex), w, False).means[0]
            )

        means = np.array([mean(w) for w in grid])
        grid, means = _peaks(mean, grid, means)
        angle = np.angle(means)
        crosses = (angle[:-1] * angle[1:] <= 0) & (
            np.abs(angle[:-1] - angle[1:]) < np.pi
        )
        found = []
        for k in np.flatnonzero(crosses):
            share = angle[k] / (angle[k] - angle[k + 1])
            size = abs(means[k]) + share * (abs(means[k + 1]) - abs(means[k]))
            mark = _locked(
                curve, float(size), x, grid[k] + share * (grid[k + 1] - grid[k])
            )
            if mark is not None:
                found.append(mark)
        if found:
            return max(found, key=lambda mark: mark.mean)
    return None


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
    known = []

    def strength(mean: float) -> float:
        guess = _extrapolated(marks[k - 1], marks[k], float(mean))
        found = _locked(curve, float(mean), *guess)
        if found is None:
            return 1e30
        known.append(found)
        return found.strength

    minimize_scalar(
        strength, bounds=(marks[k - 1].mean, marks[k + 1].mean), method="bounded",
        options={"xatol": 1e-5 * marks[k].mean},
    )  # fmt: skip
    marks += known
    marks.sort(key=lambda mark: mark.mean)


def _crossing(curve: Curve, ratio: float) -> Mark | None:
    """The state with the largest mean at which eta is the given ratio."""
    from scipy.optimize import brentq

    marks = curve.marks
    for low, high in zip(marks[-2::-1], marks[:0:-1], strict=True):
        if (low.strength - ratio) * (high.strength - ratio) > 0:
            continue
        seen = [low, high]

        def miss(
            mean: float, low: Any = low, high: Any = high, seen: Any = seen
        ) -> float:
            near = sorted(seen, key=lambda other: abs(other.mean - mean))
            if near[0].mean == mean:
                return near[0].strength - ratio
            found = _reached(curve, near[1], near[0], mean)
            if found is None:
                raise _not_found()
            seen.append(found)
            return found.strength - ratio

        width = high.mean - low.mean
        if width > 0:
            brentq(miss, low.mean, high.mean, xtol=3e-3 * width, rtol=1e-5)
        # a search goes on near by: what it found is kept
        known = {mark.mean: mark for mark in (*marks, *seen)}
        curve.marks = [known[mean] for mean in sorted(known)]
        return min(seen, key=lambda mark: abs(mark.strength - ratio))
    return None
