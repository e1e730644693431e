"""SymPy symbols for the parameters of a model."""

from __future__ import annotations

from typing import Any

from qsyncdsl.algebra.system import ParameterKey
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.types import Parameter


class Symbols:
    """The SymPy symbols of the parameters that have been met, real where their value is."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.table: dict[ParameterKey, Any] = {}

    def of(self, parameter: Parameter, index: tuple[int, ...]) -> Any:
        """The symbol of a parameter at an index."""
        key = (parameter.name, index)
        if key not in self.table:
            import sympy

            name = parameter.name + (f"[{','.join(map(str, index))}]" if index else "")
            value = self.environment.peek(parameter, index)
            real = not isinstance(value, complex) or value.imag == 0
            self.table[key] = (
                sympy.Symbol(name, real=True) if real else sympy.Symbol(name)
            )
        return self.table[key]
