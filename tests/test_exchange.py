"""Exchange of identical parts: found, used, and never assumed."""

import numpy as np
import pytest

from qsyncdsl.problem import Point
from qsyncdsl.solve import exchange
from qsyncdsl.solve.direct import direct, null_vector
from tests.conftest import run_text, values
from tests.test_counts import generator_of

PAIR = """
parameter Delta = {delta}, g = {g}
mode a1, a2 : boson(levels = 6)
hamiltonian Delta/2*(a1'*a1 - a2'*a2)
dissipator  1 : a1', a2'
dissipator  g : a1^2
dissipator  0.5 : a2^2
coupling    0.5 : a1 - a2
experiment e {{ solve steadystate; measure n = <a1'*a1>; measure c = <a1'*a2> }}
"""
# One of two qubits ends up excited, no matter which: two stationary states that an exchange takes to one another.
EITHER = """
mode s1, s2 : qubit
dissipator 1 : s1.minus*s2.n, s2.minus*s1.n, s1.plus*(1 - s2.n), s2.plus*(1 - s1.n)
{initial}
experiment e {{ solve steadystate; measure z = <s1.z> }}
"""


def words(at):
    """The exchanges that are found at a point."""
    labels = [part.label for part in at.generator.problem.parts]
    return [] if at.blocks is None else [x.describe(labels) for x in at.blocks.found]


@pytest.mark.parametrize(
    ("delta", "g", "found"),
    [
        (0.3, 0.5, ["exchange a1 <-> a2 with complex conjugation"]),
        (0.0, 0.5, ["exchange a1 <-> a2", "complex conjugation"]),
        (0.0, 0.7, ["complex conjugation"]),
        (0.3, 0.7, []),
    ],
)
def test_what_breaks_an_exchange_is_seen(delta, g, found, monkeypatch):
    """The detuning keeps the exchange only together with complex conjugation, other rates do not keep it."""
    monkeypatch.setattr(exchange, "_FEW", 0)
    at = generator_of(PAIR.format(delta=delta, g=g))
    assert words(at) == found


@pytest.mark.parametrize(("delta", "g"), [(0.3, 0.5), (0.0, 0.5), (0.0, 0.7)])
def test_the_even_block_has_the_state_of_all_unknowns(delta, g, monkeypatch):
    monkeypatch.setattr(exchange, "_FEW", 0)
    at = generator_of(PAIR.format(delta=delta, g=g))
    found = direct(at, Point(()))
    rho, warnings, left = found.rho, found.warnings, found.left
    form = at.generator.form
    x, singular, _ = null_vector(at.matrix, form.populations)
    whole = at.generator.sector.to_matrix(form.to_complex @ x)
    assert not singular
    assert not warnings
    assert left < 1e-13
    assert np.abs(rho / np.trace(rho) - whole / np.trace(whole)).max() < 1e-13


def test_blocks_hold_all_unknowns_and_do_not_mix(monkeypatch):
    """The columns of all blocks are a basis, and L keeps each block."""
    monkeypatch.setattr(exchange, "_FEW", 0)
    at = generator_of(PAIR.format(delta=0.0, g=0.5))
    assert at.blocks is not None
    blocks = [at.blocks.even, *at.blocks.odd]
    assert sum(len(b.first) for b in blocks) == at.generator.unknowns
    for block in blocks:
        basis, small = block.basis.toarray(), block.reduced(at.matrix).toarray()
        assert np.abs(at.matrix @ basis - basis @ small).max() < 1e-12


def test_two_states_that_an_exchange_swaps_are_not_hidden(monkeypatch):
    """The even block alone has one stationary state, the mixture of both."""
    monkeypatch.setattr(exchange, "_FEW", 0)
    result = run_text(EITHER.format(initial=""))["e"]
    (failure,) = result.trust["steadystate"]["failures"]
    assert failure["code"] == "E504"
    started = run_text(EITHER.format(initial="initial s1 = up\ninitial s2 = down"))["e"]
    assert values(started, "z") == pytest.approx(1.0)
    assert [w["code"] for w in started.trust["steadystate"]["warnings"]] == ["W501"]


def test_explain_names_exchanges_and_what_they_leave(command):
    code, out, _ = command("explain", "vdp_pair_mutual_info")
    assert code == 0
    assert "exchange a1 <-> a2, complex conjugation: 220 of these" in out


@pytest.mark.slow
def test_slow_iterations_are_left_for_the_even_block():
    """Strong coupling of detuned oscillators: some 900 iterations, or an LU of half the unknowns."""
    text = """
mode a1, a2 : boson(levels = 24)
hamiltonian 5*(a2'*a2 - a1'*a1)
dissipator 2 : a1', a2'
dissipator 0.4 : a1^2, a2^2
coupling 16 : a1 - a2
experiment e { solve steadystate; solve steadystate(solver = iterative) as chain; measure n = <a1.n> }
"""
    result = run_text(text)["e"]
    assert "LU" in result.trust["steadystate"]["solver"]
    assert "GMRES" in result.trust["chain"]["solver"]
    left, right = values(result, "n"), values(result, "n", "chain")
    assert left == pytest.approx(right, abs=1e-7)
