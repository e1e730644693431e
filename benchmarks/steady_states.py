"""Steady states and sweeps against QuTiP: from the text of a model to the numbers of its measures.

Run: python benchmarks/steady_states.py [--quick]. One thread; CPU seconds and ratios of CPU times.
The peer solves; ours reads a text, checks it, solves, examines the truncation, measures. The parts are timed too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from table import Case, show

from qsyncdsl import pipeline
from qsyncdsl.resources import bundled_models
from qsyncdsl.run import experiment
from qsyncdsl.run.plan import Options, make_plan
from qsyncdsl.run.session import Session
from qsyncdsl.solve.steadystate import SteadyStateSolver
from qsyncdsl.source import Source

PAIR = """
parameter Delta = 0.3
mode a1, a2 : boson(levels = {n})
hamiltonian Delta/2*(a1'*a1 - a2'*a2)
dissipator  1 : a1', a2'
dissipator  3/{n} : a1^2, a2^2
coupling    0.5 : a1 - a2
experiment e {{ solve steadystate; measure n = <a1'*a1> }}
"""
KERR = """
parameter Delta = 0
mode a : boson(levels = 30)
hamiltonian -Delta*a'*a + 0.1*(a'*a)^2 + 0.6*i*(a - a')
dissipator  1 : a'
dissipator  0.2 : a^2
experiment e { sweep Delta = linspace(-2, 2, 200); solve steadystate; measure n = <a'*a> }
"""
LU = "steadystate(solver = direct)"
TONGUE = """
experiment e {
  case    classical
  set     Delta = 1, g = 1
  solve   steadystate
  measure I = mutual_information(a1, a2)
}
"""
IONS = """
experiment e { solve steadystate; measure S = 2*pi*max(relative_phase(a1, a2)) - 1 }
"""


def ours(text: str, name: str) -> np.ndarray:
    """A measure of the experiment `e` of a text."""
    model, _ = pipeline.load_source(Source("benchmark", text))
    (result,) = pipeline.run_model(model, pipeline.Request(), expectations=False)
    return np.ravel(result.dataset[name].values)


def unchecked(text: str, name: str) -> np.ndarray:
    """The same without solving a point again with other levels for the truncation error."""
    checked = experiment.with_truncation
    experiment.with_truncation = lambda plan, points, examine: list(points)
    try:
        return ours(text, name)
    finally:
        experiment.with_truncation = checked


def solved(text: str) -> Callable[[], Any]:
    """The states of an experiment from matrices with open coefficients, with all checks of the solver."""
    model, _ = pipeline.load_source(Source("benchmark", text))
    plan = make_plan(model, model.experiments["e"], Options())
    line = plan.lines[0]
    session = Session(plan, line)
    requests = [
        session.request(plan.point_layers(line, index), None)
        for index in plan.points(line)
    ]
    problem = requests[0].prepared.lowered.problem
    points = [request.point for request in requests]
    if len(points) == 1:
        return lambda: SteadyStateSolver(problem).solve(points[0])
    return lambda: SteadyStateSolver(problem).solve_many(points)


def parts(text: str) -> dict[str, Callable[[], Any]]:
    """What is timed beside the whole way."""
    ready: list[Callable[[], Any]] = []

    def solve() -> Any:
        if not ready:
            ready.append(solved(text))
        return ready[0]()

    return {
        "without the truncation check": lambda: unchecked(text, "n"),
        "states alone, from matrices": solve,
    }


def declared(name: str) -> str:
    """A bundled model without its experiments."""
    text = bundled_models()[name].read_text(encoding="utf-8")
    return text.split("\nexperiment")[0] + "\n"


def pair(levels: int, method: str = "direct", **options: float) -> np.ndarray:
    """The pair by QuTiP."""
    import qutip

    a, one = qutip.destroy(levels), qutip.qeye(levels)
    x, y = qutip.tensor(a, one), qutip.tensor(one, a)
    n = x.dag() * x
    h = 0.15 * (n - y.dag() * y)
    two = np.sqrt(3 / levels)
    jumps = [x.dag(), y.dag(), two * x**2, two * y**2, np.sqrt(0.5) * (x - y)]
    if method != "direct":
        options = {"method": "direct", "solver": method, **options}  # type: ignore[dict-item]
    return np.array([qutip.expect(n, qutip.steadystate(h, jumps, **options))])


def kerr(points: int) -> np.ndarray:
    """Some points of the sweep by QuTiP."""
    import qutip

    a = qutip.destroy(30)
    n, jumps = a.dag() * a, [a.dag(), np.sqrt(0.2) * a * a]
    found = []
    for delta in np.linspace(-2, 2, 200)[:: 200 // points]:
        h = -delta * n + 0.1 * n * n + 0.6j * (a - a.dag())
        found.append(qutip.expect(n, qutip.steadystate(h, jumps)))
    return np.array(found)


CASES = [
    Case(
        "sweep of 200 points, Kerr vdP, N = 30",
        lambda: ours(KERR, "n"),
        lambda: kerr(20),
        "QuTiP loop",
        0.1,
        lambda x: x[::10],
        limit="46 x",
        goal="35 x, 0.2 s",
        repeats=5,
        parts=parts(KERR),
    ),
    Case(
        "two vdP, N = 14",
        lambda: ours(PAIR.format(n=14), "n"),
        lambda: pair(14),
        "QuTiP",
        limit="34 x (MUMPS), 24 x (SuperLU)",
        goal="20 x",
        repeats=5,
        parts=parts(PAIR.format(n=14)),
    ),
    Case(
        "two vdP, N = 14, and with 15 levels",
        lambda: ours(PAIR.format(n=14), "n"),
        lambda: (pair(14), pair(15))[0],
        "QuTiP",
        limit="-",
        goal="-",
    ),
    Case(
        "two vdP, N = 20",
        lambda: ours(PAIR.format(n=20), "n"),
        lambda: pair(20, "gmres", rtol=1e-9),
        "QuTiP GMRES",
        limit="25 x (MUMPS), 17 x (SuperLU)",
        goal="15 x",
        repeats=3,
        parts=parts(PAIR.format(n=20)),
    ),
    Case(
        "two vdP, N = 30",
        lambda: ours(PAIR.format(n=30), "n"),
        limit="1.4 s",
        goal="2 s",
    ),
    Case(
        "two vdP, N = 30, by LU",
        lambda: ours(PAIR.format(n=30).replace("steadystate", LU), "n"),
        limit="1.5 s (MUMPS), 6.3 s (SuperLU)",
        goal="8 s",
        repeats=1,
    ),
    Case(
        "two vdP, N = 50",
        lambda: ours(PAIR.format(n=50), "n"),
        limit="6.4 s, 161 MB",
        goal="10 s, 300 MB",
        repeats=1,
    ),
    Case(
        "mutual information, N = 32",
        lambda: ours(declared("vdp_pair_mutual_info") + TONGUE, "I"),
        limit="-",
        goal="3 s, 1 GB",
        repeats=1,
    ),
    Case(
        "two ions with recoil, M = 13",
        lambda: ours(declared("ion_phonon_lasers") + IONS, "S"),
        limit="-",
        goal="30 s, 2 GB",
        repeats=1,
    ),
]

if __name__ == "__main__":
    show(__file__, CASES, sys.argv[1:])
