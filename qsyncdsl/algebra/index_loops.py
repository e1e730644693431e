"""Loops over sites: indices that stand for any value, and what is read at them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from qsyncdsl.model.values import Frame
from qsyncdsl.syntax.walk import names_in


@dataclass(frozen=True, eq=False)
class Loop:
    """The values that some indices take together.

    Attributes:
        frames: For each value, the number behind each index, by `name#depth`.
        parent: The loop around; None for an outermost one.
        start: Where the values belong to those of the parent: those of its value m are
            `start[m] .. start[m + 1] - 1`. None where they are the same for all.
    """

    names: tuple[str, ...]
    frames: tuple[dict[str, int], ...] = field(repr=False)
    parent: Loop | None
    start: np.ndarray | None = field(repr=False)
    depth: int

    def __post_init__(self) -> None:
        first = self.frames[0] if self.frames else {}
        if self.start is None and not all("#" in key for key in first):
            keyed = tuple(
                {f"{n}#{self.depth}": v for n, v in f.items()} for f in self.frames
            )
            object.__setattr__(self, "frames", keyed)

    @staticmethod
    def of(
        names: tuple[str, ...],
        frames: list[dict[str, int]],
        parent: Loop | None,
        start: np.ndarray | None,
        depth: int,
    ) -> Loop:
        """A loop from values by bare names."""
        return Loop(names, tuple(frames), parent, start, depth)

    @property
    def own(self) -> int:
        """Number of values, all values of the parent together if they depend on it."""
        return len(self.frames)

    def flat_frames(self) -> list[dict[str, int]]:
        """The numbers of all indices, also those around, for each joint value."""
        if self.parent is None or self.start is not None:
            return list(self.frames)
        return [{**a, **b} for a in self.parent.flat_frames() for b in self.frames]

    def numeric(self, frame: Frame, outer: bool) -> list[Frame]:
        """Frames with numbers in place of indices: of all joint values, or of this loop's own."""
        found = []
        for numbers in self.flat_frames() if outer else self.frames:
            bindings = {}
            for name, value in frame.bindings.items():
                if not isinstance(value, IndexValue):
                    bindings[name] = value
                elif value.key in numbers:
                    bindings[name] = numbers[value.key]
            found.append(replace(frame, bindings=bindings))
        return found


@dataclass(frozen=True, eq=False)
class IndexValue:
    """An index that stands for any value of its loop."""

    name: str
    loop: Loop = field(repr=False)

    @property
    def key(self) -> str:
        """Its name among the numbers of the loop."""
        return f"{self.name}#{self.loop.depth}"


@dataclass(frozen=True, eq=False)
class Access:
    """What a symbol is read from.

    Attributes:
        kind: `y` a variable, `q` a parameter of sites, `xi` a noise, `c` a table of numbers.
        rows: Sites from 0, or the numbers themselves, for each value of the loop.
        outer: Whether there is a row for each joint value of the loops around, not only for
            those of this loop.
        extent: Number of sites that the family has.
    """

    kind: str
    family: str
    rows: np.ndarray = field(repr=False)
    loop: Loop | None
    outer: bool
    real: bool
    extent: int = 0


@dataclass(frozen=True, eq=False)
class LoopSum:
    """A sum over a loop.

    Attributes:
        hoisted: Whether it is the same for all values of the loops around.
    """

    loop: Loop
    body: Any
    real: bool
    hoisted: bool


def dependence(nodes: Any, frame: Frame) -> tuple[Loop | None, bool]:
    """The innermost loop whose index some nodes mention, and whether outer ones matter too."""
    loops: list[Loop] = []
    for name in names_in(tuple(nodes) if not isinstance(nodes, tuple) else nodes):
        value = frame.bindings.get(name.key)
        if isinstance(value, IndexValue) and not any(x is value.loop for x in loops):
            loops.append(value.loop)
    if not loops:
        return None, False
    inner = max(loops, key=lambda loop: loop.depth)
    return inner, len(loops) > 1 and inner.start is None
