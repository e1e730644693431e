"""`--plan` against the clock: the time of a point, foretold and taken.

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
ONE_KERR = KERR.replace("sweep Delta = linspace(-2, 2, 200); ", "")
LATTICE = """
lattice L = square(10, 10, periodic)
mode b[L] : boson(levels = 4)
hamiltonian 0.1*(b[j]'*b[k] + h.c.) for (j, k) in L.edges
dissipator 1 : b[j]' for j in L
dissipator 0.2 : b[j]^2 for j in L
initial b[L] = vacuum
experiment e {
  solve langevin(time = 50, burn_in = 20, realizations = 64)
  measure n = <b[1,1]'*b[1,1]>
}
"""


def solved_by(text: str, method: str, modes: str) -> str:
    """The same model by another method, from the vacuum."""
    start = f"initial {modes} = vacuum\nexperiment e"
    return text.replace("solve steadystate", f"solve {method}").replace(
        "experiment e", start
    )


EVOLVE = "evolve(times = linspace(0, 10, 51))"
LANGEVIN = "langevin(time = 100, burn_in = 20, realizations = 400)"
CASES = {
    "two vdP, N = 14": PAIR.format(n=14),
    "two vdP, N = 20": PAIR.format(n=20),
    "two vdP, N = 26": PAIR.format(n=26),
    "Kerr vdP, N = 60": KERR.replace("levels = 30", "levels = 60"),
    "cavity and qubit": CAVITY,
    "two qubits, two cavities": QUBITS,
    "two vdP, N = 12, evolve": solved_by(PAIR.format(n=12), EVOLVE, "a1, a2"),
    "two vdP, N = 20, evolve": solved_by(PAIR.format(n=20), EVOLVE, "a1, a2"),
    "Kerr vdP, N = 30, evolve": solved_by(ONE_KERR, EVOLVE, "a"),
    "cavity and qubit, evolve": solved_by(CAVITY, EVOLVE, "a"),
    "two vdP, langevin": solved_by(PAIR.format(n=8), LANGEVIN, "a1, a2"),
    "Kerr vdP, langevin": solved_by(ONE_KERR, LANGEVIN, "a"),
    "lattice, langevin": LATTICE,
    "lattice, meanfield in time": LATTICE.replace(
        "langevin(time = 50, burn_in = 20, realizations = 64)", "meanfield(time = 50)"
    ).replace("levels = 4", "levels = 20"),
}


def seconds(text: str) -> tuple[float, float]:
    """CPU time of one point, the best of three, and the estimate."""
    model, _ = pipeline.load_source(Source("benchmark", text))
    plan = make_plan(model, model.experiments["e"], Options())
    (outlook,) = line_outlooks(plan)
    line = plan.lines[0]
    layers = plan.point_layers(line, next(iter(plan.points(line))))
    taken = []
    for _ in range(3):
        session = Session(plan, line)
        session.prepare(layers)
        begin = time.process_time()
        session.solve(layers, None)
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
