"""Kicks of classical fields: exact flows, the map of a period, truncated Wigner against density matrices."""

import numpy as np
import pytest

from tests.conftest import run_text, values

CAVITY = """
parameter T = 1.3, Delta = 0.7, kappa = 0.4, A = 0.9
mode a : boson(levels = 40)
hamiltonian Delta*a'*a
dissipator kappa : a
"""
START = 1.2 + 0.5j
Q, P = START.real * np.sqrt(2), START.imag * np.sqrt(2)
R = 0.35


def shifted(q, p):
    return (q + 1j * p) / np.sqrt(2)


FLOWS = {
    "i*0.9*(a' - a)": START + 0.9,
    # of a quadrature alone: p -> p - G'(q), the other way round for p
    "0.6*cos(1.5*a.q)": shifted(Q, P + 0.9 * np.sin(1.5 * Q)),
    "0.2*a.q^3": shifted(Q, P - 0.6 * (Q**2 + 0.5)),
    "0.2*cos(a.q)^2": shifted(Q, P + 0.2 * np.sin(2 * Q)),
    "0.6*sin(a.p)": shifted(Q + 0.6 * np.cos(P), P),
    # of the number alone: a turn
    "0.3*a'^2*a^2": START * np.exp(-2j * 0.3 * abs(START) ** 2),
    # squeezing is integrated
    f"i*{R}/2*(a'^2 - a^2)": START * np.cosh(R) + START.conjugate() * np.sinh(R),
}


@pytest.mark.parametrize(
    "generator",
    [g if "i" in g else pytest.param(g, marks=pytest.mark.slow) for g in FLOWS],
)
def test_a_kick_is_the_flow_of_its_generator(generator):
    result = run_text(f"""
mode a : boson(levels = 4)
kick every 1 : {generator}
initial a = coherent({START.real} + {START.imag}*i)
experiment e {{ solve classical(times = [0, 1]); measure x = <a> }}""")["e"]
    found = values(result, "x", "classical")
    assert found[0] == pytest.approx(START, abs=1e-12)
    assert found[1] == pytest.approx(FLOWS[generator], abs=1e-9)


@pytest.mark.slow
def test_a_kicked_cavity_ends_on_the_fixed_point_of_its_map():
    result = run_text(
        CAVITY
        + """
kick every T : i*A*(a' - a)
experiment e {
  solve   classical(time = 100*T, burn_in = 60*T)
  measure z = fixed_points
  measure mu = floquet_multipliers
  measure cycle = period
}
experiment between {
  solve   classical(time = 100*T, burn_in = 60*T)
  solve   floquet
  measure n = <a'*a>
  measure mean = timeaverage(<a'*a>)
}"""
    )
    decay = np.exp(-1.3 * (0.7j + 0.2))
    z = 0.9 * decay / (1 - decay)
    points = values(result["e"], "z", "classical")
    assert points[0] == pytest.approx([z.real, z.imag], abs=1e-9)
    assert abs(values(result["e"], "mu", "classical")) == pytest.approx(
        2 * [np.exp(-0.26)], abs=1e-8
    )
    assert float(values(result["e"], "cycle", "classical")) == pytest.approx(1)
    inside = abs(z + 0.9) ** 2 * (1 - np.exp(-0.52)) / 0.52
    assert float(values(result["between"], "n", "classical")) == pytest.approx(
        inside, rel=2e-4
    )
    assert float(values(result["between"], "mean", "floquet")) == pytest.approx(
        inside, rel=1e-7
    )


@pytest.mark.slow
def test_truncated_wigner_is_exact_for_quadratic_kicks():
    result = run_text(
        CAVITY
        + f"""
kick every T : i*{R}/2*(a'^2 - a^2) + i*A*(a' - a)
experiment e {{
  solve   evolve(times = linspace(0, 4, 9))
  solve   langevin(times = linspace(0, 4, 9), realizations = 1600)
  measure n = <a'*a>
  measure q2 = <a.q^2>
}}"""
    )["e"]
    for name in ("n", "q2"):
        exact, found = (values(result, name, m) for m in ("evolve", "langevin"))
        error = result.dataset[f"{name}_error"].sel({"method": "langevin"}).values
        assert np.ptp(exact) > 0.5
        assert np.all(np.abs(found - exact) < 4 * error + 1e-9)


