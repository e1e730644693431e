"""Stationary densities: clipped diffusion, squeezed noise, mean fields; published values."""

import numpy as np
import pytest

from qsyncdsl.solve.density_basis import Basis
from qsyncdsl.solve.density_equation import DensityEquation
from qsyncdsl.solve.density_grid import Grid, faces
from qsyncdsl.solve.fokkerplanck import clipped, factored
from tests.conftest import run_text, values

DRIFT = {(0, 0, 0): -1 + 0j, (0, 1, 0): 0.8 + 0.3j, (1, 2, 0): -0.3 + 0j}
NOISE = {(0, 0, 0): 0.8 + 0j, (1, 1, 0): 0.6 + 0j}


def _moments(equation, space):
    if isinstance(space, Grid):
        matrix = space.generator(equation)
    else:
        matrix = space.generator(equation.drift, equation.diffusion, equation.squeezing)
    right = np.zeros(matrix.shape[0])
    right[0] = 1.0
    y = factored(matrix, space.trace)(right)
    return y, np.array([space.moment(p, q) @ y for p, q in ((0, 1), (1, 1), (0, 2))])


@pytest.mark.parametrize("squeezing", [{}, {(0, 0, 0): 0.3 + 0.2j, (0, 2, 0): 0.1}])
def test_the_basis_on_any_scale_and_the_grid_have_the_same_moments(squeezing):
    equation = DensityEquation(DRIFT, NOISE, squeezing)
    _, wanted = _moments(equation, Basis(36, 1.0))
    _, scaled = _moments(equation, Basis(36, 1.2))
    _, grid = _moments(equation, Grid(faces(equation, 500), 18))
    assert scaled == pytest.approx(wanted, abs=1e-6)
    assert grid == pytest.approx(wanted, rel=2e-5, abs=2e-5)


def test_the_density_of_a_basis_has_its_moments():
    equation = DensityEquation(DRIFT, NOISE, {})
    basis = Basis(30, 1.1)
    y, moments = _moments(equation, basis)
    density = basis.density(y)
    one, power = 2 * np.pi * density.weights, density.radii
    assert one @ density.harmonics[0] == pytest.approx(1.0, abs=1e-9)
    assert (one * power) @ density.harmonics[1].conj() == pytest.approx(moments[0])
    assert (one * power**2) @ density.harmonics[0] == pytest.approx(moments[1])


def test_a_clipped_density_without_drive_is_that_of_the_radial_quadrature():
    r"""$DW \propto \exp\int 4A_r/D$ outside the circle where the noise begins, nothing inside."""
    from scipy.integrate import quad

    equation = DensityEquation(
        {(0, 1, 0): 7.5, (1, 2, 0): -7.0}, {(0, 0, 0): -6.5, (1, 1, 0): 14.0}, {}
    )
    density, numbers, _ = clipped(equation)
    edge = np.sqrt(6.5 / 14)

    def weight(r, power):
        # 4 (7.5 r - 7 r^3)/(14 r^2 - 6.5), integrated: -r^2 + (8.5/14) ln(D)
        d = 14 * r**2 - 6.5
        return np.exp(-(r**2)) * d ** (8.5 / 14 - 1) * r ** (1 + power)

    norm = quad(weight, edge, 6, args=(0,), limit=200)[0]
    square = quad(weight, edge, 6, args=(2,), limit=200)[0] / norm
    found = 2 * np.pi * (density.weights * density.radii**2) @ density.harmonics[0].real
    assert found == pytest.approx(square, abs=3 * numbers["truncation_error"])
    assert numbers["negative_diffusion_probability"] == pytest.approx(0, abs=1e-8)


KERR = """
parameter Delta = 75
mode a : boson(levels = 8)
hamiltonian -Delta*a'*a + 50*(a'*a)^2 + 2.25*i*(a - a')
dissipator 1 : a'
dissipator 7 : a^2
experiment e {
  solve fokkerplanck as clip
  solve fokkerplanck(diffusion = limit_cycle) as additive
  measure S = abs(<a>)/sqrt(<a'*a>)
  measure P = phase_distribution(a)
  measure W = wigner(a, extent = 2, points = 21)
}
"""


def test_the_kerr_oscillator_has_its_published_values_with_clipped_and_additive_noise():
    result = run_text(KERR)["e"]
    assert values(result, "S", "clip") == pytest.approx(0.0929550, abs=0.0021)
    assert values(result, "S", "additive") == pytest.approx(0.0616945, abs=7e-6)
    assert [w["code"] for w in result.trust["clip"]["warnings"]] == ["W511"]
    assert values(result, "W", "clip").min() > -1e-3


KEPT = """
mode a : boson
hamiltonian 0.5*i*(a - a')
dissipator 1 : a'
dissipator 0.7 : a^2
experiment e {
  solve fokkerplanck(negative = keep, points = 24)
  measure n = <a'*a>
}
"""


