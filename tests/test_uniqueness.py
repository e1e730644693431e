"""A second stationary state is loud, whichever solver runs."""

import pytest

from qsyncdsl.problem import Point
from qsyncdsl.solve import steadystate as solver_module
from qsyncdsl.solve.direct import direct
from qsyncdsl.solve.uniqueness import component_count
from tests.conftest import run_text, values
from tests.test_counts import KERR, PAIR, generator_of

CATS = """
mode a : boson(levels = 24)
hamiltonian 0*a.n
dissipator 1 : a^2 - 1.44
{initial}
experiment e {{ solve steadystate(solver = iterative); measure n = <a'*a> }}
"""
# A bright number that leaks and a dark one that nothing reaches.
LADDER = """
mode a : boson(levels = 12)
mode s : qubit
hamiltonian 0.3*(a + a')
dissipator 1 : a
dissipator {rate} : s.n
{more}
experiment e {{ solve steadystate(solver = iterative); measure n = <a'*a> }}
"""
DEPHASED = """
mode s : qubit
dissipator 1 : s.x
{initial}
experiment e {{ solve steadystate; measure x = <s.x>; measure z = <s.z> }}
"""


def failure(result):
    """The code and the message of the only fault."""
    (found,) = result.trust["steadystate"]["failures"]
    return found["code"], found["message"]


def test_iteration_finds_a_second_state():
    assert failure(run_text(CATS.format(initial=""))["e"])[0] == "E504"


def test_iteration_finds_a_second_state_where_no_lu_can_name_it(monkeypatch):
    monkeypatch.setattr(solver_module, "MOST_DENSE", 0)
    code, message = failure(run_text(CATS.format(initial=""))["e"])
    assert code == "E504"
    assert "2 invariant subspaces" in message or "4 invariant" in message


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (PAIR.format(n=8, solve="solve steadystate"), 1),
        (KERR, 1),
        (LADDER.format(rate=1, more=""), 2),
        (LADDER.format(rate=1, more="dissipator 0.1 : s.plus, s.minus"), 1),
    ],
)
def test_invariant_subspaces_are_counted(text, count, monkeypatch):
    at = generator_of(text)
    if count == 1:
        rho = direct(at, Point(())).rho
    else:
        from qsyncdsl.solve.nojump import no_jump_steadystate

        found = no_jump_steadystate(at)
        assert found is not None
        rho = found[0].matrix()
    assert component_count(at, rho / rho.trace()) == count


def test_a_state_of_no_definite_parity_is_not_hidden_by_a_parity():
    """Both <x> = 1 and <x> = -1 stay; the sector of even elements knows their mean alone."""
    assert failure(run_text(DEPHASED.format(initial=""))["e"])[0] == "E504"
    result = run_text(DEPHASED.format(initial="initial s = up"))["e"]
    assert values(result, "z") == pytest.approx(0.0, abs=1e-12)
    assert [w["code"] for w in result.trust["steadystate"]["warnings"]] == ["W501"]


def test_an_initial_state_needs_room_only_where_it_decides():
    text = (
        "mode a : boson(levels = 6)\ninitial a = coherent(3)\n{}\n"
        "experiment e {{ solve steadystate; measure n = <a.n> }}"
    )
    driven = "hamiltonian a'*a + 0.2*(a + a')\ndissipator 1 : a"
    result = run_text(text.format(driven))["e"]
    assert float(values(result, "n")) == pytest.approx(0.04 / 1.25, abs=1e-8)
    free = run_text(text.format("hamiltonian a'*a\ndissipator 1 : a'*a"))["e"]
    ((failure,),) = [line["failures"] for line in free.trust.values()]
    assert failure["code"] == "E340"
    assert "keep only 11.6 %" in failure["message"]
