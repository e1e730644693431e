"""`gaussian` without a time: fixed points and the covariance about them."""

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


def test_the_branch_is_that_which_the_start_runs_to():
    """|alpha|^2 of the bistable cavity: x ((x - 3)^2 + 1/4) = F^2."""
    text = """
parameter F = 1
mode a : boson
hamiltonian -3*a'*a + 0.5*a'^2*a^2 + F*(a + a')
dissipator 1 : a
experiment e {
  sweep   F = linspace(0.2, 3, 15) updown
  solve   gaussian
  measure x = abs(<a>)^2
}"""
    x = run_text(text)["e"].dataset["x"].sel({"method": "gaussian"})
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
