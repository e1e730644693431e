"""Fixed points, cycles, exponents, locking: against closed forms and published values."""

import numpy as np
import pytest

from tests.conftest import run_text, values


def measured(text, *names):
    """Measures of the experiment `e` under `classical`."""
    result = run_text(text)["e"]
    return [values(result, name, "classical") for name in names]


STUART_LANDAU = """
parameter mu = 0.3, w = 2
variable z : complex
equation d/dt z = (mu + i*w)*z - abs(z)^2*z
initial z = 0.1
experiment e {
  solve   classical(time = 200, burn_in = 40)
  measure T = period
  measure f = floquet_multipliers
  measure L = lyapunov_exponents
  measure p = fixed_points
  measure ev = fixed_point_eigenvalues
}
"""


def test_the_cycle_of_a_stuart_landau_oscillator_is_stable_as_it_must_be():
    period, multipliers, exponents, points, rates = measured(
        STUART_LANDAU, "T", "f", "L", "p", "ev"
    )
    assert period == pytest.approx(np.pi, abs=1e-9)
    assert multipliers == pytest.approx([1, np.exp(-2 * 0.3 * np.pi)], abs=1e-8)
    assert exponents == pytest.approx([0, -0.6], abs=2e-3)
    assert points == pytest.approx(np.zeros((1, 2)), abs=1e-9)
    assert sorted(rates[0].imag) == pytest.approx([-2, 2], abs=1e-9)
    assert rates[0].real == pytest.approx([0.3, 0.3], abs=1e-9)


def test_a_run_from_a_fixed_point_stays_there():
    """Nothing but stability bounds a step where nothing moves: steps beyond it are no numbers and not taken."""
    result = run_text(
        """
mode a : boson
dissipator 10 : a'
dissipator 8 : a
dissipator 2 : a^2
initial a = coherent(sqrt(1/2))
experiment e { solve classical(time = 1000, window = [500, 1000]); measure r = abs(<a>) }
"""
    )["e"]
    assert values(result, "r", "classical") == pytest.approx(np.sqrt(0.5), abs=1e-9)


def test_bosons_have_the_same_dynamics_as_their_equations():
    """A van der Pol oscillator of bosons: radius^2 = g1/(2 g2), multiplier exp(-g1 T)."""
    text = """
mode a : boson
hamiltonian 2*a'*a
dissipator 0.6 : a'
dissipator 1 : a^2
initial a = coherent(1)
experiment e {
  solve   classical(time = 100, burn_in = 80)
  measure T = period
  measure f = floquet_multipliers
}
"""
    period, multipliers = measured(text, "T", "f")
    assert period == pytest.approx(np.pi, abs=1e-8)
    assert multipliers == pytest.approx([1, np.exp(-0.6 * np.pi)], abs=1e-7)


@pytest.mark.slow
def test_the_period_of_a_van_der_pol_oscillator():
    """mu = 1: T = 6.6632868593 (Andersen, Geer, SIAM J. Appl. Math. 42, 678 (1982))."""
    text = """
variable u, v : real
equation d/dt u = v
equation d/dt v = (1 - u^2)*v - u
initial u = 1
experiment e { solve classical(time = 100, burn_in = 60); measure T = period }
"""
    (period,) = measured(text, "T")
    assert period == pytest.approx(6.6632868593, abs=1e-8)


@pytest.mark.slow
def test_the_lorenz_attractor_has_its_exponents_and_no_period():
    text = """
variable u, v, s : real
equation d/dt u = 10*(v - u)
equation d/dt v = u*(28 - s) - v
equation d/dt s = u*v - 8/3*s
initial u, v, s = 1
experiment e {
  solve   classical(time = 1020, burn_in = 20)
  measure L = lyapunov_exponents
  measure p = fixed_points
  measure T = period
}
"""
    exponents, points, period = measured(text, "L", "p", "T")
    assert exponents[0] == pytest.approx(0.906, abs=0.02)
    assert exponents[1] == pytest.approx(0, abs=0.01)
    assert exponents.sum() == pytest.approx(-(10 + 1 + 8 / 3), abs=1e-3)
    assert points[:, 2] == pytest.approx([27, 0, 27], abs=1e-8)
    assert np.isnan(period)


