"""What an expression is, found without evaluating it.

An expression of unknown kind has been complained about already and is passed over in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.model import faults
from qsyncdsl.model.kinds import (
    CONDITION,
    CONSTANTS,
    NUMBER,
    OPERATOR,
    TEXT,
    UNKNOWN,
    Bindings,
    Kind,
    bare_measure,
    letters,
)
from qsyncdsl.model.measure_kinds import measure_kind
from qsyncdsl.model.signature import bind
from qsyncdsl.model.types import (
    Component,
    Conjugate,
    Define,
    Entity,
    Lattice,
    Mode,
    Namespace,
    Noise,
    Parameter,
    Scope,
    Variable,
)
from qsyncdsl.registry import functions, measures, modes
from qsyncdsl.syntax import tree
from qsyncdsl.syntax.walk import bound_names


@dataclass
class Inference:
    """Finds kinds and complains.

    Args:
        report: Takes each fault.
        measuring: Whether `<...>`, measures and located values have a meaning here.
        extra: Names with a meaning in this place only: measures, located values, `time`.
        means: Whether `<...>` alone has a meaning: in equations of motion.
    """

    report: Callable[[Diagnostic], None]
    measuring: bool = False
    extra: Mapping[str, Kind] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    active: list[str] = field(default_factory=list)
    means: bool = False

    # ── expectations of the places around ────────────────────────────────────────────────────

    def number(
        self, node: tree.Expr, scope: Scope, bindings: Bindings, what: str
    ) -> None:
        """Complain unless an expression is a number."""
        kind = self.of(node, scope, bindings)
        if kind.name in ("operator", "mode"):
            self.report(faults.operator_for_number(node, what))
        elif kind.name not in ("number", "unknown"):
            self.report(faults.wrong_kind(node, what, "a number", f"a {kind.name}"))

    def operator(
        self, node: tree.Expr, scope: Scope, bindings: Bindings, what: str
    ) -> None:
        """Complain unless an expression is an operator."""
        kind = self.arithmetic(self.of(node, scope, bindings), node)
        if kind.name == "number":
            self.report(faults.number_for_operator(node, what))
        elif kind.name not in ("operator", "unknown"):
            self.report(faults.wrong_kind(node, what, "an operator", f"a {kind.name}"))

    def arithmetic(self, kind: Kind, node: tree.Expr) -> Kind:
        """A kind about to enter arithmetic: a bare mode becomes an operator."""
        if kind.name != "mode":
            if kind.name == "array" and kind.entity is not None:
                self.report(faults.missing_index(node, kind.entity))
                return UNKNOWN
            return kind
        mode = kind.entity
        assert isinstance(mode, Mode)
        if kind.indices < len(mode.index):
            self.report(faults.missing_index(node, mode))
            return UNKNOWN
        if mode.kind in modes and mode.kind != "boson":
            self.report(
                faults.bare_mode(node, node.span.text, mode.kind, letters(mode.kind))
            )
            return UNKNOWN
        return OPERATOR

    # ── kinds ────────────────────────────────────────────────────────────────────────────────

    def of(self, node: tree.Expr, scope: Scope, bindings: Bindings) -> Kind:
        """The kind of an expression."""
        match node:
            case tree.Number():
                return NUMBER
            case tree.String():
                return TEXT
            case tree.Name():
                return self.name(node, scope, bindings)
            case tree.Unary(operand=operand):
                return self.arithmetic(self.of(operand, scope, bindings), operand)
            case tree.Binary():
                return self.binary(node, scope, bindings)
            case tree.Range(start=start, stop=stop):
                self.number(start, scope, bindings, "the end of a range")
                self.number(stop, scope, bindings, "the end of a range")
                return Kind("set", items=(NUMBER,))
            case tree.Tuple(items=items) | tree.List(items=items):
                return Kind(
                    "list",
                    items=tuple(self.of(item, scope, bindings) for item in items),
                )
            case tree.Adjoint(operand=operand):
                kind = self.arithmetic(self.of(operand, scope, bindings), operand)
                if kind.name == "number":
                    self.report(faults.adjoint_of_number(node))
                    return UNKNOWN
                return kind
            case tree.Attribute():
                return self.attribute(node, scope, bindings)
            case tree.Index():
                return self.index(node, scope, bindings)
            case tree.Call():
                return self.call(node, scope, bindings)
            case tree.Expectation(operand=operand):
                self.arithmetic(self.of(operand, scope, bindings), operand)
                if not (self.measuring or self.means):
                    self.report(faults.misplaced_mean(node))
                return NUMBER
            case tree.Ketbra():
                return self.ketbra(node, scope, bindings)
            case tree.HermitianConjugate():
                self.report(faults.misplaced_hc(node))
        return UNKNOWN

    def name(self, node: tree.Name, scope: Scope, bindings: Bindings) -> Kind:
        """The kind of what a name stands for."""
        if node.key in bindings:
            return bindings[node.key]
        if node.key in CONSTANTS:
            return NUMBER
        if node.key in self.extra:
            return self.extra[node.key]
        entity = scope.find(node.key)
        # `time` is that of a record, where a measure takes one
        bare = node.key == "time" or bare_measure(node.key)
        if entity is None and self.measuring and bare:
            return NUMBER
        if entity is None:
            known = {*scope.known(), *bindings, *self.extra}
            if node.key in functions or node.key in measures:
                self.report(
                    faults.wrong_kind(node, f"'{node.written}'", "called", "a function")
                )
            else:
                self.report(faults.unknown_name(node, known))
            return UNKNOWN
        same = entity.span.source is node.span.source
        if same and entity.span.start > node.span.start and not self.measuring:
            self.report(faults.too_early(node, entity))
        return self.entity(entity, node)

    def entity(self, entity: Entity, node: tree.Node) -> Kind:
        """The kind of an entity seen from its own component, or from outside at a replica."""
        self.used.add(entity.name)
        match entity:
            case Parameter() if len(entity.index) > entity.inherited:
                return Kind("array", entity, entity.inherited)
            case Parameter():
                return NUMBER
            case Variable() | Noise() if len(entity.index) > entity.inherited:
                return Kind("array", entity, entity.inherited)
            case Variable() | Noise() | Conjugate():
                return NUMBER
            case Lattice():
                return Kind("lattice")
            case Mode():
                return Kind("mode", entity, entity.inherited)
            case Namespace():
                return Kind("namespace", entity, entity.inherited)
            case Define(parameters=None):
                return self.define(entity, {}, node)
            case Define():
                return Kind("function", entity)
            case Component():
                self.report(
                    faults.wrong_kind(
                        node, f"'{entity.written}'", "put in by 'use'", "a component"
                    )
                )
        return UNKNOWN

    def define(self, entity: Define, bindings: Bindings, node: tree.Node) -> Kind:
        """The kind of a define; faults inside it are its own."""
        if entity.name in self.active:
            self.report(faults.recursion(node, f"'{entity.written}'"))
            return UNKNOWN
        self.active.append(entity.name)
        try:
            return self.of(entity.value, entity.scope, bindings)
        finally:
            self.active.pop()

    def binary(self, node: tree.Binary, scope: Scope, bindings: Bindings) -> Kind:
        """Arithmetic, comparisons and logic."""
        left = self.of(node.left, scope, bindings)
        if isinstance(node.right, tree.HermitianConjugate):
            left = self.arithmetic(left, node.left)
            if node.operator not in ("+", "-") or left.name not in (
                "operator",
                "unknown",
            ):
                self.report(faults.misplaced_hc(node.right))
            return left
        right = self.of(node.right, scope, bindings)
        if node.operator in ("and", "or"):
            return CONDITION
        left, right = (
            self.arithmetic(left, node.left),
            self.arithmetic(right, node.right),
        )
        names = (left.name, right.name)
        if "unknown" in names:
            return UNKNOWN
        if node.operator in ("<", ">", "<=", ">=", "=", "!="):
            if "operator" in names:
                self.report(faults.not_comparable(node))
                return UNKNOWN
            return CONDITION
        for kind, side in ((left, node.left), (right, node.right)):
            if kind.name in (
                "lattice",
                "edges",
                "namespace",
                "function",
                "text",
                "state",
                "condition",
            ):
                self.report(
                    faults.wrong_kind(
                        side,
                        "a summand or factor",
                        "a number or an operator",
                        f"a {kind.name}",
                    )
                )
                return UNKNOWN
        if right.name == "operator" and node.operator == "^":
            self.report(faults.bad_exponent(node.right))
        if right.name == "operator" and node.operator == "/":
            self.report(faults.division_by_operator(node.right))
        for name in ("operator", "value", "list", "set"):
            if name in names:
                return left if left.name == name else right
        return NUMBER

    def attribute(self, node: tree.Attribute, scope: Scope, bindings: Bindings) -> Kind:
        """`left.a`, `sites.edges`, `a.n`."""
        base = self.of(node.base, scope, bindings)
        if base.name == "namespace" and isinstance(base.entity, Namespace):
            space = base.entity
            if base.indices < len(space.index):
                self.report(faults.missing_index(node.base, space))
                return UNKNOWN
            member = space.members.find(node.name.key)
            if member is None:
                self.report(faults.unknown_name(node.name, space.members.names))
                return UNKNOWN
            return self.entity(member, node)
        if base.name == "lattice" and node.name.key == "edges":
            return Kind("edges")
        if base.name == "lattice" and node.name.key == "neighbors":
            return Kind("set", items=(NUMBER,))
        if base.name == "mode" and isinstance(base.entity, Mode):
            mode = base.entity
            if base.indices < len(mode.index):
                self.report(faults.missing_index(node.base, mode))
                return UNKNOWN
            kind = "qubit" if base.indices > len(mode.index) else mode.kind
            if kind in modes and node.name.key not in letters(kind):
                self.report(faults.unknown_letter(node.name, mode, kind, letters(kind)))
                return UNKNOWN
            return OPERATOR
        if base.name != "unknown":
            self.report(
                faults.unknown_name(
                    node.name,
                    ["edges", "neighbors"] if base.name == "lattice" else [],
                )
            )
        return UNKNOWN

    def index(self, node: tree.Index, scope: Scope, bindings: Bindings) -> Kind:
        """An element, a site, a slice, an atom."""
        base = self.of(node.base, scope, bindings)
        slices = False
        for argument in node.arguments:
            if isinstance(argument, tree.Each | tree.Option):
                self.report(
                    faults.wrong_kind(argument, "an index", "a number", "a binder")
                )
                return UNKNOWN
            kind = self.of(argument, scope, bindings)
            slices |= kind.name in ("set", "lattice", "list")
            if kind.name in ("operator", "mode"):
                self.report(faults.operator_for_number(argument, "an index"))
        entity = base.entity
        if base.name in ("array", "mode", "namespace") and entity is not None:
            missing = len(entity.index) - base.indices
            if (
                missing == 0
                and base.name == "mode"
                and getattr(entity, "kind", "") == "ensemble"
            ):
                return Kind("mode", entity, len(entity.index) + 1)
            if missing == 0:
                self.report(faults.no_index(node, f"'{entity.written}'"))
                return UNKNOWN
            if base.name == "array":
                return Kind("list", items=(NUMBER,)) if slices else NUMBER
            whole = Kind(base.name, entity, len(entity.index))
            return Kind("list", items=(whole,)) if slices else whole
        if base.name == "list":
            return base.items[0] if base.items else UNKNOWN
        if base.name not in ("unknown", "value"):
            self.report(faults.no_index(node, "this"))
        return NUMBER if base.name == "value" else UNKNOWN

    def ketbra(self, node: tree.Ketbra, scope: Scope, bindings: Bindings) -> Kind:
        """|n><m| of a mode."""
        self.number(node.ket, scope, bindings, "the label of a level")
        self.number(node.bra, scope, bindings, "the label of a level")
        if node.of is not None:
            kind = self.of(node.of, scope, bindings)
            if kind.name not in ("mode", "unknown"):
                self.report(
                    faults.wrong_kind(
                        node.of, "what stands after 'of'", "a mode", f"a {kind.name}"
                    )
                )
        return OPERATOR

    # ── calls and binders ────────────────────────────────────────────────────────────────────

    def call(self, node: tree.Call, scope: Scope, bindings: Bindings) -> Kind:
        """Defines, letters with arguments, sums, functions, measures."""
        if isinstance(node.function, tree.Attribute):
            for argument in node.arguments:
                if not isinstance(argument, tree.Each | tree.Option):
                    self.number(argument, scope, bindings, "this argument")
            return self.attribute(node.function, scope, bindings)
        if not isinstance(node.function, tree.Name):
            self.report(faults.not_callable(node.function, "this"))
            return UNKNOWN
        name = node.function
        entity = scope.find(name.key)
        if name.key in self.extra:
            self._arguments(node, scope, bindings)
            return NUMBER
        if isinstance(entity, Define):
            return self.apply(entity, node, scope, bindings)
        if name.key == "sum":
            return self.sum(node, scope, bindings)
        if name.key in functions and (entity is None or isinstance(entity, Namespace)):
            return self.function(node, name.key, scope, bindings)
        if name.key in measures and entity is None:
            return measure_kind(self, node, name, scope, bindings)
        if entity is not None or name.key in bindings:
            self.report(faults.not_callable(name, f"'{name.written}'"))
        else:
            known = [*functions, *(measures if self.measuring else ()), *scope.known()]
            self.report(faults.unknown_word(name, name.written, "function", known))
        self._arguments(node, scope, bindings)
        return UNKNOWN

    def _arguments(
        self, node: tree.Call, scope: Scope, bindings: Bindings
    ) -> list[Kind]:
        values = [a.value if isinstance(a, tree.Option) else a for a in node.arguments]
        return [
            self.of(v, scope, bindings) for v in values if not isinstance(v, tree.Each)
        ]

    def apply(
        self, entity: Define, node: tree.Call, scope: Scope, bindings: Bindings
    ) -> Kind:
        """A define with arguments."""
        self.used.add(entity.name)
        kinds = self._arguments(node, scope, bindings)
        names = entity.parameters
        if names is None:
            self.report(faults.not_callable(node.function, f"'{entity.written}'"))
            return UNKNOWN
        if len(names) != len(kinds):
            message = f"'{entity.written}' takes {len(names)} arguments, {len(kinds)} are given"
            self.report(Diagnostic("E230", message, node.span))
            return UNKNOWN
        return self.define(entity, dict(zip(names, kinds, strict=True)), node)

    def function(
        self, node: tree.Call, name: str, scope: Scope, bindings: Bindings
    ) -> Kind:
        """A function of numbers, or of an operator."""
        try:
            bind(functions[name], node.arguments, node)
        except ModelError as fault:
            self.report(fault.diagnostics[0])
            return UNKNOWN
        kinds = self._arguments(node, scope, bindings)
        if name in ("linspace", "logspace"):
            return Kind("list", items=(NUMBER,))
        if name == "integral":
            return Kind("set", items=(NUMBER,))
        if name == "z":
            return NUMBER
        values = [a.value if isinstance(a, tree.Option) else a for a in node.arguments]
        kinds = [self.arithmetic(k, v) for k, v in zip(kinds, values, strict=True)]  # type: ignore[arg-type]
        names = {kind.name for kind in kinds}
        if "unknown" in names:
            return UNKNOWN
        if "operator" in names:
            return OPERATOR
        if name in ("min", "max"):
            return NUMBER
        return next((k for k in kinds if k.name in ("list", "value")), NUMBER)

    def sum(self, node: tree.Call, scope: Scope, bindings: Bindings) -> Kind:
        """`sum(j in sites, x)`."""
        each = [a for a in node.arguments if isinstance(a, tree.Each)]
        rest = [a for a in node.arguments if not isinstance(a, tree.Each | tree.Option)]
        if len(rest) != 1:
            self.report(
                Diagnostic("E230", "a sum is written sum(j in sites, x)", node.span)
            )
            return UNKNOWN
        inner = dict(bindings)
        for binder in each:
            inner |= self.bind(binder.pattern, binder.domain, scope, inner)
            if binder.condition is not None:
                self.condition(binder.condition, scope, inner)
        return (
            self.arithmetic(self.of(rest[0], scope, inner), rest[0]) if each else NUMBER
        )

    def bind(
        self, pattern: tree.Node, domain: tree.Expr, scope: Scope, bindings: Bindings
    ) -> dict[str, Kind]:
        """The names that a binder binds, with their kinds."""
        names = bound_names(pattern)
        kind = self.of(domain, scope, bindings)
        for name in names:
            if name.key in CONSTANTS:
                self.report(faults.reserved(name))
            elif name.key in bindings:
                self.report(
                    Diagnostic(
                        "E204",
                        f"the index '{name.written}' is bound already",
                        name.span,
                    )
                )
            elif (entity := scope.find(name.key)) is not None:
                self.report(faults.hides(name, entity))
        found = self._members(kind, len(names))
        if found is None:
            self.report(faults.not_finite(domain))
            found = (UNKNOWN,) * len(names)
        if len(found) != len(names):
            message = (
                f"{len(names)} names are bound, the members have {len(found)} parts"
            )
            self.report(Diagnostic("E220", message, domain.span))
            found = (UNKNOWN,) * len(names)
        return {name.key: k for name, k in zip(names, found, strict=True)}

    def _members(self, kind: Kind, count: int) -> tuple[Kind, ...] | None:
        """Kinds of the parts of a member of a set."""
        if kind.name == "unknown":
            return (UNKNOWN,) * count
        if kind.name == "edges":
            return (NUMBER, NUMBER)
        if kind.name in ("lattice", "set"):
            return (NUMBER,)
        if kind.name == "mode" and getattr(kind.entity, "kind", "") == "ensemble":
            return (NUMBER,)
        if kind.name == "list":
            if not kind.items:
                return (UNKNOWN,) * count
            first = kind.items[0]
            return first.items if first.name == "list" and count > 1 else (first,)
        return None

    def condition(self, node: tree.Expr, scope: Scope, bindings: Bindings) -> None:
        """Complain unless an expression is a condition."""
        kind = self.of(node, scope, bindings)
        if kind.name not in ("condition", "unknown", "value"):
            self.report(
                faults.wrong_kind(
                    node, "what stands after 'where'", "a condition", f"a {kind.name}"
                )
            )
