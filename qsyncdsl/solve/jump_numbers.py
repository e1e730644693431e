"""The arrays that the compiled evolution with quantum jumps takes, at one point."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import Point, TrajectoryProblem
from qsyncdsl.solve import coefficients
from qsyncdsl.solve.kernels import compiled, jump_source

# What is left out of the series of an exponential, at most.
TOLERANCE = 1e-9
# Bessel functions that one step may need; R tau is at most LONGEST.
_ROOM = 400
LONGEST = 40.0
_DENSE = 300


@dataclass(frozen=True)
class Spectrum:
    r"""Where the generator lies: $G = c + R\,X$ with $\|X\|$ about 1.

    Attributes:
        center: c.
        radius: R.
        growth: Largest growth of a Chebyshev polynomial from one order to the next.
        damping: Largest rate of all jumps together.
    """

    center: complex
    radius: float
    growth: float
    damping: float

    @property
    def numbers(self) -> np.ndarray:
        """As the kernel takes them."""
        return np.array(
            [
                self.center.real,
                self.center.imag,
                self.growth,
                TOLERANCE,
                max(self.damping, 1e-300),
            ]
        )


@dataclass(frozen=True)
class Table:
    """Coefficients on a uniform grid of times, shape (rows, 2 Q); one row if they are constant.

    The columns are pairs of real and imaginary parts: 1, the moving terms of the generator, the
    factors of the pieces of jumps, the rates.
    """

    values: np.ndarray
    start: float = 0.0
    spacing: float = 1.0


@dataclass(frozen=True)
class Numbers:
    """All arrays at one point."""

    layout: np.ndarray
    spectrum: Spectrum
    d: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    pieces: np.ndarray
    starts: np.ndarray
    places: np.ndarray
    entries: np.ndarray
    rates: np.ndarray
    channels: tuple[int, ...]
    source: str
    generator: sp.csr_array

    def function(self, name: str) -> Any:
        """A compiled function of the module."""
        return compiled(self.source, name)


class Coefficients:
    """The coefficients of the generator and of the jumps as functions of time at one point."""

    def __init__(self, problem: TrajectoryProblem, values: tuple[Any, ...]) -> None:
        self.problem = problem
        self.values = values
        self.fixed = coefficients.evaluate(problem.coefficients, values, 0.0)
        self.moving = bool(problem.coefficients.time_dependent)
        self.pieces: list[tuple[int, int | None, Any]] = []
        self.channels: list[int] = []
        dependent = problem.coefficients.time_dependent
        lindblad = problem.lindblad
        for k, channel in enumerate(lindblad.channels):
            if not channel.jump or (
                channel.rate not in dependent and self.fixed[channel.rate] == 0
            ):
                continue
            place = len(self.channels)
            self.channels.append(k)
            constant = [(f, m) for f, m in channel.jump if f not in dependent]
            if constant:
                matrix = sum(self.fixed[f] * lindblad.matrices[m] for f, m in constant)
                self.pieces.append((place, None, sp.csr_array(matrix)))
            for f, m in channel.jump:
                if f in dependent:
                    self.pieces.append((place, f, sp.csr_array(lindblad.matrices[m])))

    def row(self, time: float) -> np.ndarray:
        """The coefficients at a time, complex, in the order of the table."""
        f = self.fixed
        if self.moving:
            f = coefficients.evaluate(self.problem.coefficients, self.values, time)
        found = [1.0 + 0j]
        found += [product(term.factors, f) for term in self.problem.moving]
        found += [1.0 if place is None else f[place] for _, place, _ in self.pieces]
        rates = [f[self.problem.lindblad.channels[k].rate] for k in self.channels]
        for k, rate in zip(self.channels, rates, strict=True):
            if abs(rate.imag) > 1e-12 * abs(rate) or rate.real < 0:
                label = self.problem.lindblad.channels[k].label
                message = f"the rate of the dissipator {label} is {rate:.6g} at t = {time:.6g}"
                raise SolveError(
                    Diagnostic("E503", message, help="a rate is real and not negative")
                )
        row = np.array(found + rates)
        if not np.isfinite(row).all():
            message = f"a coefficient of the model is not finite at t = {time:.6g}"
            raise SolveError(Diagnostic("E507", message))
        return row

    def table(self, end: float, spacing: float) -> Table:
        """The coefficients from 0 to a time.

        Raises:
            SolveError: E503, E507, E512 (too many).
        """
        if not self.moving:
            return Table(_pairs([self.row(0.0)]))
        count = max(int(np.ceil(end / spacing)) + 3, 4)
        if count > 4_000_000:
            message = f"coefficients that depend on time are needed at {count} times"
            raise SolveError(
                Diagnostic("E512", message, help="shorten the run, or raise dt")
            )
        rows = [self.row((k - 1) * spacing) for k in range(count)]
        return Table(_pairs(rows), -spacing, spacing)


def product(factors: Sequence[int], f: np.ndarray) -> complex:
    """The product of coefficients; ~k is the conjugate of the k-th."""
    total = 1.0 + 0j
    for k in factors:
        total *= f[k] if k >= 0 else np.conj(f[~k])
    return complex(total)


def numbers(problem: TrajectoryProblem, point: Point, end: float) -> Numbers:
    """Evaluate everything that the kernel takes but the table of coefficients.

    Args:
        end: Time up to which coefficients that move are looked at for bounds.
    """
    at = Coefficients(problem, point.values)
    size = problem.dimension
    fixed = sp.csr_array((size, size), dtype=complex)
    for term in problem.fixed:
        value = product(term.factors, at.fixed)
        if value != 0:
            fixed = fixed + value * term.matrix
    spectrum = _spectrum(problem, at, fixed, end)
    groups = [
        sp.csr_array(
            (fixed - spectrum.center * sp.eye_array(size)) * (2 / spectrum.radius)
        )
    ]
    groups += [sp.csr_array(t.matrix * (2 / spectrum.radius)) for t in problem.moving]
    if problem.source:
        source, layout, d = _diagonals(problem, groups)
        rows, columns = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    else:
        source = jump_source("", problem.offsets == (0,))
        layout = np.array([size, size, 0, size])
        d, rows, columns = on_rows(groups)
    return Numbers(
        layout,
        spectrum,
        d,
        rows,
        columns,
        *_jumps(problem, at),
        tuple(at.channels),
        source,
        fixed,
    )


def _pairs(rows: list[np.ndarray]) -> np.ndarray:
    """Complex rows as alternating real and imaginary columns."""
    stack = np.array(rows, dtype=complex)
    return np.ascontiguousarray(stack.view(float).reshape(len(rows), -1))


def _spectrum(
    problem: TrajectoryProblem, at: Coefficients, fixed: Any, end: float
) -> Spectrum:
    """Bounds of the generator: of its Hermitian and its anti-Hermitian part."""
    hermitian = sp.csr_array(0.5j * (fixed - fixed.conj().T))
    damping = sp.csr_array(-(fixed + fixed.conj().T))
    low, high = _range(hermitian)
    most = float(abs(damping).sum(axis=1).max())
    half = (high - low) / 2
    if problem.moving:
        rows = np.array([at.row(t) for t in np.linspace(0, end, 257)])
        for column, term in enumerate(problem.moving, start=1):
            largest = 1.2 * float(np.abs(rows[:, column]).max())
            norm = np.sqrt(
                abs(term.matrix).sum(axis=0).max() * abs(term.matrix).sum(axis=1).max()
            )
            half += largest * norm
            if len(term.factors) > 1:  # of a jump, not of H
                most += 2 * largest * norm
    return _bounded(low, high, 1.01 * half, most)


def spectrum_of(generators: Sequence[sp.csr_array]) -> Spectrum:
    """Bounds of generators that hold at different times."""
    low, high, most = np.inf, -np.inf, 0.0
    for generator in generators:
        hermitian = sp.csr_array(0.5j * (generator - generator.conj().T))
        damping = sp.csr_array(-(generator + generator.conj().T))
        least, largest = _range(hermitian)
        low, high = min(low, least), max(high, largest)
        most = max(most, float(abs(damping).sum(axis=1).max()))
    return _bounded(low, high, 0.6 * (high - low), most)


def _bounded(low: float, high: float, half: float, most: float) -> Spectrum:
    """A disk about levels and rates."""
    radius = max(half, most / 4)
    radius = radius if radius > 0 else 1.0
    # the corner of the rectangle that holds the numerical range of X
    corner = complex(half / radius, most / 4 / radius)
    growth = abs(corner + np.sqrt(corner**2 - 1 + 0j))
    growth = max(growth, 1 / growth)
    return Spectrum(-most / 4 - 0.5j * (high + low), float(radius), float(growth), most)


def _range(matrix: sp.csr_array) -> tuple[float, float]:
    """The least and the largest eigenvalue of a Hermitian matrix, a little wider."""
    size = matrix.shape[0]
    diagonal = matrix.diagonal().real
    rest = abs(matrix).sum(axis=1) - np.abs(diagonal)
    low, high = float((diagonal - rest).min()), float((diagonal + rest).max())
    if not rest.any():
        return low, high
    if size <= _DENSE:
        levels = np.linalg.eigvalsh(matrix.toarray())
        return float(levels[0]), float(levels[-1])
    least, most = _lanczos(matrix)
    margin = 0.02 * (most - least)
    return max(low, least - margin), min(high, most + margin)


def _lanczos(matrix: sp.csr_array, steps: int = 60) -> tuple[float, float]:
    """The outermost Ritz values after some steps of Lanczos' recurrence."""
    rng = np.random.default_rng(0)
    here = rng.standard_normal(matrix.shape[0]) + 0j
    here /= np.linalg.norm(here)
    before, beta = np.zeros_like(here), 0.0
    diagonal, beside = [], []
    for _ in range(steps):
        ahead = matrix @ here - beta * before
        alpha = float(np.vdot(here, ahead).real)
        ahead = ahead - alpha * here
        beta = float(np.linalg.norm(ahead))
        diagonal.append(alpha)
        if beta < 1e-10 * (1 + abs(alpha)):
            break
        beside.append(beta)
        before, here = here, ahead / beta
    beside = beside[: len(diagonal) - 1]
    levels = np.linalg.eigvalsh(
        np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
    )
    return float(levels[0]), float(levels[-1])


