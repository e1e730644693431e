"""Second moments that no state has are found, and only these."""

from functools import reduce
from itertools import permutations

import numpy as np
import pytest

from qsyncdsl import pipeline
from qsyncdsl.algebra.build import build
from qsyncdsl.algebra.moments import SIGMA_Z
from qsyncdsl.lower.cumulants import cumulants
from qsyncdsl.model.environment import Environment
from qsyncdsl.solve.second_moments import SecondMoments
from qsyncdsl.source import Source
from tests.conftest import run_text

# Nothing is conserved, so that no moment vanishes by symmetry.
MODEL = """
parameter N = 3
mode a : boson(levels = 6)
mode q : qubit
mode A : ensemble(N)
hamiltonian a + a' + q.x + A.Jx
coupling    (a*q.plus + h.c.) + (a*A.Jplus + h.c.)
dissipator  1 : a
dissipator  1 : A.Jminus
"""
ISING = """
lattice c = ring({n})
mode s[c] : qubit
hamiltonian s[j].x for j in c
coupling    2*s[j].z*s[k].z for (j, k) in c.edges
dissipator  0.1 : s[j].minus for j in c
experiment e {{
  solve cumulants(order = {order}, times = linspace(0, 5, 21))
  measure z = <s[1].z>
}}
"""
ATOMS, DIMS = (2, 3, 4), (6, 2, 2, 2, 2)
MINUS = np.array([[0.0, 1.0], [0.0, 0.0]])
LOWER = np.diag(np.sqrt(np.arange(1.0, 6.0)), 1)


def _at(place, matrix):
    """A matrix of one factor in the whole space of a, q and three atoms."""
    parts = [np.eye(d) for d in DIMS]
    parts[place] = matrix
    return reduce(np.kron, parts)


def _letters(place):
    """Matrices of the letters of a factor of the space."""
    if place == 0:
        return [_at(0, LOWER), _at(0, LOWER.T)]
    z = MINUS.T @ MINUS - MINUS @ MINUS.T
    return [_at(place, x) for x in (MINUS, MINUS.T, z)]


def _state(seed):
    """A random density matrix, the same for all orders of the atoms, that does not reach the cutoff."""
    rng = np.random.default_rng(seed)
    size = int(np.prod(DIMS))
    x = rng.normal(size=(size, 3)) + 1j * rng.normal(size=(size, 3))
    x = x.reshape(*DIMS, 3)
    x[3:] = 0.0
    ordered = [
        x.transpose(0, 1, *(ATOMS[k] for k in p), 5) for p in permutations(range(3))
    ]
    rho = sum(y.reshape(size, 3) @ y.reshape(size, 3).conj().T for y in ordered)
    return rho / np.trace(rho)


def _problem():
    model, _ = pipeline.load_source(Source("second_moments", MODEL))
    return cumulants(build(model, Environment(model)), "", {"order": 2}).problem


def _moments(problem, rho):
    """The moments of a state; the first atoms of the problem are those of the state."""
    atoms = problem.system.algebra.atoms(2)
    factor = {0: 0, 1: 1} | dict(zip(atoms, ATOMS, strict=False))
    found = []
    for moment in problem.moments:
        product = np.eye(len(rho))
        for key, word in moment:
            lower = _letters(factor[key])[0]
            raised = lower.conj().T
            if word == SIGMA_Z:
                product = product @ (raised @ lower - lower @ raised)
            else:
                p, q = word[1:]
                powers = np.linalg.matrix_power
                product = product @ powers(raised, p) @ powers(lower, q)
        found.append(np.trace(product @ rho))
    return np.array(found)


def _direct(rho):
    """Covariances from matrices: of single modes, of sums, of differences of two atoms."""
    own = [*_letters(0), *_letters(1)]
    atoms = [_letters(place) for place in ATOMS]
    own += [sum(x) / np.sqrt(3) for x in zip(*atoms, strict=True)]
    own += [(x - y) / np.sqrt(2) for x, y in zip(atoms[0], atoms[1], strict=True)]
    means = np.array([np.trace(x @ rho) for x in own])
    second = [[np.trace(x.conj().T @ y @ rho) for y in own] for x in own]
    return np.array(second) - np.conj(means)[:, None] * means


@pytest.mark.parametrize("seed", [1, 2])
def test_covariances_are_those_of_the_density_matrix(seed):
    problem, rho = _problem(), _state(seed)
    second = SecondMoments(problem.system, problem.moments)
    moments = _moments(problem, rho)
    (found,), _ = second.covariances(moments[None])
    direct = np.linalg.eigvalsh(_direct(rho))
    assert second.count == len(direct) == 11
    assert np.linalg.eigvalsh(found) == pytest.approx(direct, abs=1e-10)
    assert second.negative(moments[None]) == [0.0]


def test_a_correlation_beyond_that_of_any_state_is_found():
    r"""$\langle J_+J_-\rangle = N(1 + z)/2 + N(N - 1)a \ge 0$: a is at least $-(1 + z)/(2N - 2)$; $a \le (1 + z)/2$.

    In units of the largest variance, or of 1.
    """
    problem = _problem()
    second = SecondMoments(problem.system, problem.moments)
    first, other = problem.system.algebra.atoms(2)[:2]
    place = problem.moments.index(((first, ("E", 1, 0)), (other, ("E", 0, 1))))
    moments = np.zeros(len(problem.moments), dtype=complex)
    for a, negative in ((-0.2499, 0.0), (-0.26, 0.02), (0.51, 0.01 / 1.52)):
        moments[place] = a
        (found,) = second.negative(moments[None])
        assert found == pytest.approx(negative, abs=1e-12)


def _trust(text):
    trust = run_text(text)["e"].trust["cumulants"]
    return trust["negative_variance"], {w["code"] for w in trust["warnings"]}


def test_a_closure_that_leaves_the_states_says_so():
    """Pairs of spins in a ring; the populations stay in their range."""
    negative, codes = _trust(ISING.format(n=6, order=2))
    assert negative > 0.01
    assert codes == {"W526"}


def test_an_exact_closure_has_no_negative_variance():
    assert _trust(ISING.format(n=3, order=3)) == (0.0, set())
