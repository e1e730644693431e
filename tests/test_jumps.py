"""Quantum jumps: closed forms, density matrices, reproducibility, cutoffs, refusals."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import expm_multiply

from qsyncdsl.algebra.build import build
from qsyncdsl.diagnostics import SolveError
from qsyncdsl.lower import trajectories as lowering
from qsyncdsl.model.environment import Environment
from qsyncdsl.problem import Point, Request
from qsyncdsl.solve import jump_numbers
from qsyncdsl.solve.kicks import Kicks
from qsyncdsl.solve.trajectories import TrajectorySolver
from qsyncdsl.solve.walkers import Walker
from tests.conftest import model_of, run_text, values


def agree(result, name, other="steadystate", method="trajectories"):
    """Within four standard errors."""
    error = result.dataset[f"{name}_error"].sel({"method": method}).values
    difference = np.abs(values(result, name, method) - values(result, name, other))
    return np.all(difference <= 4 * error + 1e-4), difference, error


def lowered(text):
    """The problem of a text, with the values of its parameters."""
    model = model_of(text)
    environment = Environment(model)
    found = lowering.trajectories(build(model, environment))
    numbers = (
        environment.value(model.parameters[n], i or ()) for n, i in found.parameters
    )
    return found.problem, tuple(numbers)


def level(size, n=0):
    """A Fock state."""
    return np.eye(size)[n].astype(complex)


KERR = """
parameter F = 0.8, K = 0.3
mode a : boson(levels = 12)
hamiltonian -0.5*a'*a + K*a'^2*a^2 + F*(a + a')
dissipator 1 : a
experiment e {
  solve   trajectories(time = 60, burn_in = 8, realizations = 30)
  solve   steadystate
  measure n = <a'*a>
  measure x = <a.q>
  measure p2 = fock_distribution(a)
  measure W0 = wigner(a, points = 3)
  measure g = g2(a)
}
"""


def test_a_driven_kerr_cavity_has_the_means_of_its_steady_state():
    result = run_text(KERR)["e"]
    for name in ("n", "x", "g"):
        right, difference, error = agree(result, name)
        assert right, (name, difference, error)
        assert np.all(error < 0.05)
    assert (
        np.abs(values(result, "p2", "trajectories") - values(result, "p2")).max() < 0.05
    )


def test_two_qubits_follow_the_master_equation_in_time():
    result = run_text("""
mode p, q : qubit
hamiltonian 0.8*(p.plus*q.minus + h.c.) + 0.3*p.x
dissipator 0.4 : p.minus - q.minus
dissipator 0.2 : q.plus, p.z
initial p = up
experiment e {
  solve   trajectories(times = linspace(0, 4, 9), realizations = 400)
  solve   evolve(times = linspace(0, 4, 9))
  measure up = <p.n>
  measure c = <p.x*q.y>
  measure C = concurrence(p, q)
}""")["e"]
    for name in ("up", "c"):
        right, difference, error = agree(result, name, "evolve")
        assert right, (name, difference, error)
    apart = values(result, "C", "trajectories") - values(result, "C", "evolve")
    assert np.abs(apart).max() < 0.1


def test_thermal_baths_give_thermal_numbers_from_thermal_starts():
    result = run_text("""
parameter nth = 0.4
mode a : boson(levels = 14)
hamiltonian 0.7*a'*a
dissipator nth + 1 : a
dissipator nth : a'
initial a = thermal(0.4)
experiment e {
  solve   trajectories(times = [0, 0.5, 6], realizations = 1000)
  measure n = <a'*a>
  measure rate = jump_rate(1)
}""")["e"]
    error = result.dataset["n_error"].sel({"method": "trajectories"}).values
    assert np.all(np.abs(values(result, "n", "trajectories") - 0.4) < 4 * error)
    # the rate at which quanta leave, (nth + 1) <n>
    assert abs(values(result, "rate", "trajectories") - 1.4 * 0.4) < 0.04


def test_a_rotor_climbs_down_its_ladder_of_jumps_one_step_at_a_time():
    result = run_text("""
mode r : rotor(nmax = 8)
hamiltonian 0.3*r.n^2 - 0.2*cos(r.x)
dissipator 1 : r.shift(-1)*sqrt(max(r.n, 0)), r.shift(1)*sqrt(max(-r.n, 0))
initial r = fock(5)
experiment e {
  solve   trajectories(times = linspace(0, 3, 7), realizations = 400)
  solve   evolve(times = linspace(0, 3, 7))
  measure n = <r.n>
  measure w = <r.n^2>
}""")["e"]
    for name in ("n", "w"):
        right, difference, error = agree(result, name, "evolve")
        assert right, (name, difference, error)


def test_a_drive_that_depends_on_time_is_followed():
    result = run_text("""
mode a : boson(levels = 12)
hamiltonian a'*a + 0.6*exp(-(t - 3)^2)*(a + a') + 0.2*sin(2*t)*a'^2*a^2
dissipator 0.5 + 0.4*cos(3*t) : a
experiment e {
  solve   trajectories(times = linspace(0, 6, 13), realizations = 400)
  solve   evolve(times = linspace(0, 6, 13))
  measure n = <a'*a>
  measure x = <a.q>
}""")["e"]
    for name in ("n", "x"):
        right, difference, error = agree(result, name, "evolve")
        assert right, (name, difference, error)
    assert result.trust["trajectories"]["step_error"] < 1e-6


def no_jump_error(text, times, start=None):
    """Largest difference from the exponential of the generator, no jump allowed; the last norm."""
    problem, parameters = lowered(text)
    factors = start or tuple(level(part.dimension) for part in problem.parts)
    point = Point(parameters, factors, None, {"time": float(times[-1])})
    numbers = jump_numbers.numbers(problem, point, float(times[-1]))
    at = jump_numbers.Coefficients(problem, parameters)
    longest = jump_numbers.LONGEST / numbers.spectrum.radius
    walker = Walker(problem, numbers, at.table(0, 1), longest, point, 0)
    state = walker.state
    walker.clock[1] = 1e-300
    worst = 0.0
    before = 0.0
    for time in times:
        list(walker.run(np.array([time]), Kicks(problem.lindblad, at.fixed, 0.0)))
        state = expm_multiply(sp.csc_array(numbers.generator) * (time - before), state)
        worst = max(worst, float(np.linalg.norm(walker.state - state)))
        before = time
    return worst, problem, float(np.linalg.norm(walker.state))


@pytest.mark.parametrize("levels", [4, 20])
def test_evolution_without_jumps_is_the_exponential_of_the_generator(levels):
    worst, problem, _ = no_jump_error(
        f"""
