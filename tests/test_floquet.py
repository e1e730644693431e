"""Kicks, static forces and periodic models: the period map, records, and evolution in time."""

from itertools import pairwise

import numpy as np
import pytest
import qutip
from scipy.special import jv

from qsyncdsl.algebra.build import build
from qsyncdsl.lower.lindblad import lindblad
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.rotors import Place
from qsyncdsl.problem import Point
from qsyncdsl.solve.block_flow import Flow
from qsyncdsl.solve.kick_maps import unitary
from tests.conftest import model_of, run_text, values

ROTOR = """
parameter hbar = 0.5, K = 0.8, gamma = 0.25, f = 1, bias = 0
define g = sqrt(-log(1 - gamma))
mode r : rotor(nmax = 20)
hamiltonian r.p^2/2 - f*r.x
kick every 1 : K*cos(r.x)
dissipator 1 : g*r.shift(-1)*sqrt(max(r.p/hbar, 0))
dissipator 1 : g*r.shift(+1)*sqrt(max(-r.p/hbar, 0))
initial r = coherent(x = 0, p = 0.38*2*pi)
"""
KERR = """
parameter chi = 0.3, kappa = 0.4, eps = 0.7, T = 1.3
mode a : boson(levels = 16)
hamiltonian 0.5*a.n + chi*a'^2*a^2
dissipator kappa : a
kick every T : eps*(a + a')
"""


def problem_of(text: str, **values_: float):
    """The master equation of a text, and a point."""
    for name, value in values_.items():
        text = text.replace(f"{name} = ", f"{name} = {value} + 0*", 1)
    model = model_of(text)
    environment = Environment(model, [])
    lowered = lindblad(build(model, environment))
    found = tuple(
        environment.value(model.parameters[name], index)
        for name, index in lowered.parameters
    )
    return lowered.problem, Point(found)


def measured(text: str, *sets: str, method: str = "floquet", name: str = "e"):
    """All measures of one experiment, as numbers."""
    result = run_text(text, *sets)[name]
    (trust,) = (result.trust[m] for m in result.trust if m == method)
    assert not trust["failures"], trust["failures"]
    return {k: values(result, k, method) for k in result.dataset.data_vars}


def test_a_kick_by_a_cosine_has_bessel_functions_as_matrix_elements():
    problem, point = problem_of(ROTOR)
    flow = Flow(problem, point, Place((3,), (0.0,)))
    n = np.arange(41)
    z = 0.8 / 0.5
    order = n[:, None] - n[None, :]
    exact = (-1j) ** order * jv(order, z)
    assert np.allclose(unitary(problem, flow.f, flow.place), exact, atol=1e-14)


def test_the_mean_momentum_relaxes_exactly_between_kicks():
    r"""d<p>/dt = f - g^2 <p>, whatever the state: also where p changes its sign."""
    problem, point = problem_of(ROTOR)
    g2 = -np.log(0.75)
    for center, level in ((0, 20), (7, 22), (-5, 12)):
        flow = Flow(problem, point, Place((center,), (0.0,)))
        rho = np.zeros((41, 41), dtype=complex)
        rho[level, level] = 0.7
        rho[level + 2, level + 2] = 0.3
        rho[level, level + 2] = rho[level + 2, level] = 0.4
        n = center - 20 + np.arange(41)
        after = flow.layout.unpack(flow.advance(flow.layout.pack(rho), 0.0, 0.7))
        beta = flow.quasi_momentum(0.7)[0]
        before = 0.5 * (np.diag(rho).real @ n)
        later = 0.5 * (np.diag(after).real @ (n + beta))
        exact = 1 / g2 + (before - 1 / g2) * np.exp(-0.7 * g2)
        assert later == pytest.approx(exact, abs=1e-12)
        assert np.trace(after).real == pytest.approx(1, abs=1e-12)


