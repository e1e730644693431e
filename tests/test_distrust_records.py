"""Records of jumps and typed equations whose numbers were wrong in silence once, against closed forms."""

import numpy as np
import pytest

from tests.conftest import run_text, values

POISSON = """
mode q : qubit
dissipator 1 : q.z
experiment e {{ solve trajectories({options}); {measures} }}
"""


def test_waiting_times_are_those_of_the_process_and_not_of_the_window():
    """exp(-tau): a window of three mean waits holds few of the long ones."""
    text = POISSON.format(
        options="time = 3, realizations = 4000", measures="measure w = waiting_times(1)"
    )
    result = run_text(text)["e"]
    density = values(result, "w", "trajectories")
    tau = result.dataset["tau"].values
    width = tau[1] - tau[0]
    early = tau < 2
    assert density[early].sum() * width == pytest.approx(1 - np.exp(-2), abs=0.03)
    mean = (tau * density)[early].sum() / density[early].sum()
    assert mean == pytest.approx((1 - 3 * np.exp(-2)) / (1 - np.exp(-2)), abs=0.03)


def test_one_realization_has_no_scatter_of_its_number_of_jumps():
    text = POISSON.format(
        options="time = 100, realizations = 1",
        measures="measure F = jump_fano(1); measure R = jump_rate(1)",
    )
    result = run_text(text)["e"]
    (failure,) = result.trust["trajectories"]["failures"]
    assert (failure["measure"], failure["code"]) == ("F", "E664")
    assert values(result, "R", "trajectories") == pytest.approx(1, abs=0.4)


def test_mean_numbers_of_jumps_have_their_standard_error():
    """t jumps with variance t."""
    text = POISSON.format(
        options="times = [0, 4, 9], realizations = 400",
        measures="measure N = <jumps(1)>",
    )
    result = run_text(text)["e"]
    error = result.dataset["N_error"].values.squeeze()
    wanted = np.sqrt(np.array([4, 9]) / 400)
    assert error[1:] == pytest.approx(wanted, rel=0.4)
    assert values(result, "N", "trajectories")[1:] == pytest.approx([4, 9], abs=0.6)


# ── typed equations ──────────────────────────────────────────────────────────────────────────

PULSE = """
variable x, y : real
{noise}
equation d/dt x = exp(-((t - 30)/{width})^2){term}
equation d/dt y = (1 + x)*exp(-((t - 10)/{width})^2)
experiment e {{ solve {method}; measure X = <x>; measure Y = <y> }}
"""


@pytest.mark.parametrize("width", [0.1, 0.03])
def test_a_short_pulse_late_in_a_run_of_typed_equations_is_not_passed_over(width):
    text = PULSE.format(
        noise="", term="", width=width, method="classical(times = [0, 20, 40])"
    )
    result = run_text(text)["e"]
    area = width * np.sqrt(np.pi)
    assert values(result, "X", "classical") == pytest.approx([0, 0, area], abs=1e-8)
    assert values(result, "Y", "classical") == pytest.approx([0, area, area], abs=1e-8)


def test_nor_by_the_steps_of_a_run_with_noise():
    text = PULSE.format(
        noise="noise xi : white(1e-10)",
        term=" + xi",
        width=0.01,
        method="langevin(times = [0, 20, 40], realizations = 4)",
    )
    found = values(run_text(text)["e"], "X", "langevin")
    assert found == pytest.approx([0, 0, 0.01 * np.sqrt(np.pi)], abs=2e-4)


def test_the_variance_at_a_time_is_that_over_realizations():
    """x = integral of cos(t) xi: t/2 + sin(2 t)/4; it was taken over all times together."""
    text = """
    variable x : real
    noise xi : white(1)
    equation d/dt x = cos(t)*xi
    experiment e { solve langevin(times = [1, 10, 30], realizations = 1500); measure V = var(x) }
    """
    result = run_text(text)["e"]
    t = np.array([1, 10, 30])
    error = result.dataset["V_error"].values.squeeze()
    away = np.abs(values(result, "V", "langevin") - t / 2 - np.sin(2 * t) / 4)
    assert (away < 4 * error).all()
    assert (error < 0.1 * t).all()


def test_without_noise_it_is_zero():
    text = """
    variable x : real
    equation d/dt x = cos(2*t) - x
    experiment e { solve classical(times = [1, 3, 10]); measure V = var(x) }
    """
    assert values(run_text(text)["e"], "V", "classical") == pytest.approx(0, abs=1e-15)
