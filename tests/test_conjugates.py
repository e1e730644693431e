"""Conjugate pairs: levels by plane waves against Mathieu's, a grid, and the dual Hamiltonian."""

import numpy as np
import pytest
from scipy.special import mathieu_a, mathieu_b

from qsyncdsl.algebra.conjugates import duality_text, pair_levels
from qsyncdsl.model.environment import Environment
from tests.conftest import model_of

TEXT = """
parameter EC = 1, EJ = 1
parameter EL = EC, ES = EJ
mode box : rotor(nmax = 5)
hamiltonian EC*box.n^2 - EJ*box.cos
conjugate q, phi : -i
define junction = EC*q^2 - EJ*cos(phi)
define slips = EL/(2*pi)^2*phi^2 - ES*cos(2*pi*q)
duality junction -> slips : q -> -phi/(2*pi), phi -> 2*pi*q with EL = EC, ES = EJ
"""


def levels(name, count, sector, **changed):
    """The levels of one of the Hamiltonians."""
    text = TEXT
    for key, value in changed.items():
        text = text.replace(f"{key} = 1", f"{key} = {value}")
    model = model_of(text)
    define = model.scope.find(name)
    return pair_levels(define.value, define.scope, Environment(model), count, sector)


@pytest.mark.parametrize("name", ["junction", "slips"])
def test_levels_are_characteristic_values_of_mathieu_functions(name):
    q = 2 * 3.0
    whole = [mathieu_a(0, q), mathieu_b(2, q), mathieu_a(2, q), mathieu_b(4, q)]
    half = [mathieu_b(1, q), mathieu_a(1, q), mathieu_b(3, q), mathieu_a(3, q)]
    assert levels(name, 4, 0, EJ=3) == pytest.approx(np.array(whole) / 4, abs=1e-10)
    assert levels(name, 4, 0.5, EJ=3) == pytest.approx(np.array(half) / 4, abs=1e-10)


@pytest.mark.parametrize("sector", [0.1, 0.37, 0.9, 1.2])
def test_a_grid_with_a_bloch_condition_has_the_same_levels(sector):
    """-EL psi''/(2 pi)^2 ... in q with psi(q + 1) = exp(2 pi i f) psi(q), by a Fourier derivative."""
    n = 64
    points = np.arange(n) / n
    waves = np.fft.fftfreq(n, 1 / n)
    kinetic = np.fft.ifft(
        ((waves + sector) ** 2)[:, None] * np.fft.fft(np.eye(n), axis=0), axis=0
    )
    matrix = kinetic - 2 * np.diag(np.cos(2 * np.pi * points))
    grid = np.linalg.eigvalsh((matrix + matrix.conj().T) / 2)[:4]
    assert levels("slips", 4, sector, EJ=2) == pytest.approx(grid, abs=1e-10)


def test_levels_have_period_one_in_the_sector_and_are_even():
    one = levels("junction", 4, 0.3)
    assert levels("junction", 4, 1.3) == pytest.approx(one, abs=1e-11)
    assert levels("junction", 4, -0.3) == pytest.approx(one, abs=1e-11)


def test_explain_shows_the_dual_hamiltonian():
    model = model_of(TEXT)
    text = "\n".join(duality_text(model, Environment(model), model.dualities[0]))
    assert "cos(2*pi*q)" in text
    assert "EC*phi**2/(4*pi**2)" in text
