"""Physics: closed forms, second methods, published values."""

import numpy as np
import pytest
import qutip
from scipy.special import hyp1f1

from qsyncdsl import pipeline
from tests.conftest import MODELS, run_text, values

EIGHT = [
    "vdp_driven", "vdp_pair_reactive", "vdp_kerr", "vdp_pair_dissipative", "vdp_pair_two_level",
    "phase_slip_duality",
]  # fmt: skip


@pytest.mark.parametrize("name", EIGHT)
def test_a_bundled_model_gives_its_published_numbers(name):
    verdicts = [v for _, v in pipeline.expectations([name])]
    assert [v.text for v in verdicts if v.verdict == "failed"] == []
    assert sum(v.verdict == "passed" for v in verdicts) >= 4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vdp_pair_mutual_info", "two_qubits_cavities"])
def test_a_large_bundled_model_gives_its_published_numbers(name):
    verdicts = [v for _, v in pipeline.expectations([name])]
    assert [v.text for v in verdicts if v.verdict == "failed"] == []
    assert sum(v.verdict == "passed" for v in verdicts) >= 4


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_every_bundled_model_passes_the_checker(path):
    assert pipeline.check(str(path))[1] == ()


UNDRIVEN = """
parameter g1 = 1, g2 = 2
mode a : boson(levels = 30)
hamiltonian 3*a'*a
dissipator g1 : a'
dissipator g2 : a^2
experiment e { sweep g2 = [0.2, 1, 5]; solve steadystate; measure n = <a'*a>; measure P = fock_distribution(a) }
"""


def test_the_undriven_van_der_pol_oscillator_is_hypergeometric():
    """Q(z) = 1F1(1; s; s(1+z)) / 1F1(1; s; 2s), s = g1/g2 (vdp_driven specification)."""
    result = run_text(UNDRIVEN)["e"]
    for g2, n in zip([0.2, 1, 5], values(result, "n"), strict=True):
        s = 1 / g2
        assert n == pytest.approx(
            hyp1f1(2, s + 1, 2 * s) / hyp1f1(1, s, 2 * s), abs=1e-8
        )
    assert values(result, "P").sum(axis=-1) == pytest.approx(1)


SQUEEZED = """
parameter gain = 1, loss = 0.8, eta = 0.6, Delta = 0.4
mode osc : boson(levels = 26)
hamiltonian -Delta*osc'*osc + i*eta/2*(osc'^2 - osc^2)
dissipator  gain : osc'
dissipator  loss : osc^2
experiment squeezing {
  sweep   eta = [0, 0.6, 1.1]
  solve   steadystate
  measure n = <osc'*osc>
  measure m = <osc^2>
  measure mean = <osc>
  measure V = var(osc.q)
}
"""


def test_a_van_der_pol_oscillator_with_a_squeezing_drive_agrees_with_qutip():
    result = run_text(SQUEEZED)["squeezing"]
    a = qutip.destroy(26)
    for k, eta in enumerate([0, 0.6, 1.1]):
        h = -0.4 * a.dag() * a + 0.5j * eta * (a.dag() ** 2 - a**2)
        rho = qutip.steadystate(h, [a.dag(), np.sqrt(0.8) * a**2])
        assert values(result, "n")[k] == pytest.approx(
            qutip.expect(a.dag() * a, rho), abs=1e-8
        )
        assert values(result, "m")[k] == pytest.approx(
            qutip.expect(a * a, rho), abs=1e-8
        )
        assert values(result, "mean")[k] == 0  # the parity makes it exactly zero
        q2 = (
            2 * qutip.expect(a.dag() * a, rho) + 1 + 2 * qutip.expect(a * a, rho).real
        ) / 2
        assert values(result, "V")[k] == pytest.approx(q2, abs=1e-8)


DIMER = """
parameter U = 0.7, J = 1.1, F = 0.9, kappa = 1, Delta = 0.3
lattice pair = chain(2)
mode c[pair] : boson(levels = 7)
hamiltonian -Delta*c[j]'*c[j] + U/2*c[j]'^2*c[j]^2 for j in pair
hamiltonian F*(c[1] + c[1]')
coupling    -J*(c[j]'*c[k] + h.c.) for (j, k) in pair.edges
dissipator  kappa : c[j] for j in pair
experiment response {
  sweep   Delta = [-1, 0.3]
  solve   steadystate
  solve   steadystate(backend = qutip) as plain
  measure n[j in pair] = <c[j]'*c[j]>
  measure g = g2(c[2])
  measure I = mutual_information(c[1], c[2])
}
"""


