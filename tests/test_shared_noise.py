"""Noise of several fields at once: state, site or time in its covariance; its square root."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsyncdsl.solve.roots import square_root
from tests.conftest import run_text, values


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(0, 10_000))
def test_the_square_root_is_that_of_the_positive_part(n, seed):
    matrix = np.random.default_rng(seed).normal(size=(n, n))
    c = matrix + matrix.T
    weights, vectors = np.linalg.eigh(c)
    wanted = (vectors * np.clip(weights, 0, None)) @ vectors.T
    root = np.empty((n, n))
    negative = square_root(c.copy(), root, np.empty((n, n)), n)
    assert root @ root.T == pytest.approx(wanted, abs=1e-10)
    assert root == pytest.approx(root.T, abs=1e-10)
    assert negative == (weights[0] < -1e-12 * abs(np.diag(c)).max())


def _agree(result, names, loose=2e-3):
    for name in names:
        error = result.dataset[f"{name}_error"].sel({"method": "langevin"}).values
        got, wanted = values(result, name, "langevin"), values(result, name)
        assert abs(got - wanted) < 4 * error + loose, name
        assert error < 0.1


EXCHANGE = """
parameter V = 0.4, kappa = 1
mode a, b : boson(levels = 9)
dissipator kappa : a, b
dissipator 0.3 : a', b'
hamiltonian 0.4*(a + a')
coupling V : a*b'
coupling 0.2 : a + 0.5*b'
experiment e {
  solve langevin(time = 40, burn_in = 10, realizations = 320)
  solve steadystate
  measure n = <a'*a>
  measure m = <b'*b>
  measure c = <a'*b>
  measure A = <a>
}
"""


def test_shared_noise_that_depends_on_the_state_gives_the_moments_of_the_master_equation():
    result = run_text(EXCHANGE)["e"]
    # Truncated Wigner is not exact for a*b': the third derivatives cost about 0.01 here.
    _agree(result, ("n", "m", "c", "A"), 0.02)


RATES = """
lattice s = chain(3)
parameter V[j in s] = 0.2*j^2
mode a[s] : boson(levels = 5)
dissipator 1 : a[j] for j in s
dissipator 0.2 : a[1]'
coupling V[j] : a[j] - a[k] for (j, k) in s.edges
experiment e {
  solve langevin(time = 40, burn_in = 10, realizations = 640)
  solve steadystate
  measure n = <a[2]'*a[2]>
  measure c = <a[2]'*a[3]>
}
"""


@pytest.mark.slow
def test_a_common_bath_may_have_a_rate_that_differs_from_edge_to_edge():
    _agree(run_text(RATES)["e"], ("n", "c"))


SWITCHED = """
mode a, b : boson(levels = 7)
dissipator 1 : a, b
dissipator 0.3 : a'
coupling 0.5*t : a - b
experiment e {
  solve langevin(times = [0, 2], realizations = 2000)
  solve evolve(times = [0, 2])
  measure n = <b'*b>
  measure c = <a'*b>
}
"""


@pytest.mark.slow
def test_a_common_bath_may_have_a_rate_that_depends_on_time():
    result = run_text(SWITCHED)["e"]
    for name in ("n", "c"):
        error = result.dataset[f"{name}_error"].sel({"method": "langevin"}).values[1]
        found = values(result, name, "langevin")[1] - values(result, name, "evolve")[1]
        assert abs(found) < 4 * error + 3e-3


REDUCED = """
lattice s = ring(4)
mode c : boson(levels = 5)
mode a[s] : boson(levels = 2)
parameter g[j in s] = 0.1*j
dissipator 2 : c
dissipator g[j] : c' for j in s
dissipator 1 : a[j] for j in s
experiment e {
  solve langevin(time = 40, burn_in = 10, realizations = 320)
  measure n = <c'*c>
}
"""


@pytest.mark.slow
def test_every_site_may_add_noise_to_a_single_mode():
    result = run_text(REDUCED)["e"]
    error = result.dataset["n_error"].sel({"method": "langevin"}).values
    assert abs(values(result, "n", "langevin") - 1.0) < 4 * error + 2e-3
