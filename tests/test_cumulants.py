"""Closed moments: derived equations as text, exact models, references, other methods."""

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp

from qsyncdsl import pipeline
from qsyncdsl.resources import bundled_models
from tests.conftest import run_text, values

GOLDEN = Path(__file__).parent / "golden" / "cumulants"


def _model(name):
    text = Path(bundled_models()[name]).read_text(encoding="utf-8")
    return text.split("experiment")[0]


@pytest.mark.parametrize(
    ("name", "options", "file"),
    [
        ("atomic_ensembles", "", "atomic_ensembles"),
        ("atomic_ensembles", "(factorize = paper)", "atomic_ensembles_paper"),
        ("atomic_ensembles_cavity", "", "atomic_ensembles_cavity"),
    ],
)
def test_equations_of_a_bundled_model(name, options, file):
    """The equations of the specification, term by term."""
    text = pipeline.describe(name, pipeline.Request(), solve=f"cumulants{options}")
    path = GOLDEN / f"{file}.txt"
    if os.environ.get("QSYNCDSL_WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 80


def _specified(n, gc, w, delta, z, a, c, p, q):
    """Right sides of the specification of atomic_ensembles, section 2."""
    inside = (n - 2) * a + n * c.real
    return [
        w * (1 - z) - gc * (1 + z) - 2 * gc * ((n - 1) * a + n * c.real),
        -(w + gc) * a + gc / 2 * (z + p) + gc * z * inside,
        (1j * delta - w - gc) * c + gc / 2 * (z + q) + gc * z * (n - 1) * (a + c),
        2 * w * (z - p) - 2 * gc * (z + p) + 4 * gc * a - 4 * gc * z * inside,
        2 * w * (z - q)
        - 2 * gc * (z + q)
        + 4 * gc * c.real
        - 4 * gc * z * (n - 1) * (a + c.real),
    ]


@pytest.mark.parametrize("closure", ["", ", factorize = paper"])
def test_derived_right_sides_are_those_of_the_specification(closure):
    """A stationary state of the derived equations is one of the specified ones."""
    found = run_text(
        _model("atomic_ensembles")
        + f"""
experiment e {{
  set N = 30, x = 0.7, w = 11
  solve cumulants(order = 2{closure})
  measure z = <A[1].z>
  measure a = <A[1].plus*A[2].minus>
  measure c = <A[1].plus*B[1].minus>
  measure p = <A[1].z*A[2].z>
  measure q = <A[1].z*B[1].z>
}}
"""
    )["e"]
    z, a, c, p, q = (complex(values(found, k, "cumulants")) for k in "zacpq")
    rates = _specified(30, 1.0, 11.0, 21.0, z, a, c, p, q)
    assert np.abs(rates[:3]).max() < 1e-8
    if closure:
        assert p == pytest.approx(z * z)
        assert q == pytest.approx(z * z)
    else:
        assert np.abs(rates).max() < 1e-8


@pytest.mark.parametrize(
    ("n", "w", "delta", "closure", "name", "expected", "error"),
    [
        (1e6, "N/2", 0.6, ", factorize = paper", "D", 0.3316725512499635, 1e-9),
        (1e6, "N/2", 1.0, ", factorize = paper", "D", 0.8660264622539555, 1e-9),
        (1e4, "N/2", 0.1, ", factorize = paper", "G", 1.628362599367098, 1e-6),
        (1e4, "N/2", 0.8, ", factorize = paper", "G", 4.0996348350589225, 1e-6),
        (10, "N/2", 0.3, "", "z", 0.24938859658793647, 1e-10),
        (10, "N/2", 0.3, ", factorize = paper", "z", 0.2558422104, 1e-9),
        (4, "N/2", 0.3, ", factorize = paper", "G", 2.53259209, 1e-7),
    ],
)
def test_reference_values(n, w, delta, closure, name, expected, error):
    found = run_text(
        _model("atomic_ensembles")
        + f"""
experiment e {{
  set N = {n}, w = {w}, x = {delta}
  solve cumulants(order = 2{closure})
  measure z = <A[1].z>
  measure lines = poles(A.Jplus + B.Jplus, A.Jminus + B.Jminus)
  measure D = 2*max(imag(lines))/N
  measure G = linewidth(A.Jplus + B.Jplus, A.Jminus + B.Jminus)
}}
"""
    )["e"]
    assert float(values(found, name, "cumulants")) == pytest.approx(expected, abs=error)


def test_beside_a_threshold_the_moments_stand_still_too():
    """At the upper threshold Newton's method converges slowly: it is not left before it has."""
    found = run_text(
        _model("atomic_ensembles")
        + """
experiment e {
  set N = 1e4, delta = 1
  sweep w = [3.99, 4], gamma_c = [0.00021769230769230768, 0.0004]
  solve cumulants(order = 2, factorize = paper)
  measure z = <A[1].z>
}
"""
    )["e"]
    assert found.trust["cumulants"]["residual"] < 1e-12
    assert not found.failed_points


def test_the_physical_one_of_three_roots():
    found = run_text(
        _model("atomic_ensembles")
        + """
experiment e {
  set N = 100, w = 50, delta = 60
  solve cumulants(order = 2, factorize = paper)
  measure z = <A[1].z>
}
"""
    )["e"]
    assert float(values(found, "z", "cumulants")) == pytest.approx(0.456616, abs=1e-6)


def test_a_linear_model_is_exact_at_second_order():
    found = run_text(
        """
parameter s = 0.3, kappa = 1, nb = 0.2
mode a : boson(levels = 24)
hamiltonian 0.7*a'*a + i*s*(a^2 - a'^2)/2 + 0.2*(a + a')
dissipator kappa*(nb + 1) : a
dissipator kappa*nb : a'
experiment e {
  solve evolve(times = [0.5, 1, 2])
  solve cumulants(order = 2, times = [0.5, 1, 2])
  measure n = <a'*a>
  measure m = <a>
  measure sq = <a^2>
}
"""
    )["e"]
    for name in ("n", "m", "sq"):
        exact, closed = values(found, name, "evolve"), values(found, name, "cumulants")
        assert np.allclose(exact, closed, rtol=2e-5, atol=2e-5), name


def test_few_spins_are_exact_at_their_number():
    """Three spins have no cumulants of four: order 3 is the master equation."""
    found = run_text(
        """
lattice c = ring(3)
mode s[c] : qubit
hamiltonian 0.4*s[j].x + 0.1*s[j].z for j in c
coupling 0.5*s[j].z*s[k].z for (j, k) in c.edges
dissipator 0.3 : s[j].minus for j in c
experiment e {
  solve steadystate
  solve cumulants(order = 3)
  measure z = <s[1].z>
  measure zz = <s[1].z*s[2].z>
  measure xyz = <s[1].x*s[2].y*s[3].z>
}
"""
    )["e"]
    for name in ("z", "zz", "xyz"):
        one, other = (values(found, name, m) for m in ("steadystate", "cumulants"))
        assert np.allclose(one, other, atol=1e-8), name
    # 63 means, complex ones with their conjugates
    assert "35 moments" in found.trust["cumulants"]["closure"]


def test_first_order_is_the_classical_equation():
    found = run_text(
        """
lattice r = ring(4)
mode a[r] : boson(levels = 8)
hamiltonian -0.3*a[j]'*a[j] + 0.05*a[j]'^2*a[j]^2 + 0.6*(a[j] + a[j]') for j in r
coupling -0.4*(a[j]'*a[k] + h.c.) for (j, k) in r.edges
dissipator 1 : a[j] for j in r
experiment e {
  solve cumulants(order = 1, times = [0, 1, 5])
  solve classical(times = [0, 1, 5])
  measure m = <a[2]>
}
"""
    )["e"]
    one, other = (values(found, "m", m) for m in ("cumulants", "classical"))
    assert np.allclose(one, other, atol=1e-7)


def test_the_line_of_a_damped_oscillator():
    found = run_text(
        """
parameter kappa = 0.6, nb = 0.5
mode a : boson(levels = 20)
hamiltonian 1.3*a'*a
dissipator kappa*(nb + 1) : a
dissipator kappa*nb : a'
experiment e {
  solve cumulants(order = 2)
  solve steadystate
  measure lines = poles(a', a)
  measure G = linewidth(a', a)
}
"""
    )["e"]
    for method in ("cumulants", "steadystate"):
        assert float(values(found, "G", method)) == pytest.approx(0.6, abs=1e-5)
        line = complex(np.ravel(values(found, "lines", method))[0])
        assert line == pytest.approx(-0.3 + 1.3j, abs=1e-5)


def test_modes_of_first_order_are_mean_fields_for_the_others():
    """A cavity by its mean alone: every spin is exact in it, so that order 1 in all modes is the same."""
    model = """
mode c : boson(levels = 12)
mode s : qubit
hamiltonian 0.4*(c + c') + 0.2*c'*c + 0.3*(c'*s.minus + h.c.) + 0.1*s.z
dissipator 1 : c
dissipator 0.6 : s.minus
experiment e {
  solve cumulants(order = 2, first_order = [c]) as mixed
  solve cumulants(order = 1) as first
  solve cumulants(order = 2) as second
  measure alpha = <c>
  measure together = <c'*s.minus>
  measure apart = <c'>*<s.minus>
}
"""
    found = run_text(model)["e"]
    mixed, first, second = (
        complex(values(found, "alpha", m)) for m in ("mixed", "first", "second")
    )
    assert mixed == pytest.approx(first, abs=1e-9)
    assert abs(mixed - second) > 1e-3
    assert values(found, "together", "mixed") == pytest.approx(
        complex(values(found, "apart", "mixed")), abs=1e-12
    )


def test_a_start_that_breaks_the_symmetry_is_refused():
    found = run_text(
        """
mode a : boson(levels = 20)
hamiltonian 1.3*a'*a
dissipator 1 : a
initial a = coherent(1)
experiment e { solve cumulants(order = 2, times = [1]); measure n = <a'*a> }
"""
    )["e"]
    assert found.trust["cumulants"]["failures"][0]["code"] == "E524"


def test_rates_below_zero_and_moments_that_never_rest_are_refused():
    """Not followed for ever: the closure at order 1 of a driven oscillator with gain circles."""
    decay = "parameter g = -1\nmode a : boson\nhamiltonian 0.3*(a + a')\ndissipator g : a\nexperiment e {{ solve cumulants({}); measure n = <a> }}"
    for options in ("order = 1", "order = 1, time = 3"):
        (failure,) = run_text(decay.format(options))["e"].trust["cumulants"]["failures"]
        assert failure["code"] == "E503"
        assert "a is -1 here" in failure["message"]
    circling = """
mode a : boson
hamiltonian 0.7*a'*a + 0.1*(a + a')
dissipator 1 : a'
dissipator 0.1 : a^2
initial a = coherent(1)
experiment e { solve cumulants(order = 1); measure n = <a> }
"""
    (failure,) = run_text(circling)["e"].trust["cumulants"]["failures"]
    assert failure["code"] == "E520"


KERR_LATTICE = """
parameter U = 0.2, F = 0.3
lattice cavities = LATTICE
mode a[cavities] : boson(levels = 5)
hamiltonian -0.5*a[j]'*a[j] + U/2*a[j]'^2*a[j]^2 + F*(a[j] + a[j]') for j in cavities
coupling -0.6/z(cavities)*(a[j]'*a[k] + h.c.) for (j, k) in cavities.edges
dissipator 1 : a[j] for j in cavities
initial a[cavities] = vacuum
experiment e {
  SOLVES
  measure n = <PLACE'*PLACE>
  measure alpha = <PLACE>
}
"""


@pytest.mark.parametrize(
    ("lattice", "place"), [("ring(4)", "a[1]"), ("square(3, 3, periodic)", "a[1, 1]")]
)
def test_means_of_a_lattice_of_kerr_cavities_are_classical_at_first_order(
    lattice, place
):
    text = KERR_LATTICE.replace("LATTICE", lattice).replace("PLACE", place)
    solves = "solve cumulants(order = 1, times = [1, 6])\n  solve classical(times = [1, 6])\n"
    alpha = run_text(text.replace("SOLVES", solves))["e"].dataset["alpha"]
    assert np.abs(alpha).min() > 0.2
    assert np.allclose(alpha[0], alpha[1], atol=1e-7)
    # without U states stay coherent, and product states are exact
    solves = "solve cumulants(order = 1, times = [1, 6])\n  solve meanfield(times = [1, 6]) with levels = 14\n"
    text = text.replace("SOLVES", solves).replace("U = 0.2", "U = 0")
    alpha = run_text(text)["e"].dataset["alpha"]
    assert np.allclose(alpha[0], alpha[1], atol=1e-7)


def test_two_kerr_cavities_at_second_order_are_near_the_density_matrix():
    text = KERR_LATTICE.replace("LATTICE", "chain(2)").replace("PLACE", "a[1]")
    solves = (
        "solve steadystate\n  solve cumulants\n  solve cumulants(order = 1) as first"
    )
    n = run_text(text.replace("SOLVES", solves))["e"].dataset["n"].values.real
    # <a'a> - |<a>|^2 is of the order of U n^2
    assert abs(n[1] / n[0] - 1) < 3e-3 < 5e-3 < abs(n[2] / n[0] - 1)


DISORDERED = """
parameter N = 8, kappa = 4, gamma = 0.1, pump = 2
lattice spins = complete(N)
parameter w[j in spins] = 0.3*(j - 4.3)
mode a : boson(levels = 9)
mode s[spins] : qubit
hamiltonian w[j]*s[j].z/2 for j in spins
coupling (0.5 + 0.03*j)*(a'*s[j].minus + h.c.) for j in spins
dissipator kappa : a
dissipator gamma : s[j].minus for j in spins
dissipator pump : s[j].plus for j in spins
initial a = vacuum
initial s[spins] = up
experiment e {
  solve cumulants
  measure n = <a'*a>
  measure polarization[j in spins] = <s[j].z>
  measure coherence[j in spins] = <s[1].plus*s[j].minus>
}
"""


def test_disordered_spins_have_the_same_moments_by_sparse_and_by_dense_matrices(
    monkeypatch,
):
    from qsyncdsl.solve import cumulants, moment_jacobian

    used, growths = [], []
    monkeypatch.setattr(cumulants, "_COMPILED", 0)
    monkeypatch.setattr(moment_jacobian, "_THIN", 0.5)
    for large, kind in ((10, "Sparse"), (10**9, "Dense")):
        monkeypatch.setattr(moment_jacobian, "_LARGE", large)
        chosen = getattr(moment_jacobian, f"{kind}Jacobian")
        growth = chosen.growth

        def noted(self, matrix, growth=growth):
            growths.append(growth(self, matrix))
            return growths[-1]

        monkeypatch.setattr(chosen, "growth", noted)
        found = run_text(DISORDERED)["e"].dataset
        names = ("n", "polarization", "coherence")
        used.append(np.concatenate([np.ravel(found[name].values) for name in names]))
    sparse, dense = used
    assert abs(dense[0]) > 0.05
    assert np.ptp(np.abs(dense[1:9])) > 0.01
    assert np.abs(sparse - dense).max() < 1e-10
    assert len(growths) == 2
    assert growths[0] < 0
    assert np.isclose(*growths, rtol=1e-8)


def _rotations(rates, frequencies, coupling, seed):
    """Damped oscillators that drive each other at random, one after the other: a matrix far from normal."""
    n = len(rates)
    blocks = [
        np.array([[r, -f], [f, r]]) for r, f in zip(rates, frequencies, strict=True)
    ]
    matrix = scipy.linalg.block_diag(*blocks)
    other = np.random.default_rng(seed).normal(size=(2 * n, 2 * n))
    return matrix + coupling * np.triu(other * (np.abs(other) > 1.5), k=2)


@pytest.mark.parametrize("frequency", [0.0, 3.0, 200.0])
@pytest.mark.parametrize("growth", [-0.02, 0.01])
def test_an_unstable_pair_is_found_at_any_frequency(growth, frequency):
    from qsyncdsl.solve.rightmost import rightmost

    rng = np.random.default_rng(5)
    frequencies = np.concatenate([[frequency], rng.normal(size=149) * 5])
    rates = np.concatenate([[growth], -rng.uniform(0.5, 30, size=149)])
    matrix = _rotations(rates, frequencies, 0.1, 7)
    # the rightmost ones of a triangle of blocks are those of the blocks
    assert np.isclose(rightmost(sp.csc_matrix(matrix)), growth, rtol=1e-6)


def test_eigenvalues_that_do_not_converge_are_all_found_or_refused(monkeypatch):
    from qsyncdsl.diagnostics import SolveError
    from qsyncdsl.solve import rightmost

    # frequencies far above all rates: Cayley transforms on the unit circle
    matrix = sp.csc_matrix(_rotations([-1e-9] * 100, 1e3 + np.arange(100.0), 0.0, 1))
    assert np.isclose(rightmost.rightmost(matrix), -1e-9, atol=1e-11)
    monkeypatch.setattr(rightmost, "_DENSE", 10)
    monkeypatch.setattr(rightmost, "_RESTARTS", 1)
    monkeypatch.setattr(rightmost, "_SPAN", 8)
    with pytest.raises(SolveError) as refused:
        rightmost.rightmost(matrix)
    assert refused.value.diagnostic.code == "E508"


def test_a_dense_jacobian_that_does_not_fit_is_refused(monkeypatch):
    from qsyncdsl.solve import cumulants, generator, moment_jacobian

    monkeypatch.setattr(cumulants, "_COMPILED", 0)
    monkeypatch.setattr(moment_jacobian, "_SMALL", 0)
    monkeypatch.setattr(generator, "available_memory", lambda: 1e4)
    (failure,) = run_text(DISORDERED)["e"].trust["cumulants"]["failures"]
    assert failure["code"] == "E501"
