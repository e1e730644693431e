"""The values that expressions have: modes, sites, index sets, functions. Pure data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from qsyncdsl.model.lattices import Graph
from qsyncdsl.model.types import Define, Mode, Namespace, Parameter, Variable


@dataclass(frozen=True, slots=True)
class ModeValue:
    """A mode, one site of it (`site`), one atom of an ensemble (`atom`), or all sites (`many`).

    `site` has one number per index of the mode; a slice is a list of these values.
    """

    mode: Mode
    site: tuple[int, ...] = ()
    atom: int | None = None

    @property
    def missing(self) -> int:
        """How many indices are still to be given."""
        return len(self.mode.index) - len(self.site)

    @property
    def label(self) -> str:
        """As the user writes it: `a`, `b[2]`, `osc[1].a`."""
        name = self.mode.name
        inherited, own = (
            self.site[: self.mode.inherited],
            self.site[self.mode.inherited :],
        )
        if inherited:
            parts = name.split(".")
            parts[-2] += f"[{', '.join(map(str, inherited))}]"
            name = ".".join(parts)
        return name + (f"[{', '.join(map(str, own))}]" if own else "")


@dataclass(frozen=True, slots=True)
class VariableValue:
    """A classical variable, or one site of it."""

    variable: Variable
    site: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class NamespaceValue:
    """`left`, or `osc[3]`: what stands before a dot."""

    namespace: Namespace
    instance: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class FunctionValue:
    """A define with arguments, or a function by name."""

    define: Define
    instance: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Edges:
    """`sites.edges`: pairs of sites, each once."""

    graph: Graph

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return self.graph.edges()


@dataclass(frozen=True, slots=True)
class Interval:
    """`x..y` with real ends: where `locate` searches; iterates as the integers x..y."""

    start: Any
    stop: Any

    def __iter__(self) -> Iterator[int]:
        return iter(range(int(self.start), int(self.stop) + 1))


@dataclass(frozen=True, slots=True)
class Nodes:
    """`integral(a, b, nodes = n)`: Gauss-Legendre nodes and weights."""

    points: tuple[float, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Atoms:
    """`m in A`: the atoms of an ensemble, all alike, one channel each."""

    mode: ModeValue


@dataclass(frozen=True, slots=True)
class HermitianConjugateMark:
    """`h.c.` until the sum around it is complete."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What the names of binders mean here, and which replica of a component this is."""

    bindings: dict[str, Any] = field(default_factory=dict)
    instance: tuple[int, ...] = ()

    def bind(self, names: tuple[str, ...], value: Any) -> Frame:
        """The same with more names bound; a value for several names is taken apart."""
        values = (value,) if len(names) == 1 else tuple(value)
        return Frame(
            {**self.bindings, **dict(zip(names, values, strict=True))}, self.instance
        )


@dataclass(frozen=True, slots=True)
class ParameterArray:
    """A parameter with an index still to be given."""

    parameter: Parameter
    instance: tuple[int, ...] = ()
