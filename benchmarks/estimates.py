"""`--plan` against the clock: the time of a stationary state, foretold and taken.

python benchmarks/estimates.py
"""

from __future__ import annotations

import time

from steady_states import KERR, PAIR

from qsyncdsl import pipeline
from qsyncdsl.resources import bundled_models
from qsyncdsl.run.plan import Options, make_plan
from qsyncdsl.run.planning import line_outlooks
from qsyncdsl.run.session import Session
from qsyncdsl.solve.steadystate import SteadyStateSolver
from qsyncdsl.source import Source

CAVITY = """
mode a : boson(levels = 24)
mode q : qubit
hamiltonian a.n + 0.8*q.z + 0.5*(a'*q.minus + h.c.) + 0.4*(a + a')
dissipator 1 : a
dissipator 0.2 : q.minus
experiment e { solve steadystate; measure n = <a.n> }
"""
QUBITS = (
    bundled_models()["two_qubits_cavities"].read_text("utf-8").split("\nexperiment")[0]
    + "\nexperiment e { solve steadystate; measure n = <a1.n> }\n"
)
CASES = {
    "two vdP, N = 14": PAIR.format(n=14),
    "two vdP, N = 20": PAIR.format(n=20),
    "two vdP, N = 26": PAIR.format(n=26),
    "Kerr vdP, N = 60": KERR.replace("levels = 30", "levels = 60"),
    "cavity and qubit": CAVITY,
    "two qubits, two cavities": QUBITS,
}


def seconds(text: str) -> tuple[float, float]:
    """CPU time of one point, the best of three, and the estimate."""
    model, _ = pipeline.load_source(Source("benchmark", text))
    plan = make_plan(model, model.experiments["e"], Options())
    (outlook,) = line_outlooks(plan)
    line = plan.lines[0]
    first = next(iter(plan.points(line)))
    request = Session(plan, line).request(plan.point_layers(line, first), None)
    taken = []
    for _ in range(3):
        solver = SteadyStateSolver(request.prepared.lowered.problem)
        begin = time.process_time()
        solver.solve(request.point)
        taken.append(time.process_time() - begin)
    assert outlook.one is not None
    return min(taken), outlook.one.seconds


if __name__ == "__main__":
    for name, text in CASES.items():
        taken, foretold = seconds(text)
        print(
            f"{name:26} taken {taken:7.3f} s, foretold {foretold:7.3f} s, "
            f"{foretold / taken:5.2f} times"
        )
