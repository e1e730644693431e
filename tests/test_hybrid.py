"""Bosons beside classical variables: mean fields, noisy drives, refusals."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tests.conftest import run_text, values

HYBRID = """
parameter g = 0.3
mode a : boson(levels = 14)
variable x, p : real
hamiltonian a'*a + g*x*(a + a')
dissipator 0.2 : a
equation d/dt x = p
equation d/dt p = -x - g*<a + a'>
initial x = 1
initial a = coherent(1)
"""


def test_a_mode_and_a_spring_pull_at_each_other():
    result = run_text(
        HYBRID
        + """
experiment e {
  solve   classical(times = linspace(0, 5, 6))
  measure X = <x>
  measure n = <a'*a>
}"""
    )["e"]

    def rates(t, y):
        x, p, u, v = y
        return [p, -x - 0.6 * u, v - 0.1 * u, -u - 0.1 * v - 0.3 * x]

    times = np.linspace(0, 5, 6)
    exact = solve_ivp(rates, (0, 5), [1, 0, 1, 0], t_eval=times, rtol=1e-10, atol=1e-12)
    x, _, u, v = exact.y
    assert values(result, "X", "classical") == pytest.approx(x, abs=1e-6)
    assert values(result, "n", "classical") == pytest.approx(u**2 + v**2, abs=1e-6)


def test_products_of_mean_values_stay_on_their_sites():
    """A laser-like chain: each variable follows the number of its own mode."""
    result = run_text("""
lattice sites = chain(2)
parameter w[j in sites] = 0.5*j
mode a[sites] : boson(levels = 6)
variable y[sites] : real
hamiltonian 0*a[1].n
dissipator w[j] : a[j] for j in sites
equation d/dt y[j] = <a[j]'*a[j]> - y[j] for j in sites
initial a[j in sites] = coherent(j)
experiment e { solve classical(times = [0, 1]); measure y1 = <y[1]>; measure y2 = <y[2]> }
""")["e"]
    for j, name in ((1, "y1"), (2, "y2")):
        w = 0.5 * j
        exact = j**2 * (np.exp(-w) - np.exp(-1)) / (1 - w) if w != 1 else j**2 / np.e
        assert values(result, name, "classical")[1] == pytest.approx(exact, abs=1e-6)


def test_a_drive_with_a_diffusing_phase_fills_a_cavity_less():
    r"""$\langle a^\dagger a\rangle = 4E^2/[\kappa(\kappa + S)]$ for a drive $Ee^{-i\phi}$, $\dot\phi = \xi$ of strength S."""
    result = run_text("""
parameter E = 1, S = 0.5, kappa = 1
mode a : boson(levels = 12)
variable phi : angle
noise xi : white(S)
hamiltonian E*(exp(i*phi)*a + h.c.)
dissipator kappa : a
equation d/dt phi = xi
experiment e {
  solve   langevin(time = 60, burn_in = 10, realizations = 200, dt = 0.02)
  measure n = <a'*a>
  measure c = <a*a'> - <a'*a>
}""")["e"]
    error = float(result.dataset["n_error"].squeeze())
    assert 0 < error < 0.1
    assert abs(values(result, "n", "langevin") - 4 / 1.5) < 4 * error + 0.01
    assert values(result, "c", "langevin") == pytest.approx(1.0)


def test_without_losses_a_mode_still_has_its_vacuum_fluctuations():
    result = run_text("""
mode a : boson(levels = 6)
variable x : real
hamiltonian x*a'*a
equation d/dt x = -x
initial x = 1
experiment e {
  solve   langevin(times = [0, 1], realizations = 2000)
  measure n = <a'*a>
}""")["e"]
    error = result.dataset["n_error"].sel({"method": "langevin"}).values
    assert np.all(np.abs(values(result, "n", "langevin")) < 4 * error)
    assert np.all(error > 0)


@pytest.mark.parametrize(
    ("text", "solve", "words"),
    [
        (HYBRID, "langevin(times = [0, 1])", "mean over all realizations"),
        (HYBRID, "meanfield(times = [0, 1])", "classical variables"),
        (
            "mode s : qubit\nvariable x : real\nhamiltonian x*s.z\nequation d/dt x = <s.z>\n",
            "classical(times = [0, 1])",
            "only bosons",
        ),
    ],
)
def test_what_is_no_mean_field_is_refused_with_its_reason(text, solve, words):
    result = run_text(f"{text}\nexperiment e {{ solve {solve}; measure X = <x> }}")["e"]
    assert words in result.dataset.attrs["skipped"] + result.dataset.attrs["trust"]
