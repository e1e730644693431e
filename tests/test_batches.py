"""Sweeps whose points share one elimination: the same numbers as one by one, and no silent failures."""

import numpy as np
import pytest

from qsyncdsl.run.plan import Options, make_plan
from qsyncdsl.run.session import Session
from tests.conftest import model_of, run_text, values

KERR = """
parameter Delta = 0, E = 0.6
mode a : boson(levels = 14)
hamiltonian -Delta*a'*a + 0.1*(a'*a)^2 + i*E*(a - a')
dissipator 1 : a'
dissipator 0.5 : a^2
experiment e {{
  sweep   Delta = linspace(-2, 2, {count})
  solve   steadystate
  measure n = <a'*a>
  measure m = <a>
}}
"""


def test_a_long_sweep_gives_what_its_points_give_one_by_one():
    long = run_text(KERR.format(count=41))["e"]
    short = run_text(KERR.format(count=5))["e"]
    assert long.trust["steadystate"]["solver"].startswith("LU of one pattern")
    assert short.trust["steadystate"]["solver"].startswith("sparse LU")
    for name in ("n", "m"):
        assert values(long, name)[::10] == pytest.approx(values(short, name), abs=1e-13)


PAIR = """
parameter Delta = 0.3, g = 1
mode a1, a2 : boson(levels = 13)
hamiltonian Delta/2*(a1'*a1 - a2'*a2)
dissipator 1 : a1', a2'
dissipator 0.4 : a1^2, a2^2
coupling g : a1 - a2
experiment e {{
  {sweep}
  solve steadystate
  measure n = <a1'*a1>
  measure c = <a1'*a2>
}}
"""


def test_points_beside_one_another_share_the_factors_of_their_middle():
    grid = np.linspace(0.1, 1.1, 6)
    along = run_text(PAIR.format(sweep="sweep g = linspace(0.1, 1.1, 6)"))["e"]
    assert "LU of a point nearby" in along.trust["steadystate"]["solver"]
    assert along.trust["steadystate"]["residual"] < 1e-12
    for k, g in enumerate(grid):
        alone = run_text(PAIR.format(sweep=f"set g = {g}"))["e"]
        assert alone.trust["steadystate"]["solver"].startswith("sparse LU")
        for name in ("n", "c"):
            assert values(along, name)[k] == pytest.approx(
                values(alone, name), abs=1e-11
            ), (g, name)


def test_a_point_too_far_from_the_middle_of_its_stretch_is_solved_on_its_own():
    result = run_text(PAIR.format(sweep="sweep g = [0.001, 50, 0.5]"))["e"]
    for k, g in enumerate((0.001, 50, 0.5)):
        alone = run_text(PAIR.format(sweep=f"set g = {g}"))["e"]
        assert values(result, "n")[k] == pytest.approx(values(alone, "n"), abs=1e-11)


def test_a_symmetry_of_the_middle_alone_is_not_used_beside_it():
    """Without detuning the parts are exchanged with and without complex conjugation."""
    pair = PAIR.replace("levels = 13", "levels = 17")
    sweep = "sweep Delta = [-0.4, 0, 0.4]"
    result = run_text(pair.format(sweep=sweep))["e"]
    for k, delta in enumerate((-0.4, 0, 0.4)):
        alone = run_text(pair.format(sweep=f"set Delta = {delta}"))["e"]
        assert values(result, "c")[k] == pytest.approx(values(alone, "c"), abs=1e-11)
    assert abs(values(result, "c")[0].imag) > 1e-3


@pytest.mark.parametrize("levels", [14, 22])
def test_a_point_has_the_same_bits_whatever_it_is_solved_with(levels):
    text = KERR.format(count=41).replace("levels = 14", f"levels = {levels}")
    model = model_of(text)
    plan = make_plan(model, model.experiments["e"], Options())
    line = plan.lines[0]
    wanted = [(plan.point_layers(line, (0, k)), None, 0, None) for k in range(41)]

    def states(sizes):
        session, found, done = Session(plan, line), [], 0
        assert session.together == 32
        for size in sizes:
            solved = session.solve_many(wanted[done : done + size])
            found += [s.evaluator.scenes[0].state.rho for s in solved]
            done += size
        return np.array(found)

    whole = states([41])
    assert np.array_equal(whole, states([1, 3, 20, 17]))
    assert np.array_equal(whole, states([1] * 41))


