"""Equations of moments as a reader wants them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import sympy

from qsyncdsl.algebra.coefficients import Factors
from qsyncdsl.algebra.moments import SIGMA_Z, Moment, Moments, MomentSum
from qsyncdsl.problem import CumulantProblem

_LATEX_WORDS = (
    ("⟨", r"\langle "), ("⟩", r"\rangle "), ("σ⁺", r"\sigma^+"), ("σ⁻", r"\sigma^-"),
    ("σᶻ", r"\sigma^z"), ("†", r"^\dagger "), ("·", r"\,"),
)  # fmt: skip

# Moments up to which all equations are written.
_MOST = 80


def with_equations(problem: Any) -> Any:
    """A problem of moments with its equations written; others have theirs already."""
    if not isinstance(problem, CumulantProblem):
        return problem
    return replace(problem, equations=_texts(problem), latex=_lines(problem))


def _texts(problem: CumulantProblem) -> tuple[tuple[str, str], ...]:
    """d<m>/dt of the first moments, in Unicode."""
    algebra, ring = problem.system.algebra, problem.system.ring
    return tuple(
        (f"d{_mean(algebra, moment)}/dt", _sum(algebra, drift, ring, str))
        for moment, drift in _first(problem)
    )


def _lines(problem: CumulantProblem) -> str:
    """The same in LaTeX, with the size of the closure."""
    algebra, ring = problem.system.algebra, problem.system.ring
    lines = [
        rf"  \frac{{d}}{{dt}}{_latex(_mean(algebra, moment))} &= "
        rf"{_latex(_sum(algebra, drift, ring, sympy.latex))}, \\"
        for moment, drift in _first(problem)
    ]
    size = f"% {problem.count} moments of up to {problem.order} operators"
    return "\n".join([size, r"\begin{align}", *lines, r"\end{align}"]) + "\n"


def _first(problem: CumulantProblem) -> Iterator[tuple[Moment, MomentSum]]:
    """The moments that are written, with their rates."""
    return islice(zip(problem.moments, problem.drifts, strict=True), _MOST)


def _mean(algebra: Moments, moment: Moment) -> str:
    parts = []
    for key, word in moment:
        mode = algebra.space.modes[key]  # type: ignore[index]
        text = (
            f"σᶻ({mode.label})" if word == SIGMA_Z else mode.kind.text(word, mode.label)
        )
        parts.append(re.sub(r"(σ[⁺⁻ᶻ])\(([^)]*)\)", r"\1_\2", text))
    return f"⟨{' '.join(parts)}⟩"


def _sum(algebra: Moments, drift: MomentSum, ring: Factors, number: Any) -> str:
    """Terms ordered by the moments in them; equal coefficients are not gathered."""
    found = []
    for product in sorted(drift, key=lambda p: (len(p), p)):
        value = sympy.factor(ring.expression(drift[product]))
        text = number(value).replace("**", "^").replace("I", "i")
        text = f"({text})" if value.is_Add else text
        means = " ".join(_mean(algebra, moment) for moment in product)
        if means and text in ("1", "-1"):
            text = text.removesuffix("1")
        found.append(f"{text} {means}".strip() if text != "-" else f"-{means}")
    return " + ".join(found).replace("+ -", "- ") or "0"


def _latex(text: str) -> str:
    for old, new in _LATEX_WORDS:
        text = text.replace(old, new)
    return re.sub(r"_([A-Za-z]+\[\d+\])", r"_{\1}", text)