def test_a_driven_bose_hubbard_dimer_agrees_with_qutip():
    result = run_text(DIMER)["response"]
    one, d = qutip.qeye(7), qutip.destroy(7)
    a, b = qutip.tensor(d, one), qutip.tensor(one, d)
    for k, delta in enumerate([-1, 0.3]):
        h = sum(-delta * x.dag() * x + 0.35 * x.dag() ** 2 * x**2 for x in (a, b))
        h = h + 0.9 * (a + a.dag()) - 1.1 * (a.dag() * b + b.dag() * a)
        rho = qutip.steadystate(h, [a, b])
        for j, x in enumerate((a, b)):
            assert values(result, "n")[k, j] == pytest.approx(
                qutip.expect(x.dag() * x, rho), abs=1e-8
            )
        n = qutip.expect(b.dag() * b, rho)
        assert values(result, "g")[k] == pytest.approx(
            qutip.expect(b.dag() ** 2 * b**2, rho) / n**2, abs=1e-7
        )
        assert values(result, "I")[k] == pytest.approx(
            qutip.entropy_mutual(rho, 0, 1), abs=1e-7
        )
        assert values(result, "n", "plain")[k] == pytest.approx(
            values(result, "n")[k], abs=1e-9
        )


CAVITY = """
parameter w = 1.3, kappa = 0.4, F = 0
mode a : boson(levels = 22)
hamiltonian w*a'*a + F*cos(2*t)*(a + a')
dissipator kappa : a
initial a = coherent(1.5)
experiment decay {
  solve   evolve(times = linspace(0, 6, 31))
  solve   evolve(times = linspace(0, 6, 31), backend = qutip) as plain
  measure alpha = <a>
  measure late = final(<a'*a>)
  measure mean = timeaverage(<a'*a>, window = [2, 4])
}
"""


@pytest.mark.parametrize("method", ["evolve", "plain"])
def test_a_damped_cavity_decays_at_half_its_loss_rate(method):
    result = run_text(CAVITY)["decay"]
    t = result.dataset["time"].values
    assert values(result, "alpha", method) == pytest.approx(
        1.5 * np.exp(-(1.3j + 0.2) * t), abs=2e-7
    )
    assert values(result, "late", method) == pytest.approx(
        2.25 * np.exp(-0.4 * 6), abs=1e-6
    )


def test_a_driven_cavity_follows_its_classical_equation():
    """d<a>/dt = -(i w + kappa/2)<a> - i F cos 2t is exact for a linear cavity."""
    from scipy.integrate import solve_ivp

    result = run_text(CAVITY, "F=0.8")["decay"]
    t = result.dataset["time"].values
    exact = solve_ivp(
        lambda s, y: -(1.3j + 0.2) * y - 0.8j * np.cos(2 * s), (0, 6), [1.5 + 0j],
        t_eval=t, rtol=1e-10, atol=1e-12,
    ).y[0]  # fmt: skip
    for method in ("evolve", "plain"):
        assert values(result, "alpha", method) == pytest.approx(exact, abs=2e-6)


def test_hbar_divides_the_hamiltonian_only():
    text = "parameter hbar = 2, F = 1\nmode a : boson(levels = 24)\nhamiltonian F*(a + a')\ndissipator 1 : a\nexperiment e { solve steadystate; measure alpha = <a> }"
    assert values(run_text(text)["e"], "alpha") == pytest.approx(-1j, abs=1e-9)


CAT = """
parameter alpha = 1.2
mode a : boson(levels = 22)
hamiltonian 0*a'*a
dissipator 1 : a^2 - alpha^2
{initial}
experiment e {{ solve steadystate; measure parity = W(0); measure W = wigner(a, points = 21) }}
"""


def test_a_steady_state_that_is_not_unique_is_refused_without_a_start():
    result = run_text(CAT.format(initial=""))["e"]
    (failure,) = result.trust["steadystate"]["failures"]
    assert failure["code"] == "E504"


def test_the_state_that_is_reached_from_the_start_is_taken_and_said():
    result = run_text(CAT.format(initial="initial a = vacuum"))["e"]
    trust = result.trust["steadystate"]
    assert [w["code"] for w in trust["warnings"]] == ["W501"]
    # The vacuum is even and stays so: W(0) = (2/pi) <parity> = 2/pi.
    assert values(result, "W")[10, 10] == pytest.approx(2 / np.pi, abs=1e-6)


def test_a_cutoff_that_is_too_small_is_told():
    text = UNDRIVEN.replace("levels = 30", "levels = 6").replace("[0.2, 1, 5]", "[0.2]")
    warnings = run_text(text)["e"].trust["steadystate"]["warnings"]
    assert [w["code"] for w in warnings] == ["W502"]


def test_relabelling_the_modes_changes_nothing():
    text = "parameter D = 0.7\nmode {0}, {1} : boson(levels = 6)\nhamiltonian D*({1}'*{1} - {0}'*{0})\ndissipator 1 : {0}', {1}'\ndissipator 4 : {0}^2, {1}^2\ncoupling 2 : {0} - {1}\nexperiment e {{ solve steadystate; measure I = mutual_information({0}, {1}); measure c = <{0}'*{1}>; measure N = negativity({0}, {1}) }}"
    first = run_text(text.format("x", "y"))["e"]
    second = run_text(text.format("y", "x"))["e"]
    for name in ("I", "c", "N"):
        assert values(first, name) == pytest.approx(values(second, name), abs=1e-12)


