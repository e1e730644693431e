"""Every method that can sweep: a point has the same bits whatever was solved before it."""

import numpy as np
import pytest

from qsyncdsl.registry import methods
from qsyncdsl.run.plan import Options, make_plan
from qsyncdsl.run.point_results import Job
from qsyncdsl.run.points import Points
from tests.conftest import model_of

VDP = """
parameter x = 1
mode a : boson(LEVELS)
hamiltonian 0.3*a'*a + 0.4*x*(a + a')
dissipator 1 : a'
dissipator 0.6 : a^2
"""
# Large enough for points to share the factors of the one in their middle.
PAIR = """
parameter x = 1
mode a1, a2 : boson(levels = 13)
hamiltonian 0.3*x*(a1'*a1 - a2'*a2)
dissipator 1 : a1', a2'
dissipator 0.4 : a1^2, a2^2
coupling 1 : a1 - a2
"""
FREE = """
parameter x = 1
mode a : boson(levels = 10)
hamiltonian 0.3*a'*a + 0.1*a'*a'*a*a
dissipator x : a'
dissipator 0.6 : a^2
"""
# Rotating states: at couplings of the same direction they are found along one curve.
ORDERED = """
parameter x = 1
lattice sites = complete(100)
mode a[sites] : boson(levels = 8)
coupling 0.4*x*(a[j]'*a[k] + h.c.)/100 for (j, k) in sites.edges
coupling 1.5/100 : a[j] - a[k] for (j, k) in sites.edges
dissipator 1 : a[j]' for j in sites
dissipator 0.3 : a[j]^2 for j in sites
"""
GLOBAL = """
parameter x = 1
lattice sites = complete(100)
mode a[sites] : boson
coupling x*(a[j]'*a[k] + h.c.)/100 for (j, k) in sites.edges
dissipator 2 : a[j]' for j in sites
dissipator 0.01 : a[j]^2 for j in sites
"""
ATOMS = """
parameter x = 1
mode s : ensemble(12)
dissipator x : s.Jplus
dissipator 1.5 : s.Jminus
hamiltonian 0.3*s.Jx
"""
KICKED = """
parameter x = 1
mode r : rotor(nmax = 12)
hamiltonian 0.5*r.n^2
kick every 1 : 0.5*x*cos(r.x)
dissipator 0.4 : r.shift(-1)*sqrt(max(r.n, 0)), r.shift(1)*sqrt(max(-r.n, 0))
"""
TYPED = """
parameter x = 1
variable y : real
noise xi : white(0.2)
equation d/dt y = x*y - y^3 + xi
initial y = 0.3
"""
BOSON = "<a'*a>"
CASES = {
    "steadystate": (VDP.replace("LEVELS", "levels = 12"), "steadystate", BOSON),
    "steadystate, stretches": (PAIR, "steadystate", "<a1'*a1>"),
    "steadystate, accuracy": (
        VDP.replace("LEVELS", "levels = auto"),
        "steadystate(accuracy = 1e-6)",
        BOSON,
    ),
    "evolve": (VDP.replace("LEVELS", "levels = 12"), "evolve(times = [0, 1])", BOSON),
    "evolve, accuracy": (
        VDP.replace("LEVELS", "levels = auto"),
        "evolve(times = [0, 1], accuracy = 1e-5)",
        BOSON,
    ),
    "eigen": (VDP.replace("LEVELS", "levels = 12"), "eigen", BOSON),
    "floquet": (KICKED, "floquet", "<r.n^2>"),
    "trajectories": (
        VDP.replace("LEVELS", ""),
        "trajectories(times = [0, 2], realizations = 3)",
        BOSON,
    ),
    "langevin": (
        VDP.replace("LEVELS", ""),
        "langevin(time = 3, burn_in = 1, realizations = 20)",
        BOSON,
    ),
    "langevin, typed": (TYPED, "langevin(time = 3, realizations = 4)", "<y>"),
    "classical": (VDP.replace("LEVELS", ""), "classical(time = 5)", BOSON),
    "gaussian": (VDP.replace("LEVELS", ""), "gaussian(time = 5)", BOSON),
    "fokkerplanck": (FREE, "fokkerplanck", BOSON),
    "fokkerplanck, coupled": (
        GLOBAL,
        "fokkerplanck",
        "collective_amplitude(a[sites])",
    ),
    "meanfield": (ORDERED, "meanfield", "collective_amplitude(a[sites])"),
    "meanfield in time": (ORDERED, "meanfield(times = [0, 2])", "<a[1]'*a[1]>"),
    "cumulants": (ATOMS, "cumulants(order = 2)", "<s.Jz>"),
    "cumulants in time": (ATOMS, "cumulants(order = 2, times = [0, 2])", "<s.Jz>"),
    "permutation": (ATOMS, "steadystate", "<s.Jz>"),
}


def solved(points, k, names):
    return points.many([Job((0, k), 0, names)])[0]


SLOW = ("fokkerplanck, coupled", "meanfield in time", "cumulants", "gaussian")


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=pytest.mark.slow) if c in SLOW else c for c in CASES],
)
def test_a_point_has_the_same_bits_whatever_was_solved_before(case):
    text, method, measure = CASES[case]
    model = model_of(
        f"{text}\nexperiment e {{ sweep x = [0.5, 1, 1.3, 4]; solve {method}; measure m = {measure} }}"
    )
    plan = make_plan(model, model.experiments["e"], Options())
    line, names = plan.lines[0], ("m",)
    alone = {k: solved(Points(plan, line), k, names) for k in range(4)}
    assert all(np.isfinite(r.measures["m"].values).all() for r in alone.values())
    assert any(abs(r.measures["m"].values).max() > 0.01 for r in alone.values())
    for order in ((0, 1, 2, 3), (3, 1, 0, 2)):
        points = Points(plan, line)
        for k in order:
            found = solved(points, k, names)
            assert np.array_equal(
                found.measures["m"].values, alone[k].measures["m"].values
            ), (case, order, k)
            assert found.trust == alone[k].trust, (case, order, k)


def test_no_method_is_left_out():
    tried = {method.partition("(")[0] for _, method, _ in CASES.values()}
    assert {name for name, word in methods.items() if word.available} == tried
