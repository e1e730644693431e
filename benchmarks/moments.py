"""Equations of moments, closures and product states: deriving, solving, and against restarts of QuTiP.

A product state by a program of states needs restarts, the mean field held during each. Held at its value
at the beginning, the error is of the order of the time between restarts; held at its middle, extrapolated
from the restart before, of its square. Both are stepped so that the error is the one shown. Ours solves
twice, the second time at more levels for the truncation error; the restarts are timed without that.

Run: python benchmarks/moments.py [--quick]. One thread; CPU seconds and ratios of CPU times.
"""

from __future__ import annotations

import sys
from functools import lru_cache

import numpy as np
import qutip
from table import Case, show

from qsyncdsl import pipeline
from qsyncdsl.algebra.build import build
from qsyncdsl.algebra.moment_system import moment_system
from qsyncdsl.algebra.system import System
from qsyncdsl.model.environment import Environment
from qsyncdsl.resources import bundled_models
from qsyncdsl.source import Source

MODES = """
parameter K = 0.1, F = 0.5, J = 0.3, k1 = 1, k2 = 0.2, kd = 0.1
lattice r = ring({n})
mode a[r] : boson(levels = 4)
hamiltonian K*a[j]'^2*a[j]^2 + F*(a[j] + a[j]') for j in r
coupling    J*(a[j]'*a[k] + h.c.) for (j, k) in r.edges
dissipator  k1 : a[j]' for j in r
dissipator  k2 : a[j]^2 for j in r
dissipator  kd : a[j]'*a[j] for j in r
"""
ISING = """
parameter J = 0.7, h = 0.4
lattice c = ring(6)
mode s[c] : qubit
hamiltonian h*s[j].x for j in c
coupling    J*s[j].z*s[k].z for (j, k) in c.edges
dissipator  0.3 : s[j].minus for j in c
experiment e { solve cumulants(order = 3, times = linspace(0, 5, 11)); measure z = <s[1].z> }
"""
PLANE = """
experiment e {{
  set     N = {n}
  sweep   w = linspace(0.02, 1, {side})*N*gamma_c, x = linspace(0, 1, {side})
  solve   cumulants(order = 2, factorize = paper)
  measure G = linewidth(A.Jplus + B.Jplus, A.Jminus + B.Jminus)
}}
"""
CELL = """
experiment e {{
  set     K = 0.3
  initial b[sites] = coherent(0.3)
  solve   meanfield(times = linspace(0, {time}, {count}))
  measure mean = <b[1]>
}}
"""
SPINS = """
parameter N = {n}, kappa = 20, w = 4, W = 2
lattice at = complete(N)
parameter d[j in at] = W*((2*j - 1)/N - 1)
mode s[at] : spin(1/2)
mode c : boson
hamiltonian d[j]/2*s[j].z for j in at
coupling c'*s[j].minus + h.c. for j in at
dissipator kappa : c
dissipator w : s[j].plus for j in at
experiment e {{ solve cumulants(order = 2); measure n = <c'*c> }}
"""
DISORDER = """
experiment e {
  set     N = 1000, gamma = 0.13, V = 9
  initial a[osc] = coherent(0.7)
  solve   meanfield(time = 2) with levels = 12
  measure A = collective_amplitude(a[osc])
}
"""
# As long as the runs of Fig. 3 of the array; the part of it that is restarted, and the grid.
TIME, PART, GRID = 450, 20, 0.5


def ours(text: str, name: str) -> np.ndarray:
    """A measure of the experiment `e` of a text."""
    model, _ = pipeline.load_source(Source("benchmark", text))
    (result,) = pipeline.run_model(model, pipeline.Request(), expectations=False)
    return np.ravel(result.dataset[name].values)


def declared(name: str) -> str:
    """A bundled model without its experiments."""
    text = bundled_models()[name].read_text(encoding="utf-8")
    return text.split("\nexperiment")[0] + "\n"


@lru_cache
def operators(count: int) -> System:
    """H and jumps of some modes."""
    model, _ = pipeline.load_source(Source("modes", MODES.format(n=count)))
    return build(model, Environment(model))


