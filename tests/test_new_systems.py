"""Systems that nobody has bundled, against closed forms: what a first user of a method meets."""

import numpy as np
import pytest
import scipy.sparse as sp

from qsyncdsl import pipeline
from qsyncdsl.algebra import equation_evaluator
from qsyncdsl.solve import spectrum, steadystate
from qsyncdsl.solve.resolvent import Resolvent
from tests.conftest import run_text, values

CAVITY = """
parameter F = 0.4, kappa = 1
mode a : boson(levels = LEVELS)
hamiltonian DRIVE*(a + a')
dissipator kappa : a
experiment e {
  solve   evolve(time = 3, window = [1, 3])
  measure A = <a>
  measure n = <a'*a>
}
"""


@pytest.mark.parametrize(
    ("levels", "drive"), [(30, "F"), (12, "F + 0*t"), (12, "F*cos(t)")]
)
def test_the_mean_over_a_window_of_a_state_that_takes_steps(levels, drive):
    """<a> = -iF/kappa 2 (1 - exp(-kappa t/2)); sectors too large for exponentials, or that depend on time."""
    text = CAVITY.replace("LEVELS", str(levels)).replace("DRIVE", f"({drive})")
    found = run_text(text)["e"]
    times = np.linspace(0, 3, 300001)
    rate, turn = 0.5, 1.0 if "cos" in drive else 0.0
    # the integral of exp(-rate (t - s)) cos(turn s) over s
    shape = rate * np.cos(turn * times) + turn * np.sin(turn * times)
    shape = (shape - rate * np.exp(-rate * times)) / (rate**2 + turn**2)
    inside = times >= 1
    mean = np.trapezoid(shape[inside], times[inside]) / 2
    square = np.trapezoid(shape[inside] ** 2, times[inside]) / 2
    assert values(found, "A", "evolve") == pytest.approx(-0.4j * mean, abs=1e-7)
    assert values(found, "n", "evolve") == pytest.approx(0.16 * square, abs=1e-7)


DICKE = """
parameter g = 0.3
mode a : boson(levels = 8)
mode S : spin(2)
hamiltonian a'*a + S.z + g/2*(a + a')*(S.plus + S.minus)
dissipator 1 : a
initial S = down
initial a = coherent(0.1)
experiment e {
  solve   meanfield(OPTIONS)
  measure n = <a.n>
  measure z = <S.z>
}
"""


def test_a_spin_without_damping_is_followed_until_it_stands():
    """In given fields a spin that only turns has many stationary states; below threshold all decay."""
    found = run_text(DICKE.replace("OPTIONS", ""))["e"]
    assert values(found, "n", "meanfield") == pytest.approx(0, abs=1e-9)
    assert values(found, "z", "meanfield") == pytest.approx(-2, abs=1e-7)


def test_without_an_initial_state_such_a_spin_has_no_stationary_one():
    found = run_text(DICKE.replace("OPTIONS", "state = incoherent"))["e"]
    assert "z" not in found.dataset
    assert "E504" in found.dataset.attrs["trust"]
    assert "'S' is not unique" in found.dataset.attrs["trust"]


SWARM = """
parameter N = 20, K = 1.3, shift = 0.4
lattice all = complete(N)
parameter w[j in all] = 0.5 + 0.02*j
variable phi[all] : angle
variable z[all] : complex
equation d/dt phi[j] = sin(j) + K/N*sum(k in MEMBERS, w[k]*sin(phi[k] - phi[j] - shift)) for j in all
equation d/dt z[j] = (1 + i)*z[j] - abs(z[j])^2*z[j] + K/N*sum(k in MEMBERS, exp(i*(phi[k] - phi[j]))*(z[k] - z[j])) for j in all
initial phi[j in all] = 0.3*j
initial z[j in all] = 0.1*j
experiment e {
  solve   classical(times = [0, 1, 5])
  measure P[j in all] = <phi[j]>
  measure Z[j in all] = <z[j]>
}
"""


