"""Steady states without a symmetry: uncoupled and weakly coupled groups, combined channels, ions with recoil."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from qsyncdsl import pipeline
from qsyncdsl.lower.kraus import Weighted, distance, smallest_set
from qsyncdsl.resources import bundled_models
from tests.conftest import run_text, values

IONS = bundled_models()["ion_phonon_lasers"].read_text(encoding="utf-8")
IONS = IONS.split("\nexperiment")[0]


def solver_of(result, label="steadystate"):
    return result.trust[label]["solver"]


# ── channels ─────────────────────────────────────────────────────────────────────────────────


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 10_000))
def test_combined_channels_are_the_same_channel(count, rank, seed):
    draw = np.random.default_rng(seed)
    basis = draw.normal(size=(rank, 9)) + 1j * draw.normal(size=(rank, 9))
    jumps = [
        Weighted(
            float(draw.uniform(0.1, 2)),
            sp.csr_array((draw.normal(size=rank) @ basis).reshape(3, 3)),
            (k,),
        )
        for k in range(count)
    ]
    fewer = smallest_set(jumps)
    assert len(fewer) == min(count, rank)
    assert distance(fewer, jumps) < 1e-7  # the root of rounding


def test_channels_that_do_not_overlap_are_left_alone():
    one = Weighted(0.5, sp.csr_array([[0.0, 1], [0, 0]]), (0,))
    other = Weighted(2.0, sp.csr_array([[0.0, 0], [1, 0]]), (1,))
    assert smallest_set([one, other]) == [one, other]


def test_nodes_of_a_recoil_integral_have_a_parity():
    """exp(i eta q z) and exp(-i eta q z) become cos and sin: a Z2 symmetry that no node has."""
    text = (
        IONS
        + "\nexperiment e { set levels = 3; solve steadystate; measure n = <a1.n> }"
    )
    trust = run_text(text)["e"].trust["steadystate"]
    assert trust["symmetry"].startswith("Z2 ")


# ── groups ───────────────────────────────────────────────────────────────────────────────────

THREE = """
parameter J = 0.1, V = 0.05, alpha = 0.3
mode s, u : qubit
mode a, b : boson(levels = 4)
mode c : boson(levels = 3)
hamiltonian 0.7*(s.plus*a + h.c.) + 0.3*(a + a') + 0.2*(c + c') + 0.4*u.x
hamiltonian 0.6*(u.plus*b + h.c.) + 0.1*b.n^2
coupling    J*(a'*b + h.c.) + J*b.n*c.n
coupling    V : a - c
coupling    V : s.minus*b
dissipator  1 : a - alpha
dissipator  1 : b, s.minus, u.minus
dissipator  1.5 : c
"""


def test_weakly_coupled_groups_agree_with_the_sparse_lu():
    text = THREE.replace("a, b : boson(levels = 4)", "a : boson(levels = 3)")
    text = text.replace("mode c : boson(levels = 3)", "mode b, c : boson(levels = 2)")
    text += """
experiment e {
  solve   steadystate(solver = direct) as lu
  solve   steadystate(solver = iterative) as groups
  measure ab = <a'*b>
  measure mean = <c>
  measure su = <s.z*u.x>
}
"""
    result = run_text(text)["e"]
    assert "uncoupled groups" in solver_of(result, "groups")
    for name in ("ab", "mean", "su"):
        assert values(result, name, "groups") == pytest.approx(
            values(result, name, "lu"), abs=1e-11
        )


def test_groups_that_nothing_couples_are_solved_one_by_one():
    text = (
        THREE
        + """
experiment e {
  set     J = 0, V = 0
  solve   steadystate
  solve   steadystate(solver = iterative) as whole
  measure ab = <a'*b>
  measure product = <a'>*<b>
  measure cc = <c'*c>
  measure I = mutual_information([s, a], [u, b])
}
"""
    )
    result = run_text(text)["e"]
    assert solver_of(result).startswith("uncoupled groups (s, a) (u, b) (c)")
    assert abs(values(result, "ab")) > 1e-3
    assert values(result, "ab") == pytest.approx(values(result, "product"), abs=1e-12)
    assert values(result, "I") == pytest.approx(0, abs=1e-9)
    for name in ("ab", "cc"):
        assert values(result, name) == pytest.approx(
            values(result, name, "whole"), abs=1e-9
        )


def test_a_group_that_is_not_unique_is_refused_within_a_product():
    text = "mode a, b : boson(levels = 4)\nhamiltonian a.n + b.n\ndissipator 1 : a\nexperiment e { solve steadystate; measure n = <a.n> }"
    (failure,) = run_text(text)["e"].trust["steadystate"]["failures"]
    assert failure["code"] == "E504"


# ── ions ─────────────────────────────────────────────────────────────────────────────────────


def test_the_same_truncation_gives_the_same_number():
    """trunc.M4.S of the reference values, whose maximum is that of a grid of 2 pi/1000."""
    settings = "levels = 4, nodes = 4, Gamma = 0.2, Omega1 = 0.3, Omega2 = 0.4"
    text = f"{IONS}\nexperiment e {{ set {settings}, delta = 0.03; solve steadystate; measure S = 2*pi*max(relative_phase(a1, a2)) - 1; measure m[k in 1..3] = phase_moment(a1, a2, k) }}"
    result = run_text(text)["e"]
    phi = np.linspace(0, 2 * np.pi, 1000, endpoint=False)
    waves = np.exp(-1j * np.outer(phi, [1, 2, 3]))
    on_grid = 2 * (waves @ values(result, "m").ravel()).real.max()
    assert on_grid == pytest.approx(0.09447905541374624, abs=1e-13)
    assert 0 < values(result, "S") - on_grid < 3e-9


@pytest.mark.parametrize("eta", [0.1, 0.3])
def test_the_ion_sum_rule_holds(eta):
    """Gamma <n> = gamma pe (1 + 2 eta^2/5), exact at any eta."""
    text = f"""{IONS}
experiment e {{
  set     eta = {eta}, J = 0, nodes = 8, levels_a1 = 26, levels_a2 = 4
  solve   steadystate
  measure rule = Gamma*<a1.n> - gamma*<s1.n>*(1 + 2/5*eta^2)
  measure n = <a1.n>
  measure F = var(a1.n)/<a1.n>
}}
"""
    result = run_text(text)["e"]
    assert values(result, "rule") == pytest.approx(0, abs=1e-10)
    if eta == 0.1:
        assert values(result, "n") == pytest.approx(1.0259254007531706, abs=1e-11)
        assert values(result, "F") == pytest.approx(0.9034268544049856, abs=1e-11)


@pytest.mark.slow
def test_two_ions_with_thirteen_levels():
    verdicts = [v for _, v in pipeline.expectations(["ion_phonon_lasers"])]
    assert [v.text for v in verdicts if v.verdict != "passed"] == []
    text = f"{IONS}\nexperiment e {{ solve steadystate; measure S = 2*pi*max(relative_phase(a1, a2)) - 1; measure n = <a1.n>; measure c1 = <a1'*a2> }}"
    result = run_text(text)["e"]
    assert "uncoupled groups (s1, a1) (s2, a2)" in solver_of(result)
    assert values(result, "S") == pytest.approx(0.03383350545735753, abs=2e-9)
    assert values(result, "n") == pytest.approx(1.0169213426303387, abs=2e-9)
    assert abs(values(result, "c1")) < 1e-12


# ── integrals and explanations ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("nodes", "warned"), [(2, True), (6, False)])
def test_an_integral_with_too_few_nodes_is_told_with_a_number(nodes, warned):
    text = f"{IONS}\nexperiment e {{ set eta = 0.3, J = 0, levels_a1 = 6, levels_a2 = 2, nodes = {nodes}; solve steadystate; measure n = <a1.n> }}"
    trust = run_text(text)["e"].trust["steadystate"]
    codes = [w["code"] for w in trust["warnings"]]
    assert codes.count("W503") == warned
    assert (trust["quadrature_error"] > 1e-6) == warned


def test_explain_says_what_a_symmetry_saves(command):
    code, out, _ = command(
        "explain", "ion_phonon_lasers", "--set", "levels=5", "--set", "J=0"
    )
    assert code == 0
    assert "Z2 n(s2) + n(a2), Z2 n(s1) + n(a1)" in out
    assert "2500 of 10000 density-matrix elements are unknown" in out
    assert "nothing couples, each solved on its own: (s1, a1) (s2, a2)" in out


def test_a_drive_that_breaks_a_symmetry_is_seen():
    text = """
parameter F = 0, Delta = 0.2
mode a, b : boson(levels = 4)
hamiltonian Delta*(a.n - b.n) + F*(a + a')
dissipator 1 : a', b'
dissipator 2 : a^2, b^2
coupling 1 : a - b
experiment e { sweep F = [0, 0.01]; solve steadystate; measure m = <a>; measure n = <a.n> }
"""
    result = run_text(text)["e"]
    first, second = values(result, "m")
    assert first == 0
    assert abs(second) > 1e-4


def test_a_parity_makes_odd_means_exactly_zero_and_two_times_work_in_their_sector():
    text = """
mode a : boson(levels = 14)
hamiltonian 0.3*a.n + 0.2*(a^2 + a'^2)
dissipator 1 : a
dissipator 0.3 : a^2
experiment e { solve steadystate; measure m = <a>; measure o = <a^3>; measure w = linewidth(a', a); measure n = <a.n> }
"""
    result = run_text(text)["e"]
    assert result.trust["steadystate"]["symmetry"] == "Z2 n(a)"
    assert values(result, "m") == 0
    assert values(result, "o") == 0
    assert values(result, "w") > 0