def test_the_blocks_of_the_flow_are_the_full_superoperator():
    """Without a force: against exp(L t) of QuTiP on the whole space."""
    problem, point = problem_of(ROTOR.replace("nmax = 20", "nmax = 4"), f=0.0)
    flow = Flow(problem, point, Place((1,), (0.0,)))
    n = np.diag(np.arange(-3, 6).astype(float))
    g2 = -np.log(0.75)
    down, up = np.zeros((9, 9)), np.zeros((9, 9))
    for k in range(8):
        down[k, k + 1] = np.sqrt(max(n[k + 1, k + 1], 0) * g2)
        up[k + 1, k] = np.sqrt(max(-n[k, k], 0) * g2)
    generator = qutip.liouvillian(
        qutip.Qobj(0.25 * n @ n), [qutip.Qobj(down), qutip.Qobj(up)]
    )
    rho = qutip.rand_dm(9, seed=3)
    exact = qutip.vector_to_operator(
        (generator * 0.9).expm() * qutip.operator_to_vector(rho)
    ).full()
    found = flow.advance(flow.layout.pack(rho.full()), 0.0, 0.9)
    assert len(flow.layout.starts) - 1 == 9
    assert np.allclose(flow.layout.unpack(found), exact, atol=1e-10)


def test_propagators_are_the_marching_of_states():
    problem, point = problem_of(ROTOR.replace("nmax = 20", "nmax = 9"))
    flow = Flow(problem, point, Place((2,), (0.3,)))
    rho = qutip.rand_dm(19, seed=1).full()
    vector = flow.layout.pack(rho)
    marched = flow.advance(vector, 0.0, 1.7)
    starts = flow.layout.starts
    blocks = flow.propagators(0.0, 1.7)
    applied = np.concatenate(
        [
            b @ vector[i:j]
            for b, i, j in zip(blocks, starts[:-1], starts[1:], strict=True)
        ]
    )
    assert np.allclose(applied, marched, atol=1e-11)
    # the force has moved labels on the way
    assert flow.labels(1.7) == {0: 3}


@pytest.mark.parametrize(("f", "P"), [(1, 3.548842082322537), (2, 6.7396893456110165)])
def test_the_steady_momentum_of_the_kicked_rotor_is_the_reference(f, P):
    """Independent density-matrix iteration; error 1e-7 as stated there."""
    text = ROTOR + "experiment e { solve floquet; measure P = timeaverage(<r.p>) }"
    assert measured(text, f"f={f}")["P"] == pytest.approx(P, abs=1e-7)


def test_two_periods_make_a_cycle_where_the_force_is_a_half():
    """Reference: Arnoldi iteration on the 2-period map, error 2e-6."""
    text = ROTOR + (
        "experiment e { solve floquet; measure P = timeaverage(<r.p>); "
        "measure m = eigenvalues(2); measure gap = liouvillian_gap }"
    )
    found = measured(text, "f=0.25", "gamma=0.05")
    assert found["P"] == pytest.approx(5.510665620271554, abs=2e-6)
    assert abs(found["m"][1]) == pytest.approx(0.9943913297025072, abs=2e-6)
    assert found["gap"] == pytest.approx(-np.log(abs(found["m"][1])) / 2, rel=1e-6)


def test_friction_on_integer_labels_is_what_is_written_with_n():
    """Reference: 3.8549736 for L that acts on floor(n + beta), error 1e-5."""
    text = ROTOR.replace("r.p/hbar", "r.n")
    text += "experiment e { solve floquet; measure P = timeaverage(<r.p>) }"
    assert measured(text)["P"] == pytest.approx(3.8549735768899924, abs=1e-5)


def test_a_record_is_the_reference_and_obeys_the_stroboscopic_identity():
    """<p> after 1, 2, 5, 10, 20 periods, error 1e-6; P and Ps of a steady state are one relation."""
    text = ROTOR + (
        "experiment e { solve floquet(periods = 20); measure p = <r.p>; "
        "measure P = timeaverage(<r.p>) }\n"
        "experiment s { solve floquet; measure P = timeaverage(<r.p>); measure Ps = <r.p> }"
    )
    results = run_text(text)
    p = values(results["e"], "p", "floquet")
    exact = [2.6597226991907594, 3.0775241908431643, 3.2552243070071505]
    exact += [3.447547186578997, 3.5282980256691165]
    assert p[[1, 2, 5, 10, 20]] == pytest.approx(exact, abs=1e-6)
    g2 = -np.log(0.75)
    # the mean over each period follows from its ends: p' = f - g^2 p, and the jump of a kick is what
    # the free flow does not explain
    after = 1 / g2 + (p[1:] - 1 / g2) / 0.75
    mean = (1 / g2 + (after - 1 / g2) * 0.25 / g2).mean()
    assert values(results["e"], "P", "floquet") == pytest.approx(mean, abs=1e-9)
    P, Ps = (values(results["s"], k, "floquet") for k in ("P", "Ps"))
    assert pytest.approx(1 / g2 + (Ps - 1 / g2) * 0.25 / (g2 * 0.75), abs=1e-9) == P


