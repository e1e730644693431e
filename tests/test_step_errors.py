"""The error that the steps of an integration leave in each measure, held against closed forms."""

import json

import numpy as np
import pytest

from tests.conftest import run_text, values

# alpha' = -(i W + k/2) alpha - i F exp(-t): solved by hand.
CAVITY = """
parameter W = 2, k = 0.4, F = 0.3
mode a : boson(levels = 14)
hamiltonian W*a.n + F*exp(-t)*(a + a')
dissipator k : a
initial a = coherent(0.8)
experiment e {{
  {sets}
  solve {method}(times = linspace(0, 10, 11))
  measure A = <a>
  measure n = <a'*a>
}}
"""


def amplitude(t):
    """The solution of the equation above."""
    rate = 2j + 0.2
    forced = -0.3j / (rate - 1)
    return (0.8 - forced) * np.exp(-rate * t) + forced * np.exp(-t)


def errors(result, method):
    """What is said of A and n, and what is true."""
    trust, alpha = result.trust[method], amplitude(np.linspace(0, 10, 11))
    true = {"A": values(result, "A", method) - alpha}
    true["n"] = values(result, "n", method) - abs(alpha) ** 2
    return [
        (trust[f"step_error of {name}"], float(np.abs(one).max()))
        for name, one in true.items()
    ]


@pytest.mark.parametrize("method", ["classical", "gaussian", "meanfield"])
def test_the_step_error_covers_the_true_one_and_is_not_far_above_it(method):
    result = run_text(CAVITY.format(method=method, sets="set k = 0.4"))["e"]
    # beside the rounding of a cutoff far away
    for said, true in errors(result, method):
        assert true <= said + 1e-9
        assert said <= 100 * true


def test_so_does_that_of_a_density_matrix():
    """A driven cavity: alpha' = -(2i + 0.2) alpha - 0.3i."""
    text = """
    mode a : boson(levels = 30)
    hamiltonian 2*a.n + 0.3*(a + a')
    dissipator 0.4 : a
    initial a = coherent(0.8)
    experiment e { solve evolve(times = linspace(0, 10, 11)); measure A = <a> }
    """
    result = run_text(text)["e"]
    t, rate = np.linspace(0, 10, 11), 2j + 0.2
    alpha = (0.8 + 0.3j / rate) * np.exp(-rate * t) - 0.3j / rate
    true = np.abs(values(result, "A", "evolve") - alpha).max()
    assert true <= result.trust["evolve"]["step_error of A"] <= 100 * true


def test_steps_that_are_short_for_the_sake_of_pulses_leave_rounding():
    """<sz> = cos(W sin(v t)/v) of a qubit whose coupling oscillates."""
    text = """
    parameter W = 3, v = 0.7
    mode q : qubit
    hamiltonian W/2*cos(v*t)*q.x
    initial q = fock(1)
    experiment e { solve evolve(times = linspace(0, 20, 21)); measure z = <q.z> }
    """
    result = run_text(text)["e"]
    t = np.linspace(0, 20, 21)
    true = np.abs(
        values(result, "z", "evolve") - np.cos(3 * np.sin(0.7 * t) / 0.7)
    ).max()
    said = result.trust["evolve"]["step_error of z"]
    assert true <= said <= 1e-11


def test_an_accuracy_tightens_the_steps():
    loose, tight = (
        run_text(CAVITY.format(method="classical", sets=f"set accuracy = {a}"))["e"]
        for a in ("1e-6", "1e-10")
    )
    for result, accuracy in ((loose, 1e-6), (tight, 1e-10)):
        trust = result.trust["classical"]
        assert "steps" in trust["accuracy"]
        for said, true in errors(result, "classical"):
            assert true <= said <= accuracy
        assert (result.dataset["A_error"].values <= accuracy).all()
    assert tight.trust["classical"]["tolerance"] < loose.trust["classical"]["tolerance"]


def test_an_accuracy_beyond_rounding_is_refused_with_what_was_reached():
    text = CAVITY.format(method="classical", sets="set accuracy = 1e-14")
    (failure,) = run_text(text)["e"].trust["classical"]["failures"]
    assert failure["code"] == "E530"
    assert "the steps leave an error" in failure["message"]


WINDOW = """
parameter W = 2, k = 0.4
mode a : boson(levels = 24)
hamiltonian W*a.n
dissipator k : a
initial a = coherent(1.5)
experiment e {{ {sets} solve {method}(time = 10, burn_in = 0.33); measure n = <a'*a> }}
"""
# The mean of 2.25 exp(-0.4 t) over that window.
MEAN = 2.25 * (np.exp(-0.132) - np.exp(-4)) / 0.4 / 9.67


@pytest.mark.parametrize("method", ["evolve", "gaussian", "classical", "meanfield"])
def test_a_mean_over_a_window_that_no_grid_meets_has_the_error_that_is_said(method):
    result = run_text(WINDOW.format(method=method, sets=""))["e"]
    true = abs(values(result, "n", method) - MEAN)
    said = result.trust[method]["step_error of n"]
    assert true <= said <= 0.02
    assert method == "classical" or said < 1e-6


def test_an_accuracy_takes_more_times_of_a_window():
    result = run_text(WINDOW.format(method="classical", sets="set accuracy = 1e-4;"))
    assert values(result["e"], "n", "classical") == pytest.approx(MEAN, abs=1e-4)


LORENZ = """
variable x, y, z : real
equation d/dt x = 10*(y - x)
equation d/dt y = x*(28 - z) - y
equation d/dt z = x*y - 8/3*z
initial x = 1
initial y = 1
initial z = 20
experiment e { solve classical(times = [5, 60]); measure X = <x> }
"""


def test_numbers_that_chaos_has_made_meaningless_are_doubted(command, tmp_path):
    (tmp_path / "m.qsync").write_text(LORENZ)
    code, out, _ = command("run", "m.qsync", "--strict", "--json")
    assert code == 3
    found = json.loads(out)["experiments"]["e"]["methods"]["classical"]
    assert found["measures"]["X"]["trusted"] is False
    assert "the steps of its integration" in found["measures"]["X"]["doubts"][0]


def test_of_a_sweep_some_points_are_looked_at():
    text = WINDOW.format(method="gaussian", sets="sweep k = linspace(0.1, 0.9, 9);")
    trust = run_text(text)["e"].trust["gaussian"]
    assert 0 < trust["step_error of n"] < 1e-6


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_record_without_numbers_has_no_error_of_its_steps():
    text = """
    variable x : real
    equation d/dt x = -x
    initial x = 1
    experiment e { solve classical(time = 3); measure R = along(0*x/0); measure X = along(x) }
    """
    result = run_text(text)["e"]
    assert np.isnan(values(result, "R", "classical")).all()
    assert "step_error of R" not in result.trust["classical"]
    assert "step_error of X" in result.trust["classical"]