ATOMS = """
parameter N = 40, w = 20, x = 0.2
parameter delta = x*N
mode A, B : ensemble(N)
hamiltonian delta/2*(A.Jz - B.Jz)
dissipator 1 : A.Jminus + B.Jminus
dissipator w : A[m].plus for m in A
dissipator w : B[m].plus for m in B
initial A, B = up
experiment e {{
  sweep   w = linspace({low}, 40, 8), x = linspace(0, 1, 8)
  solve   cumulants(order = 2)
  measure z = <A[1].z>
  measure lines = poles(A.Jplus + B.Jplus, A.Jminus + B.Jminus)
}}
"""


def test_stationary_moments_have_the_same_bits_whatever_they_are_found_with():
    """Also those that take a few attempts, and beside points without an answer."""
    model = model_of(ATOMS.format(low=-5))
    plan = make_plan(model, model.experiments["e"], Options())
    line = plan.lines[0]
    wanted = [
        (plan.point_layers(line, (0, *k)), None, 0, None) for k in np.ndindex(8, 8)
    ]

    def numbers(sizes):
        session, found, done = Session(plan, line), [], 0
        for size in sizes:
            for solved in session.solve_many(wanted[done : done + size]):
                if isinstance(solved, Exception):
                    found.append((np.nan,))
                    continue
                look, trust = solved.evaluator.measure, solved.trust.numbers
                found.append((look("z"), *look("lines"), *trust.values()))
            done += size
        return [np.array(row) for row in found]

    def same(a, b):
        return all(map(lambda x, y: np.array_equal(x, y, equal_nan=True), a, b))

    whole = numbers([64])
    assert same(whole, numbers([1, 3, 40, 20]))
    assert same(whole, numbers([1] * 64))
    assert 8 <= sum(len(row) == 1 for row in whole) < 32


def test_a_pin_that_is_empty_is_replaced():
    """The ground state of a strongly pumped ladder is empty: another population is pinned."""
    text = """
parameter x = 1
mode s : spin(4)
hamiltonian 0.1*s.x
dissipator 1e4*x : s.plus
dissipator 1 : s.minus
experiment e { sweep x = linspace(1, 2, 40); solve steadystate; solve steadystate(backend = qutip) as plain with x = [1, 2]; measure z = <s.z>; measure P = <|0><0| of s> }
"""
    result = run_text(text)["e"]
    trust = result.trust["steadystate"]
    assert trust["solver"].startswith("LU of one pattern")
    assert trust["residual"] < 1e-12
    assert np.abs(values(result, "P")).max() < 1e-12
    ends = values(result, "z", "plain")
    assert values(result, "z")[[0, -1]] == pytest.approx(
        ends[~np.isnan(ends)], abs=1e-9
    )


def test_a_state_that_is_not_unique_is_refused_in_a_sweep_too():
    text = """
parameter alpha = 1
mode a : boson(levels = 12)
dissipator 1 : a^2 - alpha
experiment e { sweep alpha = linspace(0.5, 1, 40); solve steadystate; measure n = <a.n> }
"""
    (failure,) = run_text(text)["e"].trust["steadystate"]["failures"]
    assert (failure["code"], failure["points"]) == ("E504", 40)


def test_a_rate_below_zero_fails_at_its_own_points_only():
    text = "parameter g = 1\nmode a : boson(levels = 6)\nhamiltonian 0.3*(a + a')\ndissipator g : a\nexperiment e { sweep g = linspace(-1, 3, 41); solve steadystate; measure n = <a.n> }"
    result = run_text(text)["e"]
    found = values(result, "n")
    assert np.isnan(found[:11]).all()
    assert np.isfinite(found[11:]).all()