def test_a_force_to_the_other_side_turns_the_momentum_around():
    """(x, p, f) -> (-x, -p, -f): an exact symmetry of the model, not of the way it is computed."""
    text = ROTOR + (
        "experiment e { solve floquet; measure P = timeaverage(<r.p>); measure s = <r.sin> }"
    )
    right, left = measured(text, "f=1"), measured(text, "f=-1")
    assert left["P"] == pytest.approx(-right["P"], abs=1e-9)
    assert left["s"] == pytest.approx(-right["s"], abs=1e-9)


def test_the_stroboscopic_state_is_a_density_matrix():
    text = ROTOR + "experiment e { solve floquet; measure S = purity }"
    result = run_text(text, "f=1")["e"]
    trust = result.trust["floquet"]
    assert trust["smallest_eigenvalue"] > -1e-12
    assert trust["residual"] < 1e-11
    assert trust["lost_per_cycle"] < 1e-10
    # reference: purity 0.1438340503
    assert values(result, "S", "floquet") == pytest.approx(0.14383405, abs=1e-7)


def test_a_kicked_kerr_oscillator_settles_where_its_evolution_ends():
    text = KERR + (
        "experiment e { solve floquet; measure n = <a.n>; measure x = <a>; measure W = wigner(a) }\n"
        "experiment t { solve evolve(times = [0, T, 90*T, 90.5*T, 91*T]); measure n = <a.n>; measure x = <a> }\n"
        "experiment r { solve floquet(periods = 60); measure n = <a.n> }"
    )
    results = run_text(text, "levels=24")
    n, x = (values(results["e"], k, "floquet").item() for k in ("n", "x"))
    later_n, later_x = (values(results["t"], k, "evolve") for k in ("n", "x"))
    assert later_n[[2, 4]] == pytest.approx(n, abs=1e-8)
    assert later_x[[2, 4]] == pytest.approx(x, abs=1e-8)
    assert abs(later_n[3] - n) > 0.05  # half a period later it is another state
    record = values(results["r"], "n", "floquet")
    assert record[0] == 0
    assert record[1] == pytest.approx(later_n[1], abs=1e-10)
    # just before the second kick: a coherent state, decayed
    assert record[1] == pytest.approx(0.49 * np.exp(-0.4 * 1.3), rel=1e-6)


def test_a_kicked_kerr_oscillator_agrees_with_qutip():
    a = qutip.destroy(16)
    H = 0.5 * a.dag() * a + 0.3 * a.dag() ** 2 * a**2
    flow = (qutip.liouvillian(H, [np.sqrt(0.4) * a]) * 1.3).expm()
    kick = (-0.7j * (a + a.dag())).expm()
    rho = qutip.fock_dm(16, 0)
    for _ in range(60):
        rho = kick * rho * kick.dag()
        rho = qutip.vector_to_operator(flow * qutip.operator_to_vector(rho))
    text = KERR + "experiment e { solve floquet; measure n = <a.n>; measure x = <a> }"
    found = measured(text)
    assert found["n"] == pytest.approx(qutip.expect(a.dag() * a, rho).real, abs=1e-6)
    assert found["x"] == pytest.approx(complex(qutip.expect(a, rho)), abs=1e-6)


DRIVEN = """
parameter w = 2.1, E = 0.6, kappa = 0.5
mode s : qubit
hamiltonian 0.5*s.z + E*cos(w*t)*s.x
dissipator kappa*(1 + 0.5*sin(w*t)) : s.minus
"""


