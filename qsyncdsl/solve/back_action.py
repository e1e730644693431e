r"""What fluctuations change of the equations of means and covariances: contractions of pairs of fields.

Linearized equations hold polynomials $P(\alpha)$ at the mean fields. In a Gaussian state about them

$$ \langle P\rangle = \Big(1 + \tfrac12\sum_{rs}\langle\delta_r\delta_s\rangle\,\partial_r\partial_s + \dots\Big)
   P(\alpha) , $$

where r and s run over the fields and their conjugates and the pairs are normally ordered, as P is: with P the
drift, its Jacobian and the diffusion these are the closed equations of first and second moments. The first
term is what the system-size expansion adds to the mean (N. G. van Kampen, Stochastic Processes in Physics and
Chemistry, Sec. X.4).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qsyncdsl.solve.polynomials import Sum

# A field and whether it is conjugated; two of them.
Letter = tuple[int, bool]
Pair = tuple[Letter, Letter]


def with_pairs(sums: tuple[Sum, ...], count: int) -> tuple[tuple[Sum, ...], np.ndarray]:
    """Polynomials over the fields and, after these, the moments of pairs that they contract.

    Args:
        count: Number of fields F.

    Returns:
        The polynomials, and the pairs, shape (P, 4): field, field, and whether they are conjugated.
    """
    known: dict[Pair, int] = {}
    found = tuple(_contracted(one, count, known) for one in sums)
    rows = [(k, m, s, o) for (k, s), (m, o) in known]
    return found, np.array(rows, dtype=np.int64).reshape(-1, 4)


def _contracted(polynomial: Sum, count: int, known: dict[Pair, int]) -> Sum:
    """A polynomial with all contractions of its terms."""
    target, values, start, fields, p, q = polynomial.arrays
    targets, numbers, lengths = [], [], []
    factors: list[tuple[int, int, int]] = []
    for n in range(len(target)):
        own = slice(start[n], start[n + 1])
        letters = tuple(
            (int(f), star)
            for f, stars, plain in zip(fields[own], p[own], q[own], strict=True)
            for star in (True,) * int(stars) + (False,) * int(plain)
        )
        for rest, pairs in _matchings(letters):
            more = [(f, int(star), int(not star)) for f, star in rest]
            more += [(count + known.setdefault(x, len(known)), 0, 1) for x in pairs]
            targets.append(target[n])
            numbers.append(values[n])
            lengths.append(len(more))
            factors += more
    columns = np.array(factors, dtype=np.int64).reshape(-1, 3).T
    arrays = (
        np.array(targets, dtype=target.dtype),
        np.array(numbers, dtype=complex),
        np.concatenate([[0], np.cumsum(lengths)]).astype(start.dtype),
        np.ascontiguousarray(columns[0]).astype(fields.dtype),
        np.ascontiguousarray(columns[1]).astype(p.dtype),
        np.ascontiguousarray(columns[2]).astype(q.dtype),
    )
    return Sum(arrays, polynomial.shape)


def _matchings(
    letters: tuple[Letter, ...],
) -> Iterator[tuple[tuple[Letter, ...], tuple[Pair, ...]]]:
    """All ways to leave letters alone or to join them in pairs.

    >>> [len(pairs) for _, pairs in _matchings(((0, True), (0, False), (0, False)))]
    [0, 1, 1, 1]
    """
    if len(letters) < 2:
        yield letters, ()
        return
    first, rest = letters[0], letters[1:]
    for alone, pairs in _matchings(rest):
        yield (first, *alone), pairs
    for place, other in enumerate(rest):
        one = (min(first, other), max(first, other))
        for alone, pairs in _matchings(rest[:place] + rest[place + 1 :]):
            yield alone, (one, *pairs)