def test_a_negative_diffusion_that_is_kept_is_ill_posed_and_says_so():
    failures = run_text(KEPT)["e"].trust["fokkerplanck"]["failures"]
    assert [f["code"] for f in failures] == ["E516"]
    assert "does not converge" in failures[0]["message"]


GLOBAL = """
parameter V = 3.1, gamma2 = 0.03
lattice osc = complete(3000)
mode a[osc] : boson
coupling   V/3000*(a[j]'*a[k] + h.c.)  for (j, k) in osc.edges
dissipator 2 : a[j]'           for j in osc
dissipator 2*gamma2 : a[j]^2   for j in osc
experiment e {
  sweep V = [1, 3.1]
  solve fokkerplanck(diffusion = limit_cycle)
  measure r = collective_amplitude(a[osc])
  measure w = observed_frequency(a[2])
  measure m = abs(<a[1]'*a[2]>)
  locate Vc : V in 1..5 where r > 0
}
"""


@pytest.mark.slow
def test_many_oscillators_order_where_their_nonlinear_fokker_planck_equation_says():
    """Lee and Sadeghpour, PRL 111, 234101 (2013), Eq. (14): values of its N to infinity limit."""
    result = run_text(GLOBAL)["e"]
    r = values(result, "r", "fokkerplanck")
    assert r[0] == pytest.approx(0, abs=1e-9)
    assert r[1] == pytest.approx(3.4647511, abs=4 * 3.3e-4)
    assert values(result, "w", "fokkerplanck")[1] == pytest.approx(3.0407083, abs=1e-3)
    assert values(result, "m", "fokkerplanck")[1] == pytest.approx(r[1] ** 2, rel=1e-9)
    critical = values(result, "Vc", "fokkerplanck")
    assert critical == pytest.approx(2.7105424, abs=4 * 1.2e-3)


@pytest.mark.parametrize(
    ("gamma2", "coupling", "wanted", "frequency"),
    [(0.03, 3.1, 3.4647511, 3.0407083), (0.005, 0.8, 9.7194221, 0.7794504)],
)
def test_the_mean_field_of_the_ordered_state_reproduces_itself(
    gamma2, coupling, wanted, frequency
):
    """Langevin equations of Lee and Sadeghpour (2013) with additive noise, N to infinity."""
    from qsyncdsl.solve.density_field import DensityMap
    from qsyncdsl.solve.selfconsistent import newton

    drift = {
        (0, 1, 0): 1 + 2 * gamma2,
        (1, 2, 0): -2 * gamma2,
        (0, 0, 1): -1j * coupling,
    }
    drift = {k: complex(v) for k, v in drift.items()}
    equation = DensityEquation(drift, {(0, 0, 0): 3 + 2 * gamma2 + 0j}, {})
    basis = Basis(62, 1.2 if gamma2 == 0.03 else 1.84)
    field_map = DensityMap((equation,), np.ones(1), (basis,))
    start = np.array([0.98 * wanted], dtype=complex)
    x, nu, _, error = newton(field_map, start, 0.98 * frequency, True)
    assert abs(x[0]) == pytest.approx(wanted, abs=4 * 3.3e-4)
    assert nu == pytest.approx(frequency, abs=4 * 3.3e-4)
    assert error < 1e-9


DRIVEN = """
lattice osc = complete(40)
parameter w[j in osc] = 0.5*(2*j - 41)/40
mode a[osc] : boson
hamiltonian 0.2*(a[j] + a[j]')  for j in osc
hamiltonian w[j]*a[j]'*a[j]     for j in osc
dissipator 2 : a[j]             for j in osc
dissipator 0.4 : a[j]'          for j in osc
coupling 2*0.7/40 : a[j] - a[k] for (j, k) in osc.edges
experiment e {
  solve fokkerplanck
  measure A = sum(j in osc, <a[j]>)/40
  measure n = <a[1]'*a[1]>
}
"""


def test_a_driven_linear_ensemble_with_disorder_solves_its_mean_field_equations():
    result = run_text(DRIVEN)["e"]
    w = 0.5 * (2 * np.arange(1, 41) - 41) / 40
    # 0 = -(i w + (2 - 0.4)/2 + 0.7) a - 0.2i + 0.7 A
    response = 1 / (1j * w + 0.8 + 0.7)
    mean = -0.2j * response.mean() / (1 - 0.7 * response.mean())
    own = (0.7 * mean - 0.2j) * response[0]
    thermal = (0.4 / 2) / (0.8 + 0.7)
    assert values(result, "A", "fokkerplanck") == pytest.approx(mean, abs=1e-9)
    found = values(result, "n", "fokkerplanck")
    assert found == pytest.approx(abs(own) ** 2 + thermal, abs=1e-8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mode a, b : boson\ndissipator 1 : a, b", "the model has 2"),
        (
            "lattice s = ring(4)\nmode a[s] : boson\ndissipator 1 : a[j] for j in s",
            "the model has 4",
        ),
        (
            "lattice s = complete(4)\nmode a[s] : boson\ndissipator 1 : a[j] for j in s\n"
            "coupling a[j]'*a[j]*a[k]'*a[k] for (j, k) in s.edges",
            "not of products",
        ),
    ],
)
def test_refusals_of_fokkerplanck_say_why(text, said):
    measure = "measure n = <a.n>" if "[s]" not in text else "measure n = <a[1].n>"
    result = run_text(f"{text}\nexperiment e {{ solve fokkerplanck; {measure} }}")["e"]
    assert said in result.plan.skipped["fokkerplanck"]


