r"""Sums of neighbors, pair by pair: the same bits wherever the halves were added up.

Numbers 0 .. R - 1 are summed over blocks $[jg, (j+1)g)$ of a power of 2, each block as the sum of its
halves, these as the sums of theirs, and so on. The sum of numbers $[k2^n, (k+1)2^n)$, made elsewhere,
can take their place.
"""

from __future__ import annotations

from typing import Any


class Pairwise:
    """Collects numbers in order.

    Args:
        most: Numbers of a block, a power of 2; 0 for one block of all of them.
    """

    def __init__(self, most: int = 0) -> None:
        self.most = most
        self._done: list[Any] = []
        self._open: list[tuple[int, int, Any]] = []

    def add(self, first: int, size: int, value: Any) -> None:
        """Add the sum of the numbers from `first` on; `size` is a power of 2 that divides `first`."""
        self._open.append((first, size, value))
        while len(self._open) > 1:
            (start, left, a), (_, right, b) = self._open[-2:]
            whole = 2 * left
            if left != right or start % whole or (self.most and whole > self.most):
                break
            self._open[-2:] = [(start, whole, a + b)]
        if self._open[-1][1] == self.most:
            self._done.append(self._open.pop()[2])

    @property
    def prefix(self) -> tuple[int, Any]:
        """How many numbers from 0 on are one sum of a power of 2, and that sum; else 0 and None."""
        if len(self._open) == 1 and self._open[0][0] == 0:
            return self._open[0][1], self._open[0][2]
        return 0, None

    def sums(self) -> list[Any]:
        """The sums of all blocks; the last may have fewer numbers."""
        rest = [value for _, _, value in self._open]
        while len(rest) > 1:
            rest[-2:] = [rest[-2] + rest[-1]]
        return self._done + rest
