"""What linearized fluctuations leave out of means and covariances, held against other methods."""

import numpy as np
import pytest

from tests.conftest import run_text, values

KERR = """
parameter F = {F}
mode a : boson(levels = 26)
hamiltonian -3*a'*a + 0.5*a'^2*a^2 + F*(a + a')
dissipator 1 : a
experiment e {{
  solve gaussian(times = [60])
  solve {other}(times = [60])
  measure n = <a'*a>
  measure A = <a>
  measure v = var(a.q)
}}
"""


def told_and_true(text):
    """By measure: what is told of it, and how far off it is."""
    result = run_text(text)["e"]
    trust = result.trust["gaussian"]
    (other,) = set(result.trust) - {"gaussian"}
    return {
        name: (
            trust[f"back_action of {name}"],
            float(
                np.abs(values(result, name, "gaussian") - values(result, name, other))
            ),
        )
        for name in ("n", "A", "v")
    }, trust


@pytest.mark.parametrize("F", [0.1, 0.5])
def test_where_fluctuations_are_small_it_is_the_leading_error(F):
    found, trust = told_and_true(KERR.format(F=F, other="evolve"))
    for told, true in found.values():
        assert told == pytest.approx(true, rel=0.06)
    assert trust["doubts"] == {}


def test_a_mean_that_fluctuations_would_push_to_another_branch_is_doubted():
    """0.305 quanta in place of 0.738."""
    found, trust = told_and_true(KERR.format(F=1.5, other="evolve"))
    assert found["n"][1] > 0.4
    assert set(trust["doubts"]) == {"n", "A", "v"}
    assert "act back" in trust["doubts"]["n"][0]


TWO = """
parameter g = 0.3
mode a, b : boson
hamiltonian 0.5*a'*a + b'*b - g*a'*a*(b + b') + 0.5*(a + a') + 0.1*a'^2*a^2 + cos(t)*(b + b')/4
dissipator 1 : a
dissipator 0.2 : a'
dissipator 0.3 : b
dissipator 0.1 : a^2 - b
experiment e {
  solve gaussian(times = [0, 3, 8])
  solve cumulants(times = [0, 3, 8], order = 2)
  measure n = <a'*a>
  measure A = <a*b>
  measure v = <b'*b>
}
"""


def test_the_equations_that_it_compares_with_are_closed_by_cumulants():
    """Each of two derivations: contractions of linearized equations, and moments without third cumulants."""
    result = run_text(TWO)["e"]
    for name in ("n", "A", "v"):
        pair = [values(result, name, m) for m in ("gaussian", "cumulants")]
        told = result.trust["gaussian"][f"back_action of {name}"]
        assert told == pytest.approx(np.abs(pair[0] - pair[1]).max(), rel=1e-5)
        assert told > 1e-3


PARAMETRIC = """
mode a : boson(levels = 40)
hamiltonian 0.3*a'*a + 0.05*a'^2*a^2 + 0.05*i*(a^2 - a'^2)
dissipator 1 : a
experiment e {
  solve gaussian(times = [40])
  solve steadystate
  measure n = <a'*a>
  measure A = <a^2>
  measure v = var(a.q)
}
"""


def test_a_parametric_oscillator_below_threshold():
    for told, true in told_and_true(PARAMETRIC)[0].values():
        assert told == pytest.approx(true, rel=0.05)


def test_a_phase_that_nothing_binds_makes_numbers_of_quanta_doubtful():
    """A van der Pol oscillator: <a'a> is 10.5 in truth, its linearized variance grows for ever."""
    text = """
    mode a : boson(levels = 40)
    dissipator 2 : a'
    dissipator 0.1 : a^2
    initial a = coherent(sqrt(10))
    experiment e { solve gaussian(times = [5]); solve evolve(times = [5]); measure n = <a'*a> }
    """
    result = run_text(text)["e"]
    true = abs(values(result, "n", "gaussian") - values(result, "n", "evolve"))
    assert result.trust["gaussian"]["back_action of n"] == pytest.approx(true, rel=0.2)
    assert "n" in result.trust["gaussian"]["doubts"]


def test_limit_cycles_of_hundreds_of_quanta_are_not_doubted():
    text = """
    parameter g = 0.005, kappa = 0.15, gamma = 0.005
    mode a1, a2, b1, b2 : boson
    hamiltonian -w*a'*a + w*b'*b - g*a'*a*(b + b') + 48*i*(a' - a) for (a, b, w) in [(a1, b1, 1), (a2, b2, 1.005)]
    coupling -0.02*(b1*b2' + h.c.)
    dissipator 2*kappa : a1, a2
    dissipator 2*gamma : b1, b2
    experiment e {
      solve gaussian(time = 250, window = [190, 250])
      measure S = timeaverage(sync_complete(b1, b2))
    }
    """
    trust = run_text(text)["e"].trust["gaussian"]
    assert 1e-6 < trust["back_action of S"] < 0.01
    assert trust["doubts"] == {}


def test_a_linear_model_leaves_nothing_out():
    text = """
    mode a, b : boson
    hamiltonian 0.7*(a'*b + b'*a) + 0.2*(a^2 + a'^2)
    dissipator 1 : a
    experiment e { solve gaussian(times = [1, 2]); measure n = <a'*a> }
    """
    trust = run_text(text)["e"].trust["gaussian"]
    assert not any(name.startswith("back_action") for name in trust)


def test_of_a_sweep_several_points_are_compared():
    """The middle of this one is far from the branch that is lost."""
    text = KERR.format(F="1", other="evolve").replace("solve evolve(times = [60])", "")
    text = text.replace("solve", "sweep F = linspace(0.1, 1.5, 8)\nsolve")
    trust = run_text(text)["e"].trust["gaussian"]
    assert trust["back_action of n"] > 1
    assert "n" in trust["doubts"]


DENSITY = """
mode a : boson
hamiltonian 0.3*a.n + {K}*a'^2*a^2 + {F}*(a + a')
dissipator 1 : {gain}
dissipator {loss} : {jump}
experiment e {{ solve steadystate; solve fokkerplanck; measure n = <a'*a>; measure A = <a^2> }}
"""


@pytest.mark.parametrize(
    ("terms", "low", "high"),
    [
        ({"K": 0, "F": 0.5, "gain": "a", "loss": 0.2, "jump": "a'"}, 0, 1e-12),
        ({"K": 0.05, "F": 1, "gain": "a", "loss": 0.2, "jump": "a'"}, 1e-3, 0.02),
        ({"K": 0, "F": 0.5, "gain": "a'", "loss": 0.05, "jump": "a^2"}, 1e-3, 0.02),
        ({"K": 1.5, "F": 0.5, "gain": "a", "loss": 0.2, "jump": "a'"}, 0.1, 0.5),
        ({"K": 0, "F": 0.5, "gain": "a'", "loss": 5, "jump": "a^2"}, 0.1, 1),
    ],
)
def test_a_density_without_third_derivatives_tells_the_equations_it_breaks(
    terms, low, high
):
    """Doubted where <a'a> or <a^2> are off by more than two per cent, and not where they are right."""
    result = run_text(DENSITY.format(**terms))["e"]
    trust = result.trust["fokkerplanck"]
    assert low <= trust["wigner_residual_a"] <= high
    off = max(
        float(np.abs(values(result, x, "fokkerplanck") - values(result, x)))
        / float(np.abs(values(result, x)))
        for x in ("n", "A")
    )
    assert ("n" in trust["doubts"]) == (off > 0.02)
