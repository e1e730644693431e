r"""Meshes of simplices that become finer where a function bends.

A grid of positions in d dimensions is cut into simplices along the diagonals of its cells (Kuhn) and
refined by bisection (J. M. Maubach, SIAM J. Sci. Comput. 16, 210 (1995)): new points are midpoints of
edges, so that the same points come out whatever the order in which values arrive, and no edge is left
half cut. Nothing here knows what the function is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations, permutations, product

import numpy as np

Vertex = tuple[int, ...]
# Vertices in the order of bisection, and the position of the vertex that the first is joined with.
Simplex = tuple[tuple[Vertex, ...], int]


class Mesh:
    """Simplices over a grid of integer positions.

    Args:
        sizes: Number of positions along each axis.
        strides: Positions at multiples of these are the grid to begin with.
    """

    def __init__(self, sizes: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.strides = strides
        self.simplices = set(_kuhn(sizes, strides))
        marks = [range(0, n, s) for n, s in zip(sizes, strides, strict=True)]
        self.vertices: set[Vertex] = set(product(*marks))

    def refine(
        self, values: Mapping[Vertex, np.ndarray], tolerance: float
    ) -> set[Vertex]:
        """Bisect the simplices that are too coarse; the new vertices.

        Args:
            values: The function at the vertices, arrays of one shape; NaN where it has no value.
        """
        before = set(self.vertices)
        errors = self.errors(values)
        marked = [s for s, error in errors.items() if error > tolerance and _cut(s)]
        while marked:
            for simplex in marked:
                self._bisect(simplex)
            marked = [s for s in self.simplices if self._hanging(s)]
        return self.vertices - before

    def _bisect(self, simplex: Simplex) -> None:
        middle = _cut(simplex)
        assert middle is not None
        vertices, k = simplex
        after = k - 1 if k > 1 else len(vertices) - 1
        self.simplices.discard(simplex)
        self.simplices.add(((*vertices[:k], middle, *vertices[k + 1 :]), after))
        self.simplices.add(((*vertices[1 : k + 1], middle, *vertices[k + 1 :]), after))
        self.vertices.add(middle)

    def _hanging(self, simplex: Simplex) -> bool:
        """Whether an edge of a simplex was cut by a neighbor."""
        return any(
            (m := _middle(a, b)) is not None and m in self.vertices
            for a, b in combinations(simplex[0], 2)
        )

    def errors(self, values: Mapping[Vertex, np.ndarray]) -> dict[Simplex, float]:
        r"""How far linear interpolation in each simplex may be off.

        The linear function of a neighbor, continued to the vertex that it does not share, misses the
        value there by the jump of the slope times the height: a bend inside the simplex makes an
        error of at most a quarter of that. A simplex with a vertex without value has error 0.
        """
        known = [s for s in self.simplices if all(v in values for v in s[0])]
        known = [s for s in known if not any(np.isnan(values[v]).any() for v in s[0])]
        facets: dict[frozenset[Vertex], list[tuple[Simplex, Vertex]]] = {}
        for simplex in known:
            for vertex in simplex[0]:
                rest = frozenset(simplex[0]) - {vertex}
                facets.setdefault(rest, []).append((simplex, vertex))
        pairs = [
            (one, vertex, other)
            for sides in facets.values()
            if len(sides) == 2
            for (one, vertex), (other, _) in (sides, sides[::-1])
        ]
        found = dict.fromkeys(known, 0.0)
        if not pairs:
            return found
        misses = self._misses(pairs, values)
        for (simplex, _, _), miss in zip(pairs, misses, strict=True):
            found[simplex] = max(found[simplex], float(miss) / 4)
        return found

    def _misses(
        self,
        pairs: list[tuple[Simplex, Vertex, Simplex]],
        values: Mapping[Vertex, np.ndarray],
    ) -> np.ndarray:
        """|f - L| at the vertices of simplices, L the linear functions of their neighbors."""
        scale = np.array(self.strides, dtype=float)
        corners = np.array([other[0] for _, _, other in pairs]) / scale
        places = np.array([vertex for _, vertex, _ in pairs]) / scale
        edges = (corners[:, 1:] - corners[:, :1]).transpose(0, 2, 1)
        inner = np.linalg.solve(edges, (places - corners[:, 0])[..., None])[..., 0]
        weights = np.concatenate([1 - inner.sum(axis=1, keepdims=True), inner], axis=1)
        table = np.array([[values[v] for v in other[0]] for _, _, other in pairs])
        table = table.reshape(*weights.shape, -1)
        there = np.array([values[vertex] for _, vertex, _ in pairs])
        linear = np.einsum("pk,pkm->pm", weights, table)
        return np.abs(there.reshape(len(pairs), -1) - linear).max(axis=1)


def _kuhn(sizes: tuple[int, ...], strides: tuple[int, ...]) -> Iterable[Simplex]:
    """Every cell of the grid cut along its diagonals: a simplex for each order of the axes."""
    count = len(sizes)
    cells = [range(0, n - s, s) for n, s in zip(sizes, strides, strict=True)]
    for corner in product(*cells):
        for order in permutations(range(count)):
            path, here = [corner], list(corner)
            for axis in order:
                here[axis] += strides[axis]
                path.append(tuple(here))
            yield tuple(path), count


def _middle(a: Vertex, b: Vertex) -> Vertex | None:
    """The position halfway, if there is one."""
    if any((x + y) % 2 for x, y in zip(a, b, strict=True)):
        return None
    return tuple((x + y) // 2 for x, y in zip(a, b, strict=True))


def _cut(simplex: Simplex) -> Vertex | None:
    """Where a simplex would be bisected; None for the finest."""
    vertices, k = simplex
    return _middle(vertices[0], vertices[k])
