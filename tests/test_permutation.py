"""Ensembles by permutation symmetry: against qubits, references, and the closures that approximate them."""

from pathlib import Path

import numpy as np
import pytest

from qsyncdsl.resources import bundled_models
from qsyncdsl.solve import dicke
from tests.conftest import run_text, values

QUBITS = """
mode c : boson(levels = 5)
mode s1, s2, s3 : qubit
hamiltonian 0.4*c'*c + 0.3*(s1.z + s2.z + s3.z)/2
hamiltonian 0.7*(c'*(s1.minus + s2.minus + s3.minus) + h.c.)
dissipator 1 : c
dissipator 0.6 : s1.minus + s2.minus + s3.minus
dissipator 0.9 : s1.plus, s2.plus, s3.plus
experiment e {
  solve steadystate
  measure n = <c'*c>
  measure z = <s1.z>
  measure zz = <s1.z*s2.z>
  measure pair = <s1.plus*s2.minus>
  measure triple = <s1.plus*s2.z*s3.minus>
  measure field = <c'*s1.minus>
  measure JJ = <(s1.plus + s2.plus + s3.plus)*(s1.minus + s2.minus + s3.minus)>
  measure G = linewidth(c', c)
}
"""
ENSEMBLE = """
mode c : boson(levels = 5)
mode A : ensemble(3)
hamiltonian 0.4*c'*c + 0.3*A.Jz
hamiltonian 0.7*(c'*A.Jminus + h.c.)
dissipator 1 : c
dissipator 0.6 : A.Jminus
dissipator 0.9 : A[m].plus for m in A
experiment e {
  solve steadystate
  measure n = <c'*c>
  measure z = <A[1].z>
  measure zz = <A[1].z*A[2].z>
  measure pair = <A[1].plus*A[2].minus>
  measure triple = <A[1].plus*A[2].z*A[3].minus>
  measure field = <c'*A[1].minus>
  measure JJ = <A.Jplus*A.Jminus>
  measure G = linewidth(c', c)
}
"""


def test_an_ensemble_is_as_many_qubits():
    one, other = run_text(QUBITS)["e"], run_text(ENSEMBLE)["e"]
    for name in ("n", "z", "zz", "pair", "triple", "field", "JJ", "G"):
        assert np.allclose(values(one, name), values(other, name), atol=1e-8), name


def _model():
    text = Path(bundled_models()["atomic_ensembles"]).read_text(encoding="utf-8")
    return text.split("experiment")[0]


@pytest.mark.parametrize(
    ("settings", "name", "expected"),
    [
        ("N = 2, w = 1.6, delta = 0.6", "z", 0.14073197155545614),
        ("N = 4, x = 0.3", "z", 0.15047846007696486),
        ("N = 6, x = 0.3", "z", 0.21277828627347437),
        ("N = 10, x = 0", "z", 0.24001382769872306),
        ("N = 10, x = 0", "JJ", 37.99930862),
        ("N = 4, x = 0.3", "G", 3.304840966864598),
        ("N = 4, x = 1.2", "D", 1.3446702918419842),
    ],
)
def test_reference_values(settings, name, expected):
    line = {
        "z": "z = <A[1].z>",
        "JJ": "JJ = <(A.Jplus + B.Jplus)*(A.Jminus + B.Jminus)>",
        "G": "G = linewidth(A.Jplus + B.Jplus, A.Jminus + B.Jminus)",
        "D": "D = 2*abs(imag(poles(A.Jplus + B.Jplus, A.Jminus + B.Jminus)[1]))/N",
    }[name]
    found = run_text(
        _model()
        + f"experiment e {{ set {settings}; solve steadystate; measure {line} }}"
    )["e"]
    assert float(values(found, name)) == pytest.approx(expected, abs=2e-8)


@pytest.mark.parametrize(
    ("n", "paper", "full"),
    [(4, 0.0354, -0.0391), (6, -0.0091, -0.0564), (10, -0.0526, -0.0765)],
)
def test_the_error_of_cumulants_is_known(n, paper, full):
    """Relative errors of the inversion at w = N/2, delta = 0.3 N: the closures are off by some percent."""
    found = run_text(
        _model()
        + f"""
experiment e {{
  set N = {n}, x = 0.3
  solve steadystate
  solve cumulants(order = 2, factorize = paper) as paper
  solve cumulants(order = 2) as full
  measure z = <A[1].z>
}}
"""
    )["e"]
    exact = float(values(found, "z"))
    assert float(values(found, "z", "paper")) / exact - 1 == pytest.approx(
        paper, abs=2e-3
    )
    assert float(values(found, "z", "full")) / exact - 1 == pytest.approx(
        full, abs=2e-3
    )


