r"""Rotors: an angle x and an integer n, $[x, n] = i$, and the quasi-momentum $\beta$.

A word `("e", k, j, i)` is $e^{ikx} n^j (n + \beta)^i$. Under a static force the angle's momentum is
$p = \hbar(n + \beta(t))$, $\dot\beta = f/\hbar$; when $\beta$ reaches 1 the label n becomes n + 1. $\beta$
commutes with everything, so that the algebra needs no value of it. `("x",)` is the bare angle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import comb
from typing import Any

from qsyncdsl.model.modes import (
    IDENTITY,
    Combination,
    ModeKind,
    Word,
    power,
    unit_element,
    unit_text,
)


@dataclass(frozen=True, slots=True)
class Window:
    """The part of the basis that is kept: n = center - nmax .. center + nmax, at a quasi-momentum."""

    nmax: int
    center: int = 0
    beta: float = 0.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where all rotors of a state are.

    Attributes:
        centers: For each part the middle of its window; 0 for parts that are no rotors.
        beta: For each part its quasi-momentum, in [0, 1].
    """

    centers: tuple[int, ...]
    beta: tuple[float, ...]


def window(size: Any) -> Window:
    """The size of a rotor as a window; a number nmax is -nmax..nmax without quasi-momentum."""
    return size if isinstance(size, Window) else Window(int(size))


def _wave(k: int, j: int, i: int) -> Word:
    return ("e", k, j, i) if k or j or i else IDENTITY


def _times(u: Word, v: Word, size: Any, ring: Any) -> Combination | None:
    """exp(ikx) n^j P^i exp(ilx) n^m P^q = exp(i(k+l)x) (n + l)^j (P + l)^i n^m P^q; and with |n><m|."""
    if "x" in (u[0], v[0]):
        raise ValueError(
            "the angle x stands alone or in a periodic function, not in a product"
        )
    if u[0] == "E" and v[0] == "E":
        return {("E", u[1], v[2]): 1} if u[2] == v[1] else {}
    if "E" in (u[0], v[0]):
        return _unit_times(u, v)
    (_, k, j, i), (_, step, m, q) = u, v
    total: Combination = {}
    for a, b in product(range(j + 1), range(i + 1)):
        factor = comb(j, a) * step ** (j - a) * comb(i, b) * step ** (i - b)
        if factor:
            word = _wave(k + step, m + a, q + b)
            total[word] = total.get(word, 0) + factor
    return total


def _unit_times(u: Word, v: Word) -> Combination | None:
    """<m| exp(ilx) n^j = (m - l)^j <m - l|, exp(ikx) n^j |n> = n^j |n + k>; beta has no number here."""
    wave = v if u[0] == "E" else u
    if wave[3]:
        return None
    if u[0] == "E":
        return {("E", u[1], u[2] - v[1]): (u[2] - v[1]) ** v[2]}
    return {("E", v[1] + u[1], v[2]): v[1] ** u[2]}


def _adjoint(u: Word, size: Any, ring: Any) -> Combination:
    """(exp(ikx) n^j P^i)' = exp(-ikx) (n - k)^j (P - k)^i."""
    if u[0] == "E":
        return {("E", u[2], u[1]): 1}
    if u[0] == "x":
        return {u: 1}
    _, k, j, i = u
    found = _times(("e", 0, j, i), ("e", -k, 0, 0), size, ring)
    assert found is not None
    return found


def _element(
    word: Word, size: Any, dimension: int
) -> tuple[list[int], list[int], list[float]]:
    kept = window(size)
    low = kept.center - kept.nmax
    if word[0] == "x":
        raise ValueError("the angle x of a rotor has no matrix in the number basis")
    if word[0] == "E":
        row, column = word[1] - low, word[2] - low
        if min(row, column) < 0:
            return [], [], []
        return unit_element(("E", row, column), size, dimension)
    _, k, j, i = word
    columns = [n for n in range(dimension) if 0 <= n + k < dimension]
    values = [float((n + low) ** j * (n + low + kept.beta) ** i) for n in columns]
    return [n + k for n in columns], columns, values


def _text(word: Word, label: str) -> str:
    if word[0] == "E":
        return unit_text(word, label)
    if word[0] == "x":
        return f"{label}.x"
    _, k, j, i = word
    wave = {0: "", 1: f"e^(i {label})", -1: f"e^(-i {label})"}.get(
        k, f"e^({k}i {label})"
    )
    number = f"n({label}){power(j)}" if j else ""
    momentum = f"(p/ħ)({label}){power(i)}" if i else ""
    return " ".join(part for part in (wave, number, momentum) if part)


def _shift(size: Any, ring: Any, k: int) -> Combination:
    return {_wave(k, 0, 0): 1}


def _cosine(sign: int) -> Callable[..., Combination]:
    """cos x = (exp(ix) + exp(-ix))/2, sin x = (exp(ix) - exp(-ix))/2i."""

    def letter(size: Any, ring: Any) -> Combination:
        half = ring.number(Fraction(1, 2))
        up = half if sign > 0 else -ring.imaginary * half
        down = half if sign > 0 else ring.imaginary * half
        return {_wave(1, 0, 0): up, _wave(-1, 0, 0): down}

    return letter


rotor = ModeKind(
    name="rotor",
    letters={
        "n": lambda size, ring: {("e", 0, 1, 0): 1},
        # The momentum in units of hbar: n, and beta where a static force moves it.
        "p": lambda size, ring: {("e", 0, 0, 1): 1},
        "cos": _cosine(+1),
        "sin": _cosine(-1),
        "shift": _shift,
        "x": lambda size, ring: {("x",): 1},
    },
    bare="",
    times=_times,
    adjoint=_adjoint,
    dimension=lambda size: 2 * window(size).nmax + 1,
    first=lambda size: window(size).center - window(size).nmax,
    element=_element,
    text=_text,
)
