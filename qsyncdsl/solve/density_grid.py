r"""The Fokker-Planck equation with its diffusion taken as 0 where it is negative, on a polar grid.

Finite volumes in the radius, harmonics in the angle, $W = \sum_m w_m(r)e^{im\varphi}$. With the tensor
$T_{rr}, T_{\varphi\varphi} = \tfrac14(D \pm \mathrm{Re}\,S')$, $T_{r\varphi} = \tfrac14\mathrm{Im}\,S'$,
$S' = Se^{-2i\varphi}$, its negative eigenvalue removed, the currents are

$$ rJ_r = rA_rW - \partial_r(rT_{rr}W) - \partial_\varphi(T_{r\varphi}W) + T_{\varphi\varphi}W , \quad
   J_\varphi = A_\varphi W - \tfrac1r\partial_\varphi(T_{\varphi\varphi}W)
   - \tfrac1r\partial_r(rT_{r\varphi}W) - \tfrac1rT_{r\varphi}W . $$

What leaves a cell enters the next: probability is conserved to rounding. The radial flux is fitted
exponentially (Scharfetter, Gummel, IEEE Trans. Electron Devices 16, 64 (1969)): upwind where there is
no diffusion, angle by angle. Cells are small beside the circles where the diffusion begins, where W may diverge.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp

from qsyncdsl.result import RadialDensity
from qsyncdsl.solve.density_equation import DensityEquation, Terms, evaluated

# Share of the cells inside a circle without diffusion, and powers of the graded grids.
_INSIDE = 0.25
_POWER, _BEND = 3, 0.6
# Cells beside such a circle in which W is taken as a power.
_NEAR = 40
# Angles at which the tensor is looked at, for each harmonic kept.
_ANGLES = 8
# Harmonics below this part of the largest are zero.
_SMALL = 1e-13

# Harmonics of a function of the angle: for each k its values over the radius.
Harmonics = dict[int, np.ndarray]


@dataclass(frozen=True)
class Grid:
    """Cells between radii (the first is 0), and harmonics -M .. M."""

    faces: np.ndarray
    orders: int

    @property
    def cells(self) -> int:
        """Number of cells."""
        return len(self.faces) - 1

    @cached_property
    def centers(self) -> np.ndarray:
        """Middles of the cells."""
        return (self.faces[1:] + self.faces[:-1]) / 2

    @cached_property
    def volumes(self) -> np.ndarray:
        r"""$\int r\,dr$ of the cells."""
        return np.asarray(self.faces[1:] ** 2 - self.faces[:-1] ** 2) / 2

    @cached_property
    def trace(self) -> np.ndarray:
        """The row that gives the integral from the unknowns."""
        row = np.zeros((2 * self.orders + 1) * self.cells)
        row[: self.cells] = 2 * np.pi * self.volumes
        return row

    def moment(self, p: int, q: int) -> np.ndarray:
        r"""The row that gives $E\,\alpha^{*p}\alpha^q$ from the unknowns."""
        row = np.zeros((2 * self.orders + 1) * self.cells, dtype=complex)
        m = abs(p - q)
        if m > self.orders:
            return row
        part = 2 * np.pi * self.volumes * self.centers ** (p + q)
        first = self.cells * (2 * m - 1) if m else 0
        row[first : first + self.cells] = part
        if m:
            sign = 1j if p > q else -1j
            row[first + self.cells : first + 2 * self.cells] = sign * part
        return row

    def density(self, y: np.ndarray) -> RadialDensity:
        """The harmonics at the middles of the cells."""
        parts = y.reshape(2 * self.orders + 1, self.cells)
        found = np.empty((self.orders + 1, self.cells), dtype=complex)
        found[0] = parts[0]
        found[1:] = parts[1::2] + 1j * parts[2::2]
        return RadialDensity(self.centers, self.volumes, found)

    # ── operators ────────────────────────────────────────────────────────────────────────────

    def generator(self, equation: DensityEquation) -> Any:
        """The real matrix that acts on (w_0, Re w_1, Im w_1, ...): flows into the cells."""
        flux, angular = self._currents(equation)
        difference = sp.diags_array(
            [-np.ones(self.cells), np.ones(self.cells)],
            offsets=[0, 1],
            shape=(self.cells, self.cells + 1),
        )
        lengths = sp.diags_array(np.diff(self.faces))
        orders = np.arange(-self.orders, self.orders + 1)
        total = None
        beside = self._beside(equation)
        for k in sorted(flux.keys() | angular.keys()):
            shift = sp.eye_array(len(orders), k=-k)
            for block, turn in ((flux.get(k), 0), (angular.get(k), 1)):
                for power, matrix in (block or {}).items():
                    radial = lengths @ matrix if turn else difference @ matrix
                    # each turn to the left is one d/dphi of the current, the others of W
                    left = sp.diags_array((1j * orders) ** turn)
                    right = sp.diags_array((1j * orders) ** power)
                    piece = sp.kron(left @ shift @ right, -radial, "csr")
                    if beside is not None and not turn:
                        piece = piece @ beside
                    total = piece if total is None else total + piece
        to, back = self._form
        found = sp.csr_array((back @ (total @ to)).real)
        found.eliminate_zeros()
        return found

    def _beside(self, equation: DensityEquation) -> Any:
        r"""From means over cells to values in their middle, beside circles where the noise begins.

        With a drift out of the circle at all angles $W \propto \rho^{\beta - 1}$ at a small distance
        $\rho$, $\beta(\varphi) = A_r/T'$: for small $\beta$ most of a cell is at its edge. None where W
        is smooth.
        """
        angles = np.linspace(
            0, 2 * np.pi, _ANGLES * max(self.orders, 2), endpoint=False
        )
        noisy = equation.noise(self.centers)[1] > 0
        ratio = np.ones((self.cells, len(angles)))
        for edge in (int(k) + 1 for k in np.flatnonzero(noisy[1:] & ~noisy[:-1])):
            start = self.faces[edge]
            drift = evaluated(equation.drift, start * np.exp(1j * angles))
            drift = (drift * np.exp(-1j * angles)).real
            step = 1e-4 * start
            slope = float(_clipped(equation, np.array([start + step]))[0]) / (4 * step)
            if drift.min() <= 0 or slope <= 0:
                continue
            beta = drift / slope
            near = np.arange(edge, min(edge + _NEAR, self.cells))
            a = (self.faces[near] - start)[:, None]
            b = (self.faces[near + 1] - start)[:, None]
            mean = (b**beta - a**beta) / (beta * (b - a))
            ratio[near] = ((a + b) / 2) ** (beta - 1) / mean
        if np.all(ratio == 1.0):
            return None
        orders = 2 * self.orders + 1
        return sum(
            sp.kron(sp.eye_array(orders, k=-k), sp.diags_array(values), "csr")
            for k, values in self._harmonics(ratio).items()
        )

    @cached_property
    def _form(self) -> tuple[Any, Any]:
        """From the real unknowns to w_m, m = -M .. M, and back."""
        count, one = self.orders, sp.eye_array(self.cells)
        rows, columns, values = [count], [0], [1.0 + 0j]
        for m in range(1, count + 1):
            re, im = 2 * m - 1, 2 * m
            rows += [count + m, count + m, count - m, count - m]
            columns += [re, im, re, im]
            values += [1.0, 1j, 1.0, -1j]
        size = 2 * count + 1
        small = sp.csr_array((values, (rows, columns)), shape=(size, size))
        half = sp.diags_array(np.r_[1.0, np.full(2 * count, 0.5)])
        return sp.kron(small, one, "csr"), sp.kron(half @ small.conj().T, one, "csr")

    def _currents(
        self, equation: DensityEquation
    ) -> tuple[dict[int, dict[int, Any]], dict[int, dict[int, Any]]]:
        """Matrices of r J_r at the faces and of J_phi in the cells.

        By the harmonic they multiply with, and by the number of derivatives d/dphi of W.
        """
        inside = self.faces[1:-1]
        tangential = _drift(equation.drift, self.centers)[1]
        tensor = self._tensor(equation, self.centers)
        plain = tensor[0].get(0, np.zeros(self.cells)).real
        left, right = self._sides
        average = 0.5 * (left + right)
        steps = np.diff(self.centers)
        slope = sp.diags_array(inside / steps) @ (right - left)
        flux: dict[int, dict[int, Any]] = {}
        angular: dict[int, dict[int, Any]] = {}
        smooth = self._fitted(equation, plain, flux)
        entering = self._upwind(equation, plain, flux)
        for k, values in tangential.items():
            _put(angular, k, 0, sp.diags_array(values))
        both = sp.diags_array(smooth.astype(float)) @ average
        slope = sp.diags_array(smooth.astype(float)) @ slope
        for k, values in tensor[0].items():
            t = sp.diags_array(values)
            _put(flux, k, 0, self._padded(-(slope @ t) - both @ t))
        for k, share in entering.items():
            t = sp.diags_array(share * inside / steps) @ (right - left)
            _put(flux, k, 0, self._padded(-(t @ sp.diags_array(plain))))
        for k, values in tensor[1].items():
            t = sp.diags_array(values)
            _put(flux, k, 0, self._padded(both @ t))
            over = sp.diags_array(values / self.centers)
            _put(angular, k, 1, -over)
            if k:
                _put(angular, k, 0, -1j * k * over)
        for k, values in tensor[2].items():
            t = sp.diags_array(values)
            _put(flux, k, 1, self._padded(-(both @ t)))
            if k:
                _put(flux, k, 0, self._padded(-1j * k * (both @ t)))
            faces = self._padded(average @ t)
            change = sp.diags_array(
                [-np.ones(self.cells), np.ones(self.cells)],
                offsets=[0, 1],
                shape=(self.cells, self.cells + 1),
            )
            slopes = sp.diags_array(1 / np.diff(self.faces)) @ change @ faces
            _put(angular, k, 0, -slopes - 2 * sp.diags_array(values / self.centers))
        return flux, angular

    @cached_property
    def _sides(self) -> tuple[Any, Any]:
        """The cells on both sides of the inner faces."""
        n = self.cells
        return (
            sp.eye_array(n - 1, n, k=0, format="csr"),
            sp.eye_array(n - 1, n, k=1, format="csr"),
        )

    def _padded(self, matrix: Any) -> Any:
        """Fluxes at all faces: nothing passes the first and the last one."""
        empty = sp.csr_array((1, self.cells))
        return sp.vstack([empty, matrix, empty], format="csr")

    def _fitted(
        self, equation: DensityEquation, t: np.ndarray, flux: dict[int, dict[int, Any]]
    ) -> np.ndarray:
        r"""Add the drift through faces with diffusion on both sides; which faces these are.

        The weight of the inner cell is $\theta = 1 + 1/(e^P - 1) - 1/P$, $P = \int A_r/T\,dr$ between the
        middles of the cells with the mean drift over the angles. Where a drift that depends on the
        angle is stronger than the diffusion of a cell it gets as much viscosity as it needs.
        """
        nodes = np.array([-np.sqrt(0.6), 0.0, np.sqrt(0.6)])
        shares = np.array([5, 8, 5]) / 18
        a, b = self.centers[:-1], self.centers[1:]
        r = (a + b)[:, None] / 2 + (b - a)[:, None] / 2 * nodes
        drift = equation.radial(r.ravel()).reshape(r.shape)
        diffusion = _clipped(equation, r.ravel()).reshape(r.shape) / 4
        smooth = (t[:-1] > 0) & (t[1:] > 0)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            peclet = (drift / diffusion) @ shares * (b - a)
            peclet = np.where(np.isnan(peclet), 0.0, np.clip(peclet, -500, 500))
            theta = 1 + 1 / np.expm1(peclet) - 1 / peclet
        theta = np.where(np.abs(peclet) < 1e-4, 0.5 + peclet / 12, theta)
        left, right = self._sides
        upwind = sp.diags_array(theta) @ left + sp.diags_array(1 - theta) @ right
        inside = self.faces[1:-1]
        radial = _drift(equation.drift, inside)[0]
        for k, values in radial.items():
            factor = sp.diags_array(inside * values * smooth)
            _put(flux, k, 0, self._padded(factor @ upwind))
        mean = np.abs(radial.get(0, np.zeros_like(inside)))
        pushed = sum((np.abs(v) for k, v in radial.items() if k), np.zeros_like(inside))
        skew = np.abs(theta - 0.5)
        needed = np.maximum(
            (pushed - mean) * (0.5 + skew), (pushed + mean) * (0.5 - skew)
        )
        viscosity = np.maximum(needed * (b - a) - (t[1:] + t[:-1]) / 2, 0.0)
        viscosity *= smooth * (pushed > 0)
        if viscosity.any():
            slope = sp.diags_array(viscosity * inside / (b - a)) @ (right - left)
            _put(flux, 0, 0, self._padded(-slope))
        return smooth

    def _upwind(
        self, equation: DensityEquation, t: np.ndarray, flux: dict[int, dict[int, Any]]
    ) -> Harmonics:
        """Add the drift through the other faces, from the side it comes from at each angle.

        Returns the share of a face through which noise on one side reaches the other one: out of a
        circle without noise nothing comes back in.
        """
        inner, outer = t[:-1] > 0, t[1:] > 0
        bare = ~(inner & outer)
        if not bare.any():
            return {}
        inside = self.faces[1:-1]
        angles = np.linspace(
            0, 2 * np.pi, _ANGLES * max(self.orders, 2), endpoint=False
        )
        drift = np.zeros((len(inside), len(angles)))
        drift[bare] = (
            evaluated(equation.drift, inside[bare, None] * np.exp(1j * angles))
            * np.exp(-1j * angles)
        ).real
        left, right = self._sides
        for side, part in ((left, np.maximum(drift, 0)), (right, np.minimum(drift, 0))):
            for k, values in self._harmonics(part).items():
                _put(flux, k, 0, self._padded(sp.diags_array(inside * values) @ side))
        mixed = (inner ^ outer)[:, None]
        into = np.where(inner[:, None], drift > 0, drift < 0) & mixed
        return self._harmonics(into.astype(float)) if into.any() else {}

    def _tensor(
        self, equation: DensityEquation, r: np.ndarray
    ) -> tuple[Harmonics, Harmonics, Harmonics]:
        """Harmonics of T_rr, T_phiphi and T_rphi at radii."""
        if all(p == q for p, q, _ in equation.diffusion) and not equation.squeezing:
            t = _clipped(equation, r) / 4
            return {0: t}, {0: t}, {}
        angles = np.linspace(
            0, 2 * np.pi, _ANGLES * max(self.orders, 2), endpoint=False
        )
        alpha = r[:, None] * np.exp(1j * angles)
        d, s = _positive(
            evaluated(equation.diffusion, alpha).real,
            evaluated(equation.squeezing, alpha),
        )
        turned = s * np.exp(-2j * angles)
        return (
            self._harmonics((d + turned.real) / 4),
            self._harmonics((d - turned.real) / 4),
            self._harmonics(turned.imag / 4),
        )

    def _harmonics(self, values: np.ndarray) -> Harmonics:
        found = np.fft.fft(values, axis=1) / values.shape[1]
        largest = np.abs(found).max(initial=0.0)
        most = min(2 * self.orders, values.shape[1] // 2 - 1)
        return {
            k: found[:, k]
            for k in range(-most, most + 1)
            if np.abs(found[:, k]).max() > _SMALL * largest
        }


def faces(equation: DensityEquation, count: int, extent: float = 0.0) -> np.ndarray:
    """Radii between cells, fine beside the circles where the diffusion changes its sign."""
    far = extent or equation.extent
    r = np.linspace(0.0, far, 4001)
    d = equation.noise(r)[1]
    changes = np.flatnonzero((d[1:] > 0) != (d[:-1] > 0))
    marks = [0.0, *(_change(equation, r[k], r[k + 1]) for k in changes), far]
    pieces = []
    for number, (low, high) in enumerate(pairwise(marks)):
        share = (high - low) / far if len(marks) < 3 else _INSIDE
        middle = (low + high) / 2
        noisy = float(np.interp(middle, r, d)) > 0
        n = max(int(count * (share if not noisy else 1 - _INSIDE)), 8)
        s = np.linspace(0.0, 1.0, n + 1)
        starts, ends = number > 0, number < len(marks) - 2
        if not noisy:
            s = 1 - (1 - s) ** 2 if ends else s**2
        elif starts and ends:
            s = _graded(2 * s) / 2 * (s <= 0.5) + (1 - _graded(2 - 2 * s) / 2) * (
                s > 0.5
            )
        elif starts:
            s = _graded(s)
        elif ends:
            s = 1 - _graded(1 - s)
        pieces.append((low + (high - low) * s)[:-1])
    return np.append(np.concatenate(pieces), far)


def _change(equation: DensityEquation, low: float, high: float) -> float:
    """Where the diffusion changes its sign."""
    from scipy.optimize import brentq

    def least(r: float) -> float:
        return float(equation.noise(np.array([r]))[1][0])

    return float(brentq(least, low, high, xtol=1e-15, rtol=1e-15))


def _graded(s: np.ndarray) -> np.ndarray:
    """Steps that grow from zero like a power, and are even beyond the bend."""
    s = np.clip(s, 0.0, 1.0)
    slope = _POWER * _BEND ** (_POWER - 1)
    end = _BEND**_POWER + slope * (1 - _BEND)
    return np.asarray(
        np.where(s < _BEND, s**_POWER, _BEND**_POWER + slope * (s - _BEND)) / end
    )


def _clipped(equation: DensityEquation, r: np.ndarray) -> np.ndarray:
    """D averaged over the angles, negative values taken as 0."""
    return np.maximum(equation.noise(r)[0], 0.0)


def _positive(d: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """D and S of the diffusion matrix without its negative eigenvalues (D ± |S|)/2."""
    size = np.abs(s)
    more, less = np.maximum(d + size, 0.0), np.maximum(d - size, 0.0)
    unit = s / np.where(size > 0, size, 1.0)
    return (more + less) / 2, unit * (more - less) / 2


def _drift(terms: Terms, r: np.ndarray) -> tuple[Harmonics, Harmonics]:
    """Harmonics of the radial and the tangential drift at radii."""
    radial: Harmonics = {}
    tangential: Harmonics = {}
    for (p, q, _), value in terms.items():
        size = r ** (p + q)
        turn = q - p - 1
        for k, c, sign in ((turn, value, 1), (-turn, np.conj(value), -1)):
            radial[k] = radial.get(k, 0) + c * size / 2
            tangential[k] = tangential.get(k, 0) + sign * c * size / 2j
    return radial, tangential


def _put(table: dict[int, dict[int, Any]], k: int, power: int, matrix: Any) -> None:
    mine = table.setdefault(k, {})
    mine[power] = mine[power] + matrix if power in mine else matrix
