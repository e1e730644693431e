"""Typed equations of motion and maps: closed forms, noises, lattices, refusals."""

import numpy as np
import pytest

from tests.conftest import model_of, rendered, run_text, values


def lowered(text):
    """The problem of a text's equations."""
    from qsyncdsl.algebra.equations import build_equations
    from qsyncdsl.lower.equations import equations
    from qsyncdsl.model.environment import Environment

    model = model_of(text)
    return equations(build_equations(model, Environment(model)), "", {}).problem


def measured(text, name="x", method="classical"):
    """One measure of the experiment `e`."""
    return values(run_text(text)["e"], name, method)


def failed(text):
    """The code of the only failure of the experiment `e`."""
    (line,) = run_text(text)["e"].trust.values()
    (found,) = {f["code"] for f in line["failures"]}
    return found


def test_an_adler_phase_winds_with_the_square_root_of_the_detuning():
    text = """
parameter w = 1.2, K = 0.8
variable phi : angle
equation d/dt phi = w - K*sin(phi)
experiment e { solve classical(time = 300, burn_in = 50); measure x = winding(phi) }
"""
    assert measured(text) == pytest.approx(np.sqrt(1.2**2 - 0.8**2), abs=1e-7)


def test_white_noise_gives_an_ornstein_uhlenbeck_process_its_variance():
    text = """
parameter k = 1.5, S = 0.3
variable v : real
noise xi : white(S)
equation d/dt v = -k*v + xi
experiment e {
  solve   langevin(time = 200, burn_in = 10, realizations = 24)
  measure x = var(v)
  measure m = <v>
}
"""
    result = run_text(text)["e"]
    error = result.dataset["x_error"].sel({"method": "langevin"}).values
    assert abs(values(result, "x", "langevin") - 0.1) < 4 * error
    assert error < 0.005


def test_one_noise_in_two_equations_is_one_source():
    text = """
variable a, b : real
noise xi : white(0.5)
equation d/dt a = -a + xi
equation d/dt b = -b - xi
experiment e {
  solve   langevin(time = 20, burn_in = 10, realizations = 4)
  measure x = <abs(a + b)>
}
"""
    assert measured(text, method="langevin") < 1e-3


WASHBOARD = """
parameter i0 = 1.6, S = 0.05
variable phi : angle
noise xi : white(S)
equation d/dt phi = i0 - sin(phi) + xi
experiment e {
  solve   langevin(time = 3000, burn_in = 20, realizations = 40, dt = 0.05)
  measure x = winding(phi)
  measure D = phase_diffusion(phi)
}
"""


@pytest.mark.slow
def test_a_tilted_washboard_has_its_exact_velocity_and_diffusion():
    """Reimann et al., Phys. Rev. Lett. 87, 010602 (2001): exact quadratures."""
    result = run_text(WASHBOARD)["e"]
    for name, exact in (("x", 1.2492869551789), ("D", 0.0489351402887)):
        error = result.dataset[f"{name}_error"].sel({"method": "langevin"}).values
        assert abs(values(result, name, "langevin") - exact) < 4 * error
        assert error < 0.1 * exact


def test_the_spectrum_of_a_colored_noise_is_the_one_given():
    from qsyncdsl.problem import Point
    from qsyncdsl.solve.equation_numbers import data_of, noises

    problem = lowered("""
parameter e = 0.2, wc = 3
define ohmic(w) = e*abs(w)*exp(-abs(w)/wc)
variable x : real
noise xi : colored(ohmic)
equation d/dt x = xi
""")
    point = Point((0.2, 3.0), seed=3)
    steps, dt = 4096, 0.05
    found = [
        noises(
            problem,
            point,
            data_of(problem, point.values),
            lambda name: lambda w, data: 0.2 * abs(w) * np.exp(-abs(w) / 3),
            dt,
            steps,
            k,
        )[:, 0]
        for k in range(200)
    ]
    omega = 2 * np.pi * np.fft.rfftfreq(steps, dt)
    power = np.mean(np.abs(np.fft.rfft(found, axis=1)) ** 2, axis=0) * dt / steps
    expected = 0.2 * omega * np.exp(-omega / 3)
    band = slice(20, 400)
    ratio = power[band].mean() / expected[band].mean()
    assert ratio == pytest.approx(1, abs=4 / np.sqrt(200 * 380))


