"""What a product state leaves out, against full density matrices of three and four sites."""

from itertools import product

import numpy as np
import pytest

from tests.conftest import run_text, values

QUBITS = """
parameter g = {g}, drive = {drive}
lattice c = {lattice}
parameter w[j in c] = {detuning}*(j - 2)
mode s[c] : qubit
hamiltonian drive*s[j].x + w[j]*s[j].n for j in c
coupling {coupling} for (j, k) in c.edges
dissipator 1 : s[j].minus for j in c
experiment e {{
  solve meanfield(branch = static)
  solve steadystate
{measures}
}}
"""
EXCHANGE = "g*(s[j].plus*s[k].minus + h.c.)"
ISING = "g*s[j].z*s[k].z"
JUMP = "g : s[j].minus - s[k].minus"
PAULI = {x: np.array(m) for x, m in zip("xyz", ([[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]), strict=True)}  # fmt: skip


def norms(found, sites, bonds):
    """Trace norms of the largest change of a site and of the largest correlation of two, without approximation."""

    def of(name, method):
        return float(values(found, name, method))

    changes = [
        np.linalg.norm(
            [of(f"{x}{j}", "steadystate") - of(f"{x}{j}", "meanfield") for x in "xyz"]
        )
        for j in sites
    ]
    sizes = []
    for j, k in bonds:
        c = np.zeros((4, 4), dtype=complex)
        for x, y in product("xyz", repeat=2):
            number = of(f"{x}{j}{y}{k}", "steadystate")
            number -= of(f"{x}{j}", "steadystate") * of(f"{y}{k}", "steadystate")
            c += number * np.kron(PAULI[x], PAULI[y]) / 4
        sizes.append(np.abs(np.linalg.eigvalsh(c)).sum())
    return max(changes), max(sizes)


@pytest.mark.parametrize("coupling", [EXCHANGE, ISING, JUMP])
@pytest.mark.parametrize(
    ("lattice", "detuning", "bonds", "g"),
    [
        ("ring(4)", 0, [(1, 2)], 0.3),
        ("chain(3)", 0.2, [(1, 2), (2, 3)], 0.3),
        ("complete(4)", 0, [(1, 2)], 0.2),
        ("complete(3)", 0.2, [(1, 2), (2, 3), (1, 3)], 0.2),
    ],
)
def test_correlations_of_pairs_and_what_they_change(
    coupling, lattice, detuning, bonds, g
):
    """Within a factor of two, where a state changes by hundredths."""
    sites = range(1, 1 + int(lattice[-2]))
    names = [f"measure {x}{j} = <s[{j}].{x}>" for x in "xyz" for j in sites]
    names += [
        f"measure {x}{j}{y}{k} = <s[{j}].{x}*s[{k}].{y}>"
        for j, k in bonds
        for x, y in product("xyz", repeat=2)
    ]
    text = QUBITS.format(
        g=g, drive=0.6, lattice=lattice, detuning=detuning, coupling=coupling,
        measures="\n".join(names),
    )  # fmt: skip
    found = run_text(text)["e"]
    change, correlation = norms(found, sites, bonds)
    assert change > 3e-4
    trust = found.trust["meanfield"]
    assert trust["pair_correlation"] == pytest.approx(correlation, rel=0.5)
    assert 0.5 * change < trust["beyond_product"] < 2 * change


@pytest.mark.parametrize("V", [0.3, 1])
def test_a_complete_graph_of_oscillators_has_one_neighbor_less(V):
    """The mean field of all sites has the site itself among them, also in its damping."""
    found = run_text(
        f"""
lattice c = complete(3)
mode a[c] : boson(levels = 4)
coupling {V} : a[j] - a[k] for (j, k) in c.edges
dissipator 2 : a[j]' for j in c
dissipator 6 : a[j]^2 for j in c
experiment e {{
  solve meanfield
  solve steadystate
  measure p = fock_distribution(a[1])
}}
"""
    )["e"]
    exact, product_state = (
        values(found, "p", method) for method in ("steadystate", "meanfield")
    )
    change = np.abs(exact - product_state).sum()
    assert change > 0.01
    assert found.trust["meanfield"]["beyond_product"] == pytest.approx(change, rel=0.5)


def test_where_nothing_is_coupled_nothing_is_left_out():
    found = run_text(
        """
mode s, r : qubit
hamiltonian 0.5*s.x + 0.2*r.x + 1e-6*s.z*r.z
dissipator 1 : s.minus, r.minus
experiment e { solve meanfield(branch = static); measure z = <s.z> }
"""
    )["e"]
    trust = found.trust["meanfield"]
    assert 0 < trust["pair_correlation"] < 1e-5
    assert trust["beyond_product"] < 1e-10


def test_a_large_disordered_ensemble_has_no_number():
    """Every pair of its sites would have its own correlation."""
    found = run_text(
        """
lattice c = complete(30)
parameter w[j in c] = 0.1*j
mode s[c] : qubit
hamiltonian w[j]*s[j].n + 0.5*s[j].x for j in c
coupling 0.01*(s[j].plus*s[k].minus + h.c.) for (j, k) in c.edges
dissipator 1 : s[j].minus for j in c
experiment e { solve meanfield(branch = static); measure z = <s[1].z> }
"""
    )["e"]
    assert "beyond_product" not in found.trust["meanfield"]
