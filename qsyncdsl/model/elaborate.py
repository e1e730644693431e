"""From the syntax tree to entities, terms and experiments: names, components, imports.

Kinds and arities are checked later; here only what concerns declarations is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.model import faults
from qsyncdsl.model.imports import imported_path, load_file
from qsyncdsl.model.kinds import CONSTANTS
from qsyncdsl.model.scoped import indices, initial, kind_of, override
from qsyncdsl.model.types import (
    Case,
    Component,
    Conjugate,
    Define,
    Duality,
    Entity,
    Equation,
    Experiment,
    Index,
    Initial,
    Lattice,
    Mode,
    Model,
    Namespace,
    Noise,
    Parameter,
    Scope,
    Term,
    Variable,
)
from qsyncdsl.source import Source, Span
from qsyncdsl.syntax import tree


@dataclass
class Elaboration:
    """What has been gathered so far from one file and the components it uses."""

    source: Source
    faults: list[Diagnostic] = field(default_factory=list)
    entities: dict[str, Entity] = field(default_factory=dict)
    hamiltonian: list[Term] = field(default_factory=list)
    dissipators: list[Term] = field(default_factory=list)
    kicks: list[Term] = field(default_factory=list)
    equations: list[Equation] = field(default_factory=list)
    dualities: list[Duality] = field(default_factory=list)
    initials: list[Initial] = field(default_factory=list)
    cases: dict[str, Case] = field(default_factory=dict)
    experiments: dict[str, Experiment] = field(default_factory=dict)
    title: str = ""
    references: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where statements are being read: the scope and the replicas around it."""

    scope: Scope
    replicas: tuple[Index, ...] = ()


def elaborate(
    file: tree.File,
    source: Source,
    load: Callable[[Path], tree.File] | None = None,
) -> tuple[Model, tuple[Diagnostic, ...]]:
    """Gather the declarations of a file; faults are returned beside the model."""
    work = Elaboration(source)
    top = _Place(Scope())
    _Reader(work, load or load_file).statements(file.statements, top)
    model = Model(
        source,
        work.title,
        tuple(work.references),
        MappingProxyType(work.entities),
        tuple(work.hamiltonian),
        tuple(work.dissipators),
        tuple(work.kicks),
        tuple(work.equations),
        tuple(work.initials),
        MappingProxyType(work.cases),
        MappingProxyType(work.experiments),
        top.scope,
        tuple(work.dualities),
    )
    return model, tuple(work.faults)


_FORBIDDEN = {
    "a component": (
        "case",
        "experiment",
        "component",
        "import",
        "title",
        "reference",
        "duality",
    ),
    "an imported file": (
        "parameters",
        "lattice",
        "mode",
        "variable",
        "noise",
        "hamiltonian",
        "dissipator",
        "coupling",
        "kick",
        "equation",
        "map",
        "duality",
        "use",
        "case",
        "experiment",
        "initial",
    ),
}


