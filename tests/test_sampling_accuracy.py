"""`accuracy` on a line with realizations: the step is halved and realizations are added until it holds."""

import pytest

from tests.conftest import run_text, values

BATH = """
parameter nb = 2
mode a : boson(levels = 30)
hamiltonian a.n
dissipator nb + 1 : a
dissipator nb : a'
initial a = vacuum
experiment e {{ {more}solve {method}; measure n = <a'*a> }}
"""
TURN = """
mode a : boson
hamiltonian a.n + 0.2*a.n^2
dissipator 1 : a'
dissipator 0.2 : a^2
initial a = vacuum
experiment e {{ solve langevin(time = 6, burn_in = 3, dt = 0.1, accuracy = {accuracy}, max_realizations = 2000); measure n = <a'*a> }}
"""


def trust_of(result, method="langevin"):
    """The trust report of a line."""
    return result.trust[method]


def test_realizations_are_added_until_the_error_is_small_enough():
    solve = "langevin(time = 8, burn_in = 4, accuracy = 0.02)"
    result = run_text(BATH.format(method=solve, more=""))["e"]
    error = float(result.dataset["n_error"].values.squeeze())
    assert error <= 0.02 * 2.2
    assert abs(float(values(result, "n", "langevin")) - 2) < 5 * error
    assert trust_of(result)["realizations_used"] > 16
    assert "realizations" in trust_of(result)["accuracy"]


def test_a_cap_that_is_too_low_is_said():
    solve = "langevin(time = 8, burn_in = 4, accuracy = 0.001, max_realizations = 32)"
    result = run_text(BATH.format(method=solve, more=""))["e"]
    assert "W532" in [w["code"] for w in trust_of(result)["warnings"]]
    assert trust_of(result)["realizations_used"] == 32


def test_an_accuracy_of_the_experiment_leaves_what_a_line_gives():
    solve = "langevin(time = 2, burn_in = 1, realizations = 16, dt = 0.05)"
    result = run_text(BATH.format(method=solve, more="set accuracy = 1e-6; "))["e"]
    assert "realizations_used" not in trust_of(result)


def test_an_accuracy_of_the_experiment_chooses_the_realizations_that_are_open():
    more = "set accuracy = 0.05; "
    result = run_text(BATH.format(method="langevin(time = 8, burn_in = 4)", more=more))[
        "e"
    ]
    error = float(result.dataset["n_error"].values.squeeze())
    assert error <= 0.05 * 2.2
    assert trust_of(result)["realizations_used"] > 16
    assert trust_of(result)["accuracy"].endswith("by realizations and steps")


def test_a_step_is_not_halved_below_what_realizations_leave():
    """Sixteen realizations know a number to some hundredths: a step error below that is no loss."""
    solve = "langevin(time = 6, burn_in = 3, realizations = 16)"
    turn = TURN.partition("experiment")[0]
    experiment = (
        f"experiment e {{ set accuracy = 1e-6; solve {solve}; measure n = <a'*a> }}"
    )
    result = run_text(turn + experiment)["e"]
    trust = trust_of(result)
    error = float(result.dataset["n_error"].values.squeeze())
    assert trust["realizations_used"] == 16
    assert 1e-6 < trust["step_error of n"] <= error
    assert not {"W532", "W533"} & {w["code"] for w in trust["warnings"]}
    assert trust["accuracy"].endswith("by steps")


def test_the_step_is_halved_until_its_error_is_small_enough():
    coarse = run_text(TURN.format(accuracy=0.5))["e"]
    fine = run_text(TURN.format(accuracy=0.01))["e"]
    scale = max(1.0, float(values(fine, "n", "langevin")))
    assert trust_of(coarse)["step_error of n"] > 0.01 * scale
    assert trust_of(fine)["step_error of n"] <= 0.01 * scale


def test_quantum_jumps_are_added_too():
    solve = "trajectories(times = [0, 1, 2], accuracy = 0.1)"
    result = run_text(BATH.format(method=solve, more=""))["e"]
    exact = run_text(BATH.format(method="evolve(times = [0, 1, 2])", more=""))["e"]
    assert float(result.dataset["n_error"].values.max()) <= 0.1 * 2.5
    assert values(result, "n", "trajectories") == pytest.approx(
        values(exact, "n", "evolve"), abs=0.5
    )
