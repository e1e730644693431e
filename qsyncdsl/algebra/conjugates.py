"""Levels of a Hamiltonian of a conjugate pair, and what a substitution makes of it.

H = f(u) + g(v), f a polynomial and g a sum of waves exp(i k v), has Bloch states: waves shift u by whole
multiples of a step, so that H is a matrix on u_n = (n - s) times the step, one for each sector s.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy

from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.operators import Space
from qsyncdsl.algebra.rings import SYMBOLIC
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.types import Conjugate, Duality, Entity, Model, Scope
from qsyncdsl.model.values import Frame
from qsyncdsl.syntax import tree

# States on either side of the sector's middle.
_STATES = 60


class _Symbolic(OperatorEvaluator):
    """Expressions of conjugate variables as SymPy expressions."""

    def __init__(self, environment: Environment, numeric: bool) -> None:
        from qsyncdsl.algebra.symbols import Symbols

        symbols = None if numeric else Symbols(environment)
        super().__init__(environment, Space((), SYMBOLIC), {}, symbols)

    def entity(self, entity: Entity, instance: tuple[int, ...], node: tree.Expr) -> Any:
        """A conjugate variable is a symbol."""
        if isinstance(entity, Conjugate):
            return sympy.Symbol(entity.written, real=True)
        return super().entity(entity, instance, node)


def pair_levels(
    node: tree.Expr, scope: Scope, environment: Environment, count: int, sector: float
) -> np.ndarray:
    r"""The lowest levels of $H = f(u) + \sum_k c_k e^{i k v}$ in a sector, shape (count,).

    $[u, e^{ikv}] = i k [u, v] e^{ikv}$: waves shift u by $i k [u, v]$. With $[q, \phi] = -i$ and
    $H = E_C q^2 - E_J\cos\phi$ the sector is the gate charge $n_g$; for a flux, f.

    Raises:
        SolveError: E616 for a Hamiltonian of another form.
    """
    pair = [e for e in environment.model.entities.values() if isinstance(e, Conjugate)]
    value = _Symbolic(environment, True).evaluate(node, scope, Frame())
    expression = sympy.sympify(value)
    for first, second in ((0, 1), (1, 0), (2, 3), (3, 2)):
        if max(first, second) >= len(pair):
            continue
        u, v = (sympy.Symbol(pair[k].written, real=True) for k in (first, second))
        if expression.free_symbols <= {u, v}:
            found = _waves(expression, u, v)
            if found is not None:
                commutator = environment.numbers.evaluate(
                    pair[first].commutator, pair[first].scope
                )
                sign = 1 if pair[first].first else -1
                return _levels(*found, sign * complex(commutator), count, sector)
    message = "levels are found of f(u) + g(v), f a polynomial and g a sum of cosines and sines"
    raise SolveError(Diagnostic("E616", message))


def _waves(expression: Any, u: Any, v: Any) -> tuple[Any, dict[float, complex]] | None:
    """f as a polynomial of u, and the coefficient of each wave number of v."""
    waves: dict[float, complex] = {}
    polynomial = sympy.Integer(0)
    for term in sympy.Add.make_args(sympy.expand(expression.rewrite(sympy.exp))):
        if not term.has(v):
            polynomial += term
            continue
        if term.has(u):
            return None
        coefficient, wave = term.as_independent(v, as_Add=False)
        exponent = sympy.simplify(sympy.log(wave)) if wave.is_Pow else None
        if isinstance(wave, sympy.exp):
            exponent = wave.args[0]
        slope = None if exponent is None else sympy.expand(exponent / (sympy.I * v))
        if slope is None or slope.free_symbols or not slope.is_real:
            return None
        number = round(float(slope), 12)
        waves[number] = waves.get(number, 0) + complex(coefficient)
    if not waves or not polynomial.is_polynomial(u):
        return None
    return sympy.Poly(polynomial, u), waves


def _levels(
    polynomial: Any, waves: dict[float, complex], commutator: complex, count: int, s: float
) -> np.ndarray:  # fmt: skip
    """Eigenvalues on u_n = (n - s) times the step."""
    base = min(abs(k) for k in waves)
    step = (1j * base * commutator).real
    n = np.arange(-_STATES, _STATES + 1) + round(s)
    u = (n - s) * step
    coefficients = [complex(c).real for c in polynomial.all_coeffs()]
    matrix = np.diag(np.polyval(coefficients, u)).astype(complex)
    for wave, value in waves.items():
        shift = wave / base
        if abs(shift - round(shift)) > 1e-9:
            message = "the wave numbers have no common step: there is no band structure"
            raise SolveError(Diagnostic("E616", message))
        matrix += value * np.eye(len(u), k=-round(shift))
    return np.linalg.eigvalsh(matrix)[:count]


def duality_text(model: Model, environment: Environment, duality: Duality) -> list[str]:
    """What a verified substitution does, for the reader."""
    work = _Symbolic(environment, False)
    scope = model.scope
    hamiltonian = scope.find(duality.source.key)
    assert hamiltonian is not None
    before = work.evaluate(hamiltonian.value, hamiltonian.scope, Frame())  # type: ignore[attr-defined]
    images = {
        sympy.Symbol(step.place.name.written, real=True): work.evaluate(
            step.value, scope, Frame()
        )
        for step in duality.steps
    }
    after = sympy.sympify(before).subs(images, simultaneous=True)
    names = ", ".join(str(k) for k in images)
    shown = ", ".join(f"{k} → {v}" for k, v in images.items())
    mapped = ", ".join(s.span.text for s in duality.settings)
    return [
        f"{duality.source.written} → {duality.target.written} by {shown}",
        f"  [{names}] is kept",
        f"  {duality.source.written} = {before}",
        f"  becomes {after}",
        f"  which is {duality.target.written} with {mapped}"
        if mapped
        else f"  which is {duality.target.written}",
    ]
