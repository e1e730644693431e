"""The Husimi function of rotors: packets of width sqrt(hbar/2), integral 1, jumps against density matrices."""

import numpy as np
import pytest
import scipy.linalg

from qsyncdsl.algebra.circle import (
    husimi_grid,
    husimi_of_matrix,
    husimi_of_vectors,
    packets,
)
from tests.conftest import run_text, values

ROTOR = """
parameter hbar = 0.4, f = 0.9
define    g = sqrt(-log(1 - 0.25))
mode r : rotor(nmax = 24)
hamiltonian r.p^2/2 - f*r.x
kick every 1 : 0.8*cos(r.x)
dissipator 1 : g*r.shift(-1)*sqrt(max(r.p/hbar, 0))
dissipator 1 : g*r.shift(+1)*sqrt(max(-r.p/hbar, 0))
initial r = coherent(x = 0.7, p = 2)
"""


def test_the_sum_over_matrix_elements_is_the_overlap_with_packets():
    """By vectors of the eigenstates, and by the packets themselves written out."""
    rng = np.random.default_rng(3)
    raw = rng.standard_normal((9, 9)) + 1j * rng.standard_normal((9, 9))
    rho = raw @ raw.conj().T
    rho /= np.trace(rho)
    hbar, first, beta = 0.6, -3, 0.3
    labels = first + np.arange(9)
    x, p = husimi_grid(4.0, 7)
    packet = packets(p, hbar * (labels + beta), hbar)
    found = husimi_of_matrix(rho, x, packet, hbar)
    weights, vectors = scipy.linalg.eigh(rho)
    scaled = vectors * np.sqrt(np.clip(weights, 0, None))
    again = husimi_of_vectors(scaled, x, packet, first, hbar)
    assert found == pytest.approx(again, abs=1e-14)
    for j, momentum in enumerate(p):
        for k, angle in enumerate(x):
            state = np.exp(
                -((hbar * (labels + beta) - momentum) ** 2) / (2 * hbar)
                - 1j * labels * angle
            )
            state = state * (hbar / np.pi) ** 0.25
            direct = np.vdot(state, rho @ state).real / (2 * np.pi * hbar)
            assert found[j, k] == pytest.approx(direct, abs=1e-14)


def test_a_packet_has_a_husimi_function_of_twice_its_variance():
    result = run_text(
        ROTOR
        + """
experiment e {
  solve   evolve(times = [0, 1])
  measure Q = husimi(r, extent = 8, points = 81)
  measure p = <r.p>
  measure v = <r.p^2> - <r.p>^2
}
experiment start { solve evolve(times = [0]); measure Q = husimi(r, extent = 8, points = 81) }
experiment outside { solve evolve(times = [0]); measure Q = husimi(r, extent = 2) }
"""
    )
    data = result["e"].dataset
    q = values(result["e"], "Q", "evolve")
    x, p = data["angle"].values, data["momentum"].values
    inner = (x[1] - x[0]) * (p[1] - p[0])
    weights = q[:, :-1].sum(axis=1) * inner
    assert weights.sum() == pytest.approx(1, abs=1e-9)
    mean = weights @ p
    assert mean == pytest.approx(values(result["e"], "p", "evolve")[-1], abs=1e-7)
    # the width of the packets is added
    spread = weights @ (p - mean) ** 2
    v = values(result["e"], "v", "evolve")[-1]
    assert spread == pytest.approx(v + 0.2, abs=1e-6)
    start = values(result["start"], "Q", "evolve")
    row, column = np.unravel_index(start.argmax(), start.shape)
    assert (p[row], x[column]) == pytest.approx((2, 0.7), abs=0.11)
    (line,) = result["outside"].trust.values()
    assert "% of 'r'" in line["failures"][0]["message"]


@pytest.mark.slow
def test_jumps_under_a_force_have_the_husimi_function_of_the_density_matrix():
    result = run_text(
        ROTOR
        + """
experiment e {
  solve   evolve(times = [2.5])
  solve   trajectories(times = [2.5], realizations = 400)
  measure Q = husimi(r, extent = 8, points = 21)
}"""
    )["e"]
    exact, sampled = (
        values(result, "Q", m)[..., :-1] for m in ("evolve", "trajectories")
    )
    assert exact.max() > 0.05
    # of one state Q is 1/2 pi hbar at most: so its variance is below that times the mean
    error = np.sqrt(exact / (2 * np.pi * 0.4) / 400)
    assert np.all(np.abs(sampled - exact) < 4.5 * error + 1e-5)
