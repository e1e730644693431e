"""Edges of regions: by bisection, or by how far a branch reaches beyond."""

import numpy as np
import pytest

from qsyncdsl.run.searches import Condition, edge
from tests.conftest import run_text, values


def searched(look, low, high):
    """The edge, and where it was looked for."""
    places = []

    def counted(x):
        places.append(x)
        return look(x)

    return edge(Condition(counted), low, high, lambda: None), places


@pytest.mark.parametrize("ends", [(0.0, 1.0), (1.0, 0.0)])
def test_an_edge_at_the_end_of_a_branch_takes_few_looks(ends):
    found, places = searched(lambda x: (x > 1 / 3, x**3 - 1 / 27), *ends)
    assert found == pytest.approx(1 / 3, abs=1e-11)
    # beside those of the scan
    assert len(places) < 49 + 12
    assert searched(lambda x: (x > 1 / 3, None), *ends)[0] == pytest.approx(
        1 / 3, abs=1e-11
    )


@pytest.mark.parametrize(
    "reach", [lambda x: x - 0.3, lambda x: x - 0.601, lambda x: np.sign(x - 0.605)]
)
def test_a_condition_that_does_not_change_where_a_branch_ends_is_bisected(reach):
    found, _ = searched(lambda x: (x > 0.6, float(reach(x))), 0.0, 1.0)
    assert found == pytest.approx(0.6, abs=1e-11)


def test_an_edge_is_found_under_a_method_that_knows_no_branches():
    """Under `steadystate`: a driven qubit of <sz> = -1/(1 + 8 F^2) crosses -1/3 at F = 1/2."""
    result = run_text(
        """
parameter F = 0.1
mode s : qubit
hamiltonian F*s.x
dissipator 1 : s.minus
experiment e { solve steadystate; measure z = <s.z>; locate Fc : F in 0..2 where z > -1/3 }
"""
    )["e"]
    assert values(result, "Fc", "steadystate").item() == pytest.approx(0.5, abs=1e-6)
