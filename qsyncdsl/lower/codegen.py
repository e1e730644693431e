"""Readable Python source for the numbers that change from point to point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sympy
from sympy.printing.pycode import PythonCodePrinter

from qsyncdsl.algebra.system import ParameterKey
from qsyncdsl.problem import Coefficients

_FUNCTIONS = {
    "conjugate": "conj", "re": "real", "im": "imag", "arg": "arg", "ceiling": "ceil",
    "floor": "floor", "Min": "min", "Max": "max",
}  # fmt: skip


class _Printer(PythonCodePrinter):  # type: ignore[misc]
    """Plain function names; the solver supplies versions that stay real where they can."""

    def __init__(self) -> None:
        super().__init__(
            {"fully_qualified_modules": False, "user_functions": _FUNCTIONS}
        )

    def _print_sign(self, expr: Any) -> str:
        return f"sign({self._print(expr.args[0])})"

    def _print_ImaginaryUnit(self, expr: Any) -> str:
        return "1j"

    def _print_Abs(self, expr: Any) -> str:
        return f"abs({self._print(expr.args[0])})"

    def _print_Heaviside(self, expr: Any) -> str:
        return f"step({self._print(expr.args[0])})"

    def _print_Rational(self, expr: Any) -> str:
        return f"{expr.p}/{expr.q}"


def printed(expression: Any) -> str:
    """An expression as Python text."""
    return str(_Printer().doprint(expression))


def coefficient_source(
    expressions: Sequence[Any], symbols: Mapping[ParameterKey, Any]
) -> tuple[Coefficients, tuple[ParameterKey, ...]]:
    """The functions f_k(p, t) as source text, and which parameters p are, in order."""
    time = sympy.Symbol("t", real=True)
    used = set().union(*(e.free_symbols for e in expressions)) if expressions else set()
    keys = tuple(key for key in sorted(symbols) if symbols[key] in used)
    names = {symbols[key]: sympy.Symbol(f"p{k}") for k, key in enumerate(keys)}
    printer = _Printer()
    lines = ["def coefficients(p, t):"]
    if keys:
        unpacked = ", ".join(f"p{k}" for k in range(len(keys)))
        lines.append(f"    # {', '.join(str(symbols[key]) for key in keys)}")
        lines.append(f"    {unpacked}{',' if len(keys) == 1 else ''} = p")
    lines.append("    return (")
    for expression in expressions:
        lines.append(
            f"        {printer.doprint(expression.xreplace(names))},  # {expression}"
        )
    lines.append("    )")
    moving = frozenset(k for k, e in enumerate(expressions) if time in e.free_symbols)
    parameters = tuple(str(symbols[key]) for key in keys)
    source = "\n".join(lines) + "\n"
    return Coefficients(parameters, source, len(expressions), moving), keys