@pytest.mark.parametrize("members", ["all", "all where k != j", "all.neighbors(j)"])
def test_sums_of_differences_of_phases_are_sums_that_are_computed_once(
    members, monkeypatch, tmp_path
):
    """sin(a - b) = sin a cos b - cos a sin b: N terms in place of N^2, and the same numbers."""
    text = SWARM.replace("MEMBERS", members)
    found = run_text(text)["e"]
    path = tmp_path / "swarm.qsync"
    path.write_text(text)
    code = pipeline.describe(str(path), pipeline.Request(), "code", "classical")
    loops = [line for line in code.splitlines() if "for k" in line]
    assert loops
    # none of all members within another one
    assert not any("range(20)" in line and line.startswith(" " * 8) for line in loops)
    monkeypatch.setattr(equation_evaluator, "_MANY", 1000)
    other = run_text(text)["e"]
    for name in ("P", "Z"):
        one, two = (values(r, name, "classical") for r in (found, other))
        assert one == pytest.approx(two, abs=1e-8)


def test_where_one_iterative_solver_is_not_accurate_another_one_follows(monkeypatch):
    """A driven pair of cavities: <a> of two linear equations; the first solver off by 1e-7."""
    text = """
mode a, b : boson(levels = 7)
hamiltonian 0.1*(a + a') + 0.3*(a'*b + h.c.) + b'*b
dissipator 1 : a, b
experiment e { solve steadystate(solver = iterative); measure A = <a> }
"""
    whole = steadystate.uncoupled_steadystate

    def rough(problem, f):
        rho, how = whole(problem, f)
        return rho + 1e-7 * np.eye(len(rho))[::-1], how

    monkeypatch.setattr(steadystate, "uncoupled_steadystate", rough)
    found = run_text(text)["e"]
    matrix = np.array([[-0.5, -0.3j], [-0.3j, -0.5 - 1j]])
    expected = np.linalg.solve(matrix, [0.1j, 0])[0]
    assert values(found, "A") == pytest.approx(expected, abs=1e-9)


RARE = """
parameter gamma = 0.02
mode s : qubit
hamiltonian 0*s.z
dissipator gamma : s.minus
initial s = up
experiment e {
  solve   trajectories(times = [0, 1], realizations = 16)
  measure n = <s.n>
}
"""


@pytest.mark.parametrize(
    ("gamma", "doubted"), [(0.02, True), (1e-5, False), (4, False)]
)
def test_a_mean_without_enough_jumps_is_doubted(gamma, doubted):
    """16 realizations expect a third of a jump: their mean is 1 with a scatter of 0, the truth 0.98."""
    found = run_text(RARE, f"gamma={gamma}")["e"]
    n = values(found, "n", "trajectories")[1]
    assert ("jumps" in str(found.dataset["n"].attrs)) == doubted
    assert doubted or n == pytest.approx(np.exp(-gamma), abs=0.2)


CASCADE = """
parameter k = 1, F = 0.2
mode a, b : boson(levels = 3)
hamiltonian F*(a + a') - i*k/2*(b'*a - a'*b) + 0.3*b'*b
dissipator k*1.1 : a + b
dissipator k*0.1 : a' + b'
experiment e {
  solve   steadystate
  measure S = spectrum(b', b, frequencies = linspace(-3, 3, 13))
  measure C = correlation(b', b, times = [0, 0.5, 2, 8])
}
"""


def test_spectra_of_large_sectors_are_those_of_all_their_poles(monkeypatch):
    """One factorization for all frequencies and times, and the dense answer."""
    exact = run_text(CASCADE)["e"]
    monkeypatch.setattr(spectrum, "_DENSE", 40)
    found = run_text(CASCADE)["e"]
    for name in ("S", "C"):
        scale = np.abs(values(exact, name)).max()
        assert values(found, name) == pytest.approx(
            values(exact, name), abs=1e-7 * max(scale, 1)
        )


