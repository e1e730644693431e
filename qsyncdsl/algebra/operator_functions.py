"""Functions of operators: `exp(i*eta*(a + a'))`, `max(r.n, 0)`, `laguerre(n, 1, x)`, and of angles as shifts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qsyncdsl.algebra.operators import Polynomial
from qsyncdsl.algebra.rings import SYMBOLIC
from qsyncdsl.model import numbers
from qsyncdsl.model.evaluate import fail
from qsyncdsl.syntax import tree

if TYPE_CHECKING:
    from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator

_FUNCTIONS = frozenset(
    [
        "exp",
        "cos",
        "sin",
        "tan",
        "sinh",
        "cosh",
        "tanh",
        "sqrt",
        "log",
        "abs",
        "sign",
        "step",
    ]
)


def of_operator(
    evaluator: OperatorEvaluator, name: str, values: tuple[Any, ...], node: tree.Call
) -> Polynomial:
    """`exp(i*eta*(a + a'))`, `max(r.n, 0)`, `cos(r.x)`."""
    if name == "dag":
        if not isinstance(values[0], Polynomial):
            fail(
                "E318",
                node,
                "the adjoint of a number",
                help="write conj(x) for numbers",
            )
        return values[0].dag()
    if name == "laguerre":
        return _laguerre(evaluator, values, node)
    wave = _wave(evaluator, name, values[0], node)
    if wave is not None:
        return wave
    argument = next(x for x in values if isinstance(x, Polynomial) and not x.is_scalar)
    argument = evaluator.numerical_operator(argument, node)
    if name in ("min", "max"):
        bounds = [x for x in values if not isinstance(x, Polynomial) or x.is_scalar]
        if len(values) != 2 or len(bounds) != 1:
            fail("E322", node, f"{name} compares one operator with one number")
        bound = bounds[0].scalar if isinstance(bounds[0], Polynomial) else bounds[0]
        name = f"{name} {float(complex(evaluator.numerical(bound, node)).real)!r}"
    elif name not in _FUNCTIONS:
        fail("E322", node, f"{name} of an operator is not defined")
    return evaluator.space.function(name, argument)


def _laguerre(
    evaluator: OperatorEvaluator, values: tuple[Any, ...], node: tree.Call
) -> Polynomial:
    r"""$L_n^{(\alpha)}(x)$ of an operator n or x."""
    words, operators = ["laguerre"], []
    for value in values:
        if isinstance(value, Polynomial) and not value.is_scalar:
            operators.append(value)
            words.append("*")
            continue
        number = complex(evaluator.numerical(value, node))
        if number.imag:
            fail("E322", node, "laguerre takes real numbers")
        whole = numbers.integer(number.real)
        words.append(repr(number.real if whole is None else whole))
    order = words[1]
    if len(operators) != 1 or words[2] == "*":
        fail(
            "E322",
            node,
            "laguerre(n, alpha, x) takes one operator, as n or as x",
        )
    if order != "*" and not order.isdigit():
        fail("E322", node, f"the order of a Laguerre polynomial is not {order}")
    argument = evaluator.numerical_operator(operators[0], node)
    return evaluator.space.function(" ".join(words), argument)


def _wave(
    evaluator: OperatorEvaluator, name: str, argument: Any, node: tree.Call
) -> Polynomial | None:
    """exp, cos, sin of angles of rotors, as shifts; None if there is no angle."""
    angles = {
        monomial[0][0]: value
        for monomial, value in argument.terms.items()
        if len(monomial) == 1 and monomial[0][1] == ("x",)
    }
    if not angles:
        return None
    phase = argument.scalar
    if len(argument.terms) != len(angles) + (phase != 0) or name not in (
        "exp",
        "cos",
        "sin",
    ):
        fail(
            "E323",
            node,
            "an angle may only stand in exp, cos or sin, alone or in sums",
        )
    unit = evaluator.space.ring.imaginary
    if name == "exp":
        return _shifts(
            evaluator, {k: v / unit for k, v in angles.items()}, phase / unit, node
        )
    plus = _shifts(evaluator, angles, phase, node)
    minus = plus.dag()
    return (plus + minus) / 2 if name == "cos" else (plus - minus) / (2 * unit)


def _shifts(
    evaluator: OperatorEvaluator, angles: dict[Any, Any], phase: Any, node: tree.Call
) -> Polynomial:
    """exp(i (sum k x + phase)) with integer k."""
    result = evaluator.space.scalar(
        _exp(evaluator, evaluator.space.ring.imaginary * phase)
    )
    for position, factor in angles.items():
        k = numbers.integer(
            numbers.simplify(complex(evaluator.numerical(factor, node)))
        )
        if k is None:
            fail(
                "E323",
                node,
                "a function of the angle must be 2 pi periodic",
                f"the angle is multiplied by {numbers.show(complex(evaluator.numerical(factor, node)))}",
            )
        result = result * evaluator.space.letter(position, "shift", k)
    return result


def _exp(evaluator: OperatorEvaluator, value: Any) -> Any:
    if evaluator.space.ring is SYMBOLIC:
        import sympy

        return sympy.exp(value)
    return numbers.FUNCTIONS["exp"](value)
