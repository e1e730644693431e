"""`gaussian` and `classical` without a time: fixed points, and the covariance about them."""

import numpy as np
import pytest

from tests.conftest import run_text, values
from tests.test_refusals import failure

PARAMETRIC = """
parameter s = 0.3, nb = 0.5
mode a : boson
hamiltonian i*s/2*(a'^2 - a^2)
dissipator  nb + 1 : a
dissipator  nb : a'
experiment e {{
  sweep   s = [0, 0.3, 0.45]
  solve   gaussian
  measure C = covariance(a)
  measure q2 = C(1, 1)
  measure p2 = C(2, 2)
  {more}
}}
"""


def test_a_parametric_oscillator_below_its_threshold_is_squeezed():
    """dq/dt = (s - 1/2) q + noise of strength nb + 1/2: <q^2> = (nb + 1/2)/(1 - 2 s), <p^2> the same with -s."""
    result = run_text(PARAMETRIC.format(more=""))["e"]
    s = result.dataset["s"].values
    assert values(result, "q2", "gaussian") == pytest.approx(1 / (1 - 2 * s))
    assert values(result, "p2", "gaussian") == pytest.approx(1 / (1 + 2 * s))


def test_optomechanics_at_rest_is_where_its_evolution_ends():
    text = """
mode a, b : boson
hamiltonian a'*a + b'*b - 0.1*a'*a*(b + b') + 0.6*(a + a')
dissipator  0.4 : a
dissipator  0.05 : b
experiment e {
  solve   gaussian
  solve   gaussian(times = [0, 900]) as late
  measure A = <a>
  measure n = <b'*b>
  measure E = log_negativity(a, b)
  measure S = sync_complete(a, b)
}"""
    result = run_text(text)["e"]
    for name in ("A", "n", "E", "S"):
        rest, late = (np.ravel(values(result, name, m)) for m in ("gaussian", "late"))
        assert rest[np.isfinite(rest)][0] == pytest.approx(late[-1], abs=1e-7)
    assert "back_action of n" in result.trust["gaussian"]


@pytest.mark.parametrize("method", ["gaussian", "classical"])
def test_the_branch_is_that_which_the_start_runs_to(method):
    """|alpha|^2 of the bistable cavity: x ((x - 3)^2 + 1/4) = F^2."""
    text = """
parameter F = 1
mode a : boson
hamiltonian -3*a'*a + 0.5*a'^2*a^2 + F*(a + a')
dissipator 1 : a
experiment e {
  sweep   F = linspace(0.2, 3, 15) updown
  solve   METHOD
  measure x = abs(<a>)^2
}"""
    result = run_text(text.replace("METHOD", method))["e"]
    x = result.dataset["x"].sel({"method": method})
    for F in x["F"].values:
        roots = np.roots([1, -6, 9.25, -(F**2)])
        real = np.sort(roots[np.abs(roots.imag) < 1e-9].real)
        assert x.sel(direction="up", F=F).item() == pytest.approx(real[0])
        assert x.sel(direction="down", F=F).item() == pytest.approx(real[-1])


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("mode a : boson; dissipator 1 : a'; dissipator 0.1 : a^2", "E527"),
        (
            "mode a : boson; hamiltonian a'*a; dissipator 1 : a'; dissipator 0.1 : a^2; initial a = coherent(1)",
            "E520",
        ),
        ("mode a : boson; hamiltonian 0.6*i*(a'^2 - a^2); dissipator 1 : a", "E527"),
        ("mode a : boson; hamiltonian a'*a", "E527"),
        ("mode a : boson; hamiltonian cos(t)*(a + a'); dissipator 1 : a", "E521"),
    ],
    ids=["unstable", "limit cycle", "above threshold", "no loss", "driven in time"],
)
def test_where_nothing_rests_it_is_said(model, code):
    lines = model.replace("; ", "\n")
    assert (
        failure(f"{lines}\nexperiment e {{ solve gaussian; measure n = <a'*a> }}")
        == code
    )


def test_a_map_and_angles_that_turn_together_rest():
    """x = 1 - 1/r of the logistic map; of two angles sin(phi1 - phi2) = Delta/K, their sum as it began."""
    logistic = """
parameter r = 2
variable x : real
map x -> r*x*(1 - x)
initial x = 0.3
experiment e {
  sweep   r = [0.5, 1.7, 2.9, 3.2]
  solve   classical
  measure X = <x>
  measure l = lyapunov_exponents(1)
}"""
    result = run_text(logistic)["e"]
    X, rates = (np.ravel(values(result, n, "classical")) for n in ("X", "l"))
    assert X[:3] == pytest.approx([0, 1 - 1 / 1.7, 1 - 1 / 2.9], abs=1e-12)
    assert rates[:3] == pytest.approx(np.log([0.5, 0.3, 0.9]))
    # a cycle of two steps
    assert np.isnan(X[3])
    angles = """
variable a, b : angle
equation d/dt a = 0.2 - 0.5*sin(a - b)
equation d/dt b = -0.2 + 0.5*sin(a - b)
initial a = 1
initial b = 0.4
experiment e {
  solve   classical
  measure difference = <a> - <b>
  measure total = <a> + <b>
  measure l = lyapunov_exponents(2)
}"""
    result = run_text(angles)["e"]
    assert values(result, "difference", "classical") == pytest.approx(np.arcsin(0.4))
    assert values(result, "total", "classical") == pytest.approx(1.4)
    rates = [0, -np.sqrt(1 - 0.4**2)]
    assert np.ravel(values(result, "l", "classical")) == pytest.approx(rates, abs=1e-9)


def test_a_rotor_with_friction_rests_where_its_force_is_balanced():
    """sin x = -f; beyond f = 1 nothing rests."""
    text = """
parameter f = 0.4
mode r : rotor(nmax = 40)
hamiltonian r.p^2/2 + cos(r.x) - f*r.x
dissipator 0.3 : r.shift(-1)*sqrt(max(r.p, 0))
dissipator 0.3 : r.shift(1)*sqrt(max(-r.p, 0))
initial r = coherent(x = 3, p = 0)
experiment e {
  sweep   f = [0.1, 0.4]
  solve   classical
  measure s = <r.sin>
  measure p = <r.p>
}"""
    result = run_text(text)["e"]
    assert values(result, "s", "classical") == pytest.approx([-0.1, -0.4])
    assert values(result, "p", "classical") == pytest.approx([0, 0], abs=1e-9)
    assert failure(text.replace("[0.1, 0.4]", "[1.2]")) == "E520"


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("mode a : boson; dissipator 1 : a'; dissipator 0.1 : a^2", "E527"),
        ("mode a : boson; hamiltonian a'*a; initial a = coherent(1)", "E520"),
        ("mode a : boson; hamiltonian cos(t)*(a + a'); dissipator 1 : a", "E521"),
        ("mode a : boson; dissipator 1 : a; kick every 1 : a + a'", "E521"),
        ("mode r : rotor(nmax = 9); hamiltonian r.p^2/2; kick every 1 : r.cos", "E521"),
        ("variable x : real; equation d/dt x = cos(t) - x", "E521"),
    ],
    ids=["unstable", "no loss", "driven", "kicked", "kicked rotor", "typed"],
)
def test_where_no_classical_equation_rests_it_is_said(model, code):
    lines = model.replace("; ", "\n")
    mode = next(word for word in "arx" if f" {word} :" in lines)
    measure = {"a": "<a'*a>", "r": "<r.p>", "x": "<x>"}[mode]
    text = f"{lines}\nexperiment e {{ solve classical; measure n = {measure} }}"
    assert failure(text) == code