@pytest.mark.slow
def test_a_kicked_kerr_oscillator_against_its_period_map():
    result = run_text("""
parameter T = 1, chi = 0.05, kappa = 0.2, A = 1
mode a : boson(levels = 50)
hamiltonian chi*a'^2*a^2
dissipator kappa : a
kick every T : i*A*(a' - a)
experiment e {
  solve   floquet(periods = 12)
  solve   langevin(times = linspace(0, 12*T, 13), realizations = 1600)
  solve   classical(times = linspace(0, 12*T, 13))
  measure n = <a'*a>
}
experiment steady {
  solve   floquet
  solve   langevin(time = 400, burn_in = 100, realizations = 64)
  measure n = timeaverage(<a'*a>)
}
experiment chaos {
  solve   classical(time = 400, burn_in = 100)
  measure lambda = lyapunov_exponents(2)
}""")
    e = result["e"]
    exact, sampled, mean = (
        values(e, "n", m) for m in ("floquet", "langevin", "classical")
    )
    error = e.dataset["n_error"].sel({"method": "langevin"}).values
    # derivatives of third order are left out: they do less than the noise here
    assert np.all(np.abs(sampled - exact) < 4 * error + 0.01 * exact)
    assert np.abs(mean - exact).max() > 0.1
    steady = result["steady"]
    found = float(values(steady, "n", "langevin"))
    error = float(steady.dataset["n_error"].sel({"method": "langevin"}))
    assert 0 < error < 0.02
    assert found == pytest.approx(float(values(steady, "n", "floquet")), abs=4 * error)
    lambdas = values(result["chaos"], "lambda", "classical")
    assert lambdas.sum() == pytest.approx(-0.2, abs=1e-6)


@pytest.mark.slow
def test_kicks_of_a_lattice_stay_loops():
    result = run_text("""
lattice sites = ring(4)
mode a[sites] : boson(levels = 4)
hamiltonian 0*a[1].n
kick every 1 : 0.4*cos(a[j].q) for j in sites
kick every 0.5 : 0.1*(a[j]'*a[k] + h.c.) for (j, k) in sites.edges
initial a[j in sites] = coherent(0.2*j)
experiment e { solve classical(times = [0, 0.5, 1]); measure x[j in sites] = <a[j]> }""")[
        "e"
    ]
    found = values(result, "x", "classical")
    start = 0.2 * np.arange(1, 5)
    q = np.sqrt(2) * start
    kicked = start + 0.4j * np.sin(q) / np.sqrt(2)
    ring = np.roll(np.eye(4), 1, axis=0) + np.roll(np.eye(4), -1, axis=0)
    energies, vectors = np.linalg.eigh(ring)
    hop = vectors @ np.diag(np.exp(-0.1j * energies)) @ vectors.T
    shape = found.T if found.shape[0] == 4 else found
    assert shape[1] == pytest.approx(hop @ kicked, abs=1e-9)
    assert shape[2] == pytest.approx(hop @ hop @ kicked, abs=1e-9)


KICKED = """
mode a : boson(levels = 4)
hamiltonian a'*a + 0.1*a'^2*a^2
dissipator 0.2 : a
kick every 1.5 : 0.8*i*(a' - a) + 0.3*cos(0.5*(a + a'))
initial a = coherent(1)
"""
TIMES = "linspace(0, 10, 21)"


@pytest.mark.slow
def test_kicks_beside_variables_are_those_of_modes_alone():
    ends = [
        f"experiment e {{ solve classical(times = {TIMES}); measure n = <a'*a> }}",
        "variable x : real\nequation d/dt x = <a'*a>\n",
    ]
    alone = run_text(KICKED + ends[0])["e"]
    beside = run_text(KICKED + ends[1] + ends[0])["e"]
    mine, other = (values(r, "n", "classical") for r in (alone, beside))
    assert np.ptp(mine) > 0.3
    assert mine == pytest.approx(other, abs=1e-7)


@pytest.mark.slow
def test_noise_of_a_variable_and_kicks_drive_a_mode():
    """A linear model: the samples have the mean of the equations without noise."""
    result = run_text("""
mode a : boson
variable x : real
noise xi : white(0.2)
hamiltonian a'*a + 0.3*x*(a + a')
dissipator 0.3 : a
kick every 0.8 : 0.5*i*(a' - a)
equation d/dt x = -x + xi
experiment e {
  solve   classical(times = linspace(0, 4, 6))
  solve   langevin(times = linspace(0, 4, 6), realizations = 800, dt = 0.02)
  measure z = <a>
}""")["e"]
    mean, sampled = (values(result, "z", m) for m in ("classical", "langevin"))
    error = result.dataset["z_error"].sel({"method": "langevin"}).values
    assert np.abs(mean[1:]).min() > 0.2
    assert np.all(np.abs(sampled - mean) < 4 * error + 1e-3)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ("mode a : boson\nkick every 1 : sqrt(a.n + 1)", "no quadrature"),
        ("mode a : boson\nkick every 1 : cos(t)*a.n", "depends on time"),
    ],
)
def test_kicks_without_a_flow_are_refused(terms, words):
    end = "\nexperiment e { solve classical(time = 1); measure y = 1 }"
    (reason,) = run_text(terms + end)["e"].plan.skipped.values()
    assert words in reason


def test_a_kick_is_explained(command, tmp_path):
    (tmp_path / "m.qsync").write_text(f'model "m"\n{KICKED}')
    _, out, _ = command("explain", "m.qsync", "--solve", "langevin")
    assert "kick every 3/2, 0 < s < 1: da/ds = 4/5 + 3·i/20·sin(0.5·(a + a†))" in out
    assert "those of functions of quadratures" in out
