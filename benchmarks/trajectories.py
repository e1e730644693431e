"""Quantum jumps of two optomechanical cells with 1600 states: ours against `qutip.mcsolve`, per core.

Run `python benchmarks/trajectories.py [rounds]`. CPU times of one process, the programs by turns;
the accuracy is that of the evolution without jumps up to T = 10, against `expm_multiply`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import qutip
import scipy.sparse as sp
from scipy.sparse.linalg import expm_multiply

from qsyncdsl.algebra.build import build
from qsyncdsl.lower.trajectories import trajectories
from qsyncdsl.model.environment import Environment
from qsyncdsl.pipeline import load_source
from qsyncdsl.problem import Point
from qsyncdsl.solve import jump_numbers
from qsyncdsl.solve.checks import combine
from qsyncdsl.solve.coefficients import evaluate
from qsyncdsl.solve.kicks import Kicks
from qsyncdsl.solve.walkers import Walker
from qsyncdsl.source import Source

END = 10.0
TIMES = np.linspace(1.0, END, 10)
CELLS = """
parameter kappa = 0.3, g0 = 0.3, alphaL = 0.3, Delta = 0.15, Gamma = 0.015, K = 0.3
MODES
hamiltonian -Delta*a'*a + b'*b - g0*a'*a*(b + b') + alphaL*(a + a') for (a, b) in [(a1, b1), (a2, b2)]
coupling   -K*(b1'*b2 + h.c.)
dissipator kappa : a1, a2
dissipator Gamma : b1, b2
"""
LEVELS = (4, 10, 4, 10)


def cells() -> tuple[Any, tuple[Any, ...]]:
    """The problem and the values of its parameters."""
    modes = [
        f"mode {name} : boson(levels = {size})"
        for name, size in zip(("a1", "b1", "a2", "b2"), LEVELS, strict=True)
    ]
    text = CELLS.replace("MODES", "\n".join(modes))
    model, _ = load_source(Source("cells", text))
    environment = Environment(model)
    found = trajectories(build(model, environment))
    values = tuple(
        environment.value(model.parameters[n], i or ()) for n, i in found.parameters
    )
    return found.problem, values


class Ours:
    """One trajectory after the other by the compiled evolution."""

    def __init__(self) -> None:
        self.problem, self.values = cells()
        vacuum = tuple(np.eye(n)[0].astype(complex) for n in LEVELS)
        self.point = Point(self.values, vacuum, None, {"time": END})
        self.numbers = jump_numbers.numbers(self.problem, self.point, END)
        at = jump_numbers.Coefficients(self.problem, self.values)
        self.table = at.table(END, 1.0)
        self.kicks = Kicks(self.problem.lindblad, at.fixed, END)

    def walker(self, k: int) -> Walker:
        """Realization k at the start."""
        longest = jump_numbers.LONGEST / self.numbers.spectrum.radius
        return Walker(self.problem, self.numbers, self.table, longest, self.point, k)

    def trajectory(self, k: int) -> int:
        """Number of jumps of realization k."""
        walker = self.walker(k)
        list(walker.run(TIMES, self.kicks))
        return len(walker.jumps()[0])

    def error(self) -> float:
        """Of the state without jumps at the end."""
        walker = self.walker(0)
        walker.clock[1] = 1e-300
        list(walker.run(TIMES, self.kicks))
        return float(np.linalg.norm(walker.state - self.exact()))

    def exact(self) -> np.ndarray:
        """exp(G T) on the vacuum."""
        start = np.zeros(self.problem.dimension, dtype=complex)
        start[0] = 1.0
        generator = sp.csc_array(self.numbers.generator)
        return np.asarray(expm_multiply(generator * END, start))


class Qutip:
    """The same by `mcsolve` with its own tolerances."""

    def __init__(self, ours: Ours) -> None:
        problem = ours.problem.lindblad
        f = evaluate(problem.coefficients, ours.values)
        dims = [[part.dimension for part in problem.parts]] * 2
        self.hamiltonian = qutip.Qobj(
            combine(problem, problem.hamiltonian, f), dims=dims
        )
        self.jumps = [
            np.sqrt(f[c.rate].real) * qutip.Qobj(combine(problem, c.jump, f), dims=dims)
            for c in problem.channels
        ]
        self.start = qutip.tensor(*(qutip.basis(p.dimension, 0) for p in problem.parts))
        self.times = np.concatenate(([0.0], TIMES))

    def trajectory(self, k: int) -> int:
        """Number of jumps of a trajectory."""
        options = {"progress_bar": "", "store_states": True, "keep_runs_results": True}
        found = qutip.mcsolve(
            self.hamiltonian, self.start, self.times, self.jumps, ntraj=1, seeds=k,
            options=options,
        )  # fmt: skip
        return len(found.col_times[0])

    def error(self, exact: np.ndarray) -> float:
        """Of the state without jumps at the end, with the tolerances of `mcsolve`."""
        effective = self.hamiltonian - 0.5j * sum(c.dag() * c for c in self.jumps)
        options = {
            "atol": 1e-8, "rtol": 1e-6, "normalize_output": False, "nsteps": 2500,
            "progress_bar": "",
        }  # fmt: skip
        found = qutip.sesolve(effective, self.start, self.times, options=options)
        return float(np.linalg.norm(found.states[-1].full().ravel() - exact))


def seconds(work: Callable[[], Any]) -> float:
    """CPU time of this process for some work."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def main(rounds: int) -> None:
    """Print CPU milliseconds for a unit of time of a trajectory, errors, and the ratio."""
    ours = Ours()
    compiling = seconds(lambda: ours.trajectory(0))
    theirs = Qutip(ours)
    theirs.trajectory(0)
    print(f"first trajectory, kernel compiled or loaded: {compiling:.1f} s")
    print(
        f"error without jumps: ours {ours.error():.1e}, "
        f"QuTiP {theirs.error(ours.exact()):.1e}"
    )
    mine, other = [], []
    for k in range(rounds):
        block = range(10 * k, 10 * k + 10)
        mine.append(
            seconds(lambda block=block: [ours.trajectory(j) for j in block]) / 10
        )
        other.append(seconds(lambda k=k: theirs.trajectory(k)))
    a, b = (1e3 * median(x) / END for x in (mine, other))
    print(f"CPU ms for a trajectory and a unit of time: ours {a:.3f}, mcsolve {b:.3f}")
    print(f"ratio: {b / a:.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