def test_the_lines_of_a_resolvent_are_the_poles_that_are_seen():
    """A chain of decays with one slow turning line that holds most of the weight."""
    rates = np.concatenate([[-0.01 + 3e3j], -1e3 * np.arange(1, 200)])
    matrix = sp.diags_array(rates, format="csc")
    start, end = np.ones(200), np.concatenate([[1.0], 1e-6 * np.ones(199)])
    resolvent = Resolvent(matrix, start, np.zeros(0, dtype=int))
    poles, weights = resolvent.lines(end)
    assert poles[np.argmax(np.abs(weights))] == pytest.approx(rates[0], rel=1e-6)
    exact = (end * start / (rates + 2.9e3j)).sum()
    assert end @ resolvent.at(2.9e3) == pytest.approx(exact, rel=1e-8)


@pytest.mark.parametrize(
    ("given", "doubted"),
    [("", True), (", realizations = 1", False), (", realizations = 20", False)],
)
@pytest.mark.parametrize("method", ["langevin", "trajectories"])
def test_a_mean_of_one_realization_that_nobody_asked_for_is_doubted(
    method, given, doubted
):
    """<n> of a vacuum is 0; that of one sample of its Wigner function is anything."""
    text = f"""
mode a : boson(levels = 12)
dissipator 1 : a
dissipator 0.5 : a'
experiment e {{ solve {method}(times = [0, 5]{given}); measure n = <a.n>; measure p = along(arg(<a>)) }}
"""
    found = run_text(text)["e"].trust[method]["doubts"]
    assert any("one realization" in reason for reason in found.get("n", ())) == doubted
    assert not any("one realization" in reason for reason in found.get("p", ()))


VDP = """
mode a : boson
hamiltonian 0.3*a.n
dissipator 1 : a'
dissipator 0.2 : a^2
START
experiment e { solve classical(time = 40, window = [30, 40]); measure n = <a.n> }
"""
SWING = """
variable th, v : real
equation d/dt th = v
equation d/dt v = sin(th) - 0.1*v
START
experiment e { solve classical(time = 40, window = [30, 40]); measure n = <th> }
"""


@pytest.mark.parametrize(
    ("text", "start", "doubted"),
    [
        (VDP, "", True),
        (VDP, "initial a = coherent(0.1)", False),
        (VDP.replace("dissipator 1 : a'", "dissipator 1 : a"), "", False),
        (SWING, "", True),
        (SWING, "initial th = 0.1", False),
    ],
)
def test_a_run_that_stays_at_an_unstable_fixed_point_is_doubted(text, start, doubted):
    """A van der Pol oscillator has 2.5 quanta; from the vacuum its amplitude stays 0. A pendulum upside down."""
    found = run_text(text.replace("START", start))["e"].trust["classical"]["doubts"]
    reasons = " ".join(found.get("n", ()))
    assert ("unstable fixed point" in reasons) == doubted


@pytest.mark.parametrize(("order", "told"), [(2, True), (3, False)])
def test_a_closure_that_leaves_nothing_out_is_not_compared(order, told):
    """Three qubits have no moments of more than three operators: order 3 is the density matrix."""
    text = f"""
lattice L = ring(3)
mode s[L] : qubit
coupling 0.45*s[j].x*s[k].x + 0.8*s[j].y*s[k].y + 0.5*s[j].z*s[k].z for (j, k) in L.edges
dissipator 1 : s[j].minus for j in L
experiment e {{
  solve   steadystate
  solve   cumulants(order = {order})
  measure xx = <s[1].x*s[2].x>
}}
"""
    found = run_text(text)["e"]
    trust = found.trust["cumulants"]
    assert ("closure_difference of xx" in trust) == told
    exact = values(found, "xx")
    assert (values(found, "xx", "cumulants") == pytest.approx(exact, abs=1e-9)) != told
