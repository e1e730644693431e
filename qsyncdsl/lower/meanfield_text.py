"""Equations of a product state as a reader wants them: one cell of each kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sympy

from qsyncdsl.algebra.operators import Polynomial, Space, monomial_text
from qsyncdsl.lower.cells import Cells, Place

if TYPE_CHECKING:
    from qsyncdsl.lower.meanfield import Piece


def meanfield_texts(
    cells: Cells, pieces: Iterable[Piece]
) -> tuple[tuple[str, str], ...]:
    """H and the dissipators of one cell of each kind, in Unicode."""
    return tuple(_equations(cells, list(pieces), str, _UNICODE))


def meanfield_latex(cells: Cells, pieces: Iterable[Piece]) -> str:
    """The same in LaTeX."""
    found = _equations(cells, list(pieces), sympy.latex, _LATEX)
    lines = [rf"  {left} &= {right}, \\" for left, right in found]
    return "\n".join([r"\begin{align}", *lines, r"\end{align}"]) + "\n"


_UNICODE = {
    "hamiltonian": "H[{}]",
    "rest": "dρ[{}]/dt + i[H, ρ]",
    "mean": "⟨{}⟩",
    "neighbors": "Σ_k ",
    "jump": "D[{}]ρ",
    "pair": "({0} ρ ({1})† - {{({1})† {0}, ρ}}/2)",
}
_LATEX = {
    "hamiltonian": r"H_{{{}}}",
    "rest": r"\dot\rho_{{{}}} + i[H, \rho]",
    "mean": r"\langle {}\rangle",
    "neighbors": r"\sum_k ",
    "jump": r"\mathcal{{D}}[{}]\rho",
    "pair": r"\left({0}\rho ({1})^\dagger - \tfrac12\{{({1})^\dagger {0}, \rho\}}\right)",
}


def _equations(
    cells: Cells, pieces: list[Piece], number: Any, words: dict[str, str]
) -> Any:
    for kind in range(len(cells.kinds)):
        mine = [p for p in pieces if p.target.kind == kind and p.target.slot != 1]
        label = ", ".join(part.label for part in cells.kinds[kind].parts)
        if cells.kinds[kind].count > 1:
            label = ", ".join(f.name for f in _families(cells, kind)) + "; j"
        energies, rest = [], []
        for piece in mine:
            if piece.right is None:
                value = sympy.expand(sympy.I * piece.value)
                body = _operator(cells, piece.left, piece.target)
                energies.append(_product(cells, piece, value, body, number, words))
                continue
            x = _operator(cells, piece.left, piece.target)
            y = _operator(cells, piece.right, piece.target)
            form = "jump" if piece.left == piece.right else "pair"
            body = words[form].format(x, y)
            rest.append(_product(cells, piece, piece.value, body, number, words))
        yield words["hamiltonian"].format(label), _sum(energies)
        yield words["rest"].format(label), _sum(rest)


def _families(cells: Cells, kind: int) -> list[Any]:
    offsets = cells.kinds[kind].offsets
    return [f for f in cells.system.families if f.offset in offsets]


def _sum(texts: list[str]) -> str:
    return " + ".join(texts).replace("+ -", "- ") or "0"


def _product(
    cells: Cells,
    piece: Piece,
    value: Any,
    body: str,
    number: Any,
    words: dict[str, str],
) -> str:
    """coefficient · sum over neighbors · means · operator."""
    # the other orientation of an edge doubles what each site sees: a sum over all neighbors k
    total = words["neighbors"] if piece.group.edges or _summed(piece) else ""
    value = sympy.factor_terms(sympy.sympify(value))
    shown = number(value)
    if value.is_Add:
        shown = f"({shown})"
    shown = {"1": "", "1.0": "", "-1": "-", "-1.0": "-"}.get(shown, shown + " ")
    means = "".join(
        words["mean"].format(_operator(cells, operator, place)) + " "
        for place, operator in piece.factors
    )
    return f"{total}{shown}{means}{body}".replace("**", "^").replace("I", "i")


def _summed(piece: Piece) -> bool:
    """Whether a single cell sees every site of a lattice."""
    return piece.group.graph is not None and piece.target.slot is None


def _operator(cells: Cells, operator: Polynomial, place: Place) -> str:
    """An operator on a cell, with the index of its site."""
    kind = cells.kinds[place.kind]
    space = cells.spaces[place.kind]
    if kind.count > 1:
        index = place.cell + 1 if place.cell is not None else "jk"[place.slot or 0]
        space = Space(
            tuple(
                replace(mode, label=f"{mode.label.split('[')[0]}[{index}]")
                for mode in space.modes
            ),
            space.ring,
        )
    found = [
        _times(complex(value), monomial_text(space, monomial) or "1")
        for monomial, value in sorted(
            operator.terms.items(), key=lambda item: str(item[0])
        )
    ]
    text = " + ".join(found).replace("+ -", "- ")
    return text if len(found) == 1 else f"({text})"


def _times(c: complex, text: str) -> str:
    if c == 1:
        return text
    return f"{c.real:g} {text}" if c.imag == 0 else f"({c}) {text}"
