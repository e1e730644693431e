"""The one interpreter of expressions. Here for numbers; operators and measures extend it.

Lists are tuples and arithmetic maps over them, so that nothing heavy is imported.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.model import numbers
from qsyncdsl.model.lattices import Graph
from qsyncdsl.model.types import (
    Define,
    Entity,
    Index,
    Lattice,
    Mode,
    Namespace,
    Parameter,
    Scope,
    Variable,
)
from qsyncdsl.model.values import (
    Atoms,
    Edges,
    Frame,
    FunctionValue,
    Interval,
    ModeValue,
    NamespaceValue,
    Nodes,
    ParameterArray,
    VariableValue,
)
from qsyncdsl.registry import functions
from qsyncdsl.syntax import tree
from qsyncdsl.syntax.walk import bound_keys

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": numbers.divide,
    "^": numbers.power,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}


def fail(
    code: str, node: tree.Node, message: str, label: str = "", help: str = ""
) -> NoReturn:
    """Raise the one diagnostic that ends this evaluation."""
    raise ModelError([Diagnostic(code, message, node.span, label, help=help)])


class Evaluator:
    """Evaluates expressions to numbers, lists, modes, sites and functions.

    Subclasses decide what parameters, operators, expectation values and measures become.

    Args:
        environment: Gives the value of a parameter and the graph of a lattice:
            `value(parameter, index)`, `graph(lattice)`.
    """

    def __init__(self, environment: Any) -> None:
        self.environment = environment

    def evaluate(
        self, node: tree.Expr, scope: Scope, frame: Frame | None = None
    ) -> Any:
        """Value of an expression in its scope.

        Raises:
            ModelError: E3xx, with the span of the part that has no value.
        """
        frame = frame or Frame()
        match node:
            case tree.Number(value=value):
                return self.number(value)
            case tree.String(value=text):
                return text
            case tree.Name():
                return self.name(node, scope, frame)
            case tree.Unary():
                return self.unary(node, scope, frame)
            case tree.Binary():
                return self.binary(node, scope, frame)
            case tree.Range(start=start, stop=stop):
                return Interval(
                    self.position(start, scope, frame),
                    self.position(stop, scope, frame),
                )
            case tree.Tuple(items=items) | tree.List(items=items):
                return tuple(self.evaluate(item, scope, frame) for item in items)
            case tree.Attribute():
                return self.attribute(node, (), scope, frame)
            case tree.Index():
                return self.index(node, scope, frame)
            case tree.Call():
                return self.call(node, scope, frame)
            case _:
                return self.quantum(node, scope, frame)

    # ── what subclasses change ───────────────────────────────────────────────────────────────

    def number(self, value: int | float) -> Any:
        """A literal."""
        return value

    def constant(self, name: str) -> Any:
        """`i`, `pi`, `inf`; `t` has a value only where time runs."""
        return numbers.CONSTANTS.get(name)

    def position(self, node: tree.Expr, scope: Scope, frame: Frame) -> Any:
        """An index, an end of a range or a condition on indices: numbers, always."""
        return self.evaluate(node, scope, frame)

    def parameter(self, parameter: Parameter, index: tuple[int, ...]) -> Any:
        """A parameter at an index."""
        return self.environment.value(parameter, index)

    def operand(self, value: Any, node: tree.Expr) -> Any:
        """A value about to enter arithmetic."""
        if isinstance(value, ModeValue | VariableValue):
            fail(
                "E301",
                node,
                "an operator where a number is expected",
                "has no numerical value",
            )
        return value

    def letter(
        self, mode: ModeValue, name: str, arguments: tuple[Any, ...], node: tree.Expr
    ) -> Any:
        """`a.n`, `r.shift(1)`."""
        fail(
            "E301",
            node,
            "an operator where a number is expected",
            "has no numerical value",
        )

    def quantum(self, node: tree.Expr, scope: Scope, frame: Frame) -> Any:
        """Adjoints, expectation values, projections and `h.c.`."""
        fail(
            "E301",
            node,
            "an operator where a number is expected",
            "has no numerical value",
        )

    def function(self, name: str, arguments: tuple[Any, ...], node: tree.Call) -> Any:
        """A function of the registry, applied to values."""
        return numbers.FUNCTIONS[name](*arguments)

    def word(self, node: tree.Call, name: str, scope: Scope, frame: Frame) -> Any:
        """A call of a word that is neither a define nor a function: a measure."""
        fail("E302", node, f"'{name}' has no value here", "not a function of numbers")

    # ── names ────────────────────────────────────────────────────────────────────────────────

    def name(self, node: tree.Name, scope: Scope, frame: Frame) -> Any:
        """A bound name, a constant or an entity."""
        if node.key in frame.bindings:
            return frame.bindings[node.key]
        constant = self.constant(node.key)
        if constant is not None:
            return constant
        entity = scope.find(node.key)
        if entity is None:
            fail("E303", node, f"'{node.written}' has no value here")
        return self.entity(entity, frame.instance, node)

    def entity(self, entity: Entity, instance: tuple[int, ...], node: tree.Expr) -> Any:
        """What an entity stands for, in a replica of its component."""
        instance = instance[: entity.inherited]
        match entity:
            case Parameter() if len(entity.index) == len(instance):
                return self.parameter(entity, instance)
            case Parameter():
                return ParameterArray(entity, instance)
            case Lattice():
                return self.environment.graph(entity)
            case Mode():
                return ModeValue(entity, instance)
            case Variable():
                return VariableValue(entity, instance)
            case Define(parameters=None):
                return self.evaluate(entity.value, entity.scope, Frame({}, instance))
            case Define():
                return FunctionValue(entity, instance)
            case Namespace():
                return NamespaceValue(entity, instance)
            case _:
                fail("E303", node, f"'{entity.written}' has no value here")

    def attribute(
        self,
        node: tree.Attribute,
        arguments: tuple[Any, ...],
        scope: Scope,
        frame: Frame,
    ) -> Any:
        """`left.a`, `sites.edges`, `a.n`."""
        base = self.evaluate(node.base, scope, frame)
        match base:
            case NamespaceValue(namespace=namespace, instance=instance):
                entity = namespace.members.find(node.name.key)
                if entity is None:
                    fail("E303", node.name, f"'{node.name.written}' has no value here")
                return self.entity(entity, instance, node)
            case Graph() if node.name.key == "edges":
                return Edges(base)
            case Graph() if node.name.key == "neighbors" and len(arguments) == 1:
                return self.neighbors(base, arguments[0], node)
            case ModeValue():
                return self.letter(base, node.name.key, arguments, node)
            case _:
                fail("E303", node.name, f"'{node.name.written}' has no value here")

    def neighbors(self, graph: Graph, site: Any, node: tree.Attribute) -> Any:
        """`sites.neighbors(j)`: the sites that share an edge with one, ascending."""
        number = graph.site((self._integer(site, node),))
        if number is None:
            fail("E304", node, f"site {site} is outside the lattice")
        return graph.neighbors(number)

    # ── indices ──────────────────────────────────────────────────────────────────────────────

    def index(self, node: tree.Index, scope: Scope, frame: Frame) -> Any:
        """An element of an array, a site of a mode, a slice, an atom."""
        base = self.evaluate(node.base, scope, frame)
        given = tuple(
            self.position(a, scope, frame)
            for a in node.arguments
            if isinstance(a, tree.Expr)
        )
        if len(given) == 1 and isinstance(given[0], Interval | Graph | tuple):
            if isinstance(base, ModeValue) and base.missing == 1:
                (index,) = base.mode.index[len(base.site) :]
                if self.environment.domain(index, base.site) is given[0]:
                    # all of them: there is no site to be looked for
                    sites = members(given[0])
                    return tuple(ModeValue(base.mode, (*base.site, j)) for j in sites)
            return tuple(self._at(base, (j,), node) for j in members(given[0]))
        return self._at(base, given, node)

    def _at(self, base: Any, given: tuple[Any, ...], node: tree.Index) -> Any:
        """One element."""
        match base:
            case ParameterArray(parameter=parameter, instance=instance):
                return self.parameter(
                    parameter, instance + self._site(parameter, instance, given, node)
                )
            case ModeValue(mode=mode, site=site) if base.missing:
                return ModeValue(mode, site + self._site(mode, site, given, node))
            case ModeValue() if len(given) == 1:
                atom = (
                    1 if isinstance(given[0], Atoms) else self._integer(given[0], node)
                )
                return ModeValue(base.mode, base.site, atom)
            case VariableValue(variable=variable, site=site):
                return VariableValue(
                    variable, site + self._site(variable, site, given, node)
                )
            case NamespaceValue(namespace=space, instance=instance):
                return NamespaceValue(
                    space, instance + self._site(space, instance, given, node)
                )
            case tuple() if len(given) == 1:
                k = self._integer(given[0], node)
                if not 1 <= k <= len(base):
                    fail("E304", node, f"index {k} is outside 1..{len(base)}")
                return base[k - 1]
            case _:
                fail("E304", node, "this takes no index")

    def _site(
        self,
        entity: Entity,
        had: tuple[int, ...],
        given: tuple[Any, ...],
        node: tree.Index,
    ) -> tuple[int, ...]:
        """The site numbers that the indices mean; wraps where the lattice does."""
        own = entity.index[len(had) :]
        wanted = tuple(self._integer(value, node) for value in given)
        if len(own) == 1:
            return (self._one_site(own[0], wanted, had, node),)
        if len(own) != len(wanted):
            fail("E304", node, f"{len(own)} indices are needed, {len(wanted)} given")
        return tuple(
            self._one_site(i, (w,), had, node) for i, w in zip(own, wanted, strict=True)
        )

    def _one_site(
        self,
        index: Index,
        wanted: tuple[int, ...],
        had: tuple[int, ...],
        node: tree.Index,
    ) -> int:
        domain = self.environment.domain(index, had)
        if isinstance(domain, Graph):
            site = domain.site(wanted)
            if site is None:
                shape = " x ".join(map(str, domain.shape))
                fail(
                    "E304",
                    node,
                    f"site {', '.join(map(str, wanted))} is outside the lattice",
                    f"{domain.name} of {shape} sites, {'periodic' if domain.periodic else 'open'}",
                )
            return site
        allowed = list(members(domain))
        if len(wanted) != 1 or wanted[0] not in allowed:
            fail(
                "E304",
                node,
                f"index {', '.join(map(str, wanted))} is outside the declared ones",
            )
        return wanted[0]

    def _integer(self, value: Any, node: tree.Node) -> int:
        """A whole number, as an int."""
        whole = numbers.integer(value)
        if whole is None:
            fail("E305", node, f"an integer is expected, not {numbers.show(value)}")
        return whole

    def integer(self, node: tree.Expr, scope: Scope, frame: Frame | None = None) -> int:
        """An expression that must be a whole number.

        Raises:
            ModelError: E305 if it is not.
        """
        return self._integer(self.evaluate(node, scope, frame), node)

    # ── arithmetic ───────────────────────────────────────────────────────────────────────────

    def unary(self, node: tree.Unary, scope: Scope, frame: Frame) -> Any:
        """`-x`, `+x`, `not x`."""
        value = self.evaluate(node.operand, scope, frame)
        if node.operator == "not":
            return not value
        sign = -1 if node.operator == "-" else 1
        return over(lambda x: sign * self.operand(x, node.operand), value)

    def binary(self, node: tree.Binary, scope: Scope, frame: Frame) -> Any:
        """Arithmetic, comparisons, `and`, `or`."""
        left = self.evaluate(node.left, scope, frame)
        if node.operator in ("and", "or"):
            if bool(left) == (node.operator == "or"):
                return bool(left)
            return bool(self.evaluate(node.right, scope, frame))
        return self.combine(node, left, self.evaluate(node.right, scope, frame))

    def combine(self, node: tree.Binary, left: Any, right: Any) -> Any:
        """Apply a binary operator to values; lists go element by element."""

        def apply(x: Any, y: Any) -> Any:
            x, y = self.operand(x, node.left), self.operand(y, node.right)
            try:
                return _OPERATORS[node.operator](x, y)
            except ZeroDivisionError:
                fail("E306", node, "division by zero", "the divisor is 0 here")
            except OverflowError:
                fail("E307", node, "the number is too large")
            except (TypeError, ValueError) as reason:
                fail("E308", node, f"these values do not go together: {reason}")

        return over(apply, left, right, node)

    # ── calls ────────────────────────────────────────────────────────────────────────────────

    def call(self, node: tree.Call, scope: Scope, frame: Frame) -> Any:
        """A define, a letter of a mode, `sum`, a function, a measure."""
        if isinstance(node.function, tree.Attribute):
            return self.attribute(
                node.function, self._values(node, scope, frame), scope, frame
            )
        if not isinstance(node.function, tree.Name):
            fail("E302", node, "this cannot be called")
        name = node.function.key
        entity = frame.bindings.get(name) or scope.find(name)
        if isinstance(entity, Define):
            entity = self.entity(entity, frame.instance, node)
        if isinstance(entity, FunctionValue):
            return self.apply(entity, self._values(node, scope, frame), node)
        if name == "sum":
            return self.sum(node, scope, frame)
        if name == "z":
            return self.coordination(node, scope, frame)
        if name in functions:
            return self.checked(name, self._values(node, scope, frame), node)
        return self.word(node, name, scope, frame)

    def _values(self, node: tree.Call, scope: Scope, frame: Frame) -> tuple[Any, ...]:
        """Arguments by position; a named one stands where it is written."""
        return tuple(
            self.evaluate(a.value if isinstance(a, tree.Option) else a, scope, frame)
            for a in node.arguments
            if not isinstance(a, tree.Each)
        )

    def apply(
        self, function: FunctionValue, arguments: tuple[Any, ...], node: tree.Call
    ) -> Any:
        """A define with its arguments."""
        define = function.define
        names = define.parameters or ()
        if len(names) != len(arguments):
            fail("E302", node, f"'{define.written}' takes {len(names)} arguments")
        frame = Frame(dict(zip(names, arguments, strict=True)), function.instance)
        return self.evaluate(define.value, define.scope, frame)

    def checked(self, name: str, arguments: tuple[Any, ...], node: tree.Call) -> Any:
        """A function, with the errors of mathematics turned into ours."""
        try:
            return self.function(name, arguments, node)
        except ModelError:
            raise
        except (ValueError, TypeError, ZeroDivisionError) as reason:
            fail("E309", node, f"{name} has no value here: {reason}")
        except OverflowError:
            fail("E307", node, "the number is too large")

    def sum(self, node: tree.Call, scope: Scope, frame: Frame) -> Any:
        """`sum(j in sites, x)`: over every value of its binders."""
        binders = [a for a in node.arguments if isinstance(a, tree.Each)]
        if not binders:
            return sum(members(self.evaluate(node.arguments[0], scope, frame)))  # type: ignore[arg-type]
        body = node.arguments[-1]
        total: Any = 0
        for inner, weight in self.frames(binders, scope, frame):
            value = self.operand(self.evaluate(body, scope, inner), body)  # type: ignore[arg-type]
            factor = 1 if weight == 1 else self.number(weight)
            if isinstance(value, tuple):
                total = over(lambda a, b, w=factor: a + w * b, total, value, node)
            else:
                total = total + (value if weight == 1 else factor * value)
        return total

    def coordination(self, node: tree.Call, scope: Scope, frame: Frame) -> int:
        """`z(sites)` in the bulk; `z(j, sites)` of one site."""
        values = self._values(node, scope, frame)
        graph = next((v for v in values if isinstance(v, Graph)), None)
        if graph is not None and len(values) == 1:
            return graph.bulk
        graph = graph or self.environment.only_graph()
        if graph is None:
            fail("E302", node, "z(j) needs the lattice", help="write z(j, sites)")
        return graph.coordination(self._integer(values[0], node))

    # ── binders ──────────────────────────────────────────────────────────────────────────────

    def frames(
        self, binders: Iterable[tree.Each], scope: Scope, frame: Frame
    ) -> Iterator[tuple[Frame, float]]:
        """Every value of nested binders, with its weight."""
        first, *rest = binders
        names = bound_keys(first.pattern)
        domain = self.evaluate(first.domain, scope, frame)
        for value, weight in self.weighted(domain, first.domain):
            inner = self.bind(frame, names, value, first)
            if first.condition is not None and not self.position(
                first.condition, scope, inner
            ):
                continue
            if rest:
                yield from ((f, weight * w) for f, w in self.frames(rest, scope, inner))
            else:
                yield inner, weight

    def bind(
        self, frame: Frame, names: tuple[str, ...], value: Any, node: tree.Node
    ) -> Frame:
        """A frame with the names of one binder."""
        try:
            return frame.bind(names, value)
        except (ValueError, TypeError):
            fail(
                "E310",
                node,
                f"{len(names)} names are bound, the values do not have as many parts",
            )

    def weighted(self, domain: Any, node: tree.Expr) -> Iterator[tuple[Any, float]]:
        """The members of a domain with their weights: 1 but for `integral`."""
        if isinstance(domain, Nodes):
            return zip(domain.points, domain.weights, strict=True)
        if isinstance(domain, ModeValue) and domain.mode.kind == "ensemble":
            return iter(((Atoms(domain), 1.0),))
        try:
            return ((member, 1.0) for member in members(domain))
        except TypeError:
            fail("E310", node, "this is not a finite set", "cannot be gone through")


def members(domain: Any) -> Iterator[Any]:
    """The members of a list, a range, a lattice or its edges."""
    if isinstance(domain, Graph):
        return iter(range(1, domain.size + 1))
    return iter(domain)


def over(function: Callable[..., Any], *values: Any) -> Any:
    """Apply a function, element by element where a value is a list."""
    node = values[-1] if isinstance(values[-1], tree.Node) else None
    values = values[:-1] if node is not None else values
    lengths = {len(value) for value in values if isinstance(value, tuple)}
    if not lengths:
        return function(*values)
    if len(lengths) > 1:
        if node is not None:
            fail("E308", node, f"lists of lengths {sorted(lengths)} do not go together")
        raise ValueError("lists of different lengths")
    (length,) = lengths
    rows = [
        value if isinstance(value, tuple) else (value,) * length for value in values
    ]
    return tuple(
        over(function, *row) if node is None else over(function, *row, node)
        for row in zip(*rows, strict=True)
    )
