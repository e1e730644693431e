"""What is kept of state vectors along trajectories: only what measures ask for.

No matrix of the whole space is ever made unless a measure needs the state of all its parts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import Request
from qsyncdsl.result import Blocks, Part

# Bytes of all records together.
_ROOM = 1 << 30
# Diagonals of an operator up to which its mean is taken diagonal by diagonal.
_DIAGONALS = 16


@dataclass(frozen=True)
class Shape:
    """The frame of all records of a run.

    Attributes:
        blocks: Block of each realization, or of each time where there is only one realization.
        by_time: Whether blocks are blocks of time.
    """

    parts: tuple[Part, ...]
    realizations: int
    times: int
    series: bool
    blocks: np.ndarray
    by_time: bool

    @property
    def dims(self) -> tuple[int, ...]:
        """Dimensions of the factors."""
        return tuple(part.dimension for part in self.parts)

    @property
    def count(self) -> int:
        """Number of blocks."""
        return int(self.blocks.max()) + 1


class Records:
    """Collects what is asked for from the states of a run, chunk by chunk."""

    def __init__(self, shape: Shape, requests: Iterable[Request]) -> None:
        self.shape = shape
        wanted = list(dict.fromkeys(requests))
        refuse_large(shape, wanted)
        self.entries: dict[Request, Any] = {r: _entry(shape, r) for r in wanted}
        self.levels = [np.zeros(size) for size in shape.dims]
        self.largest = np.zeros(len(shape.dims))
        self.states = 0

    def add(self, realization: int, first: int, states: np.ndarray) -> None:
        """States (n, D), normalized, of a realization at the times `first` and on."""
        for entry in self.entries.values():
            entry.add(realization, first, states)
        self._watch(states)

    def result(self, request: Request) -> Any:
        """What was recorded for a request."""
        return self.entries[request].result()

    def _watch(self, states: np.ndarray) -> None:
        """Populations of the levels of every mode, and the largest one of a highest level."""
        dims = self.shape.dims
        populations = (states.real**2 + states.imag**2).reshape(len(states), *dims)
        for axis, part in enumerate(self.shape.parts):
            if part.kind not in ("boson", "rotor"):
                continue
            others = tuple(k + 1 for k in range(len(dims)) if k != axis)
            each = populations.sum(axis=others)
            self.levels[axis] += each.sum(axis=0)
            top = each[:, -1] if part.kind == "boson" else each[:, -1] + each[:, 0]
            self.largest[axis] = max(self.largest[axis], top.max())
        self.states += len(states)


def refuse_large(shape: Shape, requests: list[Request]) -> None:
    """E512 before anything is allocated that does not fit."""
    total = 0.0
    worst, label = 0.0, ""
    times = shape.times if shape.series else 1
    for request in requests:
        if request.kind == "operator":
            size, name = 16.0 * shape.realizations * shape.times, "mean values"
        else:
            dims = [shape.parts[k].dimension for k in request.key]  # type: ignore[attr-defined]
            labels = ", ".join(shape.parts[k].label for k in request.key)  # type: ignore[attr-defined]
            cells = float(prod(dims)) ** 2 if request.kind == "reduced" else min(dims)
            size = 16.0 * cells * shape.count * times
            name = f"the density matrix of {labels} ({prod(dims)} states)"
        total += size
        if size > worst:
            worst, label = size, name
    if total > _ROOM:
        message = (
            f"records along trajectories need {total / 2**30:.1f} GB, most for {label}"
        )
        raise SolveError(
            Diagnostic(
                "E512",
                message,
                help="ask for fewer times, or for measures of fewer modes (at most 1 GB is used)",
            )
        )


def _entry(shape: Shape, request: Request) -> Any:
    kinds = {"operator": _Operator, "reduced": _Reduced, "phase": _Phase}
    return kinds[request.kind](shape, request)


class _Operator:
    """<psi|O|psi> of every state."""

    def __init__(self, shape: Shape, request: Request) -> None:
        self.values = np.zeros((shape.realizations, shape.times), dtype=complex)
        entries = request.matrix.tocoo()
        rows, columns = entries.coords
        offsets = columns.astype(np.int64) - rows
        self.matrix = None
        self.bands: list[tuple[int, int, int, np.ndarray]] = []
        distinct = np.unique(offsets)
        if len(distinct) > _DIAGONALS:
            self.matrix = request.matrix.tocsr()
            return
        for offset in distinct.tolist():
            inside = offsets == offset
            first, last = int(rows[inside].min()), int(rows[inside].max()) + 1
            band = np.zeros(last - first, dtype=complex)
            band[rows[inside] - first] = entries.data[inside]
            values = band if np.any(band.imag) else band.real
            self.bands.append((offset, first, last, values))

    def add(self, realization: int, first: int, states: np.ndarray) -> None:
        """The means of some states."""
        found = np.zeros(len(states), dtype=complex)
        if self.matrix is not None:
            found = np.einsum("nm,mn->n", states.conj(), self.matrix @ states.T)
        for offset, low, high, band in self.bands:
            left = states[:, low:high]
            if offset == 0:
                found += (left.real**2 + left.imag**2) @ band
            else:
                right = states[:, low + offset : high + offset]
                found += np.einsum("nm,nm->n", left.conj() * band, right)
        self.values[realization, first : first + len(states)] = found

    def result(self) -> np.ndarray:
        """Shape (R, T)."""
        return self.values


class _Averaged:
    """Sums over the states of each block."""

    def __init__(self, shape: Shape, inner: tuple[int, ...]) -> None:
        self.shape = shape
        times = (shape.times,) if shape.series else ()
        self.sums = np.zeros((shape.count, *times, *inner), dtype=complex)
        self.weights = np.zeros((shape.count, *times))

    def add(self, realization: int, first: int, states: np.ndarray) -> None:
        """The states of one realization, in order of time."""
        shape = self.shape
        if shape.series:
            found = self.single(states)
            block = shape.blocks[0 if shape.by_time else realization]
            inside = slice(first, first + len(states))
            self.sums[block, inside] += found
            self.weights[block, inside] += 1
            return
        if not shape.by_time:
            block = shape.blocks[realization]
            self.sums[block] += self.total(states)
            self.weights[block] += len(states)
            return
        blocks = shape.blocks[first : first + len(states)]
        for block in np.unique(blocks):
            self.sums[block] += self.total(states[blocks == block])
            self.weights[block] += int((blocks == block).sum())

    def single(self, states: np.ndarray) -> np.ndarray:
        """One value for each state."""
        return np.array([self.total(state[None]) for state in states])

    def total(self, states: np.ndarray) -> np.ndarray:
        """The sum over some states."""
        raise NotImplementedError

    def result(self) -> Blocks:
        """Sums and numbers of states."""
        return Blocks(self.sums, self.weights)


class _Reduced(_Averaged):
    """Density matrix of some parts."""

    def __init__(self, shape: Shape, request: Request) -> None:
        self.kept: tuple[int, ...] = request.key  # type: ignore[assignment]
        self.size = prod(shape.dims[k] for k in self.kept)
        super().__init__(shape, (self.size, self.size))

    def total(self, states: np.ndarray) -> np.ndarray:
        """Sum of the partial traces."""
        dims = self.shape.dims
        rest = [k for k in range(len(dims)) if k not in self.kept]
        order = [1 + k for k in self.kept] + [0] + [1 + k for k in rest]
        tensor = states.reshape(len(states), *dims).transpose(order)
        flat = np.ascontiguousarray(tensor).reshape(self.size, -1)
        return np.asarray(flat @ flat.conj().T)


class _Phase(_Averaged):
    r"""$C_k = \sum\rho_{(n_a, n_b), (n_a - k, n_b + k)}$, k = 0 .. min(d_a, d_b) - 1."""

    def __init__(self, shape: Shape, request: Request) -> None:
        self.pair: tuple[int, int] = request.key  # type: ignore[assignment]
        super().__init__(shape, (min(shape.dims[k] for k in self.pair),))

    def total(self, states: np.ndarray) -> np.ndarray:
        """Sum of the moments."""
        dims = self.shape.dims
        a, b = self.pair
        rest = [k for k in range(len(dims)) if k not in self.pair]
        order = [1 + a, 1 + b, 0] + [1 + k for k in rest]
        tensor = states.reshape(len(states), *dims).transpose(order)
        tensor = np.ascontiguousarray(tensor).reshape(dims[a], dims[b], -1)
        found = np.empty(self.sums.shape[-1], dtype=complex)
        for k in range(len(found)):
            upper, lower = tensor[k:, : dims[b] - k], tensor[: dims[a] - k, k:]
            found[k] = np.vdot(lower, upper)
        return found