def _diagonals(
    problem: TrajectoryProblem, groups: list[sp.csr_array]
) -> tuple[str, np.ndarray, np.ndarray]:
    """The values on the diagonals, and the source without those that vanish."""
    constant = dict(re.findall(r"^([A-Z]+) = (\d+)$", problem.source, re.MULTILINE))
    length, margin, row = (int(constant[n]) for n in ("LENGTH", "MARGIN", "ROW"))
    stride = int(constant["STRIDE"])
    offsets = np.array(problem.offsets)
    d = np.zeros((len(groups), len(offsets), 2, stride))
    for k, group in enumerate(groups):
        entries = group.tocoo()
        rows, columns = entries.coords
        place = np.searchsorted(offsets, columns.astype(np.int64) - rows)
        d[k, place, 0, rows] = entries.data.real
        d[k, place, 1, rows] = entries.data.imag
    empty = {str(k) for k in np.flatnonzero(~d.any(axis=3).reshape(-1)).tolist()}
    kept = [
        line
        for line in problem.source.splitlines(keepends=True)
        if "  # band " not in line or line.rsplit(" ", 1)[1].strip() not in empty
    ]
    layout = np.array([problem.dimension, length, margin, row])
    return jump_source("".join(kept)), layout, d.ravel()


def on_rows(groups: list[sp.csr_array]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All matrices on one pattern of rows."""
    pattern = sum(abs(group) for group in groups)
    pattern = sp.csr_array(pattern)
    pattern.sort_indices()
    size = pattern.shape[0]
    owner = np.repeat(np.arange(size), np.diff(pattern.indptr))
    keys = owner.astype(np.int64) * size + pattern.indices
    d = np.zeros((len(groups), 2, len(keys)))
    for k, group in enumerate(groups):
        entries = group.tocoo()
        rows, columns = entries.coords
        wanted = rows.astype(np.int64) * size + columns
        inside = np.isin(wanted, keys)
        place = np.searchsorted(keys, wanted[inside])
        d[k, 0, place] = entries.data[inside].real
        d[k, 1, place] = entries.data[inside].imag
    return d.ravel(), pattern.indptr.astype(np.int64), pattern.indices.astype(np.int64)


def _jumps(
    problem: TrajectoryProblem, at: Coefficients
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pieces (channel, column of the table), their rows, and the columns of the rates."""
    first = 1 + len(problem.moving)
    pieces = [
        (channel, first + k, matrix) for k, (channel, _, matrix) in enumerate(at.pieces)
    ]
    rates = first + len(at.pieces) + np.arange(len(at.channels))
    return (*jump_pieces(problem.dimension, pieces), rates.astype(np.int64))


def jump_pieces(
    size: int, listed: Sequence[tuple[int, int, sp.csr_array]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Matrices of jumps, each with its channel and its column of the table, as rows one after the other."""
    pieces = np.zeros((len(listed), 2), dtype=np.int64)
    starts = np.zeros((len(listed), size + 1), dtype=np.int64)
    places, entries = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=complex)]
    total = 0
    for k, (channel, column, matrix) in enumerate(listed):
        pieces[k] = channel, column
        starts[k] = matrix.indptr + total
        total += matrix.nnz
        places.append(matrix.indices.astype(np.int64))
        entries.append(matrix.data.astype(complex))
    joined = np.concatenate(entries)
    return (
        pieces,
        starts,
        np.concatenate(places),
        np.array([joined.real, joined.imag]),
    )
