"""What a cutoff does to located values: they were trusted whatever it was."""

import numpy as np
import pytest

from tests.conftest import run_text, values

CAVITY = """
parameter F = 0.1, D = 0
mode a : boson(levels = {levels})
hamiltonian -D*a'*a + F*(a + a')
dissipator 1 : a
experiment e {{
  solve   steadystate
  measure n = <a'*a>
  locate  F0 : F in 0..2 where n {goal}
}}
"""
# n = 4 F^2 of a damped cavity.
EXACT = np.sqrt(2) / 2


@pytest.mark.parametrize("goal", ["= 2", "> 2"])
@pytest.mark.parametrize(("levels", "trusted"), [(7, False), (24, True)])
def test_a_located_value_knows_what_its_cutoff_does(goal, levels, trusted):
    """The measure at the declared drive, n = 0.04, has no such error."""
    result = run_text(CAVITY.format(levels=levels, goal=goal))["e"]
    trust = result.trust["steadystate"]
    wrong = abs(float(values(result, "F0")) - EXACT)
    told = trust.get("truncation_error of F0", 0.0)
    assert ("F0" in trust["doubts"]) != trusted
    assert "n" not in trust["doubts"]
    if trusted:
        assert max(wrong, told) < 2e-5
    else:
        assert wrong > 1e-3
        assert wrong / 3 < told < 10 * wrong + 1e-2


def test_a_located_maximum_knows_what_its_cutoff_does():
    """A Kerr oscillator: its response has the largest number at a detuning that a cutoff moves."""
    text = """
parameter D = -2
mode a : boson(levels = {})
hamiltonian -D*a'*a + 0.3*a'^2*a^2 + 1.1*(a + a')
dissipator 1.5 : a
experiment e {{
  solve   steadystate
  measure n = <a'*a>
  locate  peak : D in -1..4 where n is maximal
}}
"""
    few, many = (run_text(text.format(levels))["e"] for levels in (7, 30))
    wrong = abs(float(values(few, "peak")) - float(values(many, "peak")))
    told = few.trust["steadystate"]["truncation_error of peak"]
    assert wrong / 3 < told < 10 * wrong
    assert "peak" in few.trust["steadystate"]["doubts"]
    assert "peak" not in many.trust["steadystate"]["doubts"]


def test_levels_that_are_chosen_give_a_located_value_its_error():
    text = CAVITY.format(levels="auto", goal="= 2")
    result = run_text(text)["e"]
    assert abs(float(values(result, "F0")) - EXACT) < 1e-6
    assert float(values(result, "F0_error")) < 1e-6


def test_a_threshold_of_few_levels_is_doubted():
    """Weak two-photon loss: 14 levels give 0.368 in place of 0.289349, where V chi(0) = 1 for the linear response."""
    text = """
parameter V = 6
lattice all = complete(100)
mode a[all] : boson(levels = 14)
dissipator 2 : a[j]'   for j in all
dissipator 0.2 : a[j]^2  for j in all
coupling   2*V/100 : a[j] - a[k]  for (j, k) in all.edges
experiment e {
  solve   meanfield(state = incoherent)
  measure rate = growth_rate
  locate  Vc : V in 0..10 where rate = 0
}
"""
    few, many = run_text(text)["e"], run_text(text, "levels=40")["e"]
    trust = few.trust["meanfield"]
    wrong = float(values(few, "Vc", "meanfield")) - 0.28934933
    assert wrong / 3 < trust["truncation_error of Vc"] < 3 * wrong
    assert "Vc" in trust["doubts"]
    assert "rate" not in trust["doubts"]
    assert float(values(many, "Vc", "meanfield")) == pytest.approx(0.28934933, abs=1e-7)
    assert "Vc" not in many.trust["meanfield"]["doubts"]