def test_a_kick_by_a_product_with_a_function_of_one_quadrature_is_hermitian():
    levels, large = 10, 60
    text = f"""
    mode a : boson(levels = {levels})
    hamiltonian 0.5*a'*a
    kick every 1 : 0.3*a.q*cos(a.q)
    dissipator 0.4 : a
    experiment e {{ solve floquet; measure n = <a'*a> }}
    """
    a = qutip.destroy(large).full().real
    places, vectors = np.linalg.eigh((a + a.T) / np.sqrt(2))
    whole = (vectors * np.exp(-0.3j * places * np.cos(places))) @ vectors.T
    kick = qutip.Qobj(whole[:levels, :levels])
    b = qutip.destroy(levels)
    loss = qutip.liouvillian(0.5 * b.dag() * b, [np.sqrt(0.4) * b])
    values_, states = (loss.expm() * qutip.to_super(kick)).eigenstates()
    steady = qutip.vector_to_operator(states[np.argmin(abs(values_ - 1))])
    n = qutip.expect(b.dag() * b, steady / steady.tr())
    assert values(run_text(text)["e"], "n", "floquet") == pytest.approx(
        n.real, rel=1e-7
    )


def test_a_driven_qubit_settles_where_its_evolution_ends_and_as_in_qutip():
    text = DRIVEN + (
        "experiment e { solve floquet(period = 2*pi/w); measure z = <s.z>; "
        "measure zbar = timeaverage(<s.z>); measure m = eigenvalues(4) }\n"
        "experiment t { solve evolve(times = [0, 60*pi/w, 100*pi/w]); measure z = <s.z> }"
    )
    results = run_text(text)
    z = values(results["e"], "z", "floquet").item()
    assert values(results["t"], "z", "evolve")[1:] == pytest.approx(z, abs=1e-7)
    sx, sz, sm = qutip.sigmax(), qutip.sigmaz(), qutip.sigmam()
    H = qutip.QobjEvo([0.5 * sz, [0.6 * sx, "cos(2.1*t)"]])
    jump = qutip.QobjEvo([[sm, "sqrt(0.5*(1 + 0.5*sin(2.1*t)))"]])
    period = 2 * np.pi / 2.1
    grid = np.linspace(0, 21 * period, 21 * 200 + 1)
    found = qutip.mesolve(
        H, qutip.basis(2, 1), grid, c_ops=[jump], e_ops=[sz],
        options={"rtol": 1e-10, "atol": 1e-12, "nsteps": 10000},
    ).expect[0]  # fmt: skip
    assert found[-1] == pytest.approx(z, abs=1e-6)
    mean = np.trapezoid(found[-201:], grid[-201:]) / period
    assert values(results["e"], "zbar", "floquet") == pytest.approx(mean, abs=1e-5)
    multipliers = values(results["e"], "m", "floquet")
    # the determinant of the map: exp of the integral of the trace of the generator
    assert np.prod(multipliers).real == pytest.approx(
        np.exp(-2 * 0.5 * period), rel=1e-6
    )


def test_evolution_with_kicks_and_a_force_is_the_record():
    text = ROTOR + (
        "experiment e { solve floquet(periods = 6); measure p = <r.p>; measure c = <r.cos> }\n"
        "experiment t { solve evolve(times = 0..6); measure p = <r.p>; measure c = <r.cos> }"
    )
    results = run_text(text, "f=1.3")
    for name in ("p", "c"):
        record = values(results["e"], name, "floquet")
        assert values(results["t"], name, "evolve") == pytest.approx(record, abs=1e-9)


def test_a_packet_has_its_mean_and_its_width():
    text = ROTOR + (
        "experiment e { solve evolve(times = [0, 0.1]); measure p = <r.p>; "
        "measure v = <r.p^2> - <r.p>^2; measure x = arg(<r.shift(1)>) }"
    )
    found = measured(text.replace("x = 0, p", "x = 0.7, p"), method="evolve")
    assert found["p"][0] == pytest.approx(0.38 * 2 * np.pi, abs=1e-7)
    assert found["v"][0] == pytest.approx(0.25, abs=1e-6)
    assert found["x"][0] == pytest.approx(0.7, abs=1e-9)


# ── what is refused ──────────────────────────────────────────────────────────────────────────


