"""A system in words and formulas: modes, Hamiltonian, dissipators, symmetries, equations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import sympy

from qsyncdsl.algebra.heisenberg import drift
from qsyncdsl.algebra.operators import Monomial, Polynomial, Space, monomial_text
from qsyncdsl.algebra.system import System
from qsyncdsl.model.types import Model
from qsyncdsl.problem import (
    CumulantProblem,
    EquationProblem,
    MeanFieldProblem,
    RotorProblem,
)
from qsyncdsl.report.names import pretty_name

# Modes up to which the equations of all of them are printed.
_EQUATIONS = 6
_WIDTH = 80


def explain(
    model: Model, system: System, symmetry: str, typed: str = "", frame: str = ""
) -> str:
    """The system as text of 80 columns.

    Args:
        typed: The typed equations of motion, as text.
        frame: The stationary field about which open levels are kept, as text.
    """
    lines = [
        *_lines(model, system, symmetry, frame),
        *(["", typed.rstrip()] if typed else []),
    ]
    return "\n".join(lines) + "\n"


def _lines(model: Model, system: System, symmetry: str, frame: str) -> Iterator[str]:
    yield model.title or model.source.name
    yield from (f"  {reference}" for reference in model.references)
    yield ""
    if system.space.modes:
        yield "Modes"
        for mode in system.space.modes:
            if mode.ensemble is None:
                yield f"  {mode.label:<10} {mode.kind.name:<9} {_size(mode)}"
        yield ""
    yield "Parameters"
    for name, parameter in model.parameters.items():
        value = parameter.value.span.text
        shown = f"{pretty_name(name)} {'~' if parameter.random else '='} {value}"
        yield f"  {shown:<34} {parameter.description}".rstrip()
    if system.space.modes:
        yield ""
        yield from _quantum(system)
    if model.dualities:
        from qsyncdsl.algebra.conjugates import duality_text
        from qsyncdsl.model.environment import Environment

        yield ""
        yield "Dualities, verified"
        for duality in model.dualities:
            for line in duality_text(model, Environment(model), duality):
                yield f"  {line}"
    if system.space.modes:
        yield ""
        yield f"Weak symmetries   {symmetry}"
    if frame:
        yield from _wrapped("Displaced frame   open levels are kept about ", [frame])
    equations = list(_equations(system))
    if equations:
        yield ""
        yield "Equations of motion of mean values"
        for left, terms in equations:
            yield from _wrapped(f"  d⟨{left}⟩/dt = ", terms)


def _quantum(system: System) -> Iterator[str]:
    """H, the dissipators and the kicks."""
    yield "Hamiltonian, normal ordered"
    yield from _wrapped("  H = ", polynomial_terms(system.total_hamiltonian))
    yield ""
    yield "Dissipators, rate · D[L] with D[L]ρ = LρL† - (L†Lρ + ρL†L)/2"
    for jump in system.jumps:
        each = "  for each atom" if jump.per_atom is not None else ""
        rate = coefficient_text(jump.rate)
        yield f"  {rate} · D[{' '.join(polynomial_terms(jump.operator)) or '0'}]{each}"
    for kick in system.kicks:
        yield f"  kick every {coefficient_text(kick.period)}: " + " ".join(
            polynomial_terms(kick.generator)
        )


def _size(mode: Any) -> str:
    if mode.kind.name == "boson":
        return f"{mode.size} levels" if mode.size else "levels not set"
    if mode.kind.name == "ensemble":
        return f"{mode.size} atoms"
    return f"{mode.dimension} levels"


def _equations(system: System) -> Iterator[tuple[str, list[str]]]:
    """d<a>/dt for every boson of a small system."""
    bosons = [
        k for k, mode in enumerate(system.space.modes) if mode.kind.name == "boson"
    ]
    if len(bosons) > _EQUATIONS or any(j.per_atom is not None for j in system.jumps):
        return
    hamiltonian = system.total_hamiltonian
    jumps = [(jump.rate, jump.operator) for jump in system.jumps]
    plain = all(
        isinstance(key, int) and word[0] not in ("f", "product")
        for operator in (hamiltonian, *(jump for _, jump in jumps))
        for monomial in operator.terms
        for key, word in monomial
    )
    if not plain:
        return
    for k in bosons:
        observable = system.space.letter(k, "a")
        right = drift(observable, hamiltonian, jumps, system.hbar)
        yield system.space.modes[k].label, polynomial_terms(right, mean=True)


def polynomial_terms(operator: Polynomial, mean: bool = False) -> list[str]:
    """The summands of an operator, signs included, in the order of degree.

    Many |n><m| at one distance n - m are one sum over n where their coefficients agree; else the first
    two and the last are shown.
    """
    ordered = sorted(operator.terms.items(), key=lambda item: _order(item[0]))
    ladders = _ladders(operator)
    shown = {monomial for rungs in ladders for monomial, _ in rungs}
    found = []
    for monomial, value in ordered:
        if monomial in shown:
            continue
        text = monomial_text(operator.space, monomial)
        found.append(_signed(value, f"⟨{text}⟩" if mean and text else text))
    for rungs in ladders:
        found += _ladder_terms(operator, rungs, mean)
    if found and found[0].startswith("+ "):
        found[0] = found[0][2:]
    return found


def _signed(value: Any, text: str) -> str:
    """A summand with its sign before it."""
    coefficient = coefficient_text(value)
    negative = coefficient.startswith("-") and not coefficient.startswith("-(")
    coefficient = coefficient.removeprefix("-") if negative else coefficient
    bare = "" if coefficient == "1" and text else coefficient
    return " ".join(p for p in ("-" if negative else "+", bare, text) if p)


# |n><m| at one distance from which on they are shown together.
_MANY = 5


def _ladders(operator: Polynomial) -> list[list[tuple[Monomial, Any]]]:
    """Summands |n><n - d| of one mode, with n consecutive: of equal coefficients where they are many."""
    places: dict[Any, dict[int, tuple[Monomial, Any]]] = {}
    for monomial, value in operator.terms.items():
        if len(monomial) == 1 and monomial[0][1][:1] == ("E",):
            ((key, (_, n, m)),) = monomial
            places.setdefault((key, n - m), {})[n] = (monomial, value)
    found = []
    for _, rungs in sorted(places.items(), key=lambda item: str(item[0])):
        alike: list[list[int]] = []
        for n in sorted(rungs):
            if alike and n == alike[-1][-1] + 1:
                alike[-1].append(n)
            else:
                alike.append([n])
        found += [[rungs[n] for n in run] for run in alike if len(run) >= _MANY]
    return found


def _ladder_terms(
    operator: Polynomial, rungs: list[tuple[Monomial, Any]], mean: bool
) -> list[str]:
    """A sum over n, or its first two and its last summand."""
    (key, (_, first, low)), last = rungs[0][0][0], rungs[-1][0][0][1][1]
    if all(value == rungs[0][1] for _, value in rungs):
        distance = low - first
        other = f"n{distance:+d}" if distance else "n"
        assert isinstance(key, int)
        label = operator.space.modes[key].label
        unit = f"|n⟩⟨{other}|({label})"
        sum_ = f"Σ {f'⟨{unit}⟩' if mean else unit}, n = {first}..{last}"
        return [_signed(rungs[0][1], f"[{sum_}]")]
    parts = []
    for monomial, value in (*rungs[:2], rungs[-1]):
        text = monomial_text(operator.space, monomial)
        parts.append(_signed(value, f"⟨{text}⟩" if mean else text))
    return [*parts[:2], f"+ ... ({len(rungs) - 3} more)", parts[2]]


def _order(monomial: Monomial) -> tuple[int, str]:
    return len(monomial), str(monomial)


def coefficient_text(value: Any) -> str:
    """A coefficient as the user would write it, with Greek letters; sums in brackets."""
    expression = sympy.sympify(value)
    factored = sympy.factor_terms(
        sympy.simplify(expression) if expression.free_symbols else expression
    )
    text = str(factored).replace("**", "^").replace("I", "i")
    text = re.sub(r"[A-Za-z_][A-Za-z_0-9]*", lambda m: pretty_name(m.group()), text)
    text = text.replace("*", "·")
    return f"({text})" if factored.is_Add else text


def _wrapped(first: str, terms: list[str]) -> Iterator[str]:
    """Terms on lines of 80 columns."""
    line, margin = first, " " * len(first)
    for term in terms or ["0"]:
        if len(line) + len(term) + 1 > _WIDTH and line.strip():
            yield line.rstrip()
            line = margin
        line += term + " "
    yield line.rstrip()


# ── LaTeX ────────────────────────────────────────────────────────────────────────────────────


# What the equations are for, where it is not fields.
_UNKNOWNS: dict[type, str] = {
    CumulantProblem: "moment",
    EquationProblem: "variable",
    MeanFieldProblem: "cell",
    RotorProblem: "variable",
}


def field_equations(problem: Any, method: str) -> str:
    """The equations of a method of fields, and what it leaves out; 80 columns."""
    noisy = getattr(problem, "noisy", False)
    calculus = ", Ito" if noisy and not getattr(problem, "additive", False) else ""
    lines = [f"Equations of '{method}'{calculus}"]
    for left, right in problem.equations:
        lines += _wrapped(
            f"  {left} " if left.endswith("→") else f"  {left} = ",
            right.replace(" + ", "\n+ ").replace(" - ", "\n- ").split("\n"),
        )
    if noisy and getattr(problem, "dropped", ()):
        lines += ["", "Left out of the Wigner equation (third and higher derivatives)"]
        for term in problem.dropped:
            lines += _wrapped("  ", term.split(" "))
    count = getattr(problem, "count", len(problem.equations))
    word = _UNKNOWNS.get(type(problem), "field")
    arguments = len(problem.coefficients.parameters)
    arguments += len(getattr(problem, "scalars", ()))
    arguments += len(getattr(problem, "arrays", ()))
    lines += [
        "",
        f"Size  {count} {word}{'s' * (count != 1)}, {arguments} parameters as arguments",
    ]
    return "\n".join(lines) + "\n"


def latex(system: System) -> str:
    """The master equation in LaTeX."""
    lines = [
        r"\begin{align}",
        r"  H &= " + _latex_sum(system.total_hamiltonian) + r", \\",
    ]
    terms = [
        rf"{sympy.latex(sympy.sympify(jump.rate))}\,\mathcal{{D}}\!\left[{_latex_sum(jump.operator)}\right]\rho"
        for jump in system.jumps
    ]
    hbar = "" if system.hbar == 1 else r"/\hbar"
    right = " + ".join([rf"-i{hbar}[H, \rho]", *terms])
    lines += [rf"  \dot\rho &= {right}.", r"\end{align}"]
    return "\n".join(lines) + "\n"


def _latex_sum(operator: Polynomial) -> str:
    parts = []
    for monomial, value in sorted(
        operator.terms.items(), key=lambda item: _order(item[0])
    ):
        coefficient = sympy.sympify(value)
        text = _latex_monomial(operator.space, monomial)
        if coefficient == 1 and text:
            parts.append(text)
        elif coefficient == -1 and text:
            parts.append("-" + text)
        else:
            shown = sympy.latex(coefficient)
            parts.append(
                (rf"\left({shown}\right)" if coefficient.is_Add else shown)
                + r"\," * bool(text)
                + text
            )
    return " + ".join(parts).replace("+ -", "- ") or "0"


def _latex_monomial(space: Space, monomial: Monomial) -> str:
    text = monomial_text(space, monomial)
    superscripts = "⁰¹²³⁴⁵⁶⁷⁸⁹"
    text = re.sub(r"([A-Za-z]+)(\d+)(?=[†⁰¹²³⁴⁵⁶⁷⁸⁹ )]|$)", r"\1_{\2}", text)
    text = re.sub(
        rf"(†?)([{superscripts}]*)",
        lambda m: _latex_power(bool(m.group(1)), m.group(2), superscripts),
        text,
    )
    for old, new in (
        ("σ^{\\dagger}", "\\sigma"),
        ("σ", r"\sigma"),
        ("⁺", "^{+}"),
        ("⁻", "^{-}"),
        ("ᶻ", "^{z}"),
        ("⟩", r"\rangle "),
        ("⟨", r"\langle "),
    ):
        text = text.replace(old, new)
    return text


def _latex_power(dagger: bool, digits: str, superscripts: str) -> str:
    number = "".join(str(superscripts.index(d)) for d in digits)
    if dagger:
        return rf"^{{\dagger {number}}}" if number else r"^\dagger"
    return f"^{{{number}}}" if number else ""
