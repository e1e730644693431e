"""The only door to QuTiP's solvers: a problem at a point as Qobj, solved the plain way."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from qsyncdsl.problem import LindbladProblem
from qsyncdsl.solve.checks import combine


def operators(problem: LindbladProblem, f: np.ndarray) -> tuple[Any, list[Any]]:
    """H/hbar and the collapse operators sqrt(rate) L of a problem at a point, as Qobj."""
    import qutip

    dims = [[part.dimension for part in problem.parts]] * 2

    def quantum(matrix: Any) -> Any:
        return qutip.Qobj(matrix.tocsr(), dims=dims)

    hamiltonian = combine(problem, problem.hamiltonian, f)
    jumps = [
        np.sqrt(f[c.rate].real) * quantum(combine(problem, c.jump, f))
        for c in problem.channels
        if f[c.rate] != 0 and c.jump
    ]
    if hamiltonian is None:
        size = problem.dimension
        return qutip.Qobj(np.zeros((size, size)), dims=dims), jumps
    return quantum(hamiltonian), jumps


def steadystate(problem: LindbladProblem, f: np.ndarray) -> np.ndarray:
    """`qutip.steadystate`, direct method."""
    import qutip

    hamiltonian, jumps = operators(problem, f)
    return np.asarray(qutip.steadystate(hamiltonian, jumps).full())


def moving_operators(
    problem: LindbladProblem, values: Any, time: float
) -> tuple[Any, list[Any], list[int]]:
    """H/hbar, the collapse operators and their channels; what moves in time as functions."""
    import qutip

    from qsyncdsl.solve.coefficients import compiled, evaluate

    function = compiled(problem.coefficients.source)
    f = evaluate(problem.coefficients, values, time)
    moving = problem.coefficients.time_dependent
    dims = [[part.dimension for part in problem.parts]] * 2

    def operator(combination: Any) -> Any:
        constant = [(k, m) for k, m in combination if k not in moving]
        size = problem.dimension
        matrix = sum(
            (f[k] * problem.matrices[m] for k, m in constant),
            sp.csr_array((size, size), dtype=complex),
        )
        total = qutip.QobjEvo(qutip.Qobj(matrix.tocsr(), dims=dims))
        for k, m in combination:
            if k in moving:
                part = qutip.Qobj(problem.matrices[m].tocsr(), dims=dims)
                total = total + qutip.QobjEvo(
                    [[part, lambda t, k=k: complex(function(values, t)[k])]]
                )
        return total

    jumps, channels = [], []
    for place, channel in enumerate(problem.channels):
        if not channel.jump:
            continue
        jump = operator(channel.jump)
        if channel.rate in moving:
            root = qutip.coefficient(
                lambda t, k=channel.rate: np.sqrt(complex(function(values, t)[k]))
            )
            jumps.append(jump * root)
            channels.append(place)
        elif f[channel.rate] != 0:
            jumps.append(np.sqrt(f[channel.rate].real) * jump)
            channels.append(place)
    return operator(problem.hamiltonian), jumps, channels


def evolve(
    problem: LindbladProblem, values: Any, start: np.ndarray, times: np.ndarray, coarser: float = 1.0
) -> list[np.ndarray]:  # fmt: skip
    """`qutip.mesolve`; coefficients that move in time are handed over as functions."""
    import qutip

    dims = [[part.dimension for part in problem.parts]] * 2
    hamiltonian, jumps, _ = moving_operators(problem, values, float(times[0]))
    tolerances = {"atol": 1e-11 * coarser, "rtol": 1e-9 * coarser}
    options = {**tolerances, "nsteps": 10**7, "store_states": True}
    result = qutip.mesolve(
        hamiltonian, qutip.Qobj(start, dims=dims), times, jumps, options=options
    )
    return [np.asarray(state.full()) for state in result.states]


def trajectory(
    problem: LindbladProblem,
    values: Any,
    start: np.ndarray,
    times: np.ndarray,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One realization by `qutip.mcsolve`: states (T, D), times and channels of its jumps."""
    import qutip

    dims = [[part.dimension for part in problem.parts], [1] * len(problem.parts)]
    hamiltonian, jumps, _ = moving_operators(problem, values, 0.0)
    early = int(times[0] > 0)
    result = qutip.mcsolve(
        hamiltonian,
        qutip.Qobj(start, dims=dims),
        np.concatenate([[0.0], times]) if early else times,
        jumps,
        ntraj=1,
        seeds=seed,
        options={
            "keep_runs_results": True,
            "store_states": True,
            "progress_bar": "",
            "nsteps": 10**6,
        },
    )
    states = [state.full().ravel() for state in result.runs_states[0]][early:]
    when, which = np.array(result.col_times[0]), np.array(result.col_which[0])
    return np.array(states), when, which.astype(np.int64)
