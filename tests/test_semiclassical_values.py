"""Published and independently computed values of `langevin`, `classical` and `fokkerplanck`.

Each value stands with the error of its source; sampled ones are compared within four standard errors
of both sides. The sources: the systems' papers, recomputed by separate programs (Euler or Heun schemes
in NumPy, polar grids, Fock-basis spectral solutions).
"""

import numpy as np
import pytest

from qsyncdsl import pipeline
from tests.conftest import run_text
from tests.measured import agree, measured

PAIR = {
    "m1": "real(phase_moment(b2, b1, 1))",
    "m2": "real(phase_moment(b2, b1, 2))",
    "nb": "(<b1'*b1> + <b2'*b2>)/2",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "ordering", "wanted"),
    [
        ("fig3a", "symmetric", ((0.7663, 0.0175), (0.4167, 0.0282), (6.7305, 0.082))),
        ("fig3a", "naive", ((0.7718, 0.0158), (0.4180, 0.0236), None)),
        ("fig3b", "symmetric", ((-0.2254, 0.0495), (0.2173, 0.0238), (8.3217, 0.184))),
        ("fig3b", "naive", ((0.3843, 0.0693), (0.3010, 0.0256), None)),
        ("fig3c", "symmetric", ((0.1991, 0.0448), (0.1589, 0.0258), (6.3762, 0.088))),
        ("fig3c", "naive", ((0.4406, 0.0521), (0.2522, 0.0276), None)),
    ],
)
def test_the_optomechanical_pair_under_langevin(case, ordering, wanted):
    """Weiss et al. (2016), Fig. 3: 0, pi and mixed synchronization; the ordering decides."""
    solve = f"langevin(time = 8000, burn_in = 500, realizations = 16, ordering = {ordering})"
    found = measured("optomech_pair", solve, PAIR, cases=[case])
    pairs = zip(PAIR, wanted, strict=True)
    agree(found, {key: value for key, value in pairs if value is not None})


@pytest.mark.slow
def test_residence_times_of_the_mixed_state():
    solve = "langevin(time = 8000, burn_in = 500, realizations = 16)"
    stays = "residence_times(along(arg(<b1'*b2>)), near = [0, pi], enter = pi/4)"
    values, errors = measured("optomech_pair", solve, {"T": stays}, cases=["fig3c"])
    found, spread = values["T"].ravel(), errors["T"].ravel()
    assert found.shape == (2,)
    for k, (value, error) in enumerate(((123.8, 10.9), (71.9, 6.4))):
        assert abs(found[k] - value) < 4 * np.hypot(error, spread[k])


CLASSICAL = {
    "c": "timeaverage(cos(along(arg(<b1'*b2>))))",
    "nb": "<b1'*b1>",
    "na": "<a1'*a1>",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "wanted"),
    [
        ("fig3a", ((1.0, 1e-9), (5.1207996, 8.4e-5), (0.24073478, 1.2e-5))),
        ("fig3b", ((-0.99619513, 1.1e-6), (6.4933062, 3.9e-4), (0.43320252, 7.1e-5))),
    ],
)
def test_the_optomechanical_pair_without_noise(case, wanted, tmp_path):
    text = pipeline.find("optomech_pair").read_text(encoding="utf-8")
    start = "initial b1 = coherent(2)\ninitial b2 = coherent(2*exp(0.3*i))\n"
    path = tmp_path / "pair.qsync"
    path.write_text(text.replace("case fig3a", start + "case fig3a", 1))
    solve = "classical(time = 12000, window = [9000, 12000])"
    found = measured(str(path), solve, CLASSICAL, cases=[case])
    agree(found, dict(zip(CLASSICAL, wanted, strict=True)))


