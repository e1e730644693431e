"""How many moments a closure follows, counted without listing them."""

from __future__ import annotations

from typing import Any

from qsyncdsl.algebra.symmetry import Symmetry
from qsyncdsl.algebra.system import System

# Sets of charges, times words of a mode, that are told apart; more are taken as none.
_LABELS = 100_000

# Words of one mode: how many have a number of operators, and change the occupation by some number.
Words = dict[tuple[int, int], int]


def moments_followed(system: System, symmetry: Symmetry, order: int) -> int:
    """Products of up to `order` operators without charge: real unknowns, an adjoint pair has two.

    Those of modes that the symmetry does not count may be ensembles, whose atoms are alike.
    """
    kept = [k for k, mode in enumerate(system.space.modes) if mode.ensemble is None]
    words = [_words(system.space.modes[k], order) for k in kept]
    found = _counted(words, symmetry, order)
    if found is None:
        found = _counted(words, Symmetry((), ()), order)
    assert found is not None
    return found


def touched(system: System) -> float:
    """Terms of H and of the jumps that act on a mode, on average."""
    operators = [t.operator for t in system.hamiltonian]
    operators += [j.operator for j in system.jumps]
    modes = {k for k, mode in enumerate(system.space.modes) if mode.ensemble is None}
    total = sum(len(monomial) for o in operators for monomial in o.terms)
    return total / max(1, len(modes))


def _words(mode: Any, order: int) -> Words:
    """The words of a mode up to an order, by number of operators and change of the occupation."""
    if mode.kind.name == "boson":
        return {(k, k - 2 * q): 1 for k in range(order + 1) for q in range(k + 1)}
    if mode.kind.name == "ensemble":
        found: Words = {}
        for k in range(order + 1):
            for up in range(k + 1):
                for down in range(k + 1 - up):
                    key = k, up - down
                    found[key] = found.get(key, 0) + 1
        return found
    levels = int(mode.dimension)
    steps = {(1, s): levels - abs(s) - (s == 0) for s in range(1 - levels, levels)}
    return {(0, 0): 1} | {key: count for key, count in steps.items() if count}


def _counted(words: list[Words], symmetry: Symmetry, order: int) -> int | None:
    """Products of words without charge; None where there are too many charges."""
    moduli = symmetry.moduli
    counts: dict[tuple[int, tuple[int, ...]], int] = {(0, (0,) * len(moduli)): 1}
    for position, mine in enumerate(words):
        if len(counts) * len(mine) * max(1, len(moduli)) > _LABELS:
            return None
        steps = tuple(charge[position] for charge in symmetry.charges)
        following: dict[tuple[int, tuple[int, ...]], int] = {}
        for (done, label), count in counts.items():
            for (more, shift), number in mine.items():
                if done + more <= order:
                    charges = tuple(
                        (q + shift * s) % m if m else q + shift * s
                        for q, s, m in zip(label, steps, moduli, strict=True)
                    )
                    key = done + more, charges
                    following[key] = following.get(key, 0) + count * number
        counts = following
    neutral = (0,) * len(moduli)
    return sum(n for (k, label), n in counts.items() if k and label == neutral)