def test_both_solvers_give_one_state():
    text = "parameter V = 1\nmode a, b : boson(levels = 7)\nhamiltonian V*(a'*b + h.c.) + 0.3*(a + a')\ndissipator 1 : a'\ndissipator 2 : a^2, b^2\ndissipator 0.5 : b\nexperiment e { solve steadystate(solver = direct) as lu; solve steadystate(solver = iterative) as gmres; measure n = <b.n>; measure c = <a'*b> }"
    result = run_text(text)["e"]
    for name in ("n", "c"):
        assert values(result, name, "lu") == pytest.approx(
            values(result, name, "gmres"), abs=1e-10
        )


def test_a_component_is_used_twice_with_its_own_parameters():
    text = "import library.oscillators\nuse vanderpol(loss = 2) as left\nuse vanderpol(loss = g[j]) as osc[j in 1..2]\nparameter g[j in 1..2] = 2*j\nexperiment e { solve steadystate with levels = 9; measure n = <left.a.n>; measure m[j in 1..2] = <osc[j].a.n> }"
    text = text.replace(
        "use vanderpol(loss = g[j])",
        "parameter g[j in 1..2] = 2*j\nuse vanderpol(loss = g[j])",
        1,
    ).replace("\nparameter g[j in 1..2] = 2*j\nexperiment", "\nexperiment")
    result = run_text(text)["e"]
    assert values(result, "m")[0] == pytest.approx(values(result, "n"), abs=1e-10)
    s = 1 / 4
    assert values(result, "m")[1] == pytest.approx(
        hyp1f1(2, s + 1, 2 * s) / hyp1f1(1, s, 2 * s), abs=1e-5
    )


def test_moments_of_a_tight_cutoff_are_normal_ordered():
    text = "mode a, b : boson(levels = 3)\nhamiltonian a'*a\ndissipator 1 : a, b\nexperiment e { solve steadystate; measure S = sync_complete(a, b); measure q2 = <a.q^2> }"
    result = run_text(text)["e"]
    assert values(result, "S") == pytest.approx(1, abs=1e-12)
    assert values(result, "q2") == pytest.approx(0.5, abs=1e-12)


COEFFICIENTS = [
    "sqrt(x)", "exp(-x)", "log(x)", "sin(x)", "cos(x)", "tan(x)", "asin(x)", "acos(x)", "atan(x)",
    "sinh(x)", "cosh(x)", "tanh(x)", "abs(c)", "arg(c)", "real(c)", "imag(c)", "real(conj(c))",
    "floor(10*x)", "ceil(10*x)", "round(10*x)", "sign(-x)", "step(x)", "min(x, 0.3)", "max(x, 0.9)",
    "x^(1/3)", "pi*x", "real(c^2)", "2^x", "x/3", "sqrt(2)*x", "x^2",
]  # fmt: skip


@pytest.mark.parametrize("written", COEFFICIENTS)
def test_a_coefficient_has_the_same_value_in_the_file_and_in_the_solver(written):
    """The parameter itself against the level that the generated code gives for it."""
    text = f"parameter x = 0.37, c = 0.4 - 1.3*i, y = {written}\nmode q : qubit\nhamiltonian {written}*q.n\nexperiment e {{ solve eigen; measure E = eigenenergies(2); measure Y = y }}"
    result = run_text(text)["e"]
    wanted = values(result, "Y", "eigen")
    assert sorted([0.0, float(wanted)]) == pytest.approx(
        values(result, "E", "eigen"), abs=1e-12
    )


def test_an_evolution_begins_at_time_zero():
    text = """
mode a : boson(levels = 8)
dissipator 1 : a
initial a = fock(1)
experiment e { solve evolve(times = [1, 2]); measure n = <a'*a> }
"""
    found = values(run_text(text)["e"], "n", "evolve")
    assert np.allclose(found, np.exp([-1.0, -2.0]), atol=1e-8)


NESTED = """
parameter F = 0.2
mode a : boson(levels = 24)
hamiltonian F*(a + a') + 0.2*a'*a
dissipator 1 : a
experiment e {
  sweep F = [0.2, 0.4, 0.8]
  solve steadystate
  measure n = <a'*a>
  measure spread = <(a'*a - <a'*a>)^2>
  measure again = <(a'*a - n)^2>
}
"""


def test_an_operator_that_contains_a_mean_is_that_of_its_own_point():
    """The steady state is coherent: the number is Poisson distributed."""
    result = run_text(NESTED)["e"]
    n = np.array([0.2, 0.4, 0.8]) ** 2 / (0.2**2 + 0.5**2)
    for name in ("n", "spread", "again"):
        assert values(result, name) == pytest.approx(n, abs=1e-8), name
