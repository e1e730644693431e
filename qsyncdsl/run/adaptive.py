"""Adaptive sweeps: rounds of points where a measure bends, until straight lines are good enough."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np

from qsyncdsl.diagnostics import Diagnostic
from qsyncdsl.run.line import LineRun
from qsyncdsl.run.mesh import Mesh, Vertex
from qsyncdsl.run.point_results import PointResult

Index = tuple[int, ...]
# Points of one line beyond which no more are added.
_MOST = 200_000


class AdaptiveRun(LineRun):
    """One line whose points are chosen while it runs."""

    def compute(self, indices: Sequence[Index]) -> None:
        """Rounds of points; each is computed by all workers before the next is chosen."""
        self.done = 0
        for chosen in self._rounds():
            jobs = list(self.open_jobs(chosen))
            self.total = len(self._seen) * self.plan.draws
            self.done = self.total - len(jobs)
            self.tell()
            self.empty(self.queue(self.task(), jobs))
            if len(self._seen) > _MOST:
                self.workshop.warn(_too_many(self.line.label))
                return

    def _rounds(self) -> Iterator[list[Index]]:
        """The indices of each round; the values of one must be known before the next is asked for."""
        meshes = {fixed: self._mesh() for fixed in self._fixed()}
        new = {fixed: set(mesh.vertices) for fixed, mesh in meshes.items()}
        self._values: dict[Index, dict[str, np.ndarray]] = {}
        self._seen: set[Index] = set()
        while any(new.values()):
            chosen = sorted(
                self._index(fixed, vertex)
                for fixed, vertices in new.items()
                for vertex in vertices
            )
            self._seen.update(chosen)
            yield chosen
            new = {
                fixed: self._refined(fixed, mesh)
                for fixed, mesh in meshes.items()
                if new.get(fixed)
            }

    def _refined(self, fixed: Index, mesh: Mesh) -> set[Vertex]:
        """The new vertices of one mesh, for all criteria."""
        before = set(mesh.vertices)
        for name, tolerance in self.line.criteria:
            values = {}
            for vertex in before:
                value = self._value(self._index(fixed, vertex), name)
                if value is not None:
                    values[vertex] = value
            mesh.refine(_alike(values), tolerance)
        return mesh.vertices - before

    def _value(self, index: Index, name: str) -> np.ndarray | None:
        """A measure at a point as real numbers."""
        if index not in self._values:
            known = self.result(index).measures
            self._values[index] = {
                n: _real(known[n].values) for n, _ in self.line.criteria if n in known
            }
        return self._values[index].get(name)

    # ── places ───────────────────────────────────────────────────────────────────────────

    def _free(self) -> list[int]:
        """The axes along which points are added."""
        return [k for k, axis in enumerate(self.line.axes) if axis.stride > 1]

    def _fixed(self) -> Iterator[Index]:
        """Positions along cases and the other axes, 0 where a mesh has its own."""
        free = self._free()
        ranges = [range(len(self.plan.cases))]
        ranges += [
            range(1) if k in free else range(len(axis.values))
            for k, axis in enumerate(self.line.axes)
        ]
        return product(*ranges)

    def _mesh(self) -> Mesh:
        axes = [self.line.axes[k] for k in self._free()]
        sizes = tuple(len(axis.values) for axis in axes)
        return Mesh(sizes, tuple(axis.stride for axis in axes))

    def _index(self, fixed: Index, vertex: Vertex) -> Index:
        index = list(fixed)
        for k, position in zip(self._free(), vertex, strict=True):
            index[k + 1] = position
        return tuple(index)

    # ── what came out ────────────────────────────────────────────────────────────────────

    def _reached(self) -> tuple[set[Index], int]:
        """The points that are chosen already, and how many solves of them are missing."""
        missing = 0
        for chosen in self._rounds():
            missing = sum(1 for _ in self.open_jobs(chosen))
            if missing:
                break
        return self._seen, missing

    def count(self, indices: Sequence[Index]) -> tuple[int, int]:
        """How many solves are done, and how many are chosen so far."""
        seen, missing = self._reached()
        total = len(seen) * self.plan.draws
        return total - missing, total

    def results(self, indices: Sequence[Index]) -> list[PointResult]:
        """All points that were chosen, in order."""
        seen, _ = self._reached()
        return [self.result(index) for index in sorted(seen)]


def _real(values: np.ndarray) -> np.ndarray:
    """Real and imaginary parts, flat."""
    flat = np.atleast_1d(values).ravel()
    return (
        np.concatenate([flat.real, flat.imag]) if np.iscomplexobj(flat) else flat * 1.0
    )


def _alike(values: Mapping[Vertex, np.ndarray]) -> dict[Vertex, np.ndarray]:
    """Values of one shape: that of most numbers."""
    longest = max((len(v) for v in values.values()), default=0)
    return {k: v for k, v in values.items() if len(v) == longest}


def _too_many(label: str) -> Diagnostic:
    return Diagnostic(
        "W746",
        f"{label}: no more than {_MOST} points are added",
        help="a larger tolerance, or a smaller range",
    )
