"""Expressions with operators: what a Hamiltonian term, a jump or an `<...>` means."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from qsyncdsl.algebra.operator_functions import of_operator
from qsyncdsl.algebra.operators import Polynomial, Space
from qsyncdsl.algebra.rings import SYMBOLIC
from qsyncdsl.algebra.symbols import Symbols
from qsyncdsl.algebra.system import ParameterKey
from qsyncdsl.model import numbers
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.evaluate import Evaluator, fail
from qsyncdsl.model.types import Parameter, Scope
from qsyncdsl.model.values import Frame, ModeValue, Nodes, VariableValue
from qsyncdsl.syntax import tree

# Powers of operators, and products of terms in them, that are written out.
_MOST_POWER, _MOST_PRODUCTS = 100, 200_000
# Functions whose arguments are sizes and ends, never symbols.
_OF_NUMBERS = ("linspace", "logspace", "integral")

_SYMPY_NAMES = {
    "abs": "Abs",
    "real": "re",
    "imag": "im",
    "conj": "conjugate",
    "ceil": "ceiling",
    "min": "Min",
    "max": "Max",
    "step": "Heaviside",
}


def _too_large(terms: int, power: int) -> bool:
    """Whether a power has too many products to be written out."""
    return power > _MOST_POWER or math.comb(terms + power - 1, power) > _MOST_PRODUCTS


class OperatorEvaluator(Evaluator):
    """Evaluates expressions to operators of a space and coefficients of its ring.

    Args:
        environment: The numbers of a point; all sizes and indices come from it.
        space: The modes, with the ring of coefficients.
        positions: Position in the space of each mode and site.
        symbols: Where parameters stay symbols; None where they are numbers.
        time: Value of `t` where parameters are numbers.
    """

    def __init__(
        self,
        environment: Environment,
        space: Space,
        positions: Mapping[ParameterKey, int],
        symbols: Symbols | None = None,
        time: float | None = 0.3,
    ) -> None:
        super().__init__(environment)
        self.space = space
        self.positions = positions
        self.symbols = symbols
        self.time = time
        self.nodes_times = 1
        self.integrals = 0
        # any number for classical variables, where terms are only checked
        self.stand_in = False

    # ── numbers ──────────────────────────────────────────────────────────────────────────────

    def number(self, value: int | float) -> Any:
        """A literal as a coefficient."""
        return self.space.ring.number(value)

    def constant(self, name: str) -> Any:
        """`i`, `pi`, `inf`, `t`."""
        if name == "t":
            return self._time()
        if self.space.ring is not SYMBOLIC or name not in numbers.CONSTANTS:
            return super().constant(name)
        import sympy

        return {"i": sympy.I, "pi": sympy.pi, "inf": sympy.oo}[name]

    def _time(self) -> Any:
        if self.symbols is None:
            return self.time
        import sympy

        return sympy.Symbol("t", real=True)

    def parameter(self, parameter: Parameter, index: tuple[int, ...]) -> Any:
        """A symbol, or its value."""
        if self.symbols is not None:
            return self.symbols.of(parameter, index)
        return self.environment.value(parameter, index)

    def position(self, node: tree.Expr, scope: Scope, frame: Frame) -> Any:
        """Indices and ranges are numbers, also where parameters are symbols."""
        return self.environment.numbers.evaluate(node, scope, frame)

    def hbar(self) -> Any:
        """`parameter hbar`, or 1."""
        parameter = self.environment.model.parameters.get("hbar")
        return self.number(1) if parameter is None else self.parameter(parameter, ())

    def coefficient(self, node: tree.Expr, scope: Scope, frame: Frame) -> Any:
        """A number: a rate, a period.

        Raises:
            ModelError: E301 for an operator.
        """
        value = self.evaluate(node, scope, frame)
        if isinstance(value, ModeValue) or (
            isinstance(value, Polynomial) and not value.is_scalar
        ):
            fail(
                "E301",
                node,
                "an operator where a number is expected",
                "has no numerical value",
            )
        return value.scalar if isinstance(value, Polynomial) else value

    def weighted(self, domain: Any, node: tree.Expr) -> Iterator[tuple[Any, float]]:
        """Values with weights; an integral has `nodes_times` as many nodes as written."""
        if isinstance(domain, Nodes):
            self.integrals += 1
            if self.nodes_times > 1:
                half, n = sum(domain.weights) / 2, len(domain.points)
                middle = (domain.points[0] + domain.points[-1]) / 2
                ends = middle - half, middle + half
                domain = numbers.gauss_legendre(*ends, self.nodes_times * n)
        return super().weighted(domain, node)

    # ── operators ────────────────────────────────────────────────────────────────────────────

    def position_of(self, value: ModeValue) -> int:
        """Position of a mode in the space."""
        if value.atom is not None:
            return self.positions[(f"{value.label}#atom", (value.atom,))]
        return self.positions[(value.mode.name, value.site)]

    def operand(self, value: Any, node: tree.Expr) -> Any:
        """A bare mode becomes its annihilation operator."""
        if self.stand_in and isinstance(value, VariableValue):
            return self.number(0.7)
        if not isinstance(value, ModeValue):
            return (
                value if isinstance(value, Polynomial) else super().operand(value, node)
            )
        position = self._place(value, node)
        kind = self.space.modes[position].kind
        if not kind.bare:
            fail(
                "E316",
                node,
                f"'{value.label}' alone is not an operator",
                f"a {kind.name}",
                f"write one of {', '.join(f'{value.label}.{x}' for x in kind.letters)}",
            )
        return self.space.letter(position, kind.bare)

    def _place(self, value: ModeValue, node: tree.Expr) -> int:
        if value.missing:
            fail(
                "E304",
                node,
                f"'{value.mode.written}' needs an index",
                "one mode on each site",
            )
        try:
            return self.position_of(value)
        except KeyError:
            fail(
                "E304",
                node,
                f"'{value.label}[{value.atom}]' is not a representative atom",
                help="write atoms as 1..4",
            )

    def letter(
        self, mode: ModeValue, name: str, arguments: tuple[Any, ...], node: tree.Expr
    ) -> Any:
        """`a.n`, `s.plus`, `r.shift(2)`."""
        position = self._place(mode, node)
        chosen = self.space.modes[position]
        if name not in chosen.kind.letters or (
            name == chosen.kind.bare and chosen.kind.bare
        ):
            known = [x for x in chosen.kind.letters if x != chosen.kind.bare]
            fail(
                "E317",
                node,
                f"a {chosen.kind.name} has no operator '{name}'",
                help=f"it has {', '.join(known)}",
            )
        if name == "shift":
            arguments = tuple(
                self._integer(self.numerical(x, node), node) for x in arguments
            )
        try:
            operator = self.space.letter(position, name, *arguments)
        except TypeError:
            fail("E302", node, f"'{name}' does not take {len(arguments)} arguments")
        if chosen.kind.name == "rotor" and name == "p":
            operator = operator * self.hbar()
        return operator

    def quantum(self, node: tree.Expr, scope: Scope, frame: Frame) -> Any:
        """Adjoints, projections, `h.c.`."""
        match node:
            case tree.Adjoint(operand=inner):
                value = self.operand(self.evaluate(inner, scope, frame), inner)
                if not isinstance(value, Polynomial):
                    fail(
                        "E318",
                        node,
                        "the adjoint of a number",
                        help="write conj(x) for numbers",
                    )
                return value.dag()
            case tree.Ketbra():
                return self._ketbra(node, scope, frame)
            case tree.HermitianConjugate():
                fail("E319", node, "'h.c.' stands alone", help="write 'x + h.c.'")
            case tree.Expectation():
                return self.expectation(node, scope, frame)
            case _:
                fail("E303", node, "this has no value here")

    def expectation(self, node: tree.Expectation, scope: Scope, frame: Frame) -> Any:
        """`<...>`, where there is a state."""
        fail("E320", node, "an expectation value inside an operator or a rate")

    def _ketbra(self, node: tree.Ketbra, scope: Scope, frame: Frame) -> Polynomial:
        position = self._of(node, scope, frame)
        mode = self.space.modes[position]
        n = self._integer(self.position(node.ket, scope, frame), node.ket)
        m = self._integer(self.position(node.bra, scope, frame), node.bra)
        low = -math.inf if mode.kind.name == "rotor" else 0
        high = math.inf if mode.kind.name in ("boson", "rotor") else mode.dimension - 1
        for number, place in ((n, node.ket), (m, node.bra)):
            if not low <= number <= high:
                fail("E304", place, f"'{mode.label}' has no level {number}")
        return self.space.unit(position, n, m)

    def _of(self, node: tree.Ketbra, scope: Scope, frame: Frame) -> int:
        """The mode of a projection; the only one if it is not named."""
        if node.of is not None:
            value = self.evaluate(node.of, scope, frame)
            if not isinstance(value, ModeValue):
                fail("E316", node.of, "this is not a mode")
            return self._place(value, node.of)
        real = [k for k, mode in enumerate(self.space.modes) if mode.ensemble is None]
        if len(real) != 1:
            fail("E321", node, "of which mode?", help="write |n><m| of MODE")
        return real[0]

    # ── arithmetic ───────────────────────────────────────────────────────────────────────────

    def binary(self, node: tree.Binary, scope: Scope, frame: Frame) -> Any:
        """Arithmetic; `x + h.c.` adds the adjoint of what stands to its left."""
        if not isinstance(node.right, tree.HermitianConjugate):
            return super().binary(node, scope, frame)
        if node.operator not in ("+", "-"):
            fail(
                "E319", node, "'h.c.' is added, not multiplied", help="write 'x + h.c.'"
            )
        for summand in _summands(node.left):
            value = self.operand(self.evaluate(summand, scope, frame), summand)
            if not isinstance(value, Polynomial):
                fail("E319", summand, "'h.c.' would count this number twice")
            if value.is_hermitian() and value:
                fail(
                    "E331",
                    summand,
                    "'h.c.' would count this Hermitian term twice",
                    "is its own adjoint",
                    "put it outside: (x + h.c.) + y",
                )
        left = self.operand(self.evaluate(node.left, scope, frame), node.left)
        return left + left.dag() if node.operator == "+" else left - left.dag()

    def combine(self, node: tree.Binary, left: Any, right: Any) -> Any:
        """A power that is not whole is a function of a numerical operator."""
        if node.operator == "^":
            base = self.operand(left, node.left)
            if isinstance(base, Polynomial):
                exponent = numbers.simplify(complex(self.numerical(right, node.right)))
                whole = numbers.integer(exponent)
                if whole is not None and whole >= 0:
                    if not base.is_scalar and _too_large(len(base.terms), whole):
                        fail(
                            "E307",
                            node,
                            f"the power {whole} of this operator is too large",
                        )
                    return base**whole
                return self.numerical_operator(base, node) ** exponent
        return super().combine(node, left, right)

    def call(self, node: tree.Call, scope: Scope, frame: Frame) -> Any:
        """Functions of sizes are evaluated with numbers."""
        if isinstance(node.function, tree.Name) and node.function.key in _OF_NUMBERS:
            return self.environment.numbers.call(node, scope, frame)
        return super().call(node, scope, frame)

    def function(self, name: str, arguments: tuple[Any, ...], node: tree.Call) -> Any:
        """A function of a coefficient or of an operator."""
        values = tuple(
            self.operand(x, node) if not isinstance(x, tuple) else x for x in arguments
        )
        operators = [x for x in values if isinstance(x, Polynomial) and not x.is_scalar]
        if operators or name == "dag":
            return of_operator(self, name, values, node)
        plain = tuple(x.scalar if isinstance(x, Polynomial) else x for x in values)
        if self.space.ring is not SYMBOLIC:
            return numbers.FUNCTIONS[name](*plain)
        import sympy

        if name in ("min", "max") and len(plain) == 1 and isinstance(plain[0], tuple):
            plain = plain[0]
        if name == "laguerre":
            order = numbers.integer(
                numbers.simplify(complex(self.numerical(plain[0], node)))
            )
            if order is None or order < 0:
                fail("E322", node, "the order of a Laguerre polynomial is 0, 1, 2, ...")
            return sympy.assoc_laguerre(order, plain[1], plain[2])
        if name == "round":
            return sympy.floor(plain[0] + sympy.Rational(1, 2))
        extra = (1,) if name == "step" else ()
        return getattr(sympy, _SYMPY_NAMES.get(name, name))(*plain, *extra)

    # ── symbols to numbers ───────────────────────────────────────────────────────────────────

    def numerical(self, value: Any, node: tree.Node) -> Any:
        """A coefficient as a number; the parameters in it become part of the structure.

        Raises:
            ModelError: E324 where time occurs.
        """
        if isinstance(value, Polynomial):
            if not value.is_scalar:
                fail("E301", node, "an operator where a number is expected")
            value = value.scalar
        if self.symbols is None or isinstance(value, int | float | complex):
            return value
        known = {symbol: key for key, symbol in self.symbols.table.items()}
        values = {}
        for symbol in value.free_symbols:
            if symbol not in known:
                fail(
                    "E324",
                    node,
                    "time inside a function of an operator",
                    help="let time stand in a coefficient",
                )
            name, index = known[symbol]
            parameter = self.environment.model.parameters[name]
            values[symbol] = self.environment.value(parameter, index)
        return numbers.simplify(complex(value.subs(values)))

    def numerical_operator(self, operator: Polynomial, node: tree.Node) -> Polynomial:
        """An operator whose coefficients are numbers."""
        if self.symbols is None:
            return operator
        return operator.map(lambda c: self.space.ring.number(self.numerical(c, node)))


def _summands(node: tree.Expr) -> list[tree.Expr]:
    """The summands of a sum, as written."""
    if isinstance(node, tree.Binary) and node.operator in ("+", "-"):
        if isinstance(node.right, tree.HermitianConjugate):
            return []
        return [*_summands(node.left), node.right]
    return [node]
