"""The only door to QuTiP's solvers: a problem at a point as Qobj, solved the plain way."""

from __future__ import annotations

from typing import Any

import numpy as np

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


def evolve(
    problem: LindbladProblem, values: Any, start: np.ndarray, times: np.ndarray
) -> list[np.ndarray]:
    """`qutip.mesolve`; coefficients that move in time are handed over as functions."""
    import qutip

    from qsyncdsl.solve.coefficients import compiled, evaluate

    function = compiled(problem.coefficients.source)
    f = evaluate(problem.coefficients, values, float(times[0]))
    moving = problem.coefficients.time_dependent
    dims = [[part.dimension for part in problem.parts]] * 2

    def operator(combination: Any) -> Any:
        constant = [(k, m) for k, m in combination if k not in moving]
        matrix = sum(
            (f[k] * problem.matrices[m] for k, m in constant), problem.matrices[0] * 0
        )
        total = qutip.QobjEvo(qutip.Qobj(matrix.tocsr(), dims=dims))
        for k, m in combination:
            if k in moving:
                part = qutip.Qobj(problem.matrices[m].tocsr(), dims=dims)
                total = total + qutip.QobjEvo(
                    [[part, lambda t, k=k: complex(function(values, t)[k])]]
                )
        return total

    jumps = []
    for channel in problem.channels:
        jump = operator(channel.jump)
        if channel.rate in moving:
            root = qutip.coefficient(
                lambda t, k=channel.rate: np.sqrt(complex(function(values, t)[k]))
            )
            jumps.append(jump * root)
        elif f[channel.rate] != 0:
            jumps.append(np.sqrt(f[channel.rate].real) * jump)
    options = {"atol": 1e-11, "rtol": 1e-9, "nsteps": 10**7, "store_states": True}
    result = qutip.mesolve(
        operator(problem.hamiltonian),
        qutip.Qobj(start, dims=dims),
        times,
        jumps,
        options=options,
    )
    return [np.asarray(state.full()) for state in result.states]
