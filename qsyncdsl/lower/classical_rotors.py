r"""The classical limit of rotors: equations of angle and momentum derived from H, jumps and kicks.

With $\ell(x, n)$ the symbol of a jump of rate $\gamma$, and moments factorized,

$$ \dot p = -\partial_x H + \hbar\gamma\,\mathrm{Re}[\ell^*(-i\partial_x)\ell], \qquad
   \dot x = \partial_p H + \gamma\,\mathrm{Re}[i\,\ell^*\partial_n\ell], $$

and a kick by $G(x)$ is $p \to p - G'(x)$.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import sympy

from qsyncdsl.algebra.rotor_symbols import (
    NoSymbol,
    Waves,
    angle,
    conjugate,
    derivative,
    momentum,
    multiplied,
    real_part,
    scaled,
    sums,
    turning,
    waves,
)
from qsyncdsl.algebra.system import System
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.lower.codegen import coefficient_source, printed
from qsyncdsl.lower.forces import without_forces
from qsyncdsl.problem import Lowered, RotorProblem
from qsyncdsl.source import Span


def classical_rotors(system: System, title: str, options: Mapping[str, Any]) -> Lowered:
    """Lower a system of rotors to its classical flow between kicks, and the kicks.

    Raises:
        ModelError: E410 for other modes beside rotors, E445 for an operator without a classical
            counterpart, E446 for a kick that moves the angle.
    """
    modes = system.space.modes
    if any(mode.kind.name != "rotor" for mode in modes):
        _refuse(
            "E410", "rotors beside other modes have no classical equations here", None
        )
    count = len(modes)
    system, pulls = without_forces(system)
    force = {k: rate * system.hbar for k, rate in pulls}
    energy = sums(
        [_symbol(t.operator, count, system.hbar, t.span) for t in system.hamiltonian]
    )
    channels = [
        (jump.rate, _symbol(jump.operator, count, system.hbar, jump.span))
        for jump in system.jumps
    ]
    rates = [_velocity(energy, channels, k, system.hbar) for k in range(count)]
    rates += [
        sympy.expand(_drag(energy, channels, k, system.hbar) + force.get(k, 0))
        for k in range(count)
    ]
    steps = _kick(system, count)
    time = sympy.Symbol("t", real=True)
    if any(sympy.sympify(e).has(time) for e in (*rates, *steps)):
        _refuse(
            "E445",
            "classical rotors have coefficients that do not depend on time",
            None,
        )
    variables = [
        *(angle(k) for k in range(count)),
        *(momentum(k) for k in range(count)),
    ]
    periods = [kick.period for kick in system.kicks]
    affine = _affine(rates, variables) or []
    named = set(system.symbols.values())
    used = set().union(*(sympy.sympify(e).free_symbols for e in (*rates, *steps)))
    raw = sorted(used & named, key=str)
    coefficients, keys = coefficient_source([*periods, *affine, *raw], system.symbols)
    problem = RotorProblem(
        tuple(mode.label for mode in modes),
        coefficients,
        _source(rates, steps, variables, raw, bool(periods)),
        len(periods),
        len(affine),
        tuple(_texts(rates, variables)),
        title,
    )
    return Lowered(problem, keys)


def _texts(rates: list[Any], variables: list[Any]) -> Iterator[tuple[str, str]]:
    """The equations to be read."""
    named = {v: sympy.Symbol(str(v).replace("y", "p")) for v in variables}
    for variable, rate in zip(variables, rates, strict=True):
        yield f"d{named[variable]}/dt", str(rate.xreplace(named))


# Steps of a stretch between kicks where the flow is not affine.
_STEPS = 400
_MAP = """
def along(z, c, m, out):
    n = len(z)
    if len(m):
        for i in range(n):
            out[i] = m[i, n]
            for j in range(n):
                out[i] += m[i, j] * z[j]
        return
    # the last entry of c is the length of time
    h = c[-1] / STEPS
    out[:] = z
    k1, k2, k3, k4 = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for _ in range(STEPS):
        rates(out, c, k1)
        rates(out + h / 2 * k1, c, k2)
        rates(out + h / 2 * k2, c, k3)
        rates(out + h * k3, c, k4)
        out += h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def right(y, data, out):
    c, m = data
    n = len(y)
    z = np.empty(n)
    kick(y, c, z)
    along(z, c, m, out)
