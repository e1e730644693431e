"""Means over draws of disorder: closed forms, and what is known against any of the draws."""

import numpy as np
import pytest

from tests.conftest import run_text, values

DEPHASED = """
parameter w ~ normal(1, 0.5)
mode a : boson(levels = 12)
hamiltonian w*a.n
initial a = coherent(1)
experiment e {{ average 200 draws; solve {method}(times = [0.5, 1, 2]); measure A = <a> }}
"""


@pytest.mark.parametrize("method", ["evolve", "classical", "gaussian"])
def test_frequencies_that_differ_dephase(method):
    """E exp(-i w t) = exp(-i t - t^2/8)."""
    result = run_text(DEPHASED.format(method=method))["e"]
    t = np.array([0.5, 1, 2])
    away = np.abs(values(result, "A", method) - np.exp(-1j * t - t**2 / 8))
    error = result.dataset["A_error"].sel({"method": method}).values.squeeze()
    assert (away < 4 * error).all()
    assert (error < 0.1).all()


def test_levels_that_are_too_few_in_one_draw_are_told():
    """4 F^2 quanta, up to 36, on 8 levels; the first draw is not the worst."""
    text = """
    parameter F ~ uniform(0.1, 3)
    mode a : boson(levels = 8)
    hamiltonian F*(a + a')
    dissipator 1 : a
    experiment e { average 6 draws; solve steadystate; measure n = <a.n> }
    """
    trust = run_text(text)["e"].trust["steadystate"]
    assert trust["top_population_a"] > 0.05
    assert "n" in trust["doubts"]


UNEQUAL = """
parameter F ~ uniform(0.1, 2)
mode a : boson{levels}
hamiltonian F*(a + a')
dissipator 1 : a
experiment e {{ average 5 draws; solve {solve}; {measures} }}
"""


def test_numbers_of_quanta_are_averaged_where_each_draw_has_its_own_levels():
    text = UNEQUAL.format(
        levels="",
        solve="steadystate",
        measures="measure P = fock_distribution(a); measure n = <a.n>",
    )
    result = run_text(text)["e"]
    shares = values(result, "P")
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    assert (np.arange(len(shares)) * shares).sum() == pytest.approx(
        float(values(result, "n")), rel=1e-4
    )


def test_lists_of_different_lengths_have_no_mean_and_the_rest_goes_on():
    text = UNEQUAL.format(
        levels="(levels = 30)",
        solve="trajectories(time = 20, burn_in = 5, realizations = 10)",
        measures="measure J = jump_times(1, 1); measure R = jump_rate(1)",
    )
    result = run_text(text)["e"]
    (failure,) = result.trust["trajectories"]["failures"]
    assert (failure["measure"], failure["code"]) == ("J", "E662")
    assert values(result, "R", "trajectories") > 0


def test_a_draw_without_any_term_has_several_stationary_states():
    text = """
    parameter F ~ uniform(-1, 1)
    mode q : qubit
    hamiltonian 0*q.z
    dissipator max(F, 0) : q.minus
    experiment e { average 6 draws; solve steadystate; measure n = <q.n> }
    """
    (failure,) = run_text(text)["e"].trust["steadystate"]["failures"]
    assert failure["code"] == "E504"


def test_an_expectation_of_a_mean_over_draws_is_that_mean():
    """It was the value of the first draw."""
    text = DEPHASED.format(method="classical").replace(
        "measure A = <a>",
        "measure A = <a>; expect A at time = 1 is exp(-i - 1/8) within 0.15;"
        "expect abs(A) at time = 1 is 0.88 within 0.1",
    )
    result = run_text(text)["e"]
    mean, expression = result.verdicts
    assert mean.verdict == "passed"
    assert expression.diagnostic.code == "E724"