class _Reader:
    """One pass over the statements, in order."""

    def __init__(self, work: Elaboration, load: Callable[[Path], tree.File]) -> None:
        self.work = work
        self.load = load
        self._open: list[Component] = []
        self._imported: list[Path] = []
        self._folder = Path(work.source.name).parent

    def statements(
        self, statements: tuple[tree.Statement, ...], place: _Place, where: str = ""
    ) -> None:
        """Read statements; `where` names a place in which not all of them can stand."""
        for statement in statements:
            what = type(statement).__name__.lower()
            if what in _FORBIDDEN.get(where, ()):
                self.work.faults.append(
                    faults.statement_not_allowed(statement, f"'{what}'", where)
                )
                continue
            getattr(self, "_" + what)(statement, place)

    # ── declarations ─────────────────────────────────────────────────────────────────────────

    def _declare(self, entity: Entity, name: tree.Name, place: _Place) -> None:
        key = name.key
        first = place.scope.names.get(key)
        if key in CONSTANTS:
            self.work.faults.append(faults.reserved(name))
            return
        if first is not None:
            self.work.faults.append(faults.duplicate(name, first.span))
            return
        place.scope.names[key] = entity
        self.work.entities[entity.name] = entity

    def _common(
        self,
        name: tree.Name,
        span: Span,
        index: tuple[Index, ...],
        place: _Place,
        description: tree.String | None,
    ) -> dict[str, object]:
        return {
            "name": place.scope.path + name.key,
            "written": name.written,
            "span": span,
            "scope": place.scope,
            "index": place.replicas + index,
            "inherited": len(place.replicas),
            "order": len(self.work.entities),
            "description": description.value if description else "",
        }

    def _named(
        self, place_or_group: tree.Place | tree.Group
    ) -> tuple[tuple[tree.Name, tuple[tree.Argument, ...]], ...]:
        if isinstance(place_or_group, tree.Group):
            return tuple((name, ()) for name in place_or_group.names)
        return ((place_or_group.name, place_or_group.arguments),)

    def _parameters(self, statement: tree.Parameters, place: _Place) -> None:
        for item in statement.items:
            index = indices(item.place.arguments, place.scope)
            common = self._common(
                item.place.name, item.place.span, index, place, item.description
            )
            entity = Parameter(**common, value=item.value, random=item.operator == "~")  # type: ignore[arg-type]
            self._declare(entity, item.place.name, place)

    def _lattice(self, statement: tree.Lattice, place: _Place) -> None:
        common = self._common(
            statement.name, statement.name.span, (), place, statement.description
        )
        self._declare(Lattice(**common, value=statement.value), statement.name, place)  # type: ignore[arg-type]

    def _kinded(
        self,
        make: type,
        statement: tree.Mode | tree.Variable | tree.Noise,
        place: _Place,
    ) -> None:
        kind, arguments = kind_of(statement.kind)
        extra = {} if make is Variable else {"arguments": arguments}
        for target in statement.places:
            for name, written in self._named(target):
                index = indices(written, place.scope)
                common = self._common(
                    name, name.span, index, place, statement.description
                )
                self._declare(make(**common, kind=kind, **extra), name, place)

    def _mode(self, statement: tree.Mode, place: _Place) -> None:
        self._kinded(Mode, statement, place)

    def _variable(self, statement: tree.Variable, place: _Place) -> None:
        self._kinded(Variable, statement, place)

    def _noise(self, statement: tree.Noise, place: _Place) -> None:
        self._kinded(Noise, statement, place)

    def _define(self, statement: tree.Define, place: _Place) -> None:
        common = self._common(
            statement.name, statement.name.span, (), place, statement.description
        )
        names = (
            None
            if statement.parameters is None
            else tuple(n.key for n in statement.parameters)
        )
        entity = Define(**common, value=statement.value, parameters=names)  # type: ignore[arg-type]
        self._declare(entity, statement.name, place)

    # ── terms ────────────────────────────────────────────────────────────────────────────────

    def _term(
        self,
        into: list[Term],
        value: tree.Expr,
        rate: tree.Expr | None,
        statement: tree.Hamiltonian | tree.Dissipator | tree.Coupling | tree.Kick,
        place: _Place,
    ) -> None:
        into.append(
            Term(
                value,
                rate,
                statement.binders,
                place.replicas,
                place.scope,
                statement.span,
            )
        )

    def _hamiltonian(self, statement: tree.Hamiltonian, place: _Place) -> None:
        self._term(self.work.hamiltonian, statement.value, None, statement, place)

    def _dissipator(self, statement: tree.Dissipator, place: _Place) -> None:
        for operator in statement.operators:
            self._term(
                self.work.dissipators, operator, statement.rate, statement, place
            )

    def _coupling(self, statement: tree.Coupling, place: _Place) -> None:
        if statement.operators is None:
            self._term(self.work.hamiltonian, statement.value, None, statement, place)
            return
        for operator in statement.operators:
            self._term(
                self.work.dissipators, operator, statement.value, statement, place
            )

    def _kick(self, statement: tree.Kick, place: _Place) -> None:
        self._term(
            self.work.kicks, statement.generator, statement.period, statement, place
        )

    def _equation(self, statement: tree.Equation, place: _Place) -> None:
        self.work.equations.append(
            Equation(
                statement.place,
                statement.value,
                statement.binders,
                place.replicas,
                place.scope,
                statement.span,
            )
        )

    def _map(self, statement: tree.Map, place: _Place) -> None:
        for step in statement.steps:
            self.work.equations.append(
                Equation(
                    step.place,
                    step.value,
                    statement.binders,
                    place.replicas,
                    place.scope,
                    statement.span,
                    discrete=True,
                )
            )

    def _conjugate(self, statement: tree.Conjugate, place: _Place) -> None:
        names = (statement.first, statement.second)
        for k, name in enumerate(names):
            common = self._common(name, name.span, (), place, statement.description)
            partner = place.scope.path + names[1 - k].key
            entity = Conjugate(
                **common,  # type: ignore[arg-type]
                partner=partner,
                first=k == 0,
                commutator=statement.commutator,
            )
            self._declare(entity, name, place)

    def _duality(self, statement: tree.Duality, place: _Place) -> None:
        self.work.dualities.append(
            Duality(
                statement.source,
                statement.target,
                statement.steps,
                statement.settings or (),
                statement.span,
            )
        )

    def _initial(self, statement: tree.Initial, place: _Place) -> None:
        self.work.initials.append(initial(statement, place.scope, place.replicas))

    # ── reuse ────────────────────────────────────────────────────────────────────────────────

    def _component(self, statement: tree.Component, place: _Place) -> None:
        common = self._common(statement.name, statement.name.span, (), place, None)
        settings = statement.settings or ()
        entity = Component(**common, settings=settings, body=statement.body)  # type: ignore[arg-type]
        self._declare(entity, statement.name, place)

    def _use(self, statement: tree.Use, place: _Place) -> None:
        component = self._resolve(statement.component, place.scope)
        if not isinstance(component, Component):
            known = [
                n for n, e in place.scope.known().items() if isinstance(e, Component)
            ]
            self.work.faults.append(
                faults.unknown_component(statement.component, known)
            )
            return
        if component in self._open:
            self.work.faults.append(
                faults.recursion(statement, f"component '{component.written}'")
            )
            return
        name = statement.place.name
        own = indices(statement.place.arguments, place.scope)
        inner = Scope(path=f"{place.scope.path}{name.key}.")
        replicas = place.replicas + own
        common = self._common(name, name.span, own, place, None)
        self._declare(Namespace(**common, members=inner), name, place)  # type: ignore[arg-type]
        given = self._given(statement, component)
        for default in component.settings:
            assert isinstance(default.place, tree.Place)
            key = default.place.name.key
            chosen, scope = (
                (given[key].value, place.scope)
                if key in given
                else (default.value, inner)
            )
            self._argument(default.place.name, chosen, scope, replicas, inner)
        self._open.append(component)
        self.statements(component.body, _Place(inner, replicas), "a component")
        self._open.pop()

    def _given(
        self, statement: tree.Use, component: Component
    ) -> dict[str, tree.Setting]:
        """The arguments of a `use`, held against those of its component."""
        known = [
            s.place.name.key
            for s in component.settings
            if isinstance(s.place, tree.Place)
        ]
        given: dict[str, tree.Setting] = {}
        for setting in statement.settings or ():
            name = (
                setting.place.names[0]
                if isinstance(setting.place, tree.Group)
                else setting.place.name
            )
            if name.key not in known:
                self.work.faults.append(faults.unknown_argument(name, component, known))
            elif name.key in given:
                self.work.faults.append(
                    faults.duplicate(name, given[name.key].span, "argument")
                )
            given[name.key] = setting
        return given

    def _argument(
        self,
        name: tree.Name,
        value: tree.Expr,
        scope: Scope,
        replicas: tuple[Index, ...],
        inner: Scope,
    ) -> None:
        entity = Parameter(
            inner.path + name.key,
            name.written,
            name.span,
            scope,
            replicas,
            len(replicas),
            len(self.work.entities),
            value=value,
        )
        inner.names[name.key] = entity
        self.work.entities[entity.name] = entity

    def _resolve(self, path: tree.Path, scope: Scope) -> Entity | None:
        entity = scope.find(path.names[0].key)
        for name in path.names[1:]:
            entity = (
                entity.members.find(name.key) if isinstance(entity, Namespace) else None
            )
        return entity

    def _import(self, statement: tree.Import, place: _Place) -> None:
        """Components and defines of another file, under their own names."""
        try:
            path = imported_path(statement.target, self._folder)
        except ModelError as fault:
            self.work.faults += fault.diagnostics
            return
        if path in self._imported:
            return
        self._imported.append(path)
        try:
            file = self.load(path)
        except ModelError as fault:
            if any(d.span is not None for d in fault.diagnostics):
                self.work.faults += fault.diagnostics
            else:
                reason = fault.diagnostics[0].message
                self.work.faults.append(faults.bad_import(statement.target, reason))
            return
        folder, self._folder = self._folder, path.parent
        self.statements(file.statements, place, "an imported file")
        self._folder = folder

    # ── the rest ─────────────────────────────────────────────────────────────────────────────

    def _title(self, statement: tree.Title, place: _Place) -> None:
        if statement.span.source is self.work.source:
            self.work.title = statement.text.value

    def _reference(self, statement: tree.Reference, place: _Place) -> None:
        self.work.references.append(statement.text.value)

    def _case(self, statement: tree.Case, place: _Place) -> None:
        overrides = tuple(
            override(item, place.scope)
            for item in statement.body
            if isinstance(item, tree.Declaration)
        )
        initials = tuple(
            initial(item, place.scope)
            for item in statement.body
            if isinstance(item, tree.Initial)
        )
        description = statement.description.value if statement.description else ""
        self._once(statement.name, self.work.cases, "case")
        self.work.cases[statement.name.key] = Case(
            statement.name.key, statement.name.span, description, overrides, initials
        )

    def _experiment(self, statement: tree.Experiment, place: _Place) -> None:
        description = statement.description.value if statement.description else ""
        self._once(statement.name, self.work.experiments, "experiment")
        self.work.experiments[statement.name.key] = Experiment(
            statement.name.key, statement.name.span, description, statement.body
        )

    def _once(
        self, name: tree.Name, known: Mapping[str, Case | Experiment], what: str
    ) -> None:
        """Complain about a second case or experiment of one name."""
        first = known.get(name.key)
        if first is not None:
            self.work.faults.append(faults.duplicate(name, first.span, what))