"""
_FLOW = """
def right(y, data, out):
    rates(y, data[0], out)
"""


def _source(
    rates: list[Any],
    steps: list[Any],
    variables: list[Any],
    raw: list[Any],
    kicked: bool,
) -> str:
    """The right side as text for numba: rates, the kick, and the map of one period."""
    names = {symbol: sympy.Symbol(f"c[{k}]") for k, symbol in enumerate(raw)}
    names |= {v: sympy.Symbol(f"y[{k}]") for k, v in enumerate(variables)}
    count = len(steps)
    lines = ["from math import cos, exp, log, sin, sqrt, tan", "", f"STEPS = {_STEPS}"]
    lines += ["", ""]
    lines.append("def rates(y, c, out):")
    for k, rate in enumerate(rates):
        lines.append(f"    # d{variables[k]}/dt = {rate}".replace("y", "p"))
        lines.append(f"    out[{k}] = {printed(sympy.sympify(rate).xreplace(names))}")
    lines += ["", "", "def kick(y, c, out):", "    out[:] = y"]
    for k, step in enumerate(steps):
        text = printed(sympy.sympify(step).xreplace(names))
        lines.append(f"    out[{count + k}] += {text}")
    return "\n".join(lines) + "\n\n" + (_MAP if kicked else _FLOW)


def _symbol(operator: Any, count: int, hbar: Any, span: Span) -> Waves:
    try:
        return waves(operator, count, hbar)
    except NoSymbol as reason:
        _refuse("E445", f"{reason}", span)


def _velocity(energy: Waves, channels: list[Any], k: int, hbar: Any) -> Any:
    """dx/dt."""
    p = momentum(k)
    total = [derivative(energy, p)]
    for rate, jump in channels:
        inner = multiplied(conjugate(jump), derivative(jump, p))
        total.append(scaled(inner, sympy.I * hbar * rate))
    return real_part(sums(total))


def _drag(energy: Waves, channels: list[Any], k: int, hbar: Any) -> Any:
    """dp/dt without the force."""
    total = [scaled(turning(energy, k), -sympy.I)]
    for rate, jump in channels:
        inner = multiplied(conjugate(jump), turning(jump, k))
        total.append(scaled(inner, hbar * rate))
    return real_part(sums(total))


def _kick(system: System, count: int) -> list[Any]:
    """The change of each momentum by all kicks of one time."""
    total = [sympy.Integer(0)] * count
    for kick in system.kicks:
        potential = _symbol(kick.generator, count, system.hbar, kick.span)
        if any(
            sympy.sympify(v).has(*(momentum(k) for k in range(count)))
            for v in potential.values()
        ):
            _refuse("E446", "a classical kick is a function of angles", kick.span)
        for k in range(count):
            total[k] += real_part(scaled(turning(potential, k), -sympy.I))
    return total


def _affine(rates: list[Any], variables: list[Any]) -> list[Any] | None:
    """The matrix and the constant part of rates that are affine and do not move, row by row."""
    time = sympy.Symbol("t", real=True)
    found = []
    for rate in rates:
        slopes = [sympy.diff(rate, v) for v in variables]
        if any(s.has(*variables) or s.has(time) for s in slopes) or rate.has(time):
            return None
        rest = rate.xreplace(dict.fromkeys(variables, sympy.Integer(0)))
        found += [*slopes, rest]
    return found


def _refuse(code: str, message: str, span: Span | None) -> NoReturn:
    raise ModelError(
        [Diagnostic(code, message, span, help="solve by 'floquet' or 'evolve'")]
    )