ARRAY = {
    "C1": "phase_correlation(b[sites], 1)",
    "C5": "phase_correlation(b[sites], 5)",
    "C14": "phase_correlation(b[sites], 14)",
    "raw14": "phase_correlation(b[sites], 14, subtract = none)",
    "n": "sum(j in 1..30, <b[j, 1]'*b[j, 1]>)/30",
}
LATTICE = "langevin(time = 500, burn_in = 250, realizations = 8, ordering = naive)"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sets", "wanted"),
    [
        (
            ("K = 0.15",),
            {
                "C1": (0.17350, 0.0048), "C5": (0.00656, 0.0030), "C14": (-0.00468, 0.0022),
                "raw14": (0.02887, 0.0020), "n": (1.85391, 0.0018),
            },
        ),
        (
            ("K = 0.3",),
            {
                "C1": (0.37721, 0.0110), "C5": (-0.00196, 0.0086), "C14": (0.01171, 0.0107),
                "raw14": (0.05668, 0.0101), "n": (3.41793, 0.0558),
            },
        ),
        (
            ("K = 0.03", "g0 = 0.09", "alphaL = 1.1"),
            {"C1": (0.05113, 0.0189), "C14": (-0.00594, 0.0118), "n": (2.22914, 0.0332)},
        ),
        (
            ("K = 0.15", "g0 = 0.09", "alphaL = 1.1"),
            {"C1": (0.79036, 0.0147), "C14": (0.63261, 0.0269), "n": (7.57632, 0.1794)},
        ),
    ],
)  # fmt: skip
def test_correlations_of_the_optomechanical_array(sets, wanted):
    """Ludwig, Marquardt (2013), Fig. 4, 30 x 30 sites; few runs: 0.005 more, as their source says."""
    agree(measured("optomech_array", LATTICE, ARRAY, sets), wanted, 0.005)


@pytest.mark.slow
def test_the_all_to_all_optomechanical_array(tmp_path):
    text = pipeline.find("optomech_array").read_text(encoding="utf-8")
    text = text.replace("square(L, L, boundary = periodic)", "complete(L)")
    text = text.replace("/z(sites)  for (j, k)", "/L  for (j, k)")
    text = text[: text.index("\nexperiment")]
    path = tmp_path / "all.qsync"
    path.write_text(text, encoding="utf-8")
    measures = {
        "r": "collective_amplitude(b[sites])",
        "n": "sum(j in 1..30, <b[j]'*b[j]>)/30",
    }
    found = measured(str(path), LATTICE, measures, ("L = 900", "K = 0.3"))
    # r is the root mean square of |Z| there, the mean here: 0.5 % of a narrow distribution
    agree(found, {"r": (1.42617, 0.0027), "n": (3.80338, 0.0168)}, 0.012)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gamma2", "coupling", "wanted", "allowed"),
    [(0.03, 3.1, 3.4647, 0.01), (0.005, 0.8, 9.7194, 0.01)],
)
def test_three_thousand_coupled_oscillators_under_langevin(
    gamma2, coupling, wanted, allowed, tmp_path
):
    """Lee, Sadeghpour (2013), Fig. 4(a); finite N and slow relaxation: 1 %."""
    text = pipeline.find("vdp_global").read_text(encoding="utf-8")
    path = tmp_path / "many.qsync"
    path.write_text(text[: text.index("\nexperiment")])
    solve = "langevin(time = 60, burn_in = 30, diffusion = limit_cycle)"
    values, errors = measured(
        str(path),
        solve,
        {"r": "collective_amplitude(a[osc])"},
        (f"gamma2 = {gamma2}", f"V = {coupling}"),
    )
    slack = 4 * float(errors["r"]) + allowed * wanted
    assert abs(values["r"] - wanted) < slack


@pytest.mark.slow
def test_the_reactive_pair_has_the_fourth_moments_of_its_fokker_planck_equation():
    for diffusion, value, error in (
        ("exact", 0.29618, 2e-4),
        ("limit_cycle", 0.39937, 1e-3),
    ):
        solve = f"langevin(time = 120, burn_in = 20, realizations = 1600, diffusion = {diffusion})"
        found = measured(
            "vdp_pair_reactive",
            solve,
            {"m2": "real(<a1'^2*a2^2>)"},
            ("V = 1", "gamma2 = 0.42"),
        )
        agree(found, {"m2": (value, error)}, 2e-3)


@pytest.mark.slow
def test_the_reactive_pair_locks_at_zero_and_pi_with_additive_noise():
    solve = "langevin(time = 400, burn_in = 40, realizations = 400, diffusion = limit_cycle)"
    found = measured(
        "vdp_pair_reactive",
        solve,
        {"c": "real(phase_moment(a1, a2, 2))"},
        ("V = 0.5", "gamma2 = 0.05"),
    )
    agree(found, {"c": (0.24831, 0.00244)})


