"""What another closure changes of a number, held against the density matrix."""

import numpy as np

from tests.conftest import run_text, values

LASER = """
parameter g = {g}
mode a : boson(levels = 12)
mode q : qubit
hamiltonian g*(a*q.plus + a'*q.minus)
dissipator 1 : a
dissipator {pump} : q.plus
dissipator 0.2 : q.minus
experiment e {{
  solve steadystate
  solve cumulants(order = 2)
  measure n = <a'*a>
}}
"""


def test_the_difference_of_closures_is_as_large_as_the_error():
    for g, pump in ((0.3, 0.2), (1.0, 1.0)):
        result = run_text(LASER.format(g=g, pump=pump))["e"]
        exact, closed = (
            float(values(result, "n", m)) for m in ("steadystate", "cumulants")
        )
        trust = result.trust["cumulants"]
        said = trust["closure_difference of n"]
        assert trust["closures"] == "compared with order 4"
        assert abs(closed - exact) / 3 < said < 3 * abs(closed - exact)


def test_a_number_that_the_next_closure_changes_much_is_doubted():
    result = run_text(LASER.format(g=5, pump=1))["e"]
    (reason,) = result.trust["cumulants"]["doubts"]["n"]
    assert "another closure changes it" in reason
    assert result.trust["steadystate"]["doubts"] == {}


def test_odd_orders_tell_nothing_of_even_ones():
    """Without moments of three operators the third order is the second one."""
    text = """
    mode a : boson(levels = 20)
    hamiltonian 0*a.n
    dissipator 1 : a'
    dissipator 2 : a^2
    experiment e { solve cumulants(order = 2); measure n = <a'*a> }
    """
    trust = run_text(text)["e"].trust["cumulants"]
    assert trust["closures"] == "compared with order 4"
    assert trust["closure_difference of n"] > 0.05
    assert trust["doubts"]["n"]


def test_a_linear_model_has_none():
    text = """
    mode a : boson
    mode b : boson
    hamiltonian 0.7*(a'*b + b'*a)
    dissipator 1 : a
    dissipator 0.3 : b'
    experiment e { solve cumulants(times = [1, 2]); measure n = <a'*a> }
    """
    trust = run_text(text)["e"].trust["cumulants"]
    assert trust["closure_difference of n"] < 1e-9
    assert np.isfinite(trust["step_error of n"])
