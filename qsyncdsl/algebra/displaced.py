r"""Bosons in a displaced frame: their levels are $D(\alpha)|n\rangle$ in place of $|n\rangle$.

$$ D^\dagger(\alpha)\,a\,D(\alpha) = a + \alpha, \qquad
   \tilde\rho = D^\dagger(\alpha)\,\rho\,D(\alpha), \qquad \tilde H = H(a + \alpha), \quad \tilde L = L(a + \alpha) . $$

A frame is a basis and nothing else: all operators, jumps and states go there together, and a few levels
hold the fluctuations about a large field.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from math import comb
from typing import Any

import numpy as np
from scipy.special import eval_genlaguerre, gammaln

from qsyncdsl.algebra.operators import ONE, Monomial, Polynomial, Space, SystemMode
from qsyncdsl.algebra.rings import Ring
from qsyncdsl.algebra.system import Jump, System, Term
from qsyncdsl.model.modes import Word

# Standard deviations of the number that a level reaches beyond its mean.
_REACH = 5.0
# Part of a state that levels about the center must keep.
_KEPT = 0.9999


class NoFrameError(ValueError):
    """An operator that has no form in a displaced frame."""


# ── operators ────────────────────────────────────────────────────────────────────────────────


def displaced(operator: Polynomial, centers: Mapping[int, Any]) -> Polynomial:
    r"""$D^\dagger O D$: $a \to a + \alpha$ in every word and in the arguments of functions.

    A projector of levels becomes a word of its own, whose matrix elements are exact.

    Args:
        centers: alpha by position of the mode, numbers or symbols of the ring of the operator.

    Raises:
        NoFrameError: For projectors and functions where alpha is a symbol.
    """
    total: dict[Monomial, list[Any]] = {}
    joint = operator.space.scalar(0)
    for monomial, value in operator.terms.items():
        if any(word[0] in ("f", "product") for _, word in monomial):
            joint = joint + _joint(operator.space, monomial, centers) * value
            continue
        for moved, factor in _plain(operator.space, monomial, centers):
            total.setdefault(moved, []).append(value * factor)
    add = operator.space.ring.add
    plain = Polynomial(operator.space, {m: add(v) for m, v in total.items()})
    return plain + joint if joint else plain


def _plain(
    space: Space, monomial: Monomial, centers: Mapping[int, Any]
) -> list[tuple[Monomial, Any]]:
    """A product of words of single modes, as monomials with factors."""
    found: list[tuple[tuple[Any, ...], Any]] = [((), 1)]
    for key, word in monomial:
        assert isinstance(key, int)
        words = _word(word, centers[key], space.ring) if key in centers else {word: 1}
        found = [
            ((*left, (key, w)) if w else left, c * factor)
            for left, c in found
            for w, factor in words.items()
        ]
    return found


def _word(word: Word, alpha: Any, ring: Ring) -> dict[Word, Any]:
    r"""$a^{\dagger p} a^q \to (a^\dagger + \bar\alpha)^p (a + \alpha)^q$, and $|n\rangle\langle m|$."""
    if word[0] == "E":
        if not isinstance(alpha, complex | float | int):
            raise NoFrameError("a projector of levels")
        return {("D", word[1], word[2], complex(alpha)): 1}
    _, p, q = word
    bar = ring.conjugate(alpha)
    return {
        ("a", j, k) if j or k else (): comb(p, j)
        * comb(q, k)
        * (bar ** (p - j) if p > j else 1)
        * (alpha ** (q - k) if q > k else 1)
        for j in range(p + 1)
        for k in range(q + 1)
    }


def _joint(space: Space, monomial: Monomial, centers: Mapping[int, Any]) -> Polynomial:
    """A product with functions in it, factor by factor in the order that they stand in."""
    total = space.scalar(1)
    for key, word in monomial:
        if word[0] == "f":
            touched = (key,) if isinstance(key, int) else key
            if not centers.keys().isdisjoint(touched):
                if not all(isinstance(centers.get(k, 0j), complex) for k in touched):
                    raise NoFrameError("a function of operators")
                inner = ("f", word[1], displaced(word[2], centers))
                factor = Polynomial(space, {((key, inner),): space.ring.number(1)})
            else:
                factor = Polynomial(space, {((key, word),): space.ring.number(1)})
        elif word[0] == "product":
            factor = _joint(space, word[1], centers)
        else:
            one = Polynomial(space, {((key, word),): space.ring.number(1)})
            factor = displaced(one, centers)
        total = total * factor
    return total


def in_frame(system: System, positions: Collection[int]) -> System:
    r"""A system with some bosons in frames whose centers are symbols, as more parameters.

    The number c in a jump A + c is left out: $\mathcal{D}[A + c] = \mathcal{D}[A] - (i/\hbar)[H', \cdot]$ with
    $H' = \tfrac{i\hbar}{2}\gamma(\bar c A - c A^\dagger)$.

    Raises:
        NoFrameError: If a term has no such form.
    """
    import sympy

    labels = {k: system.space.modes[k].label for k in positions}
    centers = {k: sympy.Symbol(f"center_{labels[k]}") for k in sorted(positions)}
    symbols = {**system.symbols, **{center_key(k): s for k, s in centers.items()}}
    return replace(moved(system, centers), symbols=symbols)


def moved(system: System, centers: Mapping[int, Any]) -> System:
    """A system in the frame of some centers, numbers or symbols of its ring.

    Raises:
        NoFrameError: If a term has no such form.
    """
    ring = system.space.ring
    hamiltonian = [
        Term(displaced(term.operator, centers), term.span)
        for term in system.hamiltonian
    ]

    def parted(jump: Jump) -> tuple[Jump, Any]:
        whole = displaced(jump.operator, centers)
        c = whole.terms.get(ONE, 0)
        rest = whole - whole.space.scalar(c)
        return Jump(jump.rate, rest, jump.span, jump.per_atom), c

    jumps = []
    for jump, c in map(parted, system.jumps):
        jumps.append(jump)
        if c != 0:
            half = ring.imaginary * system.hbar * jump.rate / 2
            shift = jump.operator * ring.conjugate(c) - jump.operator.dag() * c
            hamiltonian.append(Term(shift * half, jump.span))
    return replace(
        system,
        hamiltonian=tuple(hamiltonian),
        jumps=tuple(jumps),
        finer=tuple((s, tuple(parted(j)[0] for j in js)) for s, js in system.finer),
    )


def center_key(position: int) -> tuple[str, tuple[int, ...]]:
    """The name of the center of a mode among the parameters of a problem."""
    return "center of", (position,)


# ── matrices and states ──────────────────────────────────────────────────────────────────────


def displacement(alpha: complex, rows: int, columns: int) -> np.ndarray:
    r"""Matrix of $D(\alpha)$, shape (rows, columns), exact in every element.

    $$ \langle m|D(\alpha)|n\rangle = e^{-|\alpha|^2/2}\sqrt{\tfrac{n!}{m!}}\,\alpha^{m-n}
       L_n^{(m-n)}(|\alpha|^2), \qquad m \ge n , $$

    and $\langle m|D(\alpha)|n\rangle = \overline{\langle n|D(-\alpha)|m\rangle}$.

    References:
        K. E. Cahill, R. J. Glauber, Phys. Rev. 177, 1857 (1969), appendix B.
    """
    if alpha == 0:
        return np.eye(rows, columns, dtype=complex)
    m, n = np.arange(rows)[:, None], np.arange(columns)[None, :]
    low, high = np.minimum(m, n), np.maximum(m, n)
    order = high - low
    x = abs(alpha) ** 2
    logs = (
        (gammaln(low + 1) - gammaln(high + 1)) / 2 + order * np.log(abs(alpha)) - x / 2
    )
    polynomials = eval_genlaguerre(low, order, x)
    sign = np.where(m >= n, 1.0, (-1.0) ** order)
    phase = np.exp(1j * np.angle(alpha) * (m - n))
    with np.errstate(under="ignore"):
        return np.asarray(sign * phase * np.exp(logs) * polynomials)


def numbers_for(alpha: complex, levels: int) -> int:
    """How many levels about the vacuum hold the lowest ones about a center."""
    return int(np.ceil((abs(alpha) + np.sqrt(levels) + _REACH) ** 2))


def framed_state(
    mode: SystemMode, make: Callable[[SystemMode], np.ndarray]
) -> np.ndarray:
    r"""A state of one mode on the levels of its frame, $D^\dagger|\psi\rangle$ or $D^\dagger\rho D$, normalized.

    Args:
        make: The state about the vacuum, for a mode of any number of levels.

    Raises:
        ValueError: If these levels keep less than 99.99 % of it.
    """
    if not mode.center:
        return make(mode)
    count = numbers_for(mode.center, mode.dimension)
    state = make(replace(mode, size=count, center=0j))
    shift = displacement(-mode.center, mode.dimension, count)
    moved = shift @ state if state.ndim == 1 else shift @ state @ shift.conj().T
    weight = float(
        np.linalg.norm(moved) ** 2 if state.ndim == 1 else np.trace(moved).real
    )
    if weight < _KEPT:
        raise ValueError(
            f"{mode.dimension} levels of '{mode.label}' about {mode.center:.4g} keep only "
            f"{100 * weight:.3g} % of this state"
        )
    return np.asarray(moved / (np.sqrt(weight) if state.ndim == 1 else weight))


def centers_of(space: Space) -> dict[int, complex]:
    """The centers of the modes that have one."""
    return {k: mode.center for k, mode in enumerate(space.modes) if mode.center}


def centered(space: Space, centers: Mapping[int, complex]) -> Space:
    """A space with the levels of some modes about centers."""
    if not centers:
        return space
    modes = tuple(
        replace(mode, center=complex(centers.get(k, 0j)))
        for k, mode in enumerate(space.modes)
    )
    return Space(modes, space.ring)