@pytest.mark.slow
def test_the_wigner_estimate_of_complete_synchronization():
    found = measured(
        "vdp_pair_mutual_info",
        "langevin(time = 40, burn_in = 10, realizations = 2000)",
        {"S": "sync_complete(a1, a2)", "n": "<a1'*a1>"},
        ("g = 1",),
        ["classical"],
    )
    agree(found, {"S": (0.53686, 0.0019), "n": (5.17505, 0.0097)}, 1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("diffusion", "place"), [("exact", 0.0), ("limit_cycle", 2.5)])
def test_the_kerr_oscillator_has_one_broad_maximum(diffusion, place):
    """Lörch et al. (2016), Fig. 2(a), by the Fokker-Planck equation."""
    values, _ = measured(
        "vdp_kerr",
        f"fokkerplanck(diffusion = {diffusion})",
        {"S": "abs(<a>)/sqrt(<a'*a>)"},
        sweeps=["Delta = linspace(-K, 5*K, 13)"],
    )
    grid = np.linspace(-1, 5, 13)
    top = int(np.argmax(values["S"]))
    assert grid[top] == pytest.approx(place, abs=0.13)
    if diffusion == "limit_cycle":
        assert values["S"][top] == pytest.approx(0.07280, abs=0.003)
    changes = np.sign(np.diff(values["S"]))
    assert (np.diff(changes[changes != 0]) != 0).sum() == 1


@pytest.mark.slow
def test_clipped_noise_beside_the_edge_of_its_circle_agrees_with_small_steps():
    """At Delta = 0 the density nearly diverges where the noise begins; a step of 1e-4 resolves it."""
    measures, sets = {"S": "abs(<a>)/sqrt(<a'*a>)"}, ("Delta = 0",)
    density, _ = measured("vdp_kerr", "fokkerplanck", measures, sets)
    solve = "langevin(time = 9, burn_in = 4, realizations = 768, dt = 1e-4)"
    values, errors = measured("vdp_kerr", solve, measures, sets)
    assert errors["S"] < 0.007
    assert abs(values["S"] - density["S"]) < 4 * errors["S"] + 0.004


@pytest.mark.slow
def test_a_classical_ensemble_has_its_order_parameter_above_threshold():
    """Lorentzian disorder of half width 0.2, 1.25 of the critical coupling 0.3527864."""
    values, _ = measured(
        "vdp_ensemble_disordered",
        "classical(time = 400, window = [200, 400])",
        {"A": "collective_amplitude(a[osc])"},
        ("gamma = 0.2", "kappa2 = 0.5", f"V = {1.25 * 0.3527864}", "N = 4000"),
    )
    assert values["A"] == pytest.approx(0.3680, abs=0.02)


def test_truncated_wigner_is_right_where_there_are_many_quanta():
    """One driven oscillator with weak loss: all three methods agree."""
    found = run_text("""
mode a : boson(levels = 64)
hamiltonian -0.3*a'*a + i*(a - a')
dissipator 1 : a'
dissipator 0.05 : a^2
experiment e {
  solve steadystate
  solve fokkerplanck
  solve langevin(time = 60, burn_in = 20, realizations = 320)
  measure n = <a'*a>
}""")["e"].dataset
    n = {m: float(found["n"].sel({"method": m})) for m in found["method"].values}
    error = float(found["n_error"].sel({"method": "langevin"}))
    assert abs(n["langevin"] - n["fokkerplanck"]) < 4 * error + 0.01
    assert n["fokkerplanck"] == pytest.approx(n["steadystate"], rel=0.002)


def test_truncated_wigner_misses_the_resonances_of_few_quanta():
    """Between two resonances the drive finds no level; the semiclassical density does not know."""
    measures = {"S": "abs(<a>)/sqrt(<a'*a>)"}
    sets = ("Delta = 75",)
    quantum, _ = measured("vdp_kerr", "steadystate", measures, sets)
    density, _ = measured("vdp_kerr", "fokkerplanck", measures, sets)
    assert quantum["S"] == pytest.approx(0.00767259, abs=1e-7)
    assert density["S"] > 5 * quantum["S"]
