"""Kinds of expressions: what an expression is, and what follows from it alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qsyncdsl.model.types import Entity
from qsyncdsl.registry import measures, modes


@dataclass(frozen=True, slots=True)
class Kind:
    """What an expression is.

    Attributes:
        name: number, operator, mode, condition, list, set, lattice, edges, text, namespace,
            function, value (a measure that is a function), state, unknown.
        entity: The mode, the array or the namespace.
        indices: How many indices were given.
        items: Kinds of the members of a list or a set.
    """

    name: str
    entity: Entity | None = None
    indices: int = 0
    items: tuple[Kind, ...] = ()


NUMBER, OPERATOR, CONDITION = Kind("number"), Kind("operator"), Kind("condition")
UNKNOWN, TEXT, VALUE, STATE = (
    Kind("unknown"),
    Kind("text"),
    Kind("value"),
    Kind("state"),
)
CONSTANTS = ("i", "t", "pi", "inf")
Bindings = Mapping[str, Kind]


def bare_measure(name: str) -> bool:
    """Whether a word is a measure that needs no arguments: `liouvillian_gap`."""
    return name in measures and not any(a.required for a in measures[name].arguments)


def letters(kind: str) -> tuple[str, ...]:
    """The operators that a kind of mode has by name."""
    loaded = modes[kind].load()
    return tuple(letter for letter in loaded.letters if letter != loaded.bare)