def refused(text: str, *sets: str) -> tuple[str, str]:
    """Code and message of the only failure of the experiment `e`, or why it was skipped."""
    result = run_text(text, *sets)["e"]
    if result.plan.skipped:
        return "skipped", next(iter(result.plan.skipped.values()))
    (line,) = result.trust.values()
    (found,) = line["failures"]
    return str(found["code"]), str(found["message"])


END = "\nexperiment e {{ solve {solve}; measure n = <a.n> }}"
BOSON = "mode a : boson(levels = 4)\ndissipator 1 : a\n"


@pytest.mark.parametrize(
    ("terms", "solve", "code", "words"),
    [
        (
            "kick every 1 : a.n; kick every sqrt(2) : a.n",
            "floquet",
            "E540",
            "no common",
        ),
        ("kick every 1 : cos(t)*a.n", "floquet", "E545", "not periodic"),
        ("kick every -1 : a.n", "floquet", "E540", "positive"),
        ("kick every 2 : a.n", "floquet(period = 3)", "E540", "multiple"),
        ("hamiltonian a.n", "floquet", "E544", "what is the period"),
        ("hamiltonian cos(t)*a.n", "floquet(period = 3)", "E545", "not periodic"),
        ("kick every 1 : a.n", "floquet(times = [1, 2])", "E548", "end of each period"),
        ("kick every 1 : a.n", "floquet(periods = 0)", "E547", "at least one"),
        ("kick every 1 : a.n", "steadystate", "skipped", "does not apply kicks"),
        ("kick every 1 : a.n", "gaussian(time = 1)", "skipped", "does not apply kicks"),
        (
            "kick every 1 : a.n",
            "evolve(times = [0, 1], backend = qutip)",
            "E513",
            "qutip",
        ),
    ],
)
def test_what_has_no_answer_is_refused(terms, solve, code, words):
    found = refused(BOSON + terms + END.format(solve=solve))
    assert found[0] == code
    assert words in found[1]


def test_a_space_that_is_too_large_is_refused_before_anything_is_allocated():
    text = "mode a, b : boson(levels = 50)\nhamiltonian a.n\ndissipator 1 : a\nkick every 1 : a + a'"
    code, message = refused(text + END.format(solve="floquet"))
    assert code == "skipped"
    assert "dimension 2500" in message


@pytest.mark.parametrize("solve", ["steadystate", "eigen"])
def test_a_static_force_has_no_stationary_state(solve):
    text = (
        "mode r : rotor(nmax = 4)\nhamiltonian r.p^2 - r.x\ndissipator 1 : r.shift(1)"
    )
    code, message = refused(
        text + f"\nexperiment e {{ solve {solve}; measure n = <r.n> }}"
    )
    assert code == "skipped"
    assert "static force" in message


def test_a_packet_outside_the_window_is_refused():
    text = "mode r : rotor(nmax = 4)\nhamiltonian r.p^2\ndissipator 1 : r.shift(1)\ninitial r = coherent(p = 9)"
    code, message = refused(
        text + "\nexperiment e { solve evolve(times = [0, 1]); measure n = <r.n> }"
    )
    assert code == "E340"
    assert "keep only" in message


# ── classical rotors ─────────────────────────────────────────────────────────────────────────


def classical(text: str, **values_: float):
    """The solver of classical rotors, numbers of its coefficients, and its lowering."""
    from qsyncdsl.lower.classical_rotors import classical_rotors
    from qsyncdsl.solve import coefficients
    from qsyncdsl.solve.classical_rotors import ClassicalRotors

    for name, value in values_.items():
        text = text.replace(f"{name} = ", f"{name} = {value!r} + 0*", 1)
    model = model_of(text)
    environment = Environment(model, [])
    lowered = classical_rotors(build(model, environment), "", {})
    found = [
        environment.value(model.parameters[name], index)
        for name, index in lowered.parameters
    ]
    f = coefficients.evaluate(lowered.problem.coefficients, found).real
    return ClassicalRotors(lowered.problem), f


