"""The checker: every fault of meaning in a file at once, and warnings."""

from __future__ import annotations

from collections.abc import Iterable

from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.model import faults
from qsyncdsl.model.check_equations import check_equations
from qsyncdsl.model.check_experiment import (
    check_experiment,
    open_levels,
    settable,
)
from qsyncdsl.model.elaborate import elaborate
from qsyncdsl.model.inference import Inference
from qsyncdsl.model.kinds import NUMBER, UNKNOWN, Bindings, Kind
from qsyncdsl.model.signature import bind
from qsyncdsl.model.types import (
    Case,
    Define,
    Duality,
    Entity,
    Index,
    Initial,
    Lattice,
    Mode,
    Model,
    Noise,
    Override,
    Parameter,
    Scope,
    Term,
    Variable,
)
from qsyncdsl.registry import (
    Registry,
    distributions,
    lattices,
    modes,
    noises,
    states,
    variables,
)
from qsyncdsl.source import Source, Span
from qsyncdsl.syntax import tree
from qsyncdsl.syntax.walk import is_auto, mentions


def check_file(file: tree.File, source: Source) -> tuple[Model, tuple[Diagnostic, ...]]:
    """The model of a file, and warnings.

    Raises:
        ModelError: E2xx, with every fault, in the order of their places.
    """
    model, found = elaborate(file, source)
    work = _Checker(model)
    work.model_level()
    faults_found = _sorted([*found, *work.found])
    errors = [d for d in faults_found if d.severity == "error"]
    if errors:
        raise ModelError(errors)
    return model, tuple(faults_found)


