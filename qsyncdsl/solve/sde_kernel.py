"""The compiled kernel of stochastic equations of fields, with the numbers of one point."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import FieldProblem
from qsyncdsl.solve.field_kicks import FieldKicks
from qsyncdsl.solve.fields import Numbers
from qsyncdsl.solve.kernels import kernel_source, loaded
from qsyncdsl.solve.kick_times import intervals

# The step is chosen so that (fastest rate) x dt is this; a run that leaves twice the value behind
# is begun again with half the step.
ACCURACY = {1: 0.01, 2: 0.08}
# Bytes of saved fields that one call of the kernel returns at most.
_CHUNK = 16 << 20
_CHECKS = 24
# Bytes of fields and noises that a run may need.
_ROOM = 4 << 30


class TooFast(Exception):
    """The step is too long for what the fields have become."""

    def __init__(self, step: float) -> None:
        self.step = step


class Kernel:
    """The compiled kernel with the numbers of one point and room to work in."""

    def __init__(
        self, problem: FieldProblem, values: Numbers, lanes: int, weak: bool, order: int
    ) -> None:
        self.problem = problem
        self.values = values
        self.lanes = lanes
        self.order = order
        self.noisy = problem.noisy
        source = kernel_source(problem, lanes, order if weak else 0)
        self._call, self._drift = loaded(source, "run"), loaded(source, "drift")
        shape = (problem.count, lanes)
        room = 8 * lanes * 10 * problem.count
        if room > _ROOM:
            raise SolveError(
                Diagnostic(
                    "E512",
                    f"{problem.count} fields in {lanes} lanes need {room / 2**30:.1f} GB",
                    help="fewer realizations need fewer lanes",
                )
            )
        self._room = tuple(np.zeros(shape) for _ in range(8))
        self.tables = problem.tables or (np.zeros((1, 1), dtype=np.int64),)
        self._baths = values.baths or (np.zeros((1, 1)),)
        self.kicks = FieldKicks(problem, values, lanes) if problem.kicks else None
        self.clipped = self.steps = 0

    def run(
        self,
        start: np.ndarray,
        state: np.ndarray,
        times: np.ndarray,
        longest: float,
        watch: bool,
        coarser: int = 1,
    ) -> Iterator[tuple[Any, np.ndarray]]:
        """Advance through `times`; yields positions in them with the fields there.

        Args:
            watch: Whether to stop, by `TooFast`, when the fields have become faster.
            coarser: How many steps are taken as one, with the mean of their noises.
        """
        xr = np.ascontiguousarray(start.real)
        xi = np.ascontiguousarray(start.imag)
        self.clipped = self.steps = 0
        if times[0] <= 0:
            yield slice(0, 1), start[:, :, None]
        first = int(times[0] <= 0)
        if self.kicks is None:
            stretches = [(0.0, slice(first, len(times)), float(times[-1]))]
        else:
            stretches = intervals(times, self.kicks.times(float(times[-1])))
        checked = 0
        for begin, places, end in stretches:
            if self.kicks is not None:
                self.kicks.apply(xr, xi, begin)
            now, size = begin, xr.size
            chosen = times[places]
            for place, gap, saves in _pieces(chosen, begin, end, longest, size):
                stride, dt = _steps(gap, longest)
                found = self._chunk(
                    xr, xi, state, now, dt * coarser, stride // coarser, saves, coarser
                )
                now += gap * saves
                if place is None:
                    continue
                now = float(chosen[place + saves - 1])
                done = places.start + place
                yield slice(done, done + saves), np.moveaxis(found, 0, -1)
                if watch and done + saves >= checked * len(times) / _CHECKS:
                    checked += 1
                    rate = self.rate(xr + 1j * xi)
                    if rate * longest > 2 * ACCURACY[self.order]:
                        raise TooFast(ACCURACY[self.order] / rate)

    def _chunk(
        self,
        xr: np.ndarray,
        xi: np.ndarray,
        state: np.ndarray,
        now: float,
        dt: float,
        stride: int,
        saves: int,
        halves: int,
    ) -> np.ndarray:
        count = stride * saves
        values = self.values
        moving = values.moving
        rows = count + 1 if moving else 1
        c = (
            np.array([values.at(now + m * dt) for m in range(rows)])
            if moving
            else values.c[None]
        )
        out = np.empty((2, saves, *xr.shape))
        saved, clipped, reached = self._call(
            xr, xi, state,
            np.ascontiguousarray(c.real), np.ascontiguousarray(c.imag),
            np.ascontiguousarray(values.w.real), np.ascontiguousarray(values.w.imag),
            self.tables, self._baths, dt, count, stride, halves, self.order, moving,
            out[0], out[1], self._room,
        )  # fmt: skip
        self.clipped += int(clipped)
        self.steps += count
        if saved < saves or not np.isfinite(xr).all() or not np.isfinite(xi).all():
            time = now + reached * dt
            row = int(np.argwhere(~np.isfinite(xr + xi))[0][0])
            raise SolveError(
                Diagnostic(
                    "E513",
                    f"'{_label(self.problem, row)}' left the real numbers near t = {time:.4g} (step {dt:.3g})",
                    help="is the model stable? else choose a smaller dt",
                )
            )
        return out[0] + 1j * out[1]

    def rate(self, x: np.ndarray) -> float:
        """The fastest rate at some fields: the norm of the Jacobian, by power iteration."""
        drift = self.drift
        rng = np.random.default_rng(0)
        base = drift(x)
        v = rng.standard_normal(x.shape) + 1j * rng.standard_normal(x.shape)
        best = 1e-12
        size = 1.0 + float(np.abs(x).max())
        for _ in range(12):
            norm = np.linalg.norm(v, axis=0)
            v = v / np.where(norm > 0, norm, 1.0)
            step = 1e-6 * size
            v = (drift(x + step * v) - base) / step
            best = max(best, float(np.linalg.norm(v, axis=0).max()))
        return best

    def drift(self, x: np.ndarray) -> np.ndarray:
        """The drift at fields of shape (F, lanes)."""
        values = self.values
        dr, di = np.empty(x.shape), np.empty(x.shape)
        self._drift(
            np.ascontiguousarray(values.c.real), np.ascontiguousarray(values.c.imag),
            np.ascontiguousarray(values.w.real), np.ascontiguousarray(values.w.imag),
            self.tables, np.ascontiguousarray(x.real), np.ascontiguousarray(x.imag), dr, di,
        )  # fmt: skip
        return dr + 1j * di


def _steps(gap: float, longest: float) -> tuple[int, float]:
    """How many steps make a gap, and their length."""
    stride = max(int(np.ceil(gap / longest - 1e-9)), 1)
    # always even, so that a run with twice the step meets the same noise
    stride += stride % 2
    return stride, gap / stride


def _pieces(
    times: np.ndarray, begin: float, end: float, longest: float, size: int
) -> Iterator[tuple[int | None, float, int]]:
    """Calls of the kernel: the place of the first time, the gap before it, and how many equal gaps.

    The last one, if the end is no such time, has no place.
    """
    now, place = begin, 0
    uniform = _uniform(times)
    while place < len(times):
        gap = times[place] - now
        saves = 1
        if (uniform and place > 0) or (
            uniform and abs(gap - _spacing(times)) < 1e-9 * gap
        ):
            stride, _ = _steps(gap, longest)
            saves = max(min(_CHUNK // (16 * size), len(times) - place), 1)
            saves = max(min(saves, 200_000 // stride), 1)
        yield place, gap, saves
        place += saves
        now = float(times[place - 1])
    if end - now > 1e-9 * (end - begin):
        yield None, end - now, 1


def _uniform(times: np.ndarray) -> bool:
    gaps = np.diff(times)
    return len(gaps) == 0 or bool(np.ptp(gaps) <= 1e-9 * gaps.max())


def _spacing(times: np.ndarray) -> float:
    return float(times[1] - times[0]) if len(times) > 1 else float("inf")


def _label(problem: FieldProblem, row: int) -> str:
    for family in problem.families:
        if family.offset <= row < family.offset + family.size:
            site = row - family.offset + 1
            return f"{family.label}[{site}]" if family.shape else family.label
    return str(row)