mode a, b : boson(levels = {levels})
hamiltonian a'*a + 0.7*b'*b + 0.3*(a'*b + h.c.) + 0.4*a'*a*(b + b') + i*0.3*(a - a')
dissipator 0.3 : a, b
dissipator 0.1 : a^2 - 0.5*i*b
""",
        np.array([0.3, 1.0, 5.0]),
    )
    assert bool(problem.source) == (levels == 20)
    assert worst < 1e-8


def test_strong_damping_is_followed_too():
    worst, _, _ = no_jump_error(
        "mode a : boson(levels = 10)\nhamiltonian 0.5*(a + a')\ndissipator 30 : a, a^2",
        np.array([0.1, 1.0, 4.0]),
        (level(10, 7),),
    )
    assert worst < 1e-8


def test_one_excitation_decays_after_exponential_waiting_times():
    result = run_text("""
mode s : qubit
hamiltonian 3*s.z
dissipator 2 : s.minus
initial s = up
experiment e {
  solve   trajectories(times = [0, 20], realizations = 2000)
  measure tau[k in 1..2000] = jump_times(1, k)
}""")["e"]
    from scipy.stats import kstest

    times = values(result, "tau", "trajectories").ravel()
    assert kstest(times, "expon", args=(0, 0.5)).pvalue > 1e-3


def test_photons_of_a_coherent_state_are_counted_as_poisson_numbers():
    result = run_text("""
mode a : boson(levels = 14)
hamiltonian 0.5*(a + a')
dissipator 1 : a
initial a = coherent(-i)
experiment e {
  solve   trajectories(time = 10, realizations = 600)
  measure rate = jump_rate(1)
  measure F = jump_fano(1)
  measure P = jump_counts(1)
  measure w = waiting_times(1)
}""")["e"]
    assert abs(values(result, "rate", "trajectories") - 1) < 4 * np.sqrt(1 / 6000)
    assert abs(values(result, "F", "trajectories") - 1) < 4 * np.sqrt(2 / 600)
    assert abs(values(result, "P", "trajectories").sum() - 1) < 1e-12


def test_the_same_seed_gives_the_same_trajectories_and_realizations_do_not_depend_on_their_number():
    problem, parameters = lowered(KERR)
    request = Request("reduced", (0,))

    def jumps(realizations, seed):
        options = {"time": 10.0, "realizations": realizations}
        point = Point(parameters, (level(12),), None, options, seed, (request,))
        return TrajectorySolver(problem).solve(point)

    few, many, other = jumps(3, 5), jumps(6, 5), jumps(3, 6)
    for k in range(3):
        assert np.array_equal(few.jumps[k][0], many.jumps[k][0])
        assert np.array_equal(few.jumps[k][1], many.jumps[k][1])
    assert np.array_equal(few.record(request).sums, many.record(request).sums[:3])
    assert len(other.jumps[0][0]) != len(few.jumps[0][0]) or not np.allclose(
        other.jumps[0][0], few.jumps[0][0]
    )


def test_diagonals_and_rows_give_the_same_trajectory(monkeypatch):
    text = """
parameter w = 0
mode a, b : boson(levels = 17)
hamiltonian a'*a + 0.4*(a'*b + h.c.) + 0.5*(1 + 0.3*sin(t))*(a + a') + w*(b^2 + b'^2)
dissipator 0.5 : a + i*b
dissipator 0.2 : b
"""
    found = []
    for dimension in (10_000, 10):
        monkeypatch.setattr(lowering, "_DIMENSION", dimension)
        problem, parameters = lowered(text)
        assert bool(problem.source) == (dimension == 10)
        options = {"times": [2.0, 12.0], "realizations": 1}
        point = Point(parameters, (level(17), level(17)), None, options, 3)
        found.append(TrajectorySolver(problem).solve(point).jumps[0])
    assert len(found[0][0]) > 2
    assert np.allclose(found[0][0], found[1][0], atol=1e-6)
    assert np.array_equal(found[0][1], found[1][1])


def test_qutip_finds_the_same_numbers():
    text = KERR.replace(
        "trajectories(time = 60, burn_in = 8, realizations = 30)",
        "trajectories(times = [1, 2, 3], realizations = 60, backend = qutip)",
    )
    text = text.replace("solve   steadystate", "solve   evolve(times = [1, 2, 3])")
    result = run_text(text)["e"]
    right, difference, error = agree(result, "n", "evolve")
    assert right, (difference, error)


def test_kicks_act_between_jumps():
    result = run_text("""
mode s : qubit
mode r : rotor(nmax = 10)
hamiltonian 0*s.z + 0.2*r.n^2
dissipator 0.3 : s.minus
kick every 1 : 0.25*pi*s.x
kick every 2 : 0.7*cos(r.x)
experiment e {
  solve   trajectories(times = [0, 1, 2], realizations = 2000)
  measure up = <s.n>
  measure E = <r.n^2>
}""")["e"]
    up, energy = (
        values(result, "up", "trajectories"),
        values(result, "E", "trajectories"),
    )
    error = result.dataset["up_error"].sel({"method": "trajectories"}).values
    # just before the kick at t = 0 nothing has happened; a kick of pi/2 turns |0> to the equator
    assert up[0] == 0.0
    assert energy[0] == 0.0
    assert abs(up[1] - 0.5 * np.exp(-0.3)) < 4 * error[1]
    # one kick of strength k gives <n^2> = k^2/2
    assert np.allclose(energy[1:], 0.7**2 / 2, atol=1e-9)


def test_a_cutoff_that_holds_the_state_in_is_refused_with_a_number():
    text = KERR.replace("levels = 12", "levels = 3")
    result = run_text(text)["e"]
    failures = result.trust["trajectories"]["failures"]
    assert failures[0]["code"] == "E550"
    assert "'a' has population" in failures[0]["message"]
    warned = run_text(
        text.replace("realizations = 30", "realizations = 3, cutoff = warn")
    )["e"]
    assert warned.trust["trajectories"]["warnings"][0]["code"] == "W550"


def test_records_that_do_not_fit_are_refused_before_they_are_allocated():
    problem, parameters = lowered("""
mode a, b : boson(levels = 100)
hamiltonian a'*a + b'*b + (a + a')
dissipator 1 : a, b
""")
    options = {"time": 1.0, "realizations": 20}
    request = Request("reduced", (0, 1))
    point = Point(parameters, (level(100), level(100)), None, options, 0, (request,))
    with pytest.raises(SolveError) as fault:
        TrajectorySolver(problem).solve(point)
    assert fault.value.diagnostic.code == "E512"
    assert "10000 states" in fault.value.diagnostic.message


def test_functions_of_means_along_a_trajectory_are_not_those_of_the_average():
    result = run_text("""
mode s : qubit
hamiltonian 0.5*s.x
dissipator 1 : s.minus
experiment e {
  solve   trajectories(time = 200, burn_in = 5, realizations = 4)
  solve   steadystate
  measure squares = mean(along(<s.z>)^2)
  measure square = <s.z>^2
  measure p = purity(s)
  measure angle = along(arg(<s.minus>))
  measure N = jumps(1)
}""")["e"]
    assert values(result, "squares", "trajectories") > values(result, "square") + 0.05
    assert values(result, "p", "trajectories") < 0.9
    counted = values(result, "N", "trajectories")
    assert np.all(np.diff(counted, axis=-1) >= 0)


UNTIL = """
mode a : boson(levels = 10)
hamiltonian 0.4*(a + a')
dissipator 1 : a
dissipator 0.3 : a'
experiment e {
  solve   METHOD(time = 60, burn_in = 15, realizations = 10, until error(n) < 0.06)
  solve   steadystate
  measure n = <a'*a>
}
"""


@pytest.mark.parametrize("method", ["trajectories", "langevin"])
def test_realizations_are_added_until_the_error_is_small_enough(method):
    result = run_text(UNTIL.replace("METHOD", method))["e"]
    right, difference, error = agree(result, "n", method=method)
    assert right, (difference, error)
    assert error <= 0.06
    used = result.trust[method]["realizations_used"]
    assert used % 10 == 0
    assert used > 10
    fixed = UNTIL.replace("METHOD", method).replace(
        "realizations = 10", f"realizations = {used:.0f}"
    )
    again = run_text(fixed.replace(", until error(n) < 0.06", ""))["e"]
    assert values(again, "n", method) == values(result, "n", method)


def test_a_stopping_rule_that_is_not_reached_is_told_with_its_number():
    text = UNTIL.replace("METHOD", "trajectories").replace(
        "< 0.06", "< 1e-6, max_realizations = 20"
    )
    result = run_text(text)["e"]
    warning = next(
        w for w in result.trust["trajectories"]["warnings"] if w["code"] == "W532"
    )
    assert "after 20 realizations" in warning["message"]


def test_levels_that_are_not_given_grow_until_the_highest_one_is_empty():
    text = KERR.replace("boson(levels = 12)", "boson").replace("F = 0.8", "F = 2.5")
    text = text.replace("  solve   steadystate\n", "").replace("K = 0.3", "K = 0.02")
    start = "initial a = coherent(3)\nexperiment e"
    result = run_text(text.replace("experiment e", start))["e"]
    trust = result.trust["trajectories"]
    assert trust["levels"] == "levels_a = 40 (grown)"
    assert trust["top_population_a"] < 1e-3
    given = text.replace("mode a : boson", "mode a : boson(levels = 60)")
    given = given.replace(
        "trajectories(time = 60, burn_in = 8, realizations = 30)", "steadystate"
    )
    exact = run_text(given)["e"]
    error = result.dataset["n_error"].sel({"method": "trajectories"}).values
    apart = values(result, "n", "trajectories") - values(exact, "n")
    assert abs(apart) < 4 * error


# Independent quantum-jump runs of Weiss et al. (2016), Fig. 3: m1 with its error, and <b1'*b1>. That of
# (b) is pooled from three runs of 6000 to 12000, whose scatter is larger than their own errors.
PANELS = {
    "fig3a": (16, 0.845, 0.011, 5.33),
    "fig3b": (24, -0.3, 0.2, 7.1),
    "fig3c": (20, 0.20, 0.11, 5.37),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", PANELS)
def test_two_optomechanical_cells_lock_as_published(case):
    from qsyncdsl import pipeline

    levels, m1, spread, number = PANELS[case]
    request = pipeline.Request(
        cases=(case,), sets=(f"levels_b1={levels}", f"levels_b2={levels}")
    )
    solve = "trajectories(time = 2000, burn_in = 300, realizations = 6)"
    measures = ("m = real(phase_moment(b2, b1, 1))", "n = <b1'*b1>")
    dataset = pipeline.evaluate("optomech_pair", [solve], measures, request).dataset
    found, error = dataset["m"].item(), dataset["m_error"].item()
    assert abs(found - m1) < 4 * np.hypot(spread, error)
    assert abs(dataset["n"].item() - number) < 4 * np.hypot(
        0.2, dataset["n_error"].item()
    )


@pytest.mark.slow
def test_sixteen_phonon_levels_are_refused_where_they_would_turn_the_phase_around():
    from qsyncdsl import pipeline

    request = pipeline.Request(cases=("fig3b",), sets=("levels_b1=16", "levels_b2=16"))
    solve = "trajectories(time = 3000, burn_in = 300)"
    result = pipeline.evaluate("optomech_pair", [solve], ["n = <b1'*b1>"], request)
    assert result.trust["trajectories"]["failures"][0]["code"] == "E550"


def test_a_space_that_does_not_fit_is_refused_before_its_matrices_are_made():
    result = run_text("""
mode a, b : boson(levels = 9000)
hamiltonian a'*a + b'*b + (a + a')
dissipator 1 : a, b
experiment e { solve trajectories(time = 1); measure n = <a.n> }
""")["e"]
    failure = result.trust["trajectories"]["failures"][0]
    assert failure["code"] == "E512"
    assert "81000000 basis states" in failure["message"]


def test_the_record_of_all_jumps_is_kept_with_its_channels():
    result = run_text("""
mode a : boson(levels = 3)
mode b : boson(levels = 3)
hamiltonian 0*a.n
dissipator 1 : a
dissipator 2 : b
initial a = fock(2)
initial b = fock(1)
experiment e {
  solve   trajectories(time = 40, realizations = 5)
  measure R = jump_records
  measure first = jump_times(1, 3)
}""")["e"]
    rows = values(result, "R", "trajectories")
    # two quanta leave a and one leaves b in each realization
    assert rows.shape == (15, 3)
    assert [np.sum((rows[:, 0] == k) & (rows[:, 2] == 1)) for k in range(1, 6)] == [
        2
    ] * 5
    assert np.sum(rows[:, 2] == 2) == 5
    own = rows[(rows[:, 0] == 3) & (rows[:, 2] == 1), 1]
    assert own == pytest.approx(values(result, "first", "trajectories"))
    assert np.all(np.diff(rows[rows[:, 0] == 3, 1]) > 0)
