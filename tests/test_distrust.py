"""Numbers that were wrong in silence once: each is held against what is known by hand."""

import numpy as np
import pytest

from tests.conftest import run_text, values

PULSE = """
mode a : boson(levels = 6)
hamiltonian 2*exp(-((t - 30)/0.1)^2)*(a + a')
experiment e {{ solve {method}; measure A = <a> }}
"""
# Area of the pulse: alpha = -i times it.
AREA = 2 * 0.1 * np.sqrt(np.pi)


@pytest.mark.parametrize("method", ["evolve", "classical", "cumulants", "trajectories"])
def test_a_short_pulse_late_in_a_run_is_not_passed_over(method):
    result = run_text(PULSE.format(method=f"{method}(times = [0, 20, 40])"))["e"]
    found = values(result, "A", method)
    assert found[1] == pytest.approx(0, abs=1e-9)
    assert found[2] == pytest.approx(-1j * AREA, abs=1e-4)


def test_langevin_chooses_its_step_by_the_pulse():
    """Fluctuations leave the mean alone; without a pulse the step was the whole gap."""
    text = PULSE.format(method="langevin(times = [0, 20, 40], realizations = 16)")
    result = run_text(text)["e"]
    moved = np.diff(values(result, "A", "langevin"))
    assert moved == pytest.approx([0, -1j * AREA], abs=1e-3)


FAST = """
parameter W = 2*pi*120
mode a : boson(levels = 10)
hamiltonian W*a.n
dissipator 0.1 : a
initial a = coherent(1)
experiment e {{ solve {method}; measure {measures} }}
"""


def test_a_mean_over_a_window_sees_fast_oscillations():
    """Of exp(-i W t) all 400 samples are alike; the mean is that of (exp(-z 4) - exp(-z 9))/5z."""
    solve = "evolve(time = 10, window = [4, 9])"
    result = run_text(FAST.format(method=solve, measures="A = <a>"))["e"]
    z = 2j * np.pi * 120 + 0.05
    mean = (np.exp(-4 * z) - np.exp(-9 * z)) / (5 * z)
    assert values(result, "A", "evolve") == pytest.approx(mean, abs=1e-5)


def test_a_time_average_of_a_mean_state_takes_the_window_and_the_function_that_is_written():
    """|<a>| = exp(-0.05 t), while <a> turns and has the mean 0."""
    measures = (
        "A = <a>; measure size = timeaverage(abs(<a>)); measure end = final(<a.n>);"
        "measure early = timeaverage(<a.n>, window = [1, 2])"
    )
    text = FAST.format(method="evolve(time = 10, window = [4, 9])", measures=measures)
    result = run_text(text)["e"]
    assert abs(values(result, "A", "evolve")) < 1e-3
    size = (np.exp(-0.2) - np.exp(-0.45)) / 0.25
    assert values(result, "size", "evolve") == pytest.approx(size, abs=1e-5)
    assert values(result, "end", "evolve") == pytest.approx(np.exp(-1), abs=1e-5)
    early = (np.exp(-0.1) - np.exp(-0.2)) / 0.1
    assert values(result, "early", "evolve") == pytest.approx(early, abs=1e-5)


def test_a_mean_field_that_kept_one_window_refuses_another():
    measures = "n = timeaverage(<a.n>, window = [1, 2])"
    text = FAST.format(
        method="meanfield(time = 10, window = [4, 9])", measures=measures
    )
    (failure,) = run_text(text)["e"].trust["meanfield"]["failures"]
    assert failure["code"] == "E621"
    assert "keeps the mean over 4..9" in failure["message"]


# ── several stationary states ────────────────────────────────────────────────────────────────

CATS = """
mode a : boson(levels = 16)
hamiltonian 0*a.n
dissipator 1 : {jump}
initial a = coherent(0.5)
experiment e {{ {solve}; measure A = <a>; measure n = <a'*a> }}
"""


@pytest.mark.parametrize("jump", ["a^2 - 1.44", "a^3 - 1.3"])
def test_coherences_between_stationary_states_that_a_symmetry_hides_are_kept(jump):
    """From a coherent state <a> stays: a parity of L is none of the state."""
    text = CATS.format(jump=jump, solve="solve steadystate")
    steady = run_text(text)["e"]
    text = CATS.format(jump=jump, solve="solve evolve(times = [0, 40])")
    late = run_text(text)["e"]
    for name in ("A", "n"):
        reached = values(late, name, "evolve")[-1]
        assert values(steady, name) == pytest.approx(reached, abs=1e-6)
    assert abs(values(steady, "A")) > 0.5


def test_an_initial_state_that_goes_on_oscillating_reaches_no_stationary_one():
    """Two levels that nothing damps: the mean over time is not what is reached."""
    text = """
    mode s : levels(3)
    hamiltonian |1><1| + 0.5*(|0><1| + |1><0|)
    dissipator 1 : |0><2|
    initial s = fock(0)
    experiment e { solve steadystate; measure p = <|1><1|> }
    """
    (failure,) = run_text(text)["e"].trust["steadystate"]["failures"]
    assert failure["code"] == "E504"
    assert "oscillating at 1.414" in failure["message"]