@pytest.mark.parametrize("cutoff", ["", ", cutoff = 1000"])
def test_a_spectrum_that_the_step_cuts_off_is_refused(cutoff):
    text = f"""
define ohmic(w) = abs(w)
variable v : real
noise xi : colored(ohmic{cutoff})
equation d/dt v = -v + xi
experiment e {{ solve langevin(time = 10, dt = 0.05); measure x = <v> }}
"""
    assert failed(text) == "E561"


KURAMOTO = """
parameter N = 400, K = 1
lattice all = complete(N)
parameter omega[j in all] = tan(pi*((j - 0.5)/N - 0.5))
variable phi[all] : angle
define field = sum(k in all, exp(i*phi[k]))/N
equation d/dt phi[j] = omega[j] + K*imag(field*exp(-i*phi[j])) for j in all
initial phi[j in all] = 2.4*j
experiment e {
  solve   classical(time = 60, burn_in = 30)
  measure x = order_parameter(phi[all])
}
"""


@pytest.mark.parametrize(("coupling", "low", "high"), [(1, 0, 0.15), (4, 0.65, 0.76)])
def test_kuramoto_oscillators_order_above_twice_the_width(coupling, low, high):
    """Lorentzian frequencies of half width 1: r = sqrt(1 - 2/K) above K = 2."""
    found = measured(KURAMOTO.replace("K = 1\n", f"K = {coupling}\n", 1))
    assert low < found < high


def test_a_sum_that_does_not_depend_on_the_site_is_computed_once():
    problem = lowered(KURAMOTO)
    assert problem.source.count("for ") == 2
    assert problem.source.index("for k") < problem.source.index("for j")


@pytest.mark.slow
def test_neighbors_and_shifted_indices_read_the_same_ring():
    head = """
lattice sites = ring(7)
parameter w[j in sites] = sin(j)
variable phi[sites] : angle
initial phi[j in sites] = 0.3*j^2
"""
    tail = """
experiment e { solve classical(time = 5); measure x = <cos(phi[3])> }
"""
    one = "equation d/dt phi[j] = w[j] + sum(k in sites.neighbors(j), sin(phi[k] - phi[j])) for j in sites"
    two = "equation d/dt phi[j in sites] = w[j] + sin(phi[j + 1] - phi[j]) + sin(phi[j - 1] - phi[j])"
    assert measured(head + one + tail) == pytest.approx(
        float(measured(head + two + tail)), abs=1e-9
    )


def test_a_complex_variable_is_two_real_ones():
    text = """
variable z : complex
equation d/dt z = (-0.1 + 2*i)*z
initial z = 1 + i
experiment e {
  solve   classical(times = [0, 1, 2])
  measure x = <z>
}
"""
    exact = (1 + 1j) * np.exp((-0.1 + 2j) * np.array([0, 1, 2]))
    assert measured(text) == pytest.approx(exact, abs=1e-8)


def test_time_may_stand_in_an_equation():
    text = """
variable v : real
equation d/dt v = cos(t) - v
experiment e { solve classical(times = [3]); measure x = <v> }
"""
    exact = (np.cos(3) + np.sin(3) - np.exp(-3)) / 2
    assert measured(text) == pytest.approx([exact], abs=1e-8)


def test_all_rules_of_a_map_are_applied_at_once():
    text = """
variable a, b : real
map a -> b, b -> a + b
initial b = 1
experiment e { solve classical(times = 1..10); measure x = <a> }
"""
    assert list(measured(text)) == [1, 1, 2, 3, 5, 8, 13, 21, 34, 55]


@pytest.mark.slow
@pytest.mark.parametrize("calculus", ["ito", "stratonovich"])
def test_noise_in_a_product_follows_the_calculus_that_is_stated(calculus):
    """d ln x = (g - S/2) dt + dW in Ito's sense, g dt + dW in Stratonovich's."""
    text = f"""
variable v : real
noise xi : white(0.4)
equation d/dt v = 0.1*v + v*xi
initial v = 1
experiment e {{
  solve   langevin(times = [2], realizations = 400, dt = 0.02, calculus = {calculus})
  measure x = <log(v)>
}}
"""
    result = run_text(text)["e"]
    drift = 0.1 - (0.2 if calculus == "ito" else 0.0)
    error = result.dataset["x_error"].sel({"method": "langevin"}).values
    assert np.all(abs(values(result, "x", "langevin") - 2 * drift) < 4 * error)
    assert calculus.capitalize() in result.trust["langevin"]["noise"]


