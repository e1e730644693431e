"""What is kept of state vectors along trajectories: only what measures ask for.

No matrix of the whole space is ever made unless a measure needs the state of all its parts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from qsyncdsl.algebra.circle import husimi_grid, husimi_of_vectors, packets
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.model.rotors import Place
from qsyncdsl.problem import LindbladProblem, Request, Stretch
from qsyncdsl.result import Blocks, Part
from qsyncdsl.solve.moving_records import MovingOperator
from qsyncdsl.solve.pairwise import Pairwise

# Bytes of all records together.
_ROOM = 1 << 30
# Diagonals of an operator up to which its mean is taken diagonal by diagonal.
_DIAGONALS = 16


@dataclass(frozen=True)
class Shape:
    """The frame of all records of a run.

    Attributes:
        grain: Realizations that are averaged together, a power of 2: the blocks errors are found from.
        blocks: Block of each realization, or of each time where there is only one realization.
        by_time: Whether blocks are blocks of time.
    """

    parts: tuple[Part, ...]
    realizations: int
    times: int
    series: bool
    grain: int
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


# Blocks at most, and parts of the time of a single run.
_BLOCKS, _PARTS = 32, 10


def shape_of(
    parts: tuple[Part, ...], realizations: int, times: int, series: bool
) -> Shape:
    """The frame of a run: up to 32 blocks of realizations, or 10 of the time of a single one."""
    by_time = realizations == 1 and not series
    grain = 1
    while realizations > _BLOCKS * grain:
        grain *= 2
    if by_time:
        count = min(_PARTS, times)
        blocks = np.arange(times) * count // times
    else:
        blocks = np.arange(realizations) // grain
    return Shape(parts, realizations, times, series, grain, blocks, by_time)


@dataclass(frozen=True)
class Edges:
    """Populations of the levels of every mode along some states.

    Attributes:
        levels: Their sums over the states, for each part.
        largest: The largest population of a highest level, for each part.
        states: Number of states.
    """

    parts: tuple[Part, ...]
    levels: tuple[np.ndarray, ...]
    largest: tuple[float, ...]
    states: int

    def __add__(self, other: Edges) -> Edges:
        """Those of both."""
        pairs = zip(self.levels, other.levels, strict=True)
        return Edges(
            self.parts,
            tuple(a + b for a, b in pairs),
            tuple(map(max, self.largest, other.largest)),
            self.states + other.states,
        )


class Records:
    """Collects what is asked for from the states of one realization after the other."""

    def __init__(
        self,
        shape: Shape,
        requests: Iterable[Request],
        pulled: LindbladProblem | None = None,
    ) -> None:
        self.shape = shape
        self.entries: dict[Request, Any] = {
            r: MovingOperator(shape.times, r, pulled)
            if pulled is not None and r.kind == "operator"
            else _entry(shape, r)
            for r in dict.fromkeys(requests)
        }
        self.edges = Pairwise()
        self._restart()

    def _restart(self) -> None:
        dims = self.shape.dims
        self._levels = [np.zeros(size) for size in dims]
        self._largest = [0.0] * len(dims)
        self._states = 0

    def add(
        self, place: int, states: np.ndarray, where: tuple[Place, ...] | None = None
    ) -> None:
        """States (n, D), normalized, of the realization at the times `place` and on.

        Args:
            where: Their windows, where windows move.
        """
        for entry in self.entries.values():
            if isinstance(entry, MovingOperator):
                assert where is not None
                entry.add(place, states, where)
            elif isinstance(entry, _Husimi):
                entry.where = where
                entry.add(place, states)
            else:
                entry.add(place, states)
        self._watch(states)

    def close(self, realization: int) -> None:
        """The realization is finished."""
        for entry in self.entries.values():
            entry.close(realization)
        found = Edges(
            self.shape.parts, tuple(self._levels), tuple(self._largest), self._states
        )
        self.edges.add(realization, 1, found)
        self._restart()

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything as arrays by name: `record 0`, ...; `levels 0`, ..., `largest`."""
        found = {
            f"record {k}": entry.array()
            for k, entry in enumerate(self.entries.values())
        }
        (edges,) = self.edges.sums()
        found |= {f"levels {k}": levels for k, levels in enumerate(edges.levels)}
        found["largest"] = np.array(edges.largest)
        return found

    def _watch(self, states: np.ndarray) -> None:
        """Populations of the levels of every mode, and the largest one of a highest level."""
        dims = self.shape.dims
        populations = (states.real**2 + states.imag**2).reshape(len(states), *dims)
        for axis, part in enumerate(self.shape.parts):
            if part.kind not in ("boson", "rotor"):
                continue
            others = tuple(k + 1 for k in range(len(dims)) if k != axis)
            each = populations.sum(axis=others)
            self._levels[axis] += each.sum(axis=0)
            top = each[:, -1] if part.kind == "boson" else each[:, -1] + each[:, 0]
            self._largest[axis] = max(self._largest[axis], float(top.max()))
        self._states += len(states)


def edges_of(shape: Shape, stretch: Stretch) -> Edges:
    """The populations that a stretch has recorded."""
    arrays = stretch.arrays
    levels = tuple(arrays[f"levels {k}"] for k in range(len(shape.parts)))
    largest = tuple(arrays["largest"].tolist())
    return Edges(shape.parts, levels, largest, stretch.size * shape.times)


