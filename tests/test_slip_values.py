"""Phase slips and quantum noise of Josephson and Bloch oscillations against a separate program.

Hriscu, Nazarov (2013). The values come from Heun schemes with their own count of slips, which is not
stated; here a slip ends on the locked orbit of the next well, without a parameter (a distance of 0.35 pi would
come closer to them, one of 0.45 pi less close). The paper claims exponential accuracy.
"""

import numpy as np
import pytest

from qsyncdsl.measure import paths
from qsyncdsl.measure.values import Lifted
from qsyncdsl.solve import times as times_module
from tests.conftest import run_text
from tests.measured import agree, measured

LONG = "langevin(time = 2e4, realizations = 16, dt = 0.05)"
FINE = "langevin(time = 2500, realizations = 16, dt = {})"
SLIPS = {"rate": "phase_slips(q - phi)"}


WASHBOARD = """
parameter tilt = 0.6
variable phi : angle
noise xi : white(3)
equation d/dt phi = tilt - sin(phi) + xi
experiment e { solve langevin(time = 800, realizations = 4, dt = 0.02); measure rate = phase_slips(phi) }
"""


def test_slips_are_counted_at_the_steps_or_the_spacing_is_told(monkeypatch):
    fine = run_text(WASHBOARD)["e"]
    trust = fine.trust["langevin"]
    assert not trust["warnings"]
    assert trust["slips"] > 200
    assert trust["slips_missed"] < 0.02
    monkeypatch.setattr(times_module, "_EVENTS", 4 * 400)
    coarse = run_text(WASHBOARD)["e"]
    (warning,) = coarse.trust["langevin"]["warnings"]
    assert warning["code"] == "W563"
    assert "2 apart, 100 steps" in warning["message"]
    rates = [float(r.dataset["rate"].squeeze()) for r in (fine, coarse)]
    assert rates[1] < 0.97 * rates[0]
    assert coarse.trust["langevin"]["slips_missed"] > 0.02


@pytest.mark.slow
def test_the_slip_rate_falls_exponentially_with_the_quality():
    """ln rate = -alpha Qm, alpha = 0.233(12) for Qm = 6..14."""
    quality, logs, errors = np.array([6.0, 8.0, 10.0, 14.0]), [], []
    for q in quality:
        sets = (f"r = {2 * q}", "S = 2*pi/r/5")
        values, spread = measured("josephson_bloch", LONG, SLIPS, sets)
        logs.append(float(np.log(values["rate"])))
        errors.append(float(spread["rate"] / values["rate"]))
    away = quality - quality.mean()
    alpha = -(away @ logs) / (away @ away)
    error = np.sqrt(away**2 @ np.square(errors)) / (away @ away)
    assert error < 0.02
    assert abs(alpha - 0.23317) < 4 * np.hypot(error, 0.012)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sets", "dt", "value", "error"),
    [
        (("r = 12", "S = 2*pi/r/5"), 0.05, 0.011495, 0.00012),
        (("r = 20", "S = 2*pi/r/5"), 0.05, 0.004245, 0.0001),
        (("S = 0.1",), 0.05, 0.012325, 0.00019),
        (("S = 0.15",), 0.05, 0.0223825, 0.00019),
        (("eps = 2*pi/r", "wc = 5"), 0.05, 0.011525, 0.00042),
        (("eps = 2*pi/r", "wc = 10"), 0.025, 0.01743, 0.00044),
    ],
)
def test_rates_of_slips_by_white_and_zero_point_noise(sets, dt, value, error):
    found = measured("josephson_bloch", FINE.format(dt), SLIPS, sets)
    assert found[1]["rate"] < 0.1 * value
    agree(found, {"rate": (value, error)})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cutoff", "dt", "value", "error"),
    [(5, 0.02, 0.004326, 0.00025), (20, 0.01, 0.005498, 0.00032)],
)
def test_zero_point_noise_makes_the_phase_diffuse(cutoff, dt, value, error):
    """A junction alone, eps |w| exp(-|w|/wc), at t = 360: Var phi/2t, near eps/(4 nu) = 0.0040."""
    result = run_text(f"""
parameter ib = 1.6, eps = 0.02, wc = {cutoff}
variable phi : angle
define zero_point(x) = eps*abs(x)*exp(-abs(x)/wc)
noise z : colored(zero_point)
equation d/dt phi = ib - sin(phi) + z
experiment e {{
  solve   langevin(times = [360], realizations = 600, dt = {dt})
  measure D = var(phi)/720
}}""")["e"].dataset
    own = float(result["D_error"].squeeze())
    assert own < 5e-4
    assert abs(float(result["D"].squeeze()) - value) < 4 * np.hypot(own, error)


def test_diffusion_leaves_out_what_turns_within_a_turn():
    """A phase that is modulated by 0.7 sin(phi): its own variance is no diffusion."""

    class Record:
        times = np.linspace(0, 4000, 4001)
        given = None

    rng = np.random.default_rng(1)
    start = rng.uniform(0, 2 * np.pi, 300)[:, None]
    steps = 1.2345 + np.sqrt(2 * 0.002) * rng.standard_normal((300, 4000))
    turned = start + np.concatenate([np.zeros((300, 1)), np.cumsum(steps, 1)], 1)
    x = (turned + 0.7 * np.sin(turned)).view(Lifted)
    assert paths.phase_diffusion(Record(), x) == pytest.approx(0.002, rel=0.35)