def test_the_classical_equations_are_those_of_the_paper():
    r"""dp/dt = f - g^2 p on both signs of p, dx/dt = p: the two ladders are one friction."""
    solver, _ = classical(ROTOR)
    assert solver.problem.equations == (
        ("dx0/dt", "p0"),
        ("dp0/dt", "f + p0*log(1 - gamma)"),
    )
    assert solver.problem.affine == 6


def test_the_classical_map_is_equation_2_of_the_paper():
    solver, f = classical(ROTOR, f=1.3)
    flow = solver._flow(f, 1.0)
    x, p = 0.7, -1.1
    gamma, g2, kicked = 0.25, -np.log(0.75), p + 0.8 * np.sin(x)
    pbar = (1 - gamma) * kicked + 1.3 * gamma / g2
    xbar = x + gamma / g2 * kicked + 1.3 * (g2 - gamma) / g2**2
    assert flow.rate(np.array([x, p])) == pytest.approx([xbar, pbar], abs=1e-12)
    assert np.linalg.det(flow.jacobian(np.array([x, p]))) == pytest.approx(
        0.75, abs=1e-9
    )


@pytest.mark.parametrize(
    ("gamma", "f", "P"),
    [
        (0.25, 0.5, 0.268065987122303),
        (0.25, 1.3, 0.7259835648454677),
        (0.05, 0.24, 0.7404005918139802),
    ],
)
def test_the_classical_record_is_the_reference(gamma, f, P):
    """P/2 pi of 500 iterations from the initial state, error 1e-9."""
    text = (
        ROTOR + "experiment e { solve classical(time = 500); measure P = <r.p>/(2*pi) }"
    )
    found = measured(text, f"gamma={gamma}", f"f={f}", method="classical")
    assert found["P"] == pytest.approx(P, abs=1e-9)


@pytest.mark.parametrize(
    ("start", "edge"),
    [((1.8, 3.1, 6.3), 1.0075597708), ((2.5, 3.5, 6.3), 2.6075597708)],
)
def test_the_plateau_ends_at_the_fold_of_its_orbit(start, edge):
    """Fixed point and det(J - 1) = 0 solved together: |f - 2 pi n g^2| = K to 1e-6."""
    from scipy.optimize import fsolve

    def conditions(unknown):
        f, x, p = unknown
        solver, numbers = classical(ROTOR, f=float(f))
        flow = solver._flow(numbers, 1.0)
        y = np.array([x, p])
        shift = flow.rate(y) - y - np.array([2 * np.pi, 0.0])
        return [*shift, np.linalg.det(flow.jacobian(y) - np.eye(2))]

    found = fsolve(conditions, start, xtol=1e-10)
    assert found[0] == pytest.approx(edge, abs=1e-6)


def test_a_classical_rotor_without_kicks_swings_as_a_pendulum():
    text = (
        "parameter w = 1\nmode r : rotor(nmax = 4)\nhamiltonian r.p^2/2 - w^2*r.cos\n"
        "initial r = coherent(x = 0.1)\n"
        "experiment e { solve classical(times = linspace(0, 6.2837, 5)); measure x = <r.x>; measure E = <r.p^2>/2 - <r.cos> }"
    )
    found = measured(text, method="classical")
    assert found["x"] == pytest.approx([0.1, 0, -0.1, 0, 0.1], abs=3e-4)
    assert found["E"] == pytest.approx(-np.cos(0.1), abs=1e-8)


@pytest.mark.parametrize(
    ("m", "inside", "low", "high"),
    [
        (1, 1.8, 2 * np.pi * -np.log(0.75) - 0.8, 2 * np.pi * -np.log(0.75) + 0.8),
        (2, 0.9, 0.8253416338886402, 0.9822181368793629),
        (3, 0.61, 0.5907182954765413, 0.6308020624137972),
    ],
)
def test_plateaus_of_a_kicked_rotor_end_where_their_cycles_do(m, inside, low, high):
    """|f - 2 pi n g^2| = K exactly; the fractions are shared reference values, error 1e-7."""
    found = measured(
        ROTOR
        + f"""
experiment e {{
  set     f = {inside}
  solve   classical(time = 3000, burn_in = 1000, protocol = continue)
  measure P = winding(<r.x>)
  measure T = period
  locate  low : f in {inside}..{inside - 0.3 * (6 - m) / m:.3f} where locked(<r.x>, 2*pi*time, {m}, 1)
  locate  high : f in {inside}..{inside + 0.3 * (6 - m) / m:.3f} where locked(<r.x>, 2*pi*time, {m}, 1)
}}""",
        method="classical",
    )
    assert found["P"] == pytest.approx(2 * np.pi / m, abs=1e-10)
    assert found["T"] == m
    assert found["low"] == pytest.approx(low, abs=1e-6 if m == 1 else 1e-7)
    assert found["high"] == pytest.approx(high, abs=1e-6 if m == 1 else 1e-7)