def recorded(
    shape: Shape, request: Request, number: int, stretches: Sequence[Stretch]
) -> Any:
    """What all stretches recorded of a request: values (R, T) of an operator, else `Blocks`."""
    found = [(s, s.arrays[f"record {number}"]) for s in stretches]
    if request.kind == "operator":
        return np.concatenate([array for _, array in found])
    if shape.by_time:
        return Blocks(found[0][1], np.bincount(shape.blocks).astype(float))
    total = Pairwise(shape.grain)
    for stretch, sums in found:
        size = stretch.size // len(sums)
        for k, value in enumerate(sums):
            total.add(stretch.first + k * size, size, value)
    weights = np.bincount(shape.blocks).astype(float)
    states = np.ones(shape.times) if shape.series else shape.times
    weights = np.multiply.outer(weights, states)
    return Blocks(np.array(total.sums()), weights)


def refuse_large(shape: Shape, requests: list[Request]) -> None:
    """E512 before anything is allocated that does not fit."""
    total = 0.0
    worst, label = 0.0, ""
    times = shape.times if shape.series else 1
    for request in requests:
        if request.kind == "operator":
            size, name = 16.0 * shape.realizations * shape.times, "mean values"
        elif request.kind == "husimi":
            key: Any = request.key
            part, points = key[0], key[2]
            size = 16.0 * points**2 * shape.count * times
            name = f"the Husimi function of {shape.parts[part].label}"
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
    kinds = {
        "operator": _Operator, "reduced": _Reduced, "phase": _Phase, "husimi": _Husimi
    }  # fmt: skip
    return kinds[request.kind](shape, request)


class _Operator:
    """<psi|O|psi> of every state."""

    def __init__(self, shape: Shape, request: Request) -> None:
        self.found: list[np.ndarray] = []
        self.values = np.zeros(shape.times, dtype=complex)
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

    def add(self, place: int, states: np.ndarray) -> None:
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
        self.values[place : place + len(states)] = found

    def close(self, realization: int) -> None:
        """The realization is finished."""
        self.found.append(self.values.copy())

    def array(self) -> np.ndarray:
        """Shape (n, T) for n realizations."""
        return np.array(self.found)


class _Averaged(ABC):
    """Sums over the states of each block."""

    def __init__(self, shape: Shape, inner: tuple[int, ...]) -> None:
        self.shape = shape
        outer: tuple[int, ...] = (shape.times,) if shape.series else ()
        if shape.by_time:
            outer = (shape.count,)
        self.sums = np.zeros((*outer, *inner), dtype=complex)
        self.blocks = Pairwise(shape.grain)

    def add(self, place: int, states: np.ndarray) -> None:
        """The states of one realization, in order of time."""
        shape = self.shape
        each = np.arange(len(states))
        if shape.series:
            for k in each:
                self.sums[place + k] = self.chosen(states, each[k : k + 1])
        elif shape.by_time:
            blocks = shape.blocks[place : place + len(states)]
            for block in np.unique(blocks):
                self.sums[block] += self.chosen(states, each[blocks == block])
        else:
            self.sums += self.total(states)

    def chosen(self, states: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The sum over some of the states."""
        return self.total(states[rows])

    def close(self, realization: int) -> None:
        """The realization is finished."""
        if self.shape.by_time:
            return
        self.blocks.add(realization, 1, self.sums)
        self.sums = np.zeros_like(self.sums)

    @abstractmethod
    def total(self, states: np.ndarray) -> np.ndarray:
        """The sum over some states."""

    def array(self) -> np.ndarray:
        """Sums of the blocks, or of the part of one that was done."""
        return self.sums if self.shape.by_time else np.array(self.blocks.sums())


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
        found = np.empty(min(dims[a], dims[b]), dtype=complex)
        for k in range(len(found)):
            upper, lower = tensor[k:, : dims[b] - k], tensor[: dims[a] - k, k:]
            found[k] = np.vdot(lower, upper)
        return found


class _Husimi(_Averaged):
    """The Husimi function of a rotor, each state in its own window and at its own quasi-momentum."""

    def __init__(self, shape: Shape, request: Request) -> None:
        key: Any = request.key
        part, extent, points, hbar = key
        self.part, self.points, self.hbar = int(part), int(points), float(hbar)
        super().__init__(shape, (self.points, self.points))
        self.x, self.p = husimi_grid(extent, self.points)
        self.where: tuple[Place, ...] | None = None

    def chosen(self, states: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The sum over some of the states."""
        assert self.where is not None
        dims, part = self.shape.dims, self.part
        size = dims[part]
        total = np.zeros((self.points, self.points), dtype=complex)
        for row in rows.tolist():
            place = self.where[row]
            first = place.centers[part] - size // 2
            momenta = self.hbar * (first + np.arange(size) + place.beta[part])
            packet = packets(self.p, momenta, self.hbar)
            state = np.moveaxis(states[row].reshape(dims), part, 0).reshape(size, -1)
            total += husimi_of_vectors(state, self.x, packet, first, self.hbar)
        return total

    def total(self, states: np.ndarray) -> np.ndarray:
        """The sum over all states."""
        return self.chosen(states, np.arange(len(states)))
