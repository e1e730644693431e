"""Displaced frames: a few levels about the classical field, and every measure as about the vacuum."""

import json

import numpy as np
import pytest
from mpmath import conj, hyper, mpc, mpf

from qsyncdsl.algebra.displaced import displaced, displacement
from qsyncdsl.algebra.matrices import polynomial_matrix
from qsyncdsl.algebra.operators import Space, SystemMode
from qsyncdsl.diagnostics import ModelError
from qsyncdsl.model.modes import boson
from tests.conftest import run_text, values

CAVITY = """
parameter F = 7, Delta = 0.2, U = 0
mode a : boson{levels}
hamiltonian -Delta*a'*a + F*(a + a') + U/2*a'^2*a^2
dissipator 1 : a
"""


def drummond_walls(F, Delta, U, j, k):
    r"""<a'^j a^k> of the driven damped Kerr cavity, from its complex P representation.

    P. D. Drummond, D. F. Walls, J. Phys. A 13, 725 (1980), with kappa = 1.
    """
    c, z = mpc(-2 * mpf(Delta), -1) / mpf(U), mpc(-2 * mpf(F) / mpf(U))
    x = 2 * abs(z) ** 2
    value = conj(z) ** j * z**k
    for q in range(k):
        value /= c + q
    for q in range(j):
        value /= conj(c) + q
    top = hyper([], [c + k, conj(c) + j], x)
    return complex(value * top / hyper([], [c, conj(c)], x))


# ── the algebra ──────────────────────────────────────────────────────────────────────────────


def test_the_displacement_is_unitary_and_moves_the_vacuum():
    whole = displacement(3.1 - 7j, 200, 12)
    assert np.abs(whole.conj().T @ whole - np.eye(12)).max() < 1e-12
    back = displacement(-3.1 + 7j, 12, 200)
    assert np.abs(back @ whole - np.eye(12)).max() < 1e-12
    lower = np.diag(np.sqrt(np.arange(1, 200)), 1)
    assert whole[:, 0].conj() @ lower @ whole[:, 0] == pytest.approx(3.1 - 7j, abs=1e-9)


def test_operators_are_displaced_by_their_matrices():
    """D' O D of words, projectors and functions, against the product of three large matrices."""
    alpha, size, kept = 0.8 - 0.5j, 60, 8
    space = Space((SystemMode("a", boson, size),))
    a = space.letter(0, "a")
    shift = displacement(alpha, size, size)
    for operator in (
        a.dag() * a * a + a * 2j,
        space.unit(0, 2, 1),
        space.function("cos", a + a.dag()),
        space.function("exp", a.dag() * a * 0.3j) * space.unit(0, 1, 1),
        space.function("cos", a + a.dag()) * a,
    ):
        wanted = shift.conj().T @ polynomial_matrix(operator, [size]) @ shift
        found = polynomial_matrix(displaced(operator, {0: alpha}), [size]).toarray()
        assert np.abs((found - wanted)[:kept, :kept]).max() < 1e-10


# ── stationary states ────────────────────────────────────────────────────────────────────────


def test_a_linear_cavity_needs_no_more_than_two_levels():
    body = "experiment e { solve steadystate(frame = displaced); measure n = <a'*a>; measure m = <a>; measure g = g2(a) }"
    found = run_text(CAVITY.format(levels="(levels = 2)") + body)["e"]
    assert values(found, "n") == pytest.approx(49 / 0.29, rel=1e-9)
    assert values(found, "m") == pytest.approx(-7j / (0.5 - 0.2j), rel=1e-9)
    assert values(found, "g") == pytest.approx(1, rel=1e-8)
    assert found.trust["steadystate"]["doubts"] == {}


def test_open_levels_of_a_kerr_cavity_follow_its_field():
    """<n> near 190 by two dozen levels, the frame chosen by the program."""
    body = "experiment e { set Delta = -1; set U = 0.01; sweep F = [20, 40]; solve steadystate; measure n = <a'*a>; measure m = <a>; measure g = <a'^2*a^2> }"
    found = run_text(CAVITY.format(levels="") + body)["e"]
    for name, j, k in (("n", 1, 1), ("m", 0, 1), ("g", 2, 2)):
        exact = [drummond_walls(F, -1, "0.01", j, k) for F in (20, 40)]
        assert values(found, name) == pytest.approx(exact, rel=1e-8)
    trust = found.trust["steadystate"]
    assert trust["frame"] == "displaced by the classical field: a"
    assert trust["center_a"] > 13
    assert trust["levels_a"] < 30


MEASURES = """
measure n = <a'*a>; measure m = <a>; measure v = var(a'*a); measure S = entropy(a)
measure P = fock_distribution(a); measure P3 = P(3); measure W = wigner(a, extent = 3, points = 3)
measure W0 = W(-1 - i); measure Q = husimi(a, extent = 3, points = 3); measure Q0 = Q(-0.3 - 2*i)
measure phi = phase_distribution(a); measure phi1 = phi(-1.5); measure pc = phase_coherence(a)
measure c = correlation(a', a); measure c1 = c(0.7); measure gap = liouvillian_gap()
measure u = <|2><1|>; measure f = <cos(0.3*(a + a'))*a>; measure F2 = fidelity(fock(2))
"""
NUMBERS = [
    "n",
    "m",
    "v",
    "S",
    "P3",
    "W0",
    "Q0",
    "phi1",
    "pc",
    "c1",
    "gap",
    "u",
    "f",
    "F2",
]


