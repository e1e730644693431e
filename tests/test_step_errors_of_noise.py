"""Errors by the steps of runs with noise at given times, and of flows between kicks, against closed forms."""

import numpy as np
import pytest

from tests.conftest import run_text, values

CAVITY = """
mode a : boson
hamiltonian 2*a.n + a + a'
dissipator 0.4 : a
initial a = coherent(2)
experiment e {{ solve langevin(times = [1, 5, 10], realizations = 200{dt}); measure A = <a> }}
"""


def test_a_step_that_is_too_long_is_told_at_given_times():
    """alpha' = -(2i + 0.2) alpha - i."""
    t, rate = np.array([1, 5, 10]), 2j + 0.2
    exact = (2 + 1j / rate) * np.exp(-rate * t) - 1j / rate
    result = run_text(CAVITY.format(dt=", dt = 0.2"))["e"]
    true = np.abs(values(result, "A", "langevin") - exact).max()
    trust = result.trust["langevin"]
    # Of second order: twice the step has four times the error.
    assert true / 3 < trust["step_error of A"] < 5 * true
    assert "twice the length" in trust["doubts"]["A"][0]


def test_the_step_that_is_chosen_leaves_less_than_the_sampling():
    result = run_text(CAVITY.format(dt=""))["e"]
    trust = result.trust["langevin"]
    assert trust["step_error of A"] < 0.02
    assert trust["doubts"] == {}


def test_paths_that_chaos_parts_are_no_error_of_the_step_of_a_mean():
    """A Lorenz model with noise: single paths part after 20 units, means over them do not."""
    text = """
    variable x, y, z : real
    noise xi : white(0.01)
    equation d/dt x = 10*(y - x) + xi
    equation d/dt y = x*(28 - z) - y
    equation d/dt z = x*y - 8/3*z
    initial x = 1
    initial y = 1
    initial z = 20
    experiment e { solve langevin(times = [1, 5, 60], realizations = 100); measure Z = <z> }
    """
    result = run_text(text)["e"]
    assert result.trust["langevin"]["doubts"] == {}
    assert result.trust["langevin"]["step_error of Z"] < 0.5


KICKED = """
mode a : boson(levels = 12)
hamiltonian 0.3*exp(-((t - 30)/{width})^2)*(a + a')
kick every 25 : 0.1*(a + a')
experiment e {{ solve {method}(times = [10, 20, 40]); measure A = <a> }}
"""


@pytest.mark.filterwarnings("error::RuntimeWarning")  # 0/0 of errors that vanish
@pytest.mark.parametrize("width", [1, 0.03])
@pytest.mark.parametrize("method", ["evolve", "classical"])
def test_a_pulse_between_kicks_is_not_passed_over(method, width):
    """Its matrix elements are zero at most times, to the last digit: they were written to other places."""
    result = run_text(KICKED.format(method=method, width=width))["e"]
    moved = np.array([0.1, 0.1, 0.2 + 0.3 * width * np.sqrt(np.pi)])
    assert values(result, "A", method) == pytest.approx(-1j * moved, abs=1e-9)
    if method == "evolve":
        assert result.trust[method]["flow_error"] < 1e-10
        assert result.trust[method]["doubts"] == {}


def test_a_drive_between_kicks_that_need_not_repeat_has_the_mean_of_the_classical_field():
    text = """
    mode a : boson(levels = 14)
    hamiltonian 2*a.n + 0.3*cos(3*t)*(a + a')
    dissipator 0.4 : a
    kick every 2 : 0.1*(a + a')
    experiment e {
      solve evolve(times = [1.5, 3.7, 9.3])
      solve classical(times = [1.5, 3.7, 9.3])
      measure A = <a>
    }
    """
    result = run_text(text)["e"]
    both = [values(result, "A", m) for m in ("evolve", "classical")]
    assert both[0] == pytest.approx(both[1], abs=1e-8)


def test_exponentials_between_kicks_have_no_error_of_steps():
    text = """
    mode a : boson(levels = 8)
    hamiltonian 2*a.n
    dissipator 0.4 : a
    kick every 2 : 0.1*(a + a')
    experiment e { solve evolve(times = [1.5, 3.7]); measure A = <a> }
    """
    trust = run_text(text)["e"].trust["evolve"]
    assert "flow_error" not in trust
    assert "step_error of A" not in trust
