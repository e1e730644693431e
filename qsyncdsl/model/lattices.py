"""Lattices as graphs: sites numbered from 1, undirected edges each once, neighbors.

`complete(3000)` costs nothing until its edges are read; the edges of other lattices are kept once read.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, product
from pathlib import Path

# A step from a cell to a neighboring one: (sublattice, sublattice reached, cell displacement).
Step = tuple[int, int, tuple[int, ...]]


# Sites of lattices whose edges are kept.
_KEPT = 100_000


@dataclass(frozen=True)
class Graph:
    """A finite set of sites and their edges.

    Attributes:
        name: Word of the lattice.
        shape: Numbers of sites along its coordinates; `(N,)` for a line. A site is a number
            1..size, or its coordinates, the last varying fastest.
        periodic: Whether coordinates wrap.
        bulk: Coordination number of a site in the bulk.
        pairs: Makes the edges (j, k), j < k, each once, in order of j.
    """

    name: str
    shape: tuple[int, ...]
    periodic: bool
    bulk: int
    pairs: Callable[[], Iterator[tuple[int, int]]] = field(repr=False, compare=False)
    count: int = 0

    @property
    def size(self) -> int:
        """Number of sites."""
        total = 1
        for length in self.shape:
            total *= length
        return total

    def edges(self) -> Iterator[tuple[int, int]]:
        """Each undirected edge once, as site numbers."""
        if self.name == "complete" or self.size > _KEPT:
            return self.pairs()
        return iter(self._edges)

    @cached_property
    def _edges(self) -> tuple[tuple[int, int], ...]:
        return tuple(self.pairs())

    @cached_property
    def _adjacent(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for j, k in self.edges():
            found.setdefault(j, []).append(k)
            found.setdefault(k, []).append(j)
        return found

    def neighbors(self, site: int) -> tuple[int, ...]:
        """The sites that share an edge with one, ascending.

        >>> ring(4).neighbors(1)
        (2, 4)
        """
        return tuple(sorted(self._adjacent.get(site, ())))

    def coordination(self, site: int) -> int:
        """Number of neighbors of one site."""
        return sum(site in edge for edge in self.edges())

    def site(self, coordinates: tuple[int, ...]) -> int | None:
        """Number of the site at these coordinates (or of this number); None outside.

        >>> ring(5).site((6,)), chain(5).site((6,)), square(3, 4).site((2, 1))
        (1, None, 5)
        """
        lengths = self.shape if len(coordinates) == len(self.shape) else (self.size,)
        if len(coordinates) != len(lengths):
            return None
        number = 0
        for place, length in zip(coordinates, lengths, strict=True):
            if not 1 <= place <= length:
                if not self.periodic or lengths != self.shape:
                    return None
                place = (place - 1) % length + 1
            number = number * length + place - 1
        return number + 1


def chain(n: int, reach: int = 1, boundary: str = "open") -> Graph:
    """Line of `n` sites; each is joined to the `reach` next ones on either side."""
    return _cells(
        "chain", (n,), 1, [(0, 0, (d,)) for d in range(1, reach + 1)], boundary
    )


def ring(n: int, reach: int = 1, boundary: str = "periodic") -> Graph:
    """Closed line of `n` sites.

    >>> list(ring(4).edges())
    [(1, 2), (1, 4), (2, 3), (3, 4)]
    """
    return _cells(
        "ring", (n,), 1, [(0, 0, (d,)) for d in range(1, reach + 1)], boundary
    )


def square(lx: int, ly: int, boundary: str = "open") -> Graph:
    """Square lattice."""
    return _cells("square", (lx, ly), 1, [(0, 0, (1, 0)), (0, 0, (0, 1))], boundary)


def triangular(lx: int, ly: int, boundary: str = "open") -> Graph:
    """Triangular lattice: a square one with one diagonal."""
    steps: list[Step] = [(0, 0, (1, 0)), (0, 0, (0, 1)), (0, 0, (1, -1))]
    return _cells("triangular", (lx, ly), 1, steps, boundary)


def honeycomb(lx: int, ly: int, boundary: str = "open") -> Graph:
    """Honeycomb lattice of lx x ly cells of two sites; coordinates (x, 2y - 1) and (x, 2y)."""
    steps: list[Step] = [(0, 1, (0, 0)), (1, 0, (1, 0)), (1, 0, (0, 1))]
    return _cells("honeycomb", (lx, ly), 2, steps, boundary)


def cubic(lx: int, ly: int, lz: int, boundary: str = "open") -> Graph:
    """Simple cubic lattice."""
    steps: list[Step] = [(0, 0, (1, 0, 0)), (0, 0, (0, 1, 0)), (0, 0, (0, 0, 1))]
    return _cells("cubic", (lx, ly, lz), 1, steps, boundary)


def complete(n: int) -> Graph:
    """Every pair of `n` sites."""
    return Graph(
        "complete",
        (n,),
        False,
        n - 1,
        lambda: combinations(range(1, n + 1), 2),
        n * (n - 1) // 2,
    )


def graph(path: str | Path) -> Graph:
    """Edges from a CSV file: two site numbers a line, from 1; a header line is passed over.

    Raises:
        ValueError: If a line is not two positive integers, or joins a site to itself.
        OSError: If the file cannot be read.
    """
    found = set()
    with Path(path).open(newline="", encoding="utf-8") as lines:
        for number, row in enumerate(csv.reader(lines), start=1):
            cells = [cell.strip() for cell in row if cell.strip()]
            if not cells or (
                number == 1 and not all(cell.isdecimal() for cell in cells[:2])
            ):
                continue
            if len(cells) < 2 or not all(
                cell.isdecimal() and int(cell) for cell in cells[:2]
            ):
                raise ValueError(
                    f"line {number} is not two site numbers: {','.join(row)}"
                )
            j, k = int(cells[0]), int(cells[1])
            if j == k:
                raise ValueError(f"line {number} joins site {j} to itself")
            found.add((min(j, k), max(j, k)))
    if not found:
        raise ValueError("the file has no edges")
    pairs = sorted(found)
    size = max((k for _, k in pairs), default=0)
    degree = [0] * (size + 1)
    for j, k in pairs:
        degree[j] += 1
        degree[k] += 1
    return Graph("graph", (size,), False, max(degree), lambda: iter(pairs), len(pairs))


def _cells(
    name: str, cells: tuple[int, ...], basis: int, steps: list[Step], boundary: str
) -> Graph:
    """A lattice of cells with `basis` sites each, joined by `steps`."""
    periodic = boundary == "periodic"
    shape = (*cells[:-1], cells[-1] * basis)

    def number(cell: tuple[int, ...], sub: int) -> int:
        flat = 0
        for place, length in zip(cell, cells, strict=True):
            flat = flat * length + place
        return flat * basis + sub + 1

    def pairs() -> Iterator[tuple[int, int]]:
        found = set()
        for cell in product(*(range(length) for length in cells)):
            for sub, reached, move in steps:
                target = tuple(x + d for x, d in zip(cell, move, strict=True))
                if periodic:
                    target = tuple(
                        x % length for x, length in zip(target, cells, strict=True)
                    )
                elif not all(
                    0 <= x < length for x, length in zip(target, cells, strict=True)
                ):
                    continue
                j, k = number(cell, sub), number(target, reached)
                if j != k:
                    found.add((min(j, k), max(j, k)))
        return iter(sorted(found))

    bulk = 2 * len(steps) if basis == 1 else len(steps)
    return Graph(name, shape, periodic, bulk, pairs)
