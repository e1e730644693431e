"""Associated Laguerre polynomials: sidebands of a trapped ion beyond the Lamb-Dicke regime."""

import numpy as np
import pytest
from scipy.special import eval_genlaguerre

from qsyncdsl.algebra.build import build
from qsyncdsl.diagnostics import ModelError
from qsyncdsl.lower.lindblad import lindblad
from qsyncdsl.model.environment import Environment
from qsyncdsl.solve import coefficients
from qsyncdsl.solve.checks import combine
from tests.conftest import model_of, run_text, values


def matrix_of(text):
    """The Hamiltonian of a text without parameters."""
    model = model_of(text)
    problem = lindblad(build(model, Environment(model))).problem
    f = coefficients.evaluate(problem.coefficients, ())
    return combine(problem, problem.hamiltonian, f).toarray()


@pytest.mark.parametrize("s", [0, 1, 2, 3])
def test_sidebands_are_diagonals_of_the_displacement(s):
    r"""$\langle n + s|e^{i\eta(a + a^\dagger)}|n\rangle = e^{-\eta^2/2}(i\eta)^s\sqrt{n!/(n+s)!}L_n^{(s)}(\eta^2)$."""
    eta = 0.7
    inverse = "".join(f"*(a.n + {k})^(-1)" for k in range(1, s + 1))
    up = f"exp(-{eta}^2/2)*{eta}^{s}*a'^{s}*laguerre(a.n, {s}, {eta}^2){inverse}"
    text = f"mode a : boson(levels = 12)\nhamiltonian {up} + h.c.\n"
    if s == 0:
        text = text.replace(" + h.c.", "", 1)
    band = matrix_of(text)
    displacement = exact_displacement(eta, 12)
    wanted = np.diag(displacement, -s) / 1j**s
    assert np.diag(band, -s) == pytest.approx(wanted, abs=1e-12)


def exact_displacement(eta, size):
    """exp(i eta (a + a')) on many more levels, cut."""
    import scipy.linalg

    a = np.diag(np.sqrt(np.arange(1, 200)), 1)
    return scipy.linalg.expm(1j * eta * (a + a.T))[:size, :size]


def test_an_operator_may_be_the_argument():
    matrix = matrix_of(
        "mode a : boson(levels = 6)\nhamiltonian laguerre(3, 0.5, a.n/2)\n"
    )
    assert np.diag(matrix) == pytest.approx(eval_genlaguerre(3, 0.5, np.arange(6) / 2))


def test_of_numbers_it_is_a_number_that_follows_parameters():
    result = run_text("""
parameter x = 0.5
mode a : boson(levels = 4)
hamiltonian laguerre(2, 1, x)*a.n
experiment e {
  sweep   x = [0.5, 2]
  solve   eigen
  measure E = eigenenergies(2)
  measure c = laguerre(2, 1, x)
}""")["e"]
    wanted = eval_genlaguerre(2, 1, np.array([0.5, 2.0]))
    assert values(result, "c", "eigen") == pytest.approx(wanted)
    levels = np.sort(np.outer(wanted, np.arange(4)), axis=1)
    assert values(result, "E", "eigen") == pytest.approx(levels[:, :2])


@pytest.mark.parametrize("call", ["laguerre(-1, 0, a.n)", "laguerre(a.n, a.n, 1)"])
def test_other_orders_are_refused(call):
    text = f"mode a : boson(levels = 4)\nhamiltonian {call}\n"
    with pytest.raises(ModelError, match=r"laguerre|Laguerre"):
        matrix_of(text)


def test_the_sum_rule_of_a_phonon_laser_holds_for_full_sidebands():
    r"""$\Gamma\langle n\rangle = \gamma p_e(1 + \tfrac25\eta^2)$ for any eta, with exact sidebands and recoil."""
    result = run_text("""
parameter eta = 0.3, Omega = 0.35, Gamma = 0.3
mode s : qubit
mode a : boson(levels = 24)
hamiltonian Omega*exp(-eta^2/2)*s.plus*a'*laguerre(a.n, 1, eta^2)*(a.n + 1)^(-1) + h.c.
dissipator Gamma : a
dissipator 3*(1 + z^2)/8 : exp(i*eta*(a + a')*z)*s.minus for z in integral(-1, 1, nodes = 8)
experiment e {
  solve   steadystate
  measure rule = Gamma*<a.n> - <s.n>*(1 + 2/5*eta^2)
  measure n = <a.n>
}""")["e"]
    assert values(result, "n", "steadystate") > 0.3
    assert abs(values(result, "rule", "steadystate")) < 1e-9
