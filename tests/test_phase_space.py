"""Wigner equations: against the specifications, against matrices, as text."""

import os
from math import comb, factorial
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from qsyncdsl import pipeline
from qsyncdsl.algebra.operators import Space, SystemMode
from qsyncdsl.algebra.phase_space import phase_space_equation, weyl_symbol
from qsyncdsl.algebra.rings import SYMBOLIC
from qsyncdsl.model.modes import boson

GOLDEN = Path(__file__).parent / "golden" / "langevin"
BOSONIC = [
    "vdp_driven", "vdp_kerr", "vdp_pair_reactive", "vdp_global", "vdp_pair_dissipative",
    "vdp_pair_mutual_info", "optomech_pair", "optomech_array", "vdp_chimera",
    "vdp_ensemble_disordered", "optomech_gaussian_pair", "optomech_gaussian_chain",
]  # fmt: skip


@pytest.mark.parametrize("name", BOSONIC)
def test_the_langevin_equations_of_a_bundled_model(name):
    text = pipeline.describe(name, pipeline.Request(), solve="langevin")
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("QSYNCDSL_WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 80


def test_the_driven_van_der_pol_oscillator_with_kerr_term_is_that_of_its_specification():
    space = Space((SystemMode("a", boson),), SYMBOLIC)
    a = space.letter(0, "a")
    g1, g2, kerr, delta, drive = sp.symbols("g1 g2 K Delta E", real=True)
    n = a.dag() * a
    h = n * (-delta) + n * n * kerr + (a - a.dag()) * (sp.I * drive)
    found = phase_space_equation(h, [(g1, a.dag()), (g2, a * a)])
    one, cubic = ((0, 0, 1),), ((0, 1, 2),)
    drift = {
        (): -drive,
        one: sp.I * (delta + kerr) + g1 / 2 + g2,
        cubic: -g2 - 2 * sp.I * kerr,
    }
    assert {
        m: sp.expand(c - drift[m]) for m, c in found.drift[0].items()
    } == dict.fromkeys(drift, 0)
    diffusion = {(): g1 / 2 - g2, ((0, 1, 1),): 2 * g2}
    given_ = found.diffusion[0, 0, 1]
    assert {m: sp.expand(c - diffusion[m]) for m, c in given_.items()} == dict.fromkeys(
        diffusion, 0
    )
    third = found.dropped[((0, 2, 1),)]
    assert sp.expand(third[one] - (g2 / 4 - sp.I * kerr / 2)) == 0


def test_one_bath_for_a_difference_gives_opposite_noise():
    space = Space((SystemMode("a", boson), SystemMode("b", boson)))
    a, b = space.letter(0, "a"), space.letter(1, "a")
    found = phase_space_equation(space.scalar(0), [(2, a - b)])
    assert found.diffusion[0, 1, 1] == {(): -1}
    assert found.diffusion[0, 0, 1] == found.diffusion[1, 1, 1] == {(): 1}


LEVELS = 14
WORDS = st.tuples(st.integers(0, 2), st.integers(0, 2))
NUMBERS = st.floats(-1, 1).map(lambda x: round(x, 3))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(WORDS, NUMBERS, NUMBERS), min_size=1, max_size=3),
    st.lists(st.tuples(WORDS, NUMBERS, NUMBERS), min_size=1, max_size=2),
    WORDS,
)
def test_moments_move_as_under_the_master_equation(terms, jump_terms, observable):
    """d<O>/dt from all derivatives of the Wigner equation is that of matrices."""
    space = Space((SystemMode("a", boson),))
    a = space.letter(0, "a")
    h = space.scalar(0)
    for (p, q), x, y in terms:
        part = a.dag() ** p * a**q * complex(x, y)
        h = h + part + part.dag()
    jump = space.scalar(0)
    for (p, q), x, y in jump_terms:
        jump = jump + a.dag() ** p * a**q * complex(x, y)
    target = a.dag() ** observable[0] * a ** observable[1]
    equation = phase_space_equation(h, [(0.7, jump)])
    rng = np.random.default_rng(1)
    rho = np.zeros((LEVELS, LEVELS), complex)
    block = rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))
    rho[:4, :4] = block @ block.conj().T
    rho /= np.trace(rho)
    lower = np.diag(np.sqrt(np.arange(1, LEVELS)), 1).astype(complex)

    def matrix(operator):
        total = np.zeros((LEVELS, LEVELS), complex)
        for monomial, value in operator.terms.items():
            p, q = monomial[0][1][1:] if monomial else (0, 0)
            raised = np.linalg.matrix_power(lower.conj().T, p)
            total += value * raised @ np.linalg.matrix_power(lower, q)
        return total

    big_h, big_l = matrix(h), matrix(jump)
    motion = -1j * (big_h @ rho - rho @ big_h) + 0.7 * (
        big_l @ rho @ big_l.conj().T
        - (big_l.conj().T @ big_l @ rho + rho @ big_l.conj().T @ big_l) / 2
    )
    wanted = np.trace(matrix(target) @ motion)
    found = _mean_motion(
        equation, weyl_symbol(target), lambda p, q: _symmetric(rho, lower, p, q)
    )
    assert found == pytest.approx(wanted, abs=1e-9)


def _symmetric(rho, lower, p, q):
    """The mean of alpha*^p alpha^q over the Wigner function of rho."""
    total = 0j
    for k in range(min(p, q) + 1):
        raised = np.linalg.matrix_power(lower.conj().T, p - k)
        moment = np.trace(raised @ np.linalg.matrix_power(lower, q - k) @ rho)
        total += factorial(k) * comb(p, k) * comb(q, k) / 2**k * moment
    return total


def _mean_motion(equation, symbol, mean):
    """Integrate the symbol over the right-hand side, by parts."""

    def powers(fields):
        return fields[0][1:] if fields else (0, 0)

    total = 0j
    pieces = []
    for fields, value in equation.drift.get(0, {}).items():
        p, q = powers(fields)
        pieces.append(((1, 0), (p, q), -value))
        pieces.append(((0, 1), (q, p), -np.conj(value)))
    for fields, value in equation.diffusion.get((0, 0, 1), {}).items():
        pieces.append(((1, 1), powers(fields), value))
    for fields, value in equation.diffusion.get((0, 0, 0), {}).items():
        p, q = powers(fields)
        pieces.append(((2, 0), (p, q), value / 2))
        pieces.append(((0, 2), (q, p), np.conj(value) / 2))
    for derivative, polynomial in equation.dropped.items():
        for fields, value in polynomial.items():
            pieces.append((derivative[0][1:], powers(fields), value))
    for (i, j), (p, q), value in pieces:
        for fields, coefficient in symbol.items():
            u, v = powers(fields)
            if v < i or u < j:
                continue
            factor = factorial(v) / factorial(v - i) * factorial(u) / factorial(u - j)
            moment = mean(p + u - j, q + v - i)
            total += (-1) ** (i + j) * value * coefficient * factor * moment
    return total