def test_a_pendulum_has_a_period_and_its_attractors_a_census():
    text = (
        "mode r : rotor(nmax = 4)\nhamiltonian r.p^2/2 - r.cos - 1.3*r.x\n"
        "dissipator 0.5 : r.shift(-1)*sqrt(max(r.p, 0))\n"
        "dissipator 0.5 : r.shift(+1)*sqrt(max(-r.p, 0))\n"
        "experiment e { solve classical(time = 400, burn_in = 200); "
        "measure W = winding(<r.x>); measure T = period; "
        "measure A = attractors(winding(<r.x>), starts = 3) }"
    )
    found = measured(text, method="classical")
    # a driven pendulum beyond its critical torque turns once in every period
    assert found["W"] == pytest.approx(2 * np.pi / found["T"], abs=1e-6)
    assert found["A"][0] == pytest.approx([float(found["W"]), 1.0], abs=1e-4)


TRAINS = """
parameter T = 0.8
mode a : boson(levels = 8)
hamiltonian 0.3*a'^2*a^2 + 0.2*a.n
dissipator 0.5 : a
kick every T : 0.2*i*(a' - a)
kick every 1.5*T : 0.05*(2 + cos(2*pi*t/(2*T)))*(a + a')
initial a = vacuum
experiment e {{ solve {0}; measure n = <a.n> }}
"""


def trains(levels=8):
    """The map of the common period, 6 T, from products of exponentials."""
    a, large = qutip.destroy(levels), qutip.destroy(60)
    flow = qutip.liouvillian(
        0.3 * a.dag() ** 2 * a**2 + 0.2 * a.dag() * a, [np.sqrt(0.5) * a]
    )

    def kick(generator):
        u = qutip.Qobj((-1j * generator).expm().full()[:levels, :levels])
        return qutip.sprepost(u, u.dag())

    first = kick(0.2j * (large.dag() - large))
    total = qutip.to_super(qutip.qeye(levels))
    times = [0, 1, 1.5, 2, 3, 4, 4.5, 5, 6]
    for x, y in pairwise(times):
        if x == int(x):
            total = first * total
        if x % 1.5 == 0:
            strength = 0.05 * (2 + np.cos(np.pi * x))
            total = kick(strength * (large + large.dag())) * total
        total = (flow * (0.8 * (y - x))).expm() * total
    return total


def test_trains_of_kicks_with_a_common_period_have_a_map():
    """Strengths that depend on time included: kicks at 0, T, 1.5 T, ... with the period 6 T."""
    total = trains()
    values_, vectors = np.linalg.eig(total.full())
    rho = vectors[:, np.argmin(abs(values_ - 1))].reshape(8, 8, order="F")
    number = np.arange(8) @ np.diag(rho / np.trace(rho)).real
    steady = run_text(TRAINS.format("floquet(period = 6*T)"))["e"]
    assert values(steady, "n", "floquet") == pytest.approx(number, abs=1e-9)
    states, state = [], qutip.operator_to_vector(qutip.fock_dm(8, 0))
    for _ in range(2):
        state = total * state
        rho = qutip.vector_to_operator(state)
        states.append(qutip.expect(qutip.num(8), rho))
    found = run_text(TRAINS.format("evolve(times = [6*T, 12*T])"))["e"]
    assert values(found, "n", "evolve") == pytest.approx(states, abs=1e-9)
    jumps = run_text(
        TRAINS.format("trajectories(times = [6*T, 12*T], realizations = 150)")
    )["e"]
    error = jumps.dataset["n_error"].values[0]
    assert np.all(abs(values(jumps, "n", "trajectories") - states) < 4 * error)
