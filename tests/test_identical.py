"""Groups of permutations of identical parts: all of them found, none assumed, no second state hidden."""

from math import comb

import numpy as np
import pytest

from qsyncdsl.problem import Point
from qsyncdsl.solve import exchange
from qsyncdsl.solve.direct import direct, null_vector
from qsyncdsl.solve.exchange import described
from tests.conftest import run_text, values
from tests.test_counts import generator_of

SPINS = """
lattice sites = {lattice}
mode s[sites] : qubit
parameter J = 0.7, chi = {chi}
hamiltonian 0.3*s[j].x for j in sites
coupling J*(s[j].plus*s[k].minus + h.c.) for (j, k) in sites.edges
{more}
dissipator 1 : s[j].minus for j in sites
dissipator {pump} : s[j].plus for j in sites
experiment e {{ solve steadystate; measure n = <s[1].n>; measure c = <s[1].z*s[2].z> }}
"""
CHIRAL = (
    "hamiltonian i*chi*(s[j].plus*s[j+1].minus - s[j+1].plus*s[j].minus) for j in sites"
)
OSCILLATORS = """
lattice sites = complete(3)
mode a[sites] : boson(levels = 3)
hamiltonian 0.4*(a[j] + a[j]') + 0.1*a[j]'^2*a[j]^2 for j in sites
coupling 0.2*(a[j]'*a[k] + h.c.) for (j, k) in sites.edges
dissipator 1 : a[j] for j in sites
experiment e { solve steadystate; measure n = <a[1].n> }
"""


def spins(lattice, chi=0.0, more="", pump="0.5"):
    """A driven lattice of spins."""
    return SPINS.format(lattice=lattice, chi=chi, more=more, pump=pump)


def names(at):
    """What was found, in words."""
    labels = [part.label for part in at.generator.problem.parts]
    return [] if at.blocks is None else described(at.blocks.found, labels)


def necklaces(sites, colors):
    """Orbits of colorings of a ring under rotations: (1/N) sum_k colors^gcd(k, N)."""
    return sum(colors ** int(np.gcd(k, sites)) for k in range(sites)) // sites


@pytest.mark.parametrize(
    ("text", "unknowns", "word"),
    [
        # multisets of four Pauli matrices
        (
            spins("complete(4)"),
            comb(4 + 3, 3),
            "permutations of s[1], s[2], s[3], s[4]",
        ),
        (OSCILLATORS, comb(3 + 8, 8), "permutations of a[1], a[2], a[3]"),
        (
            spins("ring(4)", 0.2, CHIRAL),
            necklaces(4, 4),
            "translation s[1] -> s[2] -> s[3] -> s[4]",
        ),
        # necklaces that may be turned over
        (spins("ring(5)"), 136, "translation s[1] -> s[2] -> s[3] -> s[4] -> s[5]"),
    ],
)
def test_the_invariant_block_has_one_unknown_for_each_orbit(
    text, unknowns, word, monkeypatch
):
    monkeypatch.setattr(exchange, "_FEW", 0)
    at = generator_of(text)
    assert at.blocks is not None
    assert len(at.blocks.even.first) == unknowns
    assert word in names(at)
    blocks = [at.blocks.even, *at.blocks.odd]
    assert sum(len(b.first) for b in blocks) == at.generator.unknowns
    for block in blocks:
        mixed = at.matrix @ block.basis - block.basis @ block.reduced(at.matrix)
        assert np.abs(mixed).max() < 1e-13


@pytest.mark.parametrize("text", [spins("ring(4)", 0.2, CHIRAL), spins("complete(4)")])
def test_it_has_the_state_of_all_unknowns(text, monkeypatch):
    monkeypatch.setattr(exchange, "_FEW", 0)
    at = generator_of(text)
    found = direct(at, Point(()))
    x, _, _ = null_vector(at.matrix, at.generator.form.populations)
    whole = at.generator.sector.to_matrix(at.generator.form.to_complex @ x)
    rho = found.rho / np.trace(found.rho)
    assert np.abs(rho - whole / np.trace(whole)).max() < 1e-14
    assert not found.warnings


def test_what_breaks_a_translation_is_seen(monkeypatch):
    monkeypatch.setattr(exchange, "_FEW", 0)
    assert names(generator_of(spins("ring(4)", 0.2, CHIRAL, pump="0.5 + 0.1*j"))) == []
    some = names(generator_of(spins("complete(4)", pump="0.5 + 0.1*floor(j/4)")))
    assert some == ["permutations of s[1], s[2], s[3]"]


# One of three qubits is excited, no matter which: three stationary states that permutations join.
ONE_OF_THREE = """
mode s1, s2, s3 : qubit
dissipator 1 : s1.plus*(1 - s2.n)*(1 - s3.n), s2.plus*(1 - s1.n)*(1 - s3.n), s3.plus*(1 - s1.n)*(1 - s2.n)
dissipator 1 : s1.minus*s2.n, s1.minus*s3.n, s2.minus*s3.n, s2.minus*s1.n, s3.minus*s1.n, s3.minus*s2.n
experiment e { solve steadystate; measure z = <s1.z> }
"""


def test_states_that_permutations_join_are_not_hidden(monkeypatch):
    """In the invariant block there is one state, the mixture of all."""
    monkeypatch.setattr(exchange, "_FEW", 0)
    (failure,) = run_text(ONE_OF_THREE)["e"].trust["steadystate"]["failures"]
    assert failure["code"] == "E504"


def test_six_spins_are_solved_in_their_orbits():
    """4096 unknowns, 84 orbits; the answer of the iterative solver."""
    text = spins("complete(6)").replace(
        "solve steadystate;",
        "solve steadystate; solve steadystate(solver = iterative) as chain;",
    )
    found = run_text(text)["e"]
    assert found.trust["steadystate"]["solver"] == "sparse LU, 84 unknowns"
    for name in "nc":
        one, other = values(found, name), values(found, name, "chain")
        assert one == pytest.approx(other, abs=1e-9)