@pytest.mark.parametrize(
    ("n", "known", "paper", "full"),
    [
        (10, 0.240013828, -0.066, -0.092),
        (20, 0.263007206, -0.083, -0.092),
        (50, 0.259796927, -0.047, -0.049),
    ],
)
def test_two_ensembles_without_detuning_are_one_of_twice_as_many_atoms(
    n, known, paper, full
):
    """Only populations of Dicke states are left; the errors of the closures at w = N/2 are known.

    The exact value at N = 50 is that of their rate equations.
    """
    one = f"""
mode A : ensemble({2 * n})
dissipator 1 : A.Jminus
dissipator {n / 2} : A[m].plus for m in A
experiment e {{ solve steadystate; measure z = <A[1].z>; measure c = <A[1].plus*A[2].minus> }}
"""
    exact = float(values(run_text(one)["e"], "z"))
    assert exact == pytest.approx(known, abs=1e-9)
    found = run_text(
        _model()
        + f"""
experiment e {{
  set N = {n}, x = 0
  solve cumulants(order = 2, factorize = paper) as paper
  solve cumulants(order = 2) as full
  measure z = <A[1].z>
}}
"""
    )["e"]
    for name, error in (("paper", paper), ("full", full)):
        assert float(values(found, "z", name)) / exact - 1 == pytest.approx(
            error, abs=1e-3
        )


MANY = """
parameter N = 7, up = 2.45, down = 0.3, shared = 1
mode A : ensemble(N)
hamiltonian 0.3*A.Jz + 0.1*A.Jplus*A.Jminus
dissipator  shared : A.Jminus
dissipator  0.1*shared : A.Jz
dissipator  up : A[m].plus for m in A
dissipator  down : A[m].minus for m in A
dissipator  0.4 : A[m].z for m in A
experiment e {{
  set     {0}
  solve   steadystate
  measure z = <A[1].z>
  measure zz = <A[1].z*A[2].z>
  measure pair = <A[1].plus*A[2].minus>
  measure same = <A[1].plus*A[1].minus>
  measure light = <A.Jplus^2*A.Jminus^2>
  measure mixed = <A.Jplus*A[1].z*A.Jminus>
}}
"""


def test_probabilities_of_total_spins_are_the_symmetric_density_matrix(monkeypatch):
    whole = run_text(MANY.format("N = 7"))["e"]
    monkeypatch.setattr(dicke, "FEW", 2)
    few = run_text(MANY.format("N = 7"))["e"]
    assert "permutation" in whole.trust["steadystate"]["solver"]
    assert "total spin" in few.trust["steadystate"]["solver"]
    for name in ("z", "zz", "pair", "same", "light", "mixed"):
        expected = pytest.approx(values(whole, name), rel=1e-10)
        assert values(few, name) == expected, name


def test_three_hundred_atoms_that_share_nothing_are_independent():
    found = run_text(MANY.format("N = 300, up = 3, down = 1, shared = 0"))["e"]
    assert values(found, "z") == pytest.approx(0.5, abs=1e-11)
    assert values(found, "zz") == pytest.approx(0.25, abs=1e-11)
    assert values(found, "pair") == pytest.approx(0, abs=1e-11)
    assert values(found, "same") == pytest.approx(0.75, abs=1e-11)


def test_two_hundred_atoms_of_a_laser_and_the_error_of_their_cumulants():
    text = MANY.format("N = 200, up = 100").replace(
        "solve   steadystate", "solve   steadystate\n  solve   cumulants(order = 2)"
    )
    found = run_text(text)["e"]
    exact, closed = (values(found, "z", m) for m in ("steadystate", "cumulants"))
    assert found.trust["steadystate"]["residual"] < 1e-12
    assert closed / exact - 1 == pytest.approx(-0.021, abs=1e-3)


def test_many_atoms_that_dephase_and_decay_together_end_below():
    text = MANY.format("N = 150, up = 0, down = 0")
    assert values(run_text(text)["e"], "z") == pytest.approx(-1, abs=1e-12)


def test_many_driven_atoms_are_refused():
    text = MANY.format("N = 150").replace("0.1*A", "0.1*(A.Jplus + A.Jminus) + 0.1*A")
    (failure,) = run_text(text)["e"].trust["steadystate"]["failures"]
    assert failure["code"] == "E501"


def test_many_atoms_with_a_shared_decay_only_keep_their_total_spin():
    text = MANY.replace("0.4 : A[m].z", "0 : A[m].z").format(
        "N = 150, up = 0, down = 0"
    )
    (failure,) = run_text(text)["e"].trust["steadystate"]["failures"]
    assert failure["code"] == "E504"


def test_an_operator_of_one_atom_breaks_the_symmetry():
    text = """
mode A : ensemble(3)
hamiltonian A.Jz + A[1].x
dissipator 1 : A[m].minus for m in A
experiment e { solve steadystate; measure z = <A[1].z> }
"""
    failures = run_text(text)["e"].trust["steadystate"]["failures"]
    assert failures[0]["code"] == "E421"
