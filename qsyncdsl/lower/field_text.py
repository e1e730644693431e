"""Equations of the fields as a reader wants them: each once, whatever the lattice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy

from qsyncdsl.algebra.fields import FieldSystem
from qsyncdsl.algebra.linear_forms import LinearForm
from qsyncdsl.algebra.phase_space import (
    FieldMonomial,
    FieldPolynomial,
    derivative,
    modes_of,
)
from qsyncdsl.lower.field_equations import FieldEquations, WaveDrift


def equation_texts(
    system: FieldSystem, equations: FieldEquations
) -> tuple[tuple[str, str], ...]:
    """Drift and diffusion as pairs of left and right side, in Unicode."""
    return tuple(_drift(system, equations)) + tuple(_noise(system, equations))


def equation_latex(system: FieldSystem, equations: FieldEquations) -> str:
    """Drift and diffusion in LaTeX; what a lattice adds is a sum over neighbors k of j."""
    lines = []
    for group, polynomials in equations.drift.items():
        for position, polynomial in polynomials.items():
            slot = system.slots.get(position)
            second = slot is not None and slot.slot == 1
            if group.edges and second and _mirrored(system, polynomials, position):
                continue
            total = _polynomial_latex(system, polynomial)
            if group.edges:
                total = rf"\sum_{{k\sim j}}\left[{total}\right]"
            lines.append(
                rf"  d{_symbol(system, position)} &\mathrel{{+}}= \left\{{{total}\right\}}dt, \\"
            )
    for entries in equations.local.values():
        for position, polynomial in entries.items():
            symbol = _symbol(system, position)
            total = _polynomial_latex(system, polynomial)
            lines.append(
                rf"  \langle|d\xi_{{{symbol}}}|^2\rangle &= \left[{total}\right]dt, \\"
            )
    for bath in equations.baths:
        for (k, m, conjugate), value in bath.entries.items():
            star = "^*" if conjugate else ""
            pair = (
                rf"d\eta_{{{_symbol(system, k)}}}\,d\eta{star}_{{{_symbol(system, m)}}}"
            )
            total = _polynomial_latex(system, value)
            if set(value) != {()}:
                total = rf"\left[{total}\right]"
            lines.append(rf"  \langle {pair}\rangle &= {total}\,dt, \\")
    return "\n".join([r"\begin{align}", *lines, r"\end{align}"]) + "\n"


def _polynomial_latex(system: FieldSystem, polynomial: FieldPolynomial) -> str:
    parts = []
    for fields, value in sorted(polynomial.items(), key=lambda item: _degree(item[0])):
        monomial = " ".join(_factor_latex(system, k, p, q) for k, p, q in fields)
        number = sympy.latex(sympy.sympify(value))
        if sympy.sympify(value).is_Add and monomial:
            number = rf"\left({number}\right)"
        parts.append(rf"{number}\,{monomial}" if monomial else number)
    return " + ".join(parts).replace("+ -", "- ") or "0"


def _factor_latex(system: FieldSystem, position: int, p: int, q: int) -> str:
    symbol, common = _symbol(system, position), min(p, q)
    text = rf"|{symbol}|^{{{2 * common}}}" if common else ""
    rest = abs(p - q)
    if rest:
        star, power = (r"^*" if p > q else ""), (f"^{{{rest}}}" if rest > 1 else "")
        text += f"{{{symbol}{star}}}{power}" if power else f"{symbol}{star}"
    return text


def gaussian_texts(
    system: FieldSystem, equations: FieldEquations, normal: Any, anomalous: Any
) -> tuple[tuple[str, str], ...]:
    """Drift, drift linearized about it (the Jacobian), and noise."""
    found = list(_drift(system, equations))
    targets: dict[str, list[str]] = {}
    for group, position, polynomial in _once(system, equations):
        for text in _linearized(system, polynomial):
            text = f"Σ_k ({text})" if group.edges else text
            targets.setdefault(_label(system, position), []).append(text)
    for label, texts in targets.items():
        found.append((f"dδ{label}/dt", " + ".join(texts).replace("+ -", "- ")))
    for entries, mark in ((normal, "*"), (anomalous, "")):
        for group, pairs in entries.items():
            where = " for each edge" if group.edges else ""
            for (k, m), polynomial in pairs.items():
                if k <= m:
                    left = f"⟨dξ_{_label(system, k)} dξ{mark}_{_label(system, m)}⟩/dt"
                    found.append((left, polynomial_text(system, polynomial) + where))
    return tuple(found)


def gaussian_latex(
    system: FieldSystem, equations: FieldEquations, normal: Any, anomalous: Any
) -> str:
    """The same in LaTeX."""
    lines = []
    for group, position, polynomial in _once(system, equations):
        total = _polynomial_latex(system, polynomial)
        if group.edges:
            total = rf"\sum_{{k\sim j}}\left[{total}\right]"
        lines.append(
            rf"  \dot{{{_symbol(system, position)}}} &\mathrel{{+}}= {total}, \\"
        )
    for group, position, polynomial in _once(system, equations):
        parts = []
        for key in sorted(modes_of(polynomial)):
            for star in (False, True):
                slope = derivative(polynomial, key, star)
                if slope:
                    mark = "^*" if star else ""
                    text = _polynomial_latex(system, slope)
                    parts.append(
                        rf"\left({text}\right)\delta{_symbol(system, key)}{mark}"
                    )
        total = " + ".join(parts)
        if group.edges:
            total = rf"\sum_{{k\sim j}}\left[{total}\right]"
        lines.append(
            rf"  \delta\dot{{{_symbol(system, position)}}} &\mathrel{{+}}= {total}, \\"
        )
    for entries, mark in ((normal, "^*"), (anomalous, "")):
        for pairs in entries.values():
            for (k, m), polynomial in pairs.items():
                if k <= m:
                    pair = rf"d\xi_{{{_symbol(system, k)}}}\,d\xi{mark}_{{{_symbol(system, m)}}}"
                    text = _polynomial_latex(system, polynomial)
                    lines.append(
                        rf"  \langle {pair}\rangle &= \left[{text}\right]dt, \\"
                    )
    return "\n".join([r"\begin{align}", *lines, r"\end{align}"]) + "\n"


def _once(
    system: FieldSystem, equations: FieldEquations
) -> Iterator[tuple[Any, int, FieldPolynomial]]:
    """Every drift once: of an edge whose ends are alike the first one."""
    for group, polynomials in equations.drift.items():
        for position, polynomial in polynomials.items():
            slot = system.slots.get(position)
            second = slot is not None and slot.slot == 1
            if not (
                group.edges and second and _mirrored(system, polynomials, position)
            ):
                yield group, position, polynomial


def _linearized(system: FieldSystem, polynomial: FieldPolynomial) -> Iterator[str]:
    for key in sorted(modes_of(polynomial)):
        for star in (False, True):
            slope = derivative(polynomial, key, star)
            if slope:
                text = polynomial_text(system, slope)
                text = f"({text})" if " " in text else text
                yield f"{text}·δ{_label(system, key)}{'†' if star else ''}"


def _symbol(system: FieldSystem, position: int) -> str:
    """alpha with the label of the mode as index."""
    label = (
        _label(system, position)
        .replace("[", "_{")
        .replace("]", "}")
        .replace("_", r"\_", 0)
    )
    return rf"\alpha_{{{label}}}"


def dropped_texts(system: FieldSystem, equations: FieldEquations) -> tuple[str, ...]:
    """The terms of the Wigner equation that are left out."""
    found = []
    for group, terms in equations.dropped.items():
        for place, polynomial in terms.items():
            orders = [(k, i, j) for k, i, j in place]
            if _conjugate_comes_first(orders):
                continue
            marks = "".join(
                f"∂{_label(system, k)}{'*' * conj}" for k, i, j in orders
                for conj in (0,) * i + (1,) * j
            )  # fmt: skip
            where = (
                f"  for each {'edge' if group.edges else 'site'}"
                if group.graph is not None
                else ""
            )
            found.append(
                f"{marks} [({polynomial_text(system, polynomial)}) W] + c.c.{where}"
            )
    if any(item.nonlinear for item in equations.waves):
        found.append("those of functions of quadratures")
    return tuple(found)


def _conjugate_comes_first(orders: list[tuple[int, int, int]]) -> bool:
    """Of two conjugate terms one is shown: the one with more derivatives by alpha."""
    plain, conjugate = sum(i for _, i, _ in orders), sum(j for _, _, j in orders)
    return conjugate > plain


def _drift(system: FieldSystem, equations: FieldEquations) -> Iterator[tuple[str, str]]:
    targets: dict[str, list[str]] = {}
    for group, polynomials in equations.drift.items():
        for position, polynomial in polynomials.items():
            slot = system.slots.get(position)
            if (
                group.edges
                and slot is not None
                and slot.slot == 1
                and _mirrored(system, polynomials, position)
            ):
                continue
            text = polynomial_text(system, polynomial)
            if group.edges:
                text = f"Σ_{'k' if not slot or slot.slot == 0 else 'j'} ({text})"
            elif group.graph is not None and slot is None:
                text = f"Σ_j ({text})"
            targets.setdefault(_label(system, position), []).append(text)
    for item in equations.waves:
        text = _wave_text(system, item)
        if item.group.edges:
            text = f"Σ_k ({text})"
        targets.setdefault(_label(system, item.target), []).append(text)
    for label, texts in targets.items():
        yield f"d{label}/dt", " + ".join(texts).replace("+ -", "- ")


def kick_texts(
    system: FieldSystem, equations: FieldEquations, period: Any
) -> tuple[tuple[str, str], ...]:
    """A kick: the flow that acts for a unit of s."""
    when = sympy.sstr(sympy.sympify(period)).replace("*", "·")
    return tuple(
        (f"kick every {when}, 0 < s < 1: {left.removesuffix('t')}s", right)
        for left, right in _drift(system, equations)
    )


def _wave_text(system: FieldSystem, item: WaveDrift) -> str:
    """What a function of quadratures adds."""
    shown = {form.symbol: sympy.Symbol(_form(system, form)) for form in item.forms}
    number, rest = sympy.sympify(item.function).as_coeff_Mul()
    value = sympy.nsimplify(sympy.sympify(item.coefficient) * number, rational=True)
    coefficient = polynomial_text(system, {item.fields: value})
    if " " in coefficient:
        coefficient = f"({coefficient})"
    function = sympy.sstr(sympy.N(rest, 6).xreplace(shown)).replace("**", "^")
    return f"{coefficient}·{function.replace('*', '·').replace('I', 'i')}"


def _form(system: FieldSystem, form: LinearForm) -> str:
    """A linear form: `(a + a†)`."""
    if all(c == 1 for _, c in form.coefficients):
        labels = [_label(system, k) for k, _ in form.coefficients]
        return f"({' + '.join(f'{label} + {label}†' for label in labels)})"
    terms = [
        f"({sympy.sstr(sympy.sympify(c).n(6))})·{_label(system, k)}"
        for k, c in form.coefficients
    ]
    return f"({' + '.join(terms)} + h.c.)".replace("*I", "i")


def _mirrored(system: FieldSystem, polynomials: Any, position: int) -> bool:
    """Whether the drift of the second site of an edge is that of the first one, exchanged."""
    mine = system.slots[position]
    return any(
        k in system.slots
        and system.slots[k].mode == mine.mode
        and system.slots[k].slot == 0
        for k in polynomials
    )


def _noise(system: FieldSystem, equations: FieldEquations) -> Iterator[tuple[str, str]]:
    for entries in equations.local.values():
        for position, polynomial in entries.items():
            label = _label(system, position)
            yield f"⟨|dξ_{label}|²⟩/dt", polynomial_text(system, polynomial)
    for bath in equations.baths:
        where = " for each edge" if bath.group.edges else ""
        for (k, m, conjugate), value in bath.entries.items():
            mark = "*" if conjugate else ""
            left = f"⟨dη_{_label(system, k)} dη{mark}_{_label(system, m)}⟩/dt"
            constant = set(value) == {()}
            text = sympy.sstr(value[()]) if constant else polynomial_text(system, value)
            yield left, f"{text}{where}"


def polynomial_text(system: FieldSystem, polynomial: FieldPolynomial) -> str:
    """A polynomial in the fields."""
    parts = []
    for fields, value in sorted(polynomial.items(), key=lambda item: _degree(item[0])):
        monomial = "·".join(_factor(system, k, p, q) for k, p, q in fields)
        number = sympy.sstr(sympy.nsimplify(value) if value.is_number else value)
        if value.is_Add and monomial:
            number = f"({number})"
        if monomial and number in ("1", "-1"):
            parts.append(number[:-1] + monomial)
        else:
            parts.append(f"{number}·{monomial}" if monomial else number)
    return (
        " + ".join(parts).replace("+ -", "- ").replace("*", "·").replace("I", "i")
        if parts
        else "0"
    )


def _degree(fields: FieldMonomial) -> tuple[int, FieldMonomial]:
    return (sum(p + q for _, p, q in fields), fields)


_POWERS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def _factor(system: FieldSystem, position: int, p: int, q: int) -> str:
    label = _label(system, position)
    common, text = min(p, q), []
    if common:
        text.append(f"|{label}|{str(2 * common).translate(_POWERS)}")
    rest = abs(p - q)
    if rest:
        power = str(rest).translate(_POWERS) if rest > 1 else ""
        text.append(f"{label}{'†' if p > q else ''}{power}")
    return "·".join(text)


def _label(system: FieldSystem, position: int) -> str:
    return system.space.modes[position].label
