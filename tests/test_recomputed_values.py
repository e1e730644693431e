"""Independently computed values of bundled models by methods without sampling, and of one sampled one.

Each stands with the error of its source. Most other values are `expect` lines of the models.
"""

import numpy as np
import pytest

from qsyncdsl.resources import bundled_models
from tests.conftest import run_text
from tests.measured import agree, measured

PERIOD = 2 * np.pi


def test_the_synchronized_orbit_of_two_optomechanical_cells():
    """Mari et al., Fig. 2(a): amplitudes and relative phase.

    The window holds no whole number of periods of the orbit, so that sums over 100 samples a period (the
    source's) and the trapezoidal rule differ by less than 6e-4.
    """
    solve = (
        f"gaussian(time = {400 * PERIOD}, window = [{300 * PERIOD}, {400 * PERIOD}])"
    )
    measures = {
        "first": "timeaverage(abs(<b1>))",
        "second": "timeaverage(abs(<b2>))",
        "phase": "timeaverage(arg(<b1>*<b2'>))",
    }
    found = measured("optomech_gaussian_pair", solve, measures)
    agree(found, {"first": (348.76142, 0.0), "second": (339.19923, 0.0)}, 6e-4)
    agree(found, {"phase": (0.0513372008, 1e-9)}, 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sets", "wanted"),
    [
        (["nb=2"], {"S_p": (0.1123266964, 5.1e-6)}),
        (["mu=0"], {"S_p": (0.00082153236, 4.6e-7)}),
    ],
)
def test_phase_synchronization_of_two_cells(sets, wanted):
    solve = (
        f"gaussian(time = {400 * PERIOD}, window = [{300 * PERIOD}, {400 * PERIOD}])"
    )
    measures = {"S_p": "timeaverage(sync_phase(b1, b2))"}
    agree(measured("optomech_gaussian_pair", solve, measures, sets), wanted)


def test_phase_synchronization_of_second_neighbors_on_a_ring_of_cells():
    start, end = 300 * PERIOD, 400 * PERIOD
    solve = f"gaussian(time = {end}, window = [{start}, {end}])"
    measures = {"p2": "timeaverage(sync_phase(b[1], b[3]))"}
    found = measured("optomech_gaussian_chain", solve, measures)
    agree(found, {"p2": (0.1370597511, 2.2e-6)}, 1e-6)


def test_complete_synchronization_on_a_small_ring_of_cells():
    """While it still grows: the mean of the 20 samples a period that follow the start of the window."""
    solve = f"gaussian(times = linspace(0, {40 * PERIOD}, 801))"
    measures = {
        "c1": "sync_complete(b[1], b[2])",
        "c3": "sync_complete(b[1], b[4])",
    }
    values, errors = measured("optomech_gaussian_chain", solve, measures, ["N=6"])
    means = {key: x[401:].mean() for key, x in values.items()}
    wanted = {"c1": (0.1442120056, 3e-7), "c3": (0.1539237837, 3.3e-7)}
    agree((means, errors), wanted, 1e-7)


CHIMERA = {
    "trace": "sum(j in sites, covariance(a[j].q, a[j].q) + covariance(a[j].p, a[j].p))/(2*N)"
}


def test_the_mean_variance_of_a_chimera():
    solve = "gaussian(times = [0.5], relax = 0)"
    found = measured("vdp_chimera", solve, CHIMERA, cases=["chimera"])
    agree(found, {"trace": (1.3538618685, 1e-9)}, 1e-8)


@pytest.mark.slow
def test_the_mean_variance_of_a_chimera_by_truncated_wigner():
    """Larger fluctuations than linear ones: 1.262 instead of 1.354."""
    solve = "langevin(times = [0.5], realizations = 2000)"
    found = measured("vdp_chimera", solve, CHIMERA, cases=["chimera"])
    agree(found, {"trace": (1.2615981, 0.006)})


def test_the_exact_variance_of_one_oscillator():
    """One site of the chimera from alpha = sqrt(2.5): the density matrix, where Gaussians say 2."""
    result = run_text("""
parameter kappa1 = 1, kappa2 = 0.2
mode a : boson(levels = 40)
dissipator 2*kappa1 : a'
dissipator 2*kappa2 : a^2
initial a = coherent(sqrt(2.5))
experiment e { solve evolve(times = [0.5]); measure C = covariance(a.p, a.p) }
""")
    found = result["e"].dataset["C"].values.squeeze()
    assert found == pytest.approx(1.7734047870, abs=1e-7)


