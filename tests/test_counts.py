"""Deterministic counts of the solvers: what a change of code may not make worse. And solvers against one another."""

import numpy as np
import pytest

from qsyncdsl.run.plan import Options, make_plan
from qsyncdsl.run.session import Session
from qsyncdsl.solve import coefficients, static_lu, superoperator
from qsyncdsl.solve.generator import At, prepare
from qsyncdsl.solve.nojump import jump_chain
from tests.conftest import model_of, run_text, values

PAIR = """
parameter Delta = 0.3
mode a1, a2 : boson(levels = {n})
hamiltonian Delta/2*(a1'*a1 - a2'*a2)
dissipator  1 : a1', a2'
dissipator  3/{n} : a1^2, a2^2
coupling    0.5 : a1 - a2
experiment e {{ {solve}; measure n = <a1'*a1>; measure c = <a1'*a2> }}
"""
KERR = """
parameter Delta = 0.4
mode a : boson(levels = 30)
hamiltonian -Delta*a'*a + 0.1*(a'*a)^2 + 0.6*i*(a - a')
dissipator  1 : a'
dissipator  0.2 : a^2
experiment e { solve steadystate; measure n = <a'*a> }
"""
BOTH = "solve steadystate(solver = direct) as lu; solve steadystate(solver = iterative) as chain"


def generator_of(text):
    """The generator of the only line of a text, at its declared parameters."""
    model = model_of(text)
    plan = make_plan(model, model.experiments["e"], Options())
    line = plan.lines[0]
    session = Session(plan, line)
    request = session.request(plan.point_layers(line, (0,)), None)
    problem = request.prepared.lowered.problem
    f = coefficients.evaluate(problem.coefficients, request.point.values)
    generator = prepare(problem, superoperator.active(problem, f))
    return At(generator, f)


@pytest.mark.parametrize(
    ("levels", "unknowns", "entries"), [(14, 1834, 39_000), (20, 5340, 121_000)]
)
def test_two_oscillators_have_few_unknowns(levels, unknowns, entries):
    """(2 N^3 + N)/3 real unknowns in the sector of n1 + n2, instead of N^4."""
    at = generator_of(PAIR.format(n=levels, solve="solve steadystate"))
    assert at.generator.unknowns == unknowns == (2 * levels**3 + levels) // 3
    assert len(at.generator.real.indices) <= entries


def test_an_elimination_of_thirty_levels_is_two_million_operations():
    at = generator_of(KERR)
    pattern = static_lu.analyze(at.generator.real, 0)
    assert at.generator.unknowns == 900
    assert pattern.work < 2.2e6
    assert pattern.count < 28_000


def test_the_jump_chain_of_twenty_levels_takes_ninety_iterations():
    at = generator_of(PAIR.format(n=20, solve="solve steadystate"))
    chain = jump_chain(at)
    assert len(chain.blocks) == 39
    assert chain.size == 5340
    found = chain.stationary()
    assert found is not None
    x, steps = found
    assert steps < 100
    assert chain.residual(x / x[chain.diagonal].sum()) < 1e-12


def test_most_jumps_of_the_chain_lead_forward():
    """Two-photon loss goes down two charges: it is solved for by substitution."""
    chain = jump_chain(generator_of(PAIR.format(n=8, solve="solve steadystate")))
    forward = sum(a.sparse.nnz for a in chain.forward if a.sparse is not None)
    back = sum(a.sparse.nnz for a in chain.back if a.sparse is not None)
    assert forward > 1.5 * back > 0
    sums = [chain.blocks[k].states for k in (0, -1)]
    assert [len(s) for s in sums] == [1, 1]


def test_the_jump_chain_agrees_with_the_sparse_lu():
    result = run_text(PAIR.format(n=9, solve=BOTH))["e"]
    assert "without jumps, 17 blocks" in result.trust["chain"]["solver"]
    for name in ("n", "c"):
        one, other = values(result, name, "lu"), values(result, name, "chain")
        assert one == pytest.approx(other, abs=1e-11)


def test_a_chain_with_two_charges_and_complex_jumps_agrees_with_the_sparse_lu():
    text = f"""
mode a, b, c : boson(levels = 4)
mode s : qubit
hamiltonian 0.3*a.n + 0.8*(a'*b + h.c.) + 0.4*(s.plus*c + h.c.) + 0.2*i*(a'*b - h.c.)
dissipator  1 : a', c'
dissipator  2 : a^2, b^2, c^2
dissipator  0.7 : a + i*b, s.minus
experiment e {{ {BOTH}; measure n = <b'*b>; measure ab = <a'*b>; measure sc = <s.plus*c> }}
"""
    result = run_text(text)["e"]
    assert result.trust["chain"]["symmetry"].count("U(1)") == 2
    assert "blocks" in result.trust["chain"]["solver"]
    for name in ("n", "ab", "sc"):
        one, other = values(result, name, "lu"), values(result, name, "chain")
        assert one == pytest.approx(other, abs=1e-10)


@pytest.mark.slow
def test_fifty_levels_fit_into_little_memory():
    """The chain itself: a few density matrices in blocks, 83350 elements each."""
    at = generator_of(PAIR.format(n=50, solve="solve steadystate"))
    chain = jump_chain(at)
    assert chain.size == 83_350
    kept = [a.sparse for a in (*chain.forward, *chain.back) if a.sparse is not None]
    assert sum(m.data.nbytes + m.indices.nbytes for m in kept) < 30e6
    found = chain.stationary()
    assert found is not None
    assert found[1] < 250
    assert np.isfinite(found[0]).all()