def test_the_phase_of_a_density_is_that_of_its_amplitude():
    """A displaced thermal state: both methods are exact for <a>; Q and Wigner differ in the width only."""
    text = """
    mode a : boson(levels = 24)
    hamiltonian 0.4*a'*a + (0.5 + 0.3*i)*a' + (0.5 - 0.3*i)*a
    dissipator 1 : a
    dissipator 0.05 : a'
    experiment e {
      solve   steadystate
      solve   fokkerplanck
      measure A = <a>
      measure P = phase_distribution(a)
      measure W = wigner(a, 4, 81)
    }
    """
    found = run_text(text)["e"].dataset
    phases, amplitude = found["P"].values, found["A"].values
    grid = found["phi"].values
    assert amplitude[1] == pytest.approx(amplitude[0], abs=1e-7)
    first = np.trapezoid(phases * np.exp(1j * grid), grid, axis=-1)
    assert np.trapezoid(phases, grid, axis=-1) == pytest.approx([1, 1], abs=1e-8)
    assert np.angle(first) == pytest.approx(np.angle(amplitude), abs=1e-4)
    # The marginal of the picture over radii is the distribution.
    x, y = found["x"].values, found["y"].values
    picture = found["W"].values[1]
    turned = (picture * np.exp(1j * np.angle(x[None, :] + 1j * y[:, None]))).sum()
    assert turned * (x[1] - x[0]) ** 2 == pytest.approx(first[1], abs=2e-3)


def test_fields_of_many_quanta_are_displaced_or_on_a_grid():
    r"""Without drive $DW \propto \exp(\int 4 A_r/D\,dr)$; a driven cavity has 4F^2 quanta and those of its bath."""
    text = """
parameter F = 0, g2 = 0.004
mode a : boson
dissipator 1 : a'
dissipator g2 : a^2
experiment undriven {
  sweep   g2 = [0.02, 0.004]
  solve   fokkerplanck
  measure n = <a'*a>
}
"""
    results = run_text(text)
    found = values(results["undriven"], "n", "fokkerplanck")
    for value, g2 in zip(found, (0.02, 0.004), strict=True):
        # r' = r/2 - g2 (r^2 - 1) r, D = 1/2 + g2 (2 r^2 - 1)
        r = np.linspace(1e-6, 3 / np.sqrt(g2) ** 0.9, 200_001)
        drift, noise = r / 2 - g2 * (r**2 - 1) * r, 0.5 + g2 * (2 * r**2 - 1)
        log = np.cumsum(4 * drift / noise) * (r[1] - r[0])
        weight = r * np.exp(log - log.max()) / noise
        exact = float(weight @ r**2 / weight.sum()) - 0.5
        assert value == pytest.approx(exact, rel=3e-4)

    text = """
parameter F = 5
mode a : boson
hamiltonian F*(a + a')
dissipator 1.5 : a
dissipator 0.5 : a'
experiment e {
  sweep   F = [5, 7]
  solve   fokkerplanck
  measure n = <a'*a>
  measure A = <a>
}
"""
    result = run_text(text)["e"]
    F = np.array([5, 7])
    assert values(result, "n", "fokkerplanck") == pytest.approx(
        4 * F**2 + 0.5, rel=1e-4
    )
    assert values(result, "A", "fokkerplanck") == pytest.approx(-2j * F, rel=1e-8)


def test_a_large_bistable_field_has_both_its_branches():
    """Two stable zeros of the drift: not displaced to one of them; <n> obeys the balance of quanta."""
    text = """
parameter F = 9.5
mode a : boson
hamiltonian -3*a'*a + 0.02*a'^2*a^2 + F*(a + a')
dissipator 3 : a
dissipator 2 : a'
experiment e {
  sweep   F = [4, 9.5, 14]
  solve   fokkerplanck
  measure n = <a'*a>
  measure A = <a>
}"""
    result = run_text(text)["e"]
    n, A = (values(result, name, "fokkerplanck") for name in ("n", "A"))
    # dn/dt = -n + 2 - 2 F Im<a> = 0
    assert n == pytest.approx(2 - 2 * np.array([4, 9.5, 14]) * A.imag, rel=1e-3)
    # of 16 runs of 4000 units of time by langevin: 4.07(3), 95.52, 106.380(7)
    assert n == pytest.approx([4.07, 95.52, 106.38], rel=1e-3, abs=0.05)
