"""Realizations of one point, cut into stretches that can be done anywhere and in any order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Stretch:
    """Realizations `first .. first + size - 1` that were done, as arrays by name."""

    first: int
    size: int
    arrays: Mapping[str, np.ndarray] = field(repr=False)

    @property
    def end(self) -> int:
        """The realization after the last."""
        return self.first + self.size


class Realizations(Protocol):
    """A point that was begun: what its realizations have in common is known.

    Attributes:
        unit: Realizations that are done side by side; stretches begin at multiples of it.
    """

    unit: int

    @property
    def count(self) -> int:
        """Number R of realizations."""

    @property
    def settled(self) -> Mapping[str, float]:
        """Numbers that were found at the beginning; who is given them need not find them."""

    def key(self) -> tuple[Any, ...]:
        """What the numbers of a realization depend on, beside the point itself."""

    def stretch(self, first: int, size: int) -> Mapping[str, np.ndarray]:
        """Do some realizations; the arrays depend on these alone.

        Raises:
            SolveError: With the reason why one of them fails.
        """

    def result(self, stretches: Sequence[Stretch]) -> Any:
        """The result from stretches that cover 0 .. R - 1, in order; its bits do not depend on the cuts."""


def pieces(first: int, end: int, unit: int, most: int) -> Iterator[tuple[int, int]]:
    """Cut `first .. end - 1` into pairs of a beginning and a size.

    Sizes are `unit` times powers of 2 and divide their beginnings; the rest at the end, if it is smaller
    than a unit, is one piece.

    >>> list(pieces(0, 13, 1, 8)), list(pieces(16, 70, 16, 16))
    ([(0, 8), (8, 4), (12, 1)], [(16, 16), (32, 16), (48, 16), (64, 6)])
    """
    while first < end:
        size = unit
        while 2 * size <= most and first % (2 * size) == 0 and first + 2 * size <= end:
            size *= 2
        size = min(size, end - first)
        yield first, size
        first += size


def at_once(run: Realizations) -> Any:
    """The result of all realizations, one after the other.

    Raises:
        SolveError: If one of them fails.
    """
    found = [
        Stretch(first, size, run.stretch(first, size))
        for first, size in pieces(0, run.count, run.unit, run.count)
    ]
    return run.result(found)