def test_a_driven_oscillator_of_two_levels():
    """gamma2 -> infinity: populations 2/3 and 1/3."""
    sets = ["E=0", "gamma2=1e5", "Delta=0"]
    measures = {"P": "fock_distribution(a)"}
    found, _ = measured("vdp_driven", "steadystate", measures, sets, ["lee_sadeghpour"])
    two = np.ravel(found["P"])[:2]
    assert two == pytest.approx([0.6666611112, 0.3333355555], abs=1e-8)


@pytest.mark.parametrize(
    ("levels", "sets", "measure", "value", "error"),
    [
        (10, {"kappa2": 10, "g": 4.3}, "sync_complete(a1, a2)", 0.5785444334, 1e-7),
        (
            7,
            {"kappa2": 100, "g": 7.7},
            "mutual_information(a1, a2)",
            0.0021608352,
            1e-9,
        ),
    ],
)
def test_a_reactive_coupling_hardly_synchronizes(levels, sets, measure, value, error):
    """The controls of Ameri et al. (2015): g (a1' a2 + h.c.) instead of D[a1 - a2]."""
    result = run_text(f"""
parameter g = {sets["g"]}, kappa2 = {sets["kappa2"]}
mode a1, a2 : boson(levels = {levels})
coupling   g*(a1'*a2 + h.c.)
dissipator 2 : a1', a2'
dissipator 2*kappa2 : a1^2, a2^2
experiment e {{ solve steadystate; measure X = {measure} }}
""")
    found = float(result["e"].dataset["X"].values.squeeze())
    assert found == pytest.approx(value, abs=max(error, 1e-8))


def test_a_slowly_pumped_ensemble_orders_at_its_coherence_limit():
    """kappa1 -> 0: two levels, Vc = 10/3 kappa2."""
    located = run_text("""
parameter kappa1 = 1e-4, V = 1, N = 400
lattice osc = complete(N)
mode a[osc] : boson(levels = 8)
dissipator 2*kappa1 : a[j]'   for j in osc
dissipator 2 : a[j]^2         for j in osc
coupling   2*V/N : a[j] - a[k] for (j, k) in osc.edges
experiment e {
  solve  meanfield(state = incoherent)
  locate Vc : V in 0..10 where growth_rate = 0
}
""")
    found = float(located["e"].dataset["Vc"].values.squeeze())
    assert found == pytest.approx(3.3333166601, abs=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("coupling", "wanted"),
    [
        (0.3, {"n": (2.504334754, 1e-3)}),
        (0.19, {"r": (0.116420409, 0.0432)}),
    ],
)
def test_the_mean_field_of_the_optomechanical_array(coupling, wanted):
    """Gutzwiller states with 4 x 12 levels, from a coherent state of 0.3, in the window of the source."""
    text = bundled_models()["optomech_array"].read_text(encoding="utf-8")
    text = text.split("experiment ")[0]
    result = run_text(
        text
        + f"""
experiment e {{
  initial b[sites] = coherent(0.3)
  set     K = {coupling}
  solve   meanfield(time = 450, window = [360, 450])
  measure n = timeaverage(<b[1]'*b[1]>)
  measure r = collective_amplitude(b[sites])
}}
"""
    )
    for name, (value, error) in wanted.items():
        found = float(result["e"].dataset[name].values.squeeze())
        assert found == pytest.approx(value, abs=error)


@pytest.mark.slow
def test_the_threshold_of_many_oscillators_with_weak_nonlinear_loss():
    """Lee, Sadeghpour (2013), Fig. 4(b) at gamma2 = 0.005, noise of the limit cycle."""
    text = bundled_models()["vdp_global"].read_text(encoding="utf-8")
    found = run_text(
        text.split("\nexperiment")[0]
        + """
experiment e {
  set     levels = 205, gamma2 = 0.005
  solve   fokkerplanck(diffusion = limit_cycle)
  measure r = collective_amplitude(a[osc])
  locate  Vc : V in 0.4..0.7 where r > 0
}
"""
    )["e"]
    (threshold,) = found.dataset["Vc"].values.ravel()
    assert threshold == pytest.approx(0.5494082, abs=5.4e-5)
