"""The meaning of a file: entities with their scopes, terms and experiments. Nothing is evaluated here.

Expressions stay syntax trees; each entity keeps the scope in which its expressions are read, so that
components and defines need no copying of text.
"""

from __future__ import annotations

import copyreg
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from qsyncdsl.record import Record, record
from qsyncdsl.source import Source, Span
from qsyncdsl.syntax import tree


def _frozen(items: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(items)


# A model travels to other processes.
copyreg.pickle(MappingProxyType, lambda proxy: (_frozen, (dict(proxy),)))


@record
class Index(Record):
    """One index of a declaration: `j in sites where ...`, or `sites` alone (`names` empty).

    `scope` is where the domain is read: for the index of a `use`, the scope around it.
    """

    names: tuple[str, ...]
    domain: tree.Expr
    condition: tree.Expr | None
    scope: Scope = field(repr=False, compare=False)


@record
class Entity(Record):
    """Something with a name.

    Attributes:
        name: Full name: `kappa`, `left.gain`.
        written: The name as the user spells it.
        span: Where it is declared.
        scope: Where its own expressions are read.
        index: Its indices, those of the replicated components around it first.
        inherited: How many of `index` come from replicated components.
        order: Position in the order of declarations.
        description: Text after it.
    """

    name: str
    written: str
    span: Span = field(repr=False, compare=False)
    scope: Scope = field(repr=False, compare=False)
    index: tuple[Index, ...] = ()
    inherited: int = 0
    order: int = 0
    description: str = ""


@record
class Parameter(Entity):
    """A number, or an array of numbers; `random` where it is drawn from `value`."""

    value: tree.Expr = field(kw_only=True)
    random: bool = field(default=False, kw_only=True)


@record
class Lattice(Entity):
    """A finite set of sites with edges; `value` is the call that makes it."""

    value: tree.Expr = field(kw_only=True)


@record
class Mode(Entity):
    """A quantum degree of freedom, or one on each site; `kind` as a word and its arguments."""

    kind: str = field(kw_only=True)
    arguments: tuple[tree.Argument, ...] = field(default=(), kw_only=True)


@record
class Variable(Entity):
    """A classical variable: `angle`, `real` or `complex`."""

    kind: str = field(kw_only=True)


@record
class Noise(Entity):
    """A classical source: `white(S)` or `colored(f)`."""

    kind: str = field(kw_only=True)
    arguments: tuple[tree.Argument, ...] = field(default=(), kw_only=True)


@record
class Conjugate(Entity):
    """One variable of a conjugate pair.

    Attributes:
        partner: Full name of the other one.
        first: Whether it stands first in the commutator.
        commutator: [first, second].
    """

    partner: str = field(kw_only=True)
    first: bool = field(kw_only=True)
    commutator: tree.Expr = field(kw_only=True)


@record
class Duality(Record):
    """A substitution that takes one Hamiltonian of a conjugate pair to another."""

    source: tree.Name
    target: tree.Name
    steps: tuple[tree.Step, ...]
    settings: tuple[tree.Setting, ...]
    span: Span = field(repr=False, compare=False)


@record
class Define(Entity):
    """An abbreviation; `parameters` is None where it is not a function."""

    value: tree.Expr = field(kw_only=True)
    parameters: tuple[str, ...] | None = field(default=None, kw_only=True)


@record
class Namespace(Entity):
    """What `use ... as left` or `import library.oscillators` brings: names behind a dot."""

    members: Scope = field(kw_only=True, repr=False, compare=False)


@record
class Component(Entity):
    """A reusable part: its arguments with defaults and its statements."""

    settings: tuple[tree.Setting, ...] = field(kw_only=True)
    body: tuple[tree.Statement, ...] = field(kw_only=True, repr=False)


@dataclass(slots=True, eq=False)
class Scope:
    """Names and what they mean; filled once, while a file or a component is elaborated.

    A component's scope has no parent: it sees its arguments and own names only.
    """

    names: dict[str, Entity] = field(default_factory=dict)
    parent: Scope | None = None
    path: str = ""

    def find(self, name: str) -> Entity | None:
        """The entity of that name, here or around."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return None

    def known(self) -> dict[str, Entity]:
        """All names that can be used here."""
        around = self.parent.known() if self.parent is not None else {}
        return {**around, **self.names}


@record
class Term(Record):
    """A Hamiltonian term, a jump operator or a kick, repeated by its binders.

    Attributes:
        value: The term, the jump operator or the generator.
        rate: The rate of a dissipator, the period of a kick, else None.
        binders: `for ...` of the statement.
        replicas: Indices of the replicated components around it, outermost first.
        scope: Where the expressions are read.
        span: The whole statement.
    """

    value: tree.Expr
    rate: tree.Expr | None
    binders: tree.Binders | None
    replicas: tuple[Index, ...]
    scope: Scope = field(repr=False, compare=False)
    span: Span = field(repr=False, compare=False)


@record
class Equation(Record):
    """`d/dt variable = value`, or one rule of a map (`discrete`), repeated by its binders."""

    place: tree.Place
    value: tree.Expr
    binders: tree.Binders | None
    replicas: tuple[Index, ...]
    scope: Scope = field(repr=False, compare=False)
    span: Span = field(repr=False, compare=False)
    discrete: bool = False


@record
class Initial(Record):
    """`initial a, b[j in sites] = state`."""

    places: tuple[tree.Place | tree.Group, ...]
    value: tree.Expr
    replicas: tuple[Index, ...]
    scope: Scope = field(repr=False, compare=False)
    span: Span = field(repr=False, compare=False)


@record
class Override(Record):
    """A new value of a parameter or of `levels`.

    Attributes:
        name: Full name of the parameter, `levels` or `levels_MODE`.
        value: An expression to be read in `scope`, or a number (a point of a sweep).
        random: Whether `value` is a distribution.
        index: The index written with it, `omega[j in sites] = ...`.
    """

    name: str
    value: tree.Expr | float | complex
    scope: Scope | None = field(default=None, repr=False, compare=False)
    random: bool = False
    index: tuple[Index, ...] = ()


@record
class Case(Record):
    """A named set of parameter values and initial states."""

    name: str
    span: Span = field(repr=False, compare=False)
    description: str
    overrides: tuple[Override, ...]
    initials: tuple[Initial, ...]


@record
class Experiment(Record):
    """What is computed, measured, drawn and expected; `requests` in the order written."""

    name: str
    span: Span = field(repr=False, compare=False)
    description: str
    requests: tuple[tree.Request, ...]

    def all(self, kind: type[tree.Node]) -> tuple[tree.Node, ...]:
        """The requests of one class, for instance `tree.Solve`."""
        return tuple(request for request in self.requests if isinstance(request, kind))


@dataclass(frozen=True, slots=True)
class Model:
    """A checked file.

    Attributes:
        entities: Everything with a name by full name, components expanded, in order.
        cases, experiments: By name, in order.
        scope: Where experiments and cases are read.
    """

    source: Source
    title: str
    references: tuple[str, ...]
    entities: Mapping[str, Entity]
    hamiltonian: tuple[Term, ...]
    dissipators: tuple[Term, ...]
    kicks: tuple[Term, ...]
    equations: tuple[Equation, ...]
    initials: tuple[Initial, ...]
    cases: Mapping[str, Case]
    experiments: Mapping[str, Experiment]
    scope: Scope = field(repr=False)
    dualities: tuple[Duality, ...] = ()
    _kinds: dict[type[Entity], dict[str, Entity]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def _of(self, kind: type[Entity]) -> Mapping[str, Entity]:
        if kind not in self._kinds:
            self._kinds[kind] = {
                n: e for n, e in self.entities.items() if isinstance(e, kind)
            }
        return MappingProxyType(self._kinds[kind])

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The parameters by full name."""
        return self._of(Parameter)  # type: ignore[return-value]

    @property
    def modes(self) -> Mapping[str, Mode]:
        """The modes by full name."""
        return self._of(Mode)  # type: ignore[return-value]

    @property
    def lattices(self) -> Mapping[str, Lattice]:
        """The lattices by full name."""
        return self._of(Lattice)  # type: ignore[return-value]

    @property
    def variables(self) -> Mapping[str, Variable]:
        """The classical variables by full name."""
        return self._of(Variable)  # type: ignore[return-value]