@pytest.mark.parametrize(
    ("code", "equation"),
    [
        ("E432", "variable v : real; equation d/dt v = i*v + 1"),
        ("E433", "variable v : real; noise xi : white(1); equation d/dt v = xi^2 - v"),
        (
            "E430",
            "lattice s = ring(3); variable v[s] : real; equation d/dt v[1] = 1",
        ),
        (
            "E430",
            "lattice s = ring(3); variable v[s] : real; equation d/dt v[j] = 1 for j in s"
            "; equation d/dt v[2] = 0",
        ),
        ("E514", "variable v : real; equation d/dt v = v^2; initial v = 1"),
    ],
)
def test_equations_that_make_no_sense_are_refused(code, equation):
    text = f"{equation}\nexperiment e {{ solve classical(time = 10); measure x = 1 }}"
    assert failed(text) == code


@pytest.mark.parametrize(
    ("code", "equation"),
    [
        ("E250", "variable v : real"),
        ("E250", "variable v : real; equation d/dt u = 1; equation d/dt v = 1"),
        ("E202", "variable v : real; equation d/dt v = 1; equation d/dt v = 2"),
        ("E251", "variable u, v : real; equation d/dt v = 1; map u -> v"),
    ],
)
def test_wrong_equations_are_told_when_they_are_checked(code, equation):
    assert code in rendered(equation)


def test_a_bare_variable_is_no_measure():
    text = """
variable v : real
equation d/dt v = -v
experiment e { solve classical(time = 10); measure x = v }
"""
    assert failed(text) == "E647"


def test_a_method_for_density_matrices_does_not_take_variables():
    text = """
variable v : real
equation d/dt v = -v
experiment e { solve steadystate; measure x = <v> }
"""
    assert "does not solve classical variables" in str(
        run_text(text)["e"].dataset.attrs
    )


def test_slips_of_a_washboard_are_exits_from_its_fixed_point():
    r"""Exact: 1/T, T the mean time to leave (psi - 2 pi, psi + 2 pi), d phi = (w - sin phi) dt + dW."""
    tilt, strength = 0.3, 1.6
    result = run_text(f"""
variable phi : angle
noise xi : white({strength})
equation d/dt phi = {tilt} - sin(phi) + xi
experiment e {{
  solve   langevin(time = 2000, burn_in = 20, realizations = 16, dt = 0.02)
  measure gross = phase_slips(phi)
  measure net = net_slips(phi)
  measure turns = winding(phi)/(2*pi)
}}""")["e"].dataset
    middle = np.arcsin(tilt)
    y = np.linspace(middle - 2 * np.pi, middle + 2 * np.pi, 8001)
    potential = (-tilt * y - np.cos(y)) / (strength / 2)
    up, down = np.exp(potential), np.exp(-potential)
    scale = np.concatenate([[0], np.cumsum((up[1:] + up[:-1]) / 2)]) * (y[1] - y[0])
    inner = np.concatenate([[0], np.cumsum((down[1:] + down[:-1]) / 2)])
    inner *= y[1] - y[0]
    # T'' D + (w - sin) T' = -1, T = 0 at both ends
    part = np.concatenate([[0], np.cumsum((up * inner)[1:] + (up * inner)[:-1])])
    part *= (y[1] - y[0]) / 2 / (strength / 2)
    time = part[-1] * scale / scale[-1] - part
    upward = scale[4000] / scale[-1]
    gross, net, turns = (float(result[k].squeeze()) for k in ("gross", "net", "turns"))
    error = float(result["gross_error"].squeeze())
    assert error < 0.03 / time[4000]
    assert abs(gross - 1 / time[4000]) < 4 * error
    assert abs(net - (2 * upward - 1) / time[4000]) < 4 * error
    # what remains is less than a turn at the ends
    assert abs(net - turns) < 1 / 1980