def test_every_measure_is_that_about_the_vacuum():
    body = f"experiment e {{ set F = 0.7; set U = 0.3; set levels = 20; solve steadystate(frame = displaced) as D; solve steadystate as V; {MEASURES} }}"
    found = run_text(CAVITY.format(levels="") + body)["e"]
    assert "frame" in found.trust["D"]
    assert "frame" not in found.trust["V"]
    for name in NUMBERS:
        one, other = (values(found, name, method=m) for m in "DV")
        assert one == pytest.approx(other, rel=1e-7, abs=1e-8), name
        assert np.abs(one) > 1e-4


def test_two_modes_are_displaced_together():
    text = """
    parameter g = 0.05
    mode a, b : boson(levels = 9)
    hamiltonian a'*a + b'*b - g*a'*a*(b + b') + 1.6*(a + a')
    dissipator 1 : a
    dissipator 0.3 : b
    experiment e { solve steadystate(frame = displaced) as D; solve steadystate as V with levels = 14
      measure n = <a'*a>; measure x = <b>; measure L = log_negativity(a, b); measure R = phase_moment(a, b, 1) }
    """
    found = run_text(text)["e"]
    for name in "nxLR":
        one, other = (values(found, name, method=m) for m in "DV")
        assert one == pytest.approx(other, abs=3e-5), name


# ── in time ──────────────────────────────────────────────────────────────────────────────────


def test_evolution_starts_from_its_state_in_the_frame():
    """alpha(t) = A + (alpha_0 - A) exp((i Delta - 1/2) t), exactly, with levels for half the way."""
    body = "experiment e { initial a = coherent(11 - 4*i); solve evolve(times = [0, 1, 3]); measure m = <a>; measure n = <a'*a> }"
    found = run_text(CAVITY.format(levels="") + body)["e"]
    end, t = -7j / (0.5 - 0.2j), np.array([0, 1, 3])
    alpha = end + (11 - 4j - end) * np.exp((0.2j - 0.5) * t)
    assert values(found, "m", method="evolve") == pytest.approx(alpha, rel=1e-7)
    assert values(found, "n", method="evolve") == pytest.approx(
        np.abs(alpha) ** 2, rel=1e-7
    )
    assert "frame" in found.trust["evolve"]


@pytest.mark.parametrize("state", ["vacuum", "fock(2)", "thermal(0.4)"])
def test_states_about_the_vacuum_are_written_in_the_frame(state):
    body = f"experiment e {{ set F = 0.5; set levels = 34; initial a = {state}; solve evolve(times = [0, 1], frame = displaced) as D; solve evolve(times = [0, 1]) as V; measure n = <a'*a>; measure m = <a> }}"
    found = run_text(CAVITY.format(levels="") + body)["e"]
    assert "frame" in found.trust["D"]
    for name in "nm":
        one, other = (values(found, name, method=m) for m in "DV")
        assert one == pytest.approx(other, abs=1e-7)


# ── where a frame is no help ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "body",
    [
        # two coherent states, or a mixture of a cycle's phases: the field has several ends
        "hamiltonian 2*(a^2 + a'^2) + 0.1*a'^2*a^2",
        "dissipator 1.2 : a'\ndissipator 0.005 : a^2",
    ],
)
def test_no_frame_is_taken_where_a_symmetry_leaves_the_field_open(body):
    text = f"mode a : boson\n{body}\ndissipator 1 : a\nexperiment e {{ set accuracy = 1e-3; solve steadystate; measure n = <a'*a>; measure m = <a> }}"
    found = run_text(text)["e"]
    assert values(found, "n") > 10
    assert values(found, "m") == 0
    assert "frame" not in found.trust["steadystate"]


def test_a_bistable_cavity_is_left_about_the_vacuum_and_a_frame_is_doubted():
    """F = 2.5 at Delta = 3, U = 0.5: two classical fields."""
    body = "experiment e { set F = 2.5; set Delta = 3; set U = 0.5; solve steadystate as A; solve steadystate(frame = displaced) as D with levels = 12; measure n = <a'*a> }"
    found = run_text(CAVITY.format(levels="") + body)["e"]
    exact = drummond_walls(2.5, 3, 0.5, 1, 1).real
    assert values(found, "n", method="A") == pytest.approx(exact, rel=1e-6)
    assert "frame" not in found.trust["A"]
    assert "W504" in {w["code"] for w in found.trust["D"]["warnings"]}
    assert "n" in found.trust["D"]["doubts"]


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ("mode s : qubit\nhamiltonian a + a'\ndissipator 1 : s.minus", "no bosons"),
        ("hamiltonian cos(a + a')", "no polynomial"),
        ("dissipator 3 : a'\ndissipator 0.1 : a^2", "no stable stationary"),
    ],
)
def test_a_frame_that_is_not_there_is_refused_with_its_reason(terms, reason):
    text = f"mode a : boson(levels = 6)\n{terms}\ndissipator 1 : a\nexperiment e {{ solve steadystate(frame = displaced); measure n = <a'*a> }}"
    (failure,) = run_text(text)["e"].trust["steadystate"]["failures"]
    assert failure["code"] == "E447"
    assert reason in failure["message"]


def test_too_many_numbers_are_refused_and_not_cut():
    body = "experiment e { set F = 40; set levels = 3; solve steadystate(frame = displaced); measure n = <a'*a>; measure P = fock_distribution(a) }"
    found = run_text(CAVITY.format(levels="") + body)["e"]
    assert values(found, "n") == pytest.approx(1600 / 0.29, rel=1e-9)
    (failure,) = found.trust["steadystate"]["failures"]
    assert failure["code"] == "E618"
    assert json.dumps(found.trust)


def test_a_word_that_is_no_frame_is_pointed_at():
    with pytest.raises(ModelError) as caught:
        run_text(
            CAVITY.format(levels="")
            + "experiment e { solve steadystate(frame = moved); measure n = <a'*a> }"
        )
    assert caught.value.diagnostics[0].code == "E206"
