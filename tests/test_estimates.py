"""`--plan` against the clock: the time of a stationary state within a factor of three."""

import time

import pytest

from qsyncdsl.run.plan import Options, make_plan
from qsyncdsl.run.planning import line_outlooks
from qsyncdsl.run.session import Session
from qsyncdsl.solve.steadystate import SteadyStateSolver
from tests.conftest import MODELS, model_of
from tests.test_counts import KERR, PAIR

DIRECT = "solve steadystate"
CAVITY = """
mode a : boson(levels = 24)
mode q : qubit
hamiltonian a.n + 0.8*q.z + 0.5*(a'*q.minus + h.c.) + 0.4*(a + a')
dissipator 1 : a
dissipator 0.2 : q.minus
experiment e { solve steadystate; measure n = <a.n> }
"""


def bundled(name):
    """A bundled model with an experiment of one point."""
    (path,) = (p for p in MODELS if p.stem == name)
    declared = path.read_text(encoding="utf-8").split("\nexperiment")[0]
    return declared + "\nexperiment e { solve steadystate; measure n = <a1.n> }\n"


def seconds(text):
    """CPU time of one point, the best of three, and the estimate."""
    model = model_of(text)
    plan = make_plan(model, model.experiments["e"], Options())
    (outlook,) = line_outlooks(plan)
    line = plan.lines[0]
    request = Session(plan, line).request(plan.point_layers(line, (0,)), None)
    taken = []
    for _ in range(3):
        solver = SteadyStateSolver(request.prepared.lowered.problem)
        begin = time.process_time()
        solver.solve(request.point)
        taken.append(time.process_time() - begin)
    return min(taken), outlook.one.seconds


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        PAIR.format(n=14, solve=DIRECT),
        PAIR.format(n=20, solve=DIRECT),
        PAIR.format(n=26, solve=DIRECT),
        KERR.replace("levels = 30", "levels = 60"),
        CAVITY,
        bundled("two_qubits_cavities"),
    ],
    ids=["pair 14", "pair 20", "pair 26", "kerr 60", "cavity", "two cavities"],
)
def test_the_time_of_a_stationary_state_is_foretold(text):
    taken, foretold = seconds(text)
    assert taken / 3 < foretold < 3 * taken