def _sorted(found: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Each fault once, in the order of the text."""
    unique: dict[tuple[object, ...], Diagnostic] = {}
    for d in found:
        place = (d.span.source.name, d.span.start, d.span.end) if d.span else ("", 0, 0)
        unique.setdefault((*place, d.code, d.message), d)
    return [
        unique[key]
        for key in sorted(unique, key=lambda k: (k[0] != "", k[0], k[1], k[2], k[3]))
    ]


class _Checker:
    """One pass over a model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.found: list[Diagnostic] = []
        self.kinds = Inference(self.found.append)

    def model_level(self) -> None:
        model = self.model
        for entity in model.entities.values():
            self._entity(entity)
        for term in model.hamiltonian:
            self._term(term, "a Hamiltonian term")
        for term in model.dissipators:
            self._term(term, "a jump operator")
        for term in model.kicks:
            self._term(term, "the generator of a kick")
        check_equations(model, self.kinds, self.found.append, self._binders)
        for duality in model.dualities:
            self._duality(duality)
        for statement in model.initials:
            self.initial(statement)
        for case in model.cases.values():
            self._case(case)
        for experiment in model.experiments.values():
            check_experiment(
                model, experiment, self.found.append, self.kinds.used, self.initial
            )
        if not model.modes and not model.variables:
            self.found.append(
                faults.no_modes(Span(model.source, 0, min(1, len(model.source.text))))
            )
        self._unused()

    # ── declarations ─────────────────────────────────────────────────────────────────────────

    def _entity(self, entity: Entity) -> None:
        bindings = self._indices(entity.index)
        match entity:
            case Parameter(random=True):
                self._drawn(entity.value, entity.scope, bindings)
            case Parameter():
                self.kinds.number(entity.value, entity.scope, bindings, "a parameter")
            case Lattice():
                self._word_call(
                    lattices, entity.value, "lattice", entity.scope, bindings
                )
            case Mode():
                self._kind(modes, entity, entity.arguments, "kind of mode", bindings)
            case Variable():
                self._kind(variables, entity, (), "kind of variable", bindings)
            case Noise():
                self._kind(noises, entity, entity.arguments, "kind of noise", bindings)
            case Define():
                names = entity.parameters or ()
                self.kinds.of(entity.value, entity.scope, dict.fromkeys(names, UNKNOWN))

    def _indices(self, indices: tuple[Index, ...]) -> dict[str, Kind]:
        """The names that declared indices bind, with their domains checked."""
        found: dict[str, Kind] = {}
        for index in indices:
            kind = self.kinds.of(index.domain, index.scope, {})
            if kind.name not in ("lattice", "set", "list", "edges", "unknown"):
                self.found.append(faults.not_finite(index.domain))
            found |= dict.fromkeys(index.names, NUMBER)
        return found

    def _kind(
        self,
        registry: Registry,
        entity: Entity,
        arguments: tuple[tree.Argument, ...],
        what: str,
        bindings: Bindings,
    ) -> None:
        """A mode, variable or noise with the arguments of its kind."""
        kind = entity.kind  # type: ignore[attr-defined]
        node = tree.Name(entity.span, kind, kind)
        if kind not in registry:
            self.found.append(
                faults.unknown_word(node, kind or entity.written, what, registry)
            )
            return
        try:
            given = bind(registry[kind], arguments, node)
        except ModelError as fault:
            self.found += fault.diagnostics
            return
        for name, value in given.items():
            if name == "levels" and is_auto(value):
                continue
            if not isinstance(value, tuple) and name != "f":
                self.kinds.number(value, entity.scope, bindings, f"'{name}'")

    def _word_call(
        self,
        registry: Registry,
        node: tree.Expr,
        what: str,
        scope: Scope,
        bindings: Bindings,
    ) -> None:
        """`ring(10, range = 2)`, `normal(1, 0.1)`: a word with arguments."""
        name = node.function if isinstance(node, tree.Call) else node
        if not isinstance(name, tree.Name) or name.key not in registry:
            self.found.append(faults.unknown_word(name, name.span.text, what, registry))
            return
        word = registry[name.key]
        try:
            given = bind(
                word, node.arguments if isinstance(node, tree.Call) else (), node
            )
        except ModelError as fault:
            self.found += fault.diagnostics
            return
        kinds = {argument.name: argument for argument in word.arguments}
        for key, value in given.items():
            if isinstance(value, tuple):
                continue
            if kinds[key].kind == "word":
                if getattr(value, "key", "") not in kinds[key].words:
                    self.found.append(
                        faults.unknown_word(
                            value, value.span.text, key, kinds[key].words
                        )
                    )
            elif kinds[key].kind == "text":
                if not isinstance(value, tree.String):
                    self.found.append(
                        faults.wrong_kind(
                            value, f"'{key}'", "a text in quotes", "something else"
                        )
                    )
            else:
                self.kinds.number(value, scope, bindings, f"'{key}'")

    def _drawn(self, node: tree.Expr, scope: Scope, bindings: Bindings) -> None:
        self._word_call(distributions, node, "distribution", scope, bindings)

    # ── terms ────────────────────────────────────────────────────────────────────────────────

    def _term(self, term: Term, what: str) -> None:
        bindings: dict[str, Kind] = {}
        self._indices(term.replicas)
        if term.binders is not None:
            bindings = self._binders(term.binders, term.scope)
            if what == "a Hamiltonian term":
                self._summands(term, set(bindings))
        if term.rate is not None:
            self.kinds.number(
                term.rate,
                term.scope,
                bindings,
                "a rate" if what == "a jump operator" else "a period",
            )
        self.kinds.operator(term.value, term.scope, bindings, what)

    def _binders(self, binders: tree.Binders, scope: Scope) -> dict[str, Kind]:
        bindings: dict[str, Kind] = {}
        for binder in binders.items:
            bindings |= self.kinds.bind(binder.place, binder.domain, scope, bindings)
        if binders.condition is not None:
            self.kinds.condition(binders.condition, scope, bindings)
        return bindings

    def _summands(self, term: Term, names: set[str]) -> None:
        """Each summand of a repeated term must contain an index."""
        for summand in _top_summands(term.value):
            if not mentions(summand, names):
                self.found.append(faults.without_index(summand, sorted(names)))

    def _duality(self, duality: Duality) -> None:
        """Names and numbers of a substitution; what it does is verified with the numbers."""
        scope = self.model.scope
        for name in (duality.source, duality.target):
            self.kinds.of(name, scope, {})
        for step in duality.steps:
            self.kinds.of(step.place.name, scope, {})
            self.kinds.number(step.value, scope, {}, "an image")
        known = list(self.model.parameters)
        for setting in duality.settings:
            place = setting.place
            for name in place.names if isinstance(place, tree.Group) else (place.name,):
                if name.key not in known:
                    self.found.append(faults.unknown_parameter(name, known))
            self.kinds.number(setting.value, scope, {}, "a value")

    # ── states and cases ─────────────────────────────────────────────────────────────────────

    def initial(self, statement: Initial) -> None:
        """`initial a[j in sites] = coherent(...)`."""
        bindings: dict[str, Kind] = {}
        variable = False
        for place in statement.places:
            names = place.names if isinstance(place, tree.Group) else (place.name,)
            for name in names:
                kind = self.kinds.of(name, statement.scope, {})
                variable |= kind.name == "number" or isinstance(kind.entity, Variable)
                if kind.name not in ("mode", "number", "array", "unknown"):
                    self.found.append(
                        faults.wrong_kind(
                            name,
                            f"'{name.written}'",
                            "a mode or a variable",
                            f"a {kind.name}",
                        )
                    )
            for argument in () if isinstance(place, tree.Group) else place.arguments:
                if isinstance(argument, tree.Each):
                    bindings |= self.kinds.bind(
                        argument.pattern, argument.domain, statement.scope, {}
                    )
        node = statement.value
        if variable:
            self.kinds.number(node, statement.scope, bindings, "an initial value")
            return
        self._word_call(states, node, "state", statement.scope, bindings)

    def _case(self, case: Case) -> None:
        for override in case.overrides:
            self.override(override, case.span)
        for statement in case.initials:
            self.initial(statement)

    def override(self, override: Override, span: Span) -> None:
        """A new value for a parameter or for `levels`."""
        assert isinstance(override.value, tree.Node)
        known = settable(self.model)
        if override.name not in known:
            name = tree.Name(_place_of(override, span), override.name, override.name)
            self.found.append(faults.unknown_parameter(name, known))
        bindings = self._indices(override.index)
        scope = override.scope or self.model.scope
        if open_levels(override.name, override.value):
            return
        if override.random:
            self._drawn(override.value, scope, bindings)
        else:
            kinds = Inference(self.found.append, measuring=True, used=self.kinds.used)
            kinds.number(override.value, scope, bindings, "a value")

    def _unused(self) -> None:
        for entity in self.model.entities.values():
            if (
                entity.name in self.kinds.used
                or entity.span.source is not self.model.source
            ):
                continue
            if (
                isinstance(entity, Parameter)
                and entity.name != "hbar"
                and "." not in entity.name
            ):
                self.found.append(faults.unused(entity, "parameter"))
            elif isinstance(entity, Mode) and "." not in entity.name:
                self.found.append(faults.unused(entity, "mode"))
            elif isinstance(entity, Noise):
                self.found.append(faults.unused(entity, "noise"))


def _place_of(override: Override, span: Span) -> Span:
    """Where the name of an override stands: before its value, on the same text."""
    value = override.value
    if not isinstance(value, tree.Node):
        return span
    text = value.span.source.text
    start = text.rfind(override.name, 0, value.span.start)
    return (
        Span(value.span.source, start, start + len(override.name))
        if start >= 0
        else value.span
    )


def _top_summands(node: tree.Expr) -> list[tree.Expr]:
    """The summands that a binder repeats."""
    if isinstance(node, tree.Binary) and node.operator in ("+", "-"):
        right = (
            []
            if isinstance(node.right, tree.HermitianConjugate)
            else _top_summands(node.right)
        )
        return [*_top_summands(node.left), *right]
    return [node]
