"""Systems that nobody has bundled, against closed forms: what a first user of a method meets."""

import numpy as np
import pytest

from tests.conftest import run_text, values

CAVITY = """
parameter F = 0.4, kappa = 1
mode a : boson(levels = LEVELS)
hamiltonian DRIVE*(a + a')
dissipator kappa : a
experiment e {
  solve   evolve(time = 3, window = [1, 3])
  measure A = <a>
  measure n = <a'*a>
}
"""


@pytest.mark.parametrize(
    ("levels", "drive"), [(30, "F"), (12, "F + 0*t"), (12, "F*cos(t)")]
)
def test_the_mean_over_a_window_of_a_state_that_takes_steps(levels, drive):
    """<a> = -iF/kappa 2 (1 - exp(-kappa t/2)); sectors too large for exponentials, or that depend on time."""
    text = CAVITY.replace("LEVELS", str(levels)).replace("DRIVE", f"({drive})")
    found = run_text(text)["e"]
    times = np.linspace(0, 3, 300001)
    rate, turn = 0.5, 1.0 if "cos" in drive else 0.0
    # the integral of exp(-rate (t - s)) cos(turn s) over s
    shape = rate * np.cos(turn * times) + turn * np.sin(turn * times)
    shape = (shape - rate * np.exp(-rate * times)) / (rate**2 + turn**2)
    inside = times >= 1
    mean = np.trapezoid(shape[inside], times[inside]) / 2
    square = np.trapezoid(shape[inside] ** 2, times[inside]) / 2
    assert values(found, "A", "evolve") == pytest.approx(-0.4j * mean, abs=1e-7)
    assert values(found, "n", "evolve") == pytest.approx(0.16 * square, abs=1e-7)


DICKE = """
parameter g = 0.3
mode a : boson(levels = 8)
mode S : spin(2)
hamiltonian a'*a + S.z + g/2*(a + a')*(S.plus + S.minus)
dissipator 1 : a
initial S = down
initial a = coherent(0.1)
experiment e {
  solve   meanfield(OPTIONS)
  measure n = <a.n>
  measure z = <S.z>
}
"""


def test_a_spin_without_damping_is_followed_until_it_stands():
    """In given fields a spin that only turns has many stationary states; below threshold all decay."""
    found = run_text(DICKE.replace("OPTIONS", ""))["e"]
    assert values(found, "n", "meanfield") == pytest.approx(0, abs=1e-9)
    assert values(found, "z", "meanfield") == pytest.approx(-2, abs=1e-7)


def test_without_an_initial_state_such_a_spin_has_no_stationary_one():
    found = run_text(DICKE.replace("OPTIONS", "state = incoherent"))["e"]
    assert "z" not in found.dataset
    assert "E504" in found.dataset.attrs["trust"]
    assert "'S' is not unique" in found.dataset.attrs["trust"]
