"""Means and covariances: against references, exact linear models, formulas; as text."""

import os
from math import cosh, exp, log, sinh
from pathlib import Path

import numpy as np
import pytest

from qsyncdsl import pipeline
from qsyncdsl.measure import gaussian
from qsyncdsl.resources import bundled_models
from tests.conftest import run_text, values


def _text(name):
    return Path(bundled_models()[name]).read_text(encoding="utf-8")


GOLDEN = Path(__file__).parent / "golden" / "gaussian"


@pytest.mark.parametrize(
    "name", ["vdp_chimera", "optomech_gaussian_pair", "optomech_gaussian_chain"]
)
def test_drift_jacobian_and_noise_of_a_bundled_model(name):
    text = pipeline.describe(name, pipeline.Request(), solve="gaussian")
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("QSYNCDSL_WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 80


LINEAR = """
parameter s = 0.3, kappa = 1, nb = 0.2
mode a : boson(levels = 24)
hamiltonian 0.7*a'*a + i*s*(a^2 - a'^2)/2 + 0.2*(a + a')
dissipator kappa*(nb + 1) : a
dissipator kappa*nb : a'
experiment e {
  solve evolve(times = [0.5, 1, 2])
  solve gaussian(times = [0.5, 1, 2])
  measure n = <a'*a>
  measure m = <a>
  measure sq = <a^2>
  measure four = <a'^2*a^2>
  measure vq = var(a.q)
  measure P = purity(a)
}
"""


def test_a_linear_model_is_solved_exactly():
    found = run_text(LINEAR)["e"]
    for name in ("n", "m", "sq", "four", "vq", "P"):
        exact, gaussian = values(found, name, "evolve"), values(found, name, "gaussian")
        assert np.allclose(exact, gaussian, rtol=2e-5, atol=2e-5), name


def test_a_shared_jump_correlates_the_modes_as_in_the_master_equation():
    text = """
mode a, b : boson(levels = 7)
dissipator 1 : a - b
dissipator 0.3 : a, b
dissipator 0.1 : a', b'
experiment e {
  solve evolve(times = [1, 2])
  solve gaussian(times = [1, 2])
  measure c = covariance(a.q, b.q)
  measure I = mutual_information(a, b)
  measure E = log_negativity(a, b)
}
"""
    found = run_text(text)["e"]
    for name in ("c", "I", "E"):
        exact, gaussian = values(found, name, "evolve"), values(found, name, "gaussian")
        assert np.allclose(exact, gaussian, rtol=2e-3, atol=1e-4), name


def test_two_mode_squeezed_vacuum_has_the_entanglement_and_discord_of_the_formulas():
    text = """
mode a, b : boson
hamiltonian i*(a*b - a'*b')
experiment e {
  solve gaussian(times = [0.2, 0.5])
  measure E = log_negativity(a, b)
  measure D = discord(a, b)
  measure S = entropy(a)
}
"""
    found = run_text(text)["e"]
    for k, r in enumerate((0.2, 0.5)):
        c, s = cosh(r) ** 2, sinh(r) ** 2
        entropy = c * log(c) - s * log(s)
        assert values(found, "E", "gaussian")[k] == pytest.approx(2 * r, abs=1e-7)
        # the discord of a pure state is its entanglement entropy
        assert values(found, "D", "gaussian")[k] == pytest.approx(entropy, abs=1e-6)
        assert values(found, "S", "gaussian")[k] == pytest.approx(entropy, abs=1e-7)


def test_time_dependent_coefficients():
    text = """
mode a : boson
hamiltonian sin(t)*(a + a')
dissipator 1 : a
experiment e { solve gaussian(times = [1]); measure m = <a> }
"""
    mean = values(run_text(text)["e"], "m", "gaussian")
    # m' = -m/2 - i sin t
    exact = -1j * (0.8 * exp(-0.5) + (0.5 * np.sin(1) - np.cos(1)) / 1.25)
    assert mean == pytest.approx(exact, abs=1e-8)


# Values and errors of an independent program.
CHIMERA = {
    "chimera": ("chimera", 0, {
        "c11": (0.9044923046161126, 3e-10), "c12": (0.42396403358111356, 3e-10),
        "I2": (0.010033907188699231, 3e-9), "re25": (1.3818635446446723, 1e-9),
    }),
    "after 20 units": ("chimera", 20, {
        "c11": (1.90888277269449, 2e-7), "re1": (-0.6531539958165603, 1e-7),
    }),
    "synchronized": ("synchronized", 0, {
        "c11": (1.0350269642240153, 1e-11), "c13": (0.017448267059233098, 1e-11),
        "I2": (0.022112964349467745, 1e-9),
    }),
}  # fmt: skip


@pytest.mark.parametrize("start", CHIMERA)
def test_references_of_the_chimera(start):
    case, relax, expected = CHIMERA[start]
    model = _text("vdp_chimera")
    model = model[: model.index("experiment patterns")]
    model += f"""
experiment e {{ case {case}; solve gaussian(times = [0.5], relax = {relax})
  measure c11 = covariance(a[1].q, a[1].q)
  measure c12 = covariance(a[1].q, a[1].p)
  measure c13 = covariance(a[1].q, a[2].q)
  measure I2 = mutual_information(a[1..20], a[21..N], kind = renyi2)
  measure re1 = real(<a[1]>)
  measure re25 = real(<a[25]>) }}
"""
    found = run_text(model)["e"]
    for name, (value, error) in expected.items():
        found_value = float(values(found, name, "gaussian").squeeze())
        assert found_value == pytest.approx(value, abs=max(3 * error, 2e-9)), name


def test_references_of_the_optomechanical_pair_at_early_times():
    model = _text("optomech_gaussian_pair")
    model = model[: model.index("experiment synchronization")]
    model += """
experiment e { solve gaussian(time = 60*tau, window = [40*tau, 60*tau])
  measure S_c = timeaverage(sync_complete(b1, b2))
  measure S_p = sync_phase(b1, b2) }
"""
    found = run_text(model)["e"]
    assert values(found, "S_c", "gaussian") == pytest.approx(0.2615192, abs=5e-6)
    assert values(found, "S_p", "gaussian") == pytest.approx(0.16612, abs=9e-6)


def test_growing_variances_along_a_limit_cycle_are_told():
    text = """
mode a : boson
dissipator 1 : a'
dissipator 0.1 : a^2
initial a = coherent(2)
experiment e { solve gaussian(time = 200); measure n = <a'*a> }
"""
    found = run_text(text)["e"]
    assert "W521" in str(found.trust["gaussian"])


def test_spins_are_refused_with_a_reason():
    text = """
mode s : qubit
dissipator 1 : s.minus
experiment e { solve gaussian(time = 1); measure z = <s.z> }
"""
    assert "bosons" in run_text(text)["e"].plan.skipped["gaussian"]


def test_the_last_time_is_reached_whatever_the_rounding():
    """Spans of many sizes: the value at the end is that of the exponential, never what was in memory before."""
    from qsyncdsl.solve.kernels import integrate
    from qsyncdsl.solve.polynomials import integrator

    one = np.zeros(1, dtype=np.int64)
    terms = (one, np.array([-1.0 + 0j]), np.array([0, 1]), one, one, one + 1)
    first = np.array([1.0, 0.0])
    for span in 1e-6 * 1.37 ** np.arange(40) / 3:
        end = integrate(
            integrator("means_right"), first, np.array([span]), terms, (1e-8, 1e-10)
        )
        assert end[-1, 0] == pytest.approx(np.exp(-span), abs=1e-6)


@pytest.mark.parametrize("together", [1, 1 << 25])
def test_states_of_a_whole_run_are_measured_as_each_of_them(together, monkeypatch):
    """Of two squeezed modes, displaced, in thermal baths: at once, and at one time after the other."""
    text = """
parameter s = 0.3
mode a, b, c : boson
hamiltonian a'*a + s*(a*b + h.c.) + 0.2*(b'*c + h.c.) + 0.4*(a + a')
dissipator  1 : a
dissipator  0.3 : b
dissipator  0.2 : c'
dissipator  0.5 : c
initial a = thermal(0.3)
experiment e {
  solve   gaussian(times = TIMES)
  measure n = <a'^2*a^2>
  measure x = <a'*b*c>
  measure m = <b>
  measure Sc = sync_complete(a, b)
  measure S0 = sync_complete(a, b, subtract = none)
  measure Sp = sync_phase(a, b)
  measure S = entropy(a)
  measure S3 = entropy()
  measure p = purity(a)
  measure I = mutual_information(a, b)
  measure R = mutual_information(a, [b, c], kind = renyi2)
  measure E = log_negativity(a, [b, c])
  measure D = discord(a, b)
  measure Dm = discord(a, b, measured = a)
}"""
    monkeypatch.setattr(gaussian, "_AT_ONCE", together)
    whole = run_text(text.replace("TIMES", "[0.3, 1, 3]"))["e"]
    for place, time in enumerate((0.3, 1, 3)):
        alone = run_text(text.replace("TIMES", f"[{time}]"))["e"]
        for name in alone.plan.measures:
            one = np.ravel(values(alone, name, "gaussian"))[0]
            assert np.isfinite(one)
            found = np.ravel(values(whole, name, "gaussian"))[place]
            assert found == pytest.approx(one, rel=1e-7)
