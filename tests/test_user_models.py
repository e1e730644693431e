"""Models a user writes in text alone: metronomes on a moving board, a kicked Kerr oscillator."""

import numpy as np
import pytest
import qutip

from tests.conftest import run_text, values

METRONOMES = """
parameter beta = 0.011, mu = 0.02, swing = 0.39
variable th1, th2, v1, v2 : real
define s1 = -sin(th1) - mu*((th1/swing)^2 - 1)*v1
define s2 = -sin(th2) - mu*((th2/swing)^2 - 1)*v2
define c = cos(th1)^2 + cos(th2)^2
define board = (cos(th1)*s1 + cos(th2)*s2 - sin(th1)*v1^2 - sin(th2)*v2^2)/(1 - beta*c)
equation d/dt th1 = v1
equation d/dt v1 = s1 + beta*cos(th1)*board
equation d/dt th2 = v2
equation d/dt v2 = s2 + beta*cos(th2)*board
initial th1 = 0.4
initial th2 = 0.1
experiment e {
  solve   classical(time = 3000, burn_in = 2500)
  measure C = <th1*th2>/sqrt(<th1^2>*<th2^2>)
  measure T = period
}
"""

ALONE = """
variable th, v : real
equation d/dt th = v
equation d/dt v = -sin(th) - 0.02*((th/0.39)^2 - 1)*v
initial th = 0.4
experiment e { solve classical(time = 3000, burn_in = 2500); measure T = period }
"""


@pytest.mark.parametrize(("beta", "correlation"), [(0.011, 1), (-0.011, -1)])
def test_metronomes_swing_together_on_a_free_board_and_against_one_another_on_a_stiff_one(
    beta, correlation
):
    """J. Pantaleone, Am. J. Phys. 70, 992 (2002): a free board pulls them in phase."""
    result = run_text(METRONOMES.replace("beta = 0.011", f"beta = {beta}"))["e"]
    assert values(result, "C", "classical") == pytest.approx(correlation, abs=1e-5)
    # in phase the board moves and the period is longer; against one another it is at rest
    period = values(result, "T", "classical")
    assert 2 * np.pi < period < 6.7
    if correlation < 0:
        alone = run_text(ALONE)["e"]
        assert period == pytest.approx(values(alone, "T", "classical"), abs=1e-4)


def test_an_angle_that_is_no_angle_is_pointed_at():
    text = METRONOMES.replace(
        "th1, th2, v1, v2 : real", "th1, th2 : angle\nvariable v1, v2 : real"
    )
    result = run_text(text)["e"]
    assert "E436" in result.dataset.attrs["trust"]
    assert "whole turn" in result.dataset.attrs["trust"]


def test_a_kicked_kerr_oscillator_with_loss_settles_under_three_methods():
    result = run_text("""
parameter chi = 0.5, kappa = 0.3, eps = 0.4
mode a : boson(levels = 16)
hamiltonian chi*(a'*a)^2
dissipator kappa : a
kick every 1 : eps*(a + a')
experiment e {
  solve   floquet
  solve   trajectories(time = 200, burn_in = 20, realizations = 8)
  measure n = timeaverage(<a'*a>)
}
experiment strobe {
  solve   floquet
  solve   evolve(times = [80])
  measure n = <a'*a>
}""")
    mean = result["e"]
    error = mean.dataset["n_error"].sel({"method": "trajectories"}).values
    apart = values(mean, "n", "trajectories") - values(mean, "n", "floquet")
    assert 0 < error < 0.03
    assert abs(apart) < 4 * error + 1e-3
    strobe = result["strobe"]
    assert values(strobe, "n", "floquet") == pytest.approx(
        float(np.squeeze(values(strobe, "n", "evolve"))), abs=1e-6
    )


def test_products_of_functions_of_one_quadrature_are_hermitian():
    """Against QuTiP, with functions of a matrix of 60 levels cut to 14."""
    result = run_text("""
mode a : boson(levels = 14)
hamiltonian 0.3*cos(0.4*(a + a'))*sin(0.7*(a + a')) + 0.1*(a + a')*cos(0.3*(a + a')) + 0.2*a.n*sqrt(a.n + 1)
dissipator 0.2 : a
experiment e {
  solve   steadystate
  measure n = <a.n>
  measure m = <cos(0.4*(a + a'))*sin(0.7*(a + a'))>
}
""")["e"]
    levels, large = 14, 60
    x, v = np.linalg.eigh((qutip.destroy(large) + qutip.create(large)).full())
    product = np.cos(0.4 * x) * np.sin(0.7 * x)
    number = np.arange(levels)
    h = (v * (0.3 * product + 0.1 * x * np.cos(0.3 * x))) @ v.conj().T
    h = qutip.Qobj(h[:levels, :levels] + np.diag(0.2 * number * np.sqrt(number + 1)))
    rho = qutip.steadystate(h, [np.sqrt(0.2) * qutip.destroy(levels)])
    mean = qutip.Qobj(((v * product) @ v.conj().T)[:levels, :levels])
    assert values(result, "n") == pytest.approx(qutip.expect(qutip.num(levels), rho))
    assert values(result, "m") == pytest.approx(qutip.expect(mean, rho))