def equations(count: int) -> np.ndarray:
    """The equations of a, a'a, a^2 and a'a^2 of some modes; the number of their terms."""
    system = moment_system(operators(count), 2)
    words = ((0, 1), (1, 1), (0, 2), (1, 2))
    terms = [
        len(system.motion(((mode, ("a", p, q)),)))
        for mode in range(count)
        for p, q in words
    ]
    return np.array([sum(terms)])


def plane(n: str, side: int = 30) -> np.ndarray:
    """The linewidths in a plane of pump and detuning for n atoms in each ensemble."""
    return ours(declared("atomic_ensembles") + PLANE.format(n=n, side=side), "G")


def cell() -> np.ndarray:
    """<b> of a cell of the optomechanical array."""
    text = CELL.format(time=TIME, count=round(TIME / GRID) + 1)
    return ours(declared("optomech_array") + text, "mean")


def restarted(step: float, extrapolated: bool) -> np.ndarray:
    """<b> of the same cell for a part of the time, `mesolve` restarted with the mean field of each step."""
    kappa = g0 = Delta = K = 0.3
    alpha, gamma = 0.33, 0.074
    a = qutip.tensor(qutip.destroy(4), qutip.qeye(12))
    b = qutip.tensor(qutip.qeye(4), qutip.destroy(12))
    alone = (
        -Delta * a.dag() * a
        + b.dag() * b
        - g0 * a.dag() * a * (b + b.dag())
        + alpha * (a + a.dag())
    )
    jumps = [np.sqrt(kappa) * a, np.sqrt(gamma) * b]
    rho = qutip.ket2dm(qutip.tensor(qutip.basis(4, 0), qutip.coherent(12, 0.3)))
    found = [qutip.expect(b, rho)]
    before = None
    each = round(GRID / step)
    for count in range(1, round(PART / step) + 1):
        mean = qutip.expect(b, rho)
        middle = 1.5 * mean - 0.5 * before if extrapolated and before else mean
        before = mean
        h = alone - K * (middle * b.dag() + np.conj(middle) * b)
        rho = qutip.mesolve(h, rho, [0, step], jumps).states[-1]
        if count % each == 0:
            found.append(qutip.expect(b, rho))
    return np.array(found)


def beginning(series: np.ndarray) -> np.ndarray:
    """The times that are restarted."""
    return series[: round(PART / GRID) + 1]


def atoms(n: str, goal: str = "as N = 1e4", side: int = 30) -> Case:
    """The plane for a number of atoms."""
    name = f"w-delta plane, {side} x {side}, N = {n}"
    return Case(name, lambda: plane(n, side), goal=goal, limit="-", repeats=1)


def gutzwiller(name: str, step: float, extrapolated: bool) -> Case:
    """The product state against restarts."""
    return Case(
        f"Gutzwiller, {name}",
        cell,
        lambda: restarted(step, extrapolated),
        "mesolve",
        share=PART / TIME,
        same=beginning,
        goal="10x",
        limit="-",
        repeats=1,
    )


CASES = [
    Case(
        "equations of 10 modes", lambda: equations(10), goal="0.05 s", limit="0.0135 s"
    ),
    Case("equations of 100 modes", lambda: equations(100), goal="1 s", limit="0.35 s"),
    Case(
        "Ising ring of 6, order 3",
        lambda: ours(ISING, "z"),
        goal="10 s",
        limit="-",
        repeats=1,
    ),
    atoms("1e2"),
    atoms("1e4"),
    atoms("1e6"),
    atoms("1e4", goal="10 s", side=100),
    Case(
        "100 spins of their own frequencies, order 2",
        lambda: ours(SPINS.format(n=100), "n"),
        goal="30 s",
        limit="-",
        repeats=1,
    ),
    Case(
        "disordered mean field, 1000 cells",
        lambda: ours(declared("vdp_ensemble_disordered") + DISORDER, "A"),
        goal="2 GB",
        limit="-",
        repeats=1,
    ),
    gutzwiller("mean field held", 0.00125, extrapolated=False),
    gutzwiller("extrapolated", 0.05, extrapolated=True),
]

if __name__ == "__main__":
    show(__file__, CASES, sys.argv[1:])