def test_the_logistic_map_doubles_its_period_and_loses_one_bit_a_step():
    text = """
parameter r = 4
variable u : real
map u -> r*u*(1 - u)
initial u = 0.3
experiment e {
  sweep   r = [2.8, 3.2, 3.5, 4]
  solve   classical(time = 12000, burn_in = 2000)
  measure T = period
  measure L = lyapunov_exponents(1)
}
"""
    period, exponent = measured(text, "T", "L")
    assert list(period[:3]) == [1, 2, 4]
    assert np.isnan(period[3])
    assert exponent[3, 0] == pytest.approx(np.log(2), abs=0.01)
    assert exponent[0, 0] == pytest.approx(np.log(abs(2 - 2.8)), abs=1e-6)


ADLER = """
parameter w = 0.5, K = 0.8
variable a, b : angle
equation d/dt a = 1 + w - K*sin(a - b)
equation d/dt b = 1
experiment e {
  solve   classical(time = 300, burn_in = 100)
  locate  edge : w in 0.5..1.2 where locked(a, b, 1, 1)
}
"""


def test_the_edge_of_locking_is_the_fold_of_the_locked_orbit():
    (edge,) = measured(ADLER, "edge")
    assert edge == pytest.approx(0.8, abs=1e-9)


CIRCLE = """
parameter Omega = 0.48, K = 0.9
variable theta : angle
map theta -> theta + 2*pi*Omega - K*sin(theta)
experiment e {
  sweep   Omega = linspace(0, 0.16, 21)
  solve   classical(time = 4000, burn_in = 1000)
  measure rho = winding(theta)/(2*pi)
  measure steps = plateaus(rho, Omega)
}
experiment f {
  solve   classical(time = 4000, burn_in = 1000)
  locate  edge : Omega in 0..0.2 where locked(theta, theta, 1, 0)
}
"""


@pytest.mark.slow
def test_the_circle_map_has_its_staircase_and_its_first_edge():
    results = run_text(CIRCLE)
    steps = values(results["e"], "steps", "classical")
    assert steps[0, 0] == pytest.approx(0, abs=1e-12)
    assert steps[0, 2] == pytest.approx(0.136, abs=1e-9)
    edge = values(results["f"], "edge", "classical")
    assert edge == pytest.approx(0.9 / (2 * np.pi), abs=1e-8)


def test_attractors_are_counted_from_several_starts():
    text = """
variable u : real
equation d/dt u = u - u^3
initial u = 0.5
experiment e {
  solve   classical(time = 40, burn_in = 30)
  measure c = attractors(<u>, starts = 12)
}
"""
    (census,) = measured(text, "c")
    assert sorted(census[:, 0]) == pytest.approx([-1, 1], abs=1e-6)
    assert census[:, 1].sum() == pytest.approx(1)


METRONOMES = """
parameter mu = 0.1 "escapement", theta0 = 0.4, beta = 0.03, c = 0 "friction of the board"
lattice pair = chain(2)
variable theta[pair], rate[pair], v : real
define push = sum(k in pair, sin(theta[k])*(cos(theta[k]) + rate[k]^2))
define acceleration = beta*push - c*v
equation d/dt v = acceleration
equation d/dt theta[j] = rate[j] for j in pair
equation d/dt rate[j] = -sin(theta[j]) - mu*((theta[j]/theta0)^2 - 1)*rate[j]
  - acceleration*cos(theta[j]) for j in pair
initial theta[1] = 0.5
initial theta[2] = 0.1
experiment e {
  sweep   c = [0, 3]
  solve   classical(time = 2000, burn_in = 1600)
  measure total = <(theta[1] + theta[2])^2>
  measure difference = <(theta[1] - theta[2])^2>
}
"""


def test_two_metronomes_on_a_moving_board_end_in_phase_or_in_antiphase():
    """Pantaleone, Am. J. Phys. 70, 992 (2002): in phase; a board with friction wants it at rest."""
    result = run_text(METRONOMES)["e"]
    total, difference = (
        values(result, n, "classical") for n in ("total", "difference")
    )
    assert difference[0] < 1e-6 < 1 < total[0]
    assert total[1] < 1e-6 < 1 < difference[1]


def test_noise_has_no_fixed_points():
    text = """
variable u : real
noise xi : white(1)
equation d/dt u = -u + xi
experiment e { solve langevin(time = 10, dt = 0.05); measure p = fixed_points }
"""
    (line,) = run_text(text)["e"].trust.values()
    assert {f["code"] for f in line["failures"]} == {"E650"}