# ── cutoffs ──────────────────────────────────────────────────────────────────────────────────


def test_a_population_that_does_not_fall_off_makes_every_number_doubtful():
    """500 thermal quanta on 100 levels: one level more changes g2 by 4e-4, far less than its error."""
    text = """
    mode a : boson(levels = 100)
    hamiltonian 0*a.n
    dissipator 500 : a'
    dissipator 501 : a
    experiment e { solve steadystate; measure n = <a.n>; measure g = g2(a) }
    """
    result = run_text(text)["e"]
    assert values(result, "g") < 1.5  # 2 in truth
    assert set(result.trust["steadystate"]["doubts"]) == {"n", "g"}


def test_gain_that_is_stronger_than_loss_has_no_levels_that_are_enough():
    text = """
    mode a : boson
    hamiltonian 0*a.n
    dissipator 1 : a'
    dissipator 0.9 : a
    experiment e { solve steadystate; measure n = <a.n> }
    """
    (failure,) = run_text(text)["e"].trust["steadystate"]["failures"]
    assert failure["code"] == "E530"
    assert "do not fall off" in failure["message"]


def test_levels_of_an_oscillator_are_doubted_where_the_cutoff_shifts_them():
    """The ground state is even: its highest, odd level is empty on 8 levels. E4 is 6.961 in truth."""
    text = """
    mode a : boson(levels = 8)
    hamiltonian a.n + 0.2*(a + a')^4
    experiment e { solve eigen; measure E = eigenenergies(4) }
    """
    result = run_text(text)["e"]
    assert values(result, "E", "eigen")[3] > 8
    assert result.trust["eigen"]["truncation_error of E"] > 1
    assert "E" in result.trust["eigen"]["doubts"]


def test_of_several_ground_states_none_is_picked():
    text = """
    mode s, r : qubit
    hamiltonian -s.z*r.z
    experiment e { solve eigen; measure z = <s.z>; measure zz = <s.z*r.z> }
    """
    result = run_text(text)["e"]
    assert values(result, "z", "eigen") == pytest.approx(0)
    assert values(result, "zz", "eigen") == pytest.approx(1)
    assert [w["code"] for w in result.trust["eigen"]["warnings"]] == ["W505"]


# ── what approximations leave out ────────────────────────────────────────────────────────────


def test_a_classical_mean_sees_fast_oscillations():
    """|alpha|^2 = exp(-0.1 t), and so is the mean of q^2; 100 samples were all alike."""
    solve = "classical(time = 10, window = [4, 9])"
    text = FAST.format(
        method=solve, measures="n = <a.n>; measure Q = timeaverage(<a.q>^2)"
    )
    result = run_text(text)["e"]
    mean = (np.exp(-0.4) - np.exp(-0.9)) / 0.5
    for name in ("n", "Q"):
        assert values(result, name, "classical") == pytest.approx(mean, abs=5e-4)


def test_an_anharmonic_oscillator_with_few_quanta_is_doubted_by_approximations():
    """<a> is -0.59 - 0.37i; <a'^2 a^2> does not feel H, <a' a^2> does."""
    text = """
    mode a : boson
    hamiltonian a'^2*a^2 + a + a'
    dissipator 1 : a
    experiment e {
      solve   langevin(time = 100, burn_in = 10, realizations = 16)
      solve   cumulants
      measure A = <a>
    }
    """
    result = run_text(text)["e"]
    exact = -0.5924 - 0.3651j
    assert abs(values(result, "A", "langevin") - exact) > 0.05
    assert "truncated Wigner" in result.trust["langevin"]["doubts"]["A"][0]
    assert abs(values(result, "A", "cumulants") - exact) > 0.05
    assert "gives no answer" in result.trust["cumulants"]["doubts"]["A"][0]


def test_a_number_that_changes_within_its_window_is_doubted():
    """The order of free oscillators is lost by diffusion of their phases: exp(-D t) from 10 at t = 0."""
    text = """
parameter N = 400
lattice all = complete(N)
mode a[all] : boson
dissipator 2 : a[j]'       for j in all
dissipator 0.01 : a[j]^2   for j in all
initial a[all] = coherent(10)
experiment e {
  solve   langevin(time = 150, window = [75, 150], diffusion = limit_cycle)
  solve   langevin(time = 1500, window = [750, 1500], diffusion = limit_cycle) as later
  measure r = collective_amplitude(a[all])
}"""
    trust = run_text(text)["e"].trust
    assert any(
        "within its window" in reason for reason in trust["langevin"]["doubts"]["r"]
    )
    assert "drift of r" not in trust["later"]
