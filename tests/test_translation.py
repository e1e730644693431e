"""Gaussian fluctuations on lattices whose sites are alike: by wave vectors, as without them."""

import numpy as np
import pytest

from qsyncdsl.solve import gaussian
from tests.conftest import run_text, values

RING = """
parameter N = 5, mu = 0.3, E = 0.8, shift = 0
lattice cells = LATTICE
mode a[cells] : boson
mode b[cells] : boson
hamiltonian 0.2*a[j]'*a[j] + b[j]'*b[j] - 0.3*a[j]'*a[j]*(b[j] + b[j]') + i*E*(a[j]' - a[j]) for j in cells
coupling -mu*(b[j]*b[k]' + h.c.) for (j, k) in cells.edges
coupling 0.1 : b[j] - i*b[j + 1] for j in cells
dissipator 0.5 : a[j] for j in cells
dissipator 0.1 : b[j]^2 for j in cells
dissipator 0.05 : b[j]' for j in cells
initial b[cells] = coherent(0.4 + 0.3*i)
experiment e {
  solve gaussian(times = [0, 0.7, 4])
  measure C = covariance(b[cells])
  measure m = <a[1]'*b[2]>
  measure n = <b[1]'*b[2]>
}
"""


@pytest.mark.parametrize("lattice", ["ring(5)", "ring(6, range = 2)", "square(3, 4)"])
def test_wave_vectors_give_the_covariance_of_all_fields(lattice, monkeypatch):
    text = RING.replace("LATTICE", lattice)
    if "square" in lattice:
        text = text.replace("square(3, 4)", "square(3, 4, boundary = periodic)")
        text = text.replace("[1]'*b[2]", "[1, 1]'*b[1, 2]")
        text = text.replace(
            "b[j] - i*b[j + 1] for j in cells", "b[j] - b[k] for (j, k) in cells.edges"
        )
    waves = run_text(text)["e"]
    assert "translations" in waves.trust["gaussian"]["symmetry"]
    monkeypatch.setattr(gaussian, "translation", lambda *_: None)
    whole = run_text(text)["e"]
    assert "symmetry" not in whole.trust["gaussian"]
    for name in ("C", "m", "n"):
        one, other = values(waves, name, "gaussian"), values(whole, name, "gaussian")
        assert np.allclose(one, other, atol=1e-8), name


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "coupling 0.1 : b[j] - i*b[j + 1] for j in cells",
            "coupling 0.1 : b[1] - b[2]",
        ),
        ("coherent(0.4 + 0.3*i)", "coherent(0.4 + 0.3*i)\ninitial b[1] = vacuum"),
        ("dissipator 0.5", "hamiltonian 0.1*b[2]'*b[2]\ndissipator 0.5"),
    ],
)
def test_sites_that_differ_are_seen(old, new):
    found = run_text(RING.replace("LATTICE", "ring(5)").replace(old, new))["e"]
    assert "symmetry" not in found.trust["gaussian"]
