"""Trajectories of fields: closed forms, published values, reproducibility, refusals."""

import numpy as np
import pytest

from qsyncdsl.measure import order, paths
from qsyncdsl.measure.values import Lifted
from tests.conftest import run_text, values

LINEAR = """
parameter E = 0.8, Delta = 0.5, kappa = 1, nth = 0.3
mode a : boson(levels = 8)
hamiltonian -Delta*a'*a + E*(a + a')
dissipator kappa*(nth + 1) : a
dissipator kappa*nth : a'
experiment e {
  solve langevin(time = 60, burn_in = 20, realizations = 640)
  measure A = <a>
  measure n = <a'*a>
}
"""


def test_a_damped_driven_mode_has_its_exact_moments():
    result = run_text(LINEAR)["e"]
    alpha = -0.8 / (-0.5 - 0.5j)
    amplitude = values(result, "A", "langevin")
    number = values(result, "n", "langevin")
    error = result.dataset["n_error"].sel({"method": "langevin"}).values
    assert abs(amplitude - alpha) < 0.02
    assert abs(number - (abs(alpha) ** 2 + 0.3)) < 4 * error
    assert error < 0.02


def test_the_same_seed_gives_the_same_numbers():
    first, second = run_text(LINEAR)["e"], run_text(LINEAR)["e"]
    assert values(first, "n", "langevin") == values(second, "n", "langevin")


def test_a_realization_is_the_same_in_any_lane():
    from qsyncdsl.solve.kernels import compiled, random_source
    from qsyncdsl.solve.lanes import streams

    wide, narrow = streams(5, 0, 16), streams(5, 3, 1)
    z, one = np.empty((4, 16)), np.empty((4, 1))
    compiled(random_source(16), "fill")(wide[0], z, 4)
    compiled(random_source(1), "fill")(narrow[0], one, 4)
    assert np.allclose(z[:, 3], one[:, 0], rtol=1e-13, atol=1e-13)


def test_the_generator_has_the_moments_of_a_normal_distribution():
    from qsyncdsl.solve.kernels import compiled, random_source
    from qsyncdsl.solve.lanes import streams

    state, z = streams(1, 0, 16)[0], np.empty((20000, 16))
    for noise, fourth in ((0, 3), (1, 1), (2, 3)):
        compiled(random_source(16, noise), "fill")(state, z, len(z))
        size = np.sqrt(z.size)
        assert abs(z.mean()) < 5 / size
        assert abs(z.var() - 1) < 8 / size
        assert abs((z**4).mean() - fourth) < 60 / size
        assert abs(np.mean(z[0::2] * z[1::2])) < 5 / size


PAIR = """
parameter V = 1, kappa = 1
mode a, b : boson(levels = 6)
dissipator kappa : a, b
dissipator 0.5 : a', b'
coupling V : a - b
experiment e {
  solve langevin(time = 40, burn_in = 10, realizations = 640)
  solve steadystate with levels = 12
  measure n = <a'*a>
  measure c = <a'*b>
}
"""


def test_a_common_bath_gives_the_correlations_of_the_density_matrix():
    result = run_text(PAIR)["e"]
    for name in ("n", "c"):
        error = result.dataset[f"{name}_error"].sel({"method": "langevin"}).values
        got, wanted = values(result, name, "langevin"), values(result, name)
        assert abs(got - wanted) < 4 * error + 2e-3


VDP = """
parameter E = 1, Delta = 0.3, gamma2 = 0.3
mode a : boson(levels = 24)
hamiltonian -Delta*a'*a + i*E*(a - a')
dissipator 1 : a'
dissipator gamma2 : a^2
experiment e {
  solve langevin(time = 60, burn_in = 20, realizations = 480) as exact
  solve langevin(time = 60, burn_in = 20, realizations = 480, diffusion = limit_cycle) as sampled
  solve fokkerplanck as density
  solve fokkerplanck(diffusion = limit_cycle) as additive
  measure A = <a>
  measure n = <a'*a>
  measure P = phase_distribution(a)
}
"""


@pytest.mark.slow
def test_langevin_and_fokker_planck_agree_and_have_the_published_values():
    result = run_text(VDP)["e"]
    assert values(result, "A", "density") == pytest.approx(
        -1.2978072 - 0.8616313j, abs=2e-6
    )
    assert values(result, "A", "additive") == pytest.approx(
        -1.3567501 - 0.8956265j, abs=2e-6
    )
    for sampled, density in (("exact", "density"), ("sampled", "additive")):
        for name in ("A", "n"):
            error = result.dataset[f"{name}_error"].sel({"method": sampled}).values
            got, wanted = values(result, name, sampled), values(result, name, density)
            assert abs(got - wanted) < 5 * error + 2e-3
    phases = [values(result, "P", method) for method in ("sampled", "additive")]
    kept = [p[np.isfinite(p)] for p in phases]
    assert abs(kept[0].max() - kept[1].max()) < 0.05


ARNOLD = """
parameter V = 0.1, Delta = 0.15, k2 = 0.1
mode a1, a2 : boson
hamiltonian Delta/2*(a2'*a2 - a1'*a1)
dissipator 2 : a1', a2'
dissipator 2*k2 : a1^2, a2^2
coupling 2*V : a1 - a2
initial a1, a2 = coherent(2)
experiment e {
  sweep Delta = [0.15, 0.25]
  solve classical(time = 400, window = [300, 400])
  measure f = observed_frequency(a2) - observed_frequency(a1)
  measure n = <a1'*a1>
}
"""


@pytest.mark.slow
def test_classical_oscillators_lock_inside_their_tongue():
    found = run_text(ARNOLD)["e"]
    slip, number = values(found, "f", "classical"), values(found, "n", "classical")
    assert abs(slip[0]) < 1e-6
    # Outside the frequency difference is that of the phase model, sqrt(Delta^2 - 4 V^2).
    assert slip[1] == pytest.approx(np.sqrt(0.25**2 - 0.2**2), rel=0.1)
    locked = (1 - 0.1 + 0.1 * np.cos(np.arcsin(0.75))) / 0.2
    assert number[0] == pytest.approx(locked, rel=1e-6)


def test_a_graph_from_a_file_with_disorder_needs_no_python(command, tmp_path):
    (tmp_path / "edges.csv").write_text(
        "from,to\n1,2\n2,3\n3,4\n4,1\n1,3\n", encoding="utf-8"
    )
    text = """
parameter J = 0.5
lattice net = graph("edges.csv")
parameter omega[net] ~ normal(1, 0.05)
mode a[net] : boson
hamiltonian omega[j]*a[j]'*a[j]  for j in net
coupling    2*J : a[j] - a[k]  for (j, k) in net.edges
dissipator  2 : a[j]'    for j in net
dissipator  0.4 : a[j]^2  for j in net
experiment e {
  solve   langevin(time = 30, burn_in = 10, realizations = 20)
  initial a[net] = coherent(2)
  measure R = order_parameter(a[net])
  measure n = <a[1]'*a[1]>
}
"""
    (tmp_path / "net.qsync").write_text(text, encoding="utf-8")
    code, out, err = command("run", "net.qsync")
    assert code == 0, out + err
    assert "R" in out


LATTICES = [
    "ring(6, range = 2)",
    pytest.param("chain(6)", marks=pytest.mark.slow),
    "square(3, 3, boundary = periodic)",
    pytest.param("complete(5)", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("lattice", LATTICES)
def test_patterns_give_the_equations_that_are_written_out(lattice):
    """A condition makes the compiler write every edge out: the drift must be the same."""
    from qsyncdsl.algebra.fields import build_fields
    from qsyncdsl.lower.langevin import langevin
    from qsyncdsl.model.environment import Environment
    from qsyncdsl.problem import Point
    from qsyncdsl.solve.fields import numbers
    from qsyncdsl.solve.sde_kernel import Kernel
    from tests.conftest import model_of

    drifts = []
    for condition in ("", " where j < 1000"):
        model = model_of(f"""
parameter K = 0.3, g = 0.7
lattice s = {lattice}
parameter w[j in s] = 1 + 0.1*j
mode a[s] : boson
hamiltonian w[j]*a[j]'*a[j] + 0.1*(a[j]'*a[j])^2  for j in s{condition}
coupling K*(a[j]'*a[k] + h.c.) + 0.2*a[j]'*a[j]*a[k]'*a[k]  for (j, k) in s.edges{condition}
coupling g : a[j] - a[k]  for (j, k) in s.edges{condition}
""")
        environment = Environment(model, [])
        system = build_fields(model, environment)
        low = langevin(system, "", {})
        found = []
        for name, index in low.parameters:
            parameter = model.parameters[name]
            if index is None:
                sites = environment.sites(parameter.index)
                found.append(np.array([environment.value(parameter, s) for s in sites]))
            else:
                found.append(environment.value(parameter, index))
        point = numbers(low.problem, Point(tuple(found)))
        kernel = Kernel(low.problem, point, 1, False, 2)
        rng = np.random.default_rng(0)
        x = rng.normal(size=(system.count, 1)) + 1j * rng.normal(size=(system.count, 1))
        drifts.append(kernel.drift(x))
    assert np.allclose(drifts[0], drifts[1], atol=1e-12)


def test_residence_times_of_a_telegraph_signal():
    class Record:
        times = np.arange(1000) * 0.1

    signal = np.where((np.arange(1000) // 100) % 2 == 0, 0.05, 3.1)
    stays = paths.residence_times(Record(), signal, [0.0, np.pi], np.pi / 4)
    assert stays == pytest.approx((10.0, 10.0))


def test_phase_slips_and_winding_of_a_turning_angle():
    class Record:
        times = np.linspace(0, 10, 2001)
        given = None

    angle = (2 * np.pi * 0.5 * Record.times + np.pi) % (2 * np.pi) - np.pi
    assert paths.winding(Record(), angle) == pytest.approx(np.pi, rel=1e-9)
    assert paths.phase_slips(Record(), lambda: angle) == pytest.approx(0.5, abs=0.11)


def test_a_slip_ends_where_it_is_said_to_end():
    class Record:
        times = np.linspace(0, 48, 49)
        given = None

    # two excursions over the barrier and back, then one slip that stops 0.15 turns short
    turns = [*[0.0] * 40, 0, 0.7, 0, 0.74, 0, 0, 0.85, 0.85, 0.85]
    x = (2 * np.pi * np.array(turns)).view(Lifted)
    counts = [
        48 * paths.phase_slips(Record(), lambda: x, w * np.pi) for w in (0.2, 0.4, 0.7)
    ]
    assert counts == pytest.approx([0, 1, 5])


def test_refusals_say_why():
    spins = "mode s : qubit\nhamiltonian s.z\nexperiment e { solve langevin(time = 1); measure z = <s.z> }"
    result = run_text(spins)["e"]
    assert "bosons" in result.plan.skipped["langevin"]
    unstable = """
mode a : boson
hamiltonian 0.2*i*(a'^3 - a^3)
dissipator 1 : a'
experiment e { solve langevin(time = 50); measure n = <a.n> }"""
    failures = run_text(unstable)["e"].trust["langevin"]["failures"]
    assert [f["code"] for f in failures] == ["E513"]
    entropy = "mode a : boson\ndissipator 1 : a\nexperiment e { solve langevin(time = 5); measure S = entropy(a) }"
    failures = run_text(entropy)["e"].trust["langevin"]["failures"]
    assert [f["code"] for f in failures] == ["E611"]


def test_order_on_a_lattice_removes_the_static_mean():
    """A common displacement is no order; a common rotation is."""
    from qsyncdsl.measure.ensemble import FieldScene
    from qsyncdsl.problem import FieldFamily

    class Given:
        families = (FieldFamily("b", 0, 12, (12,), True),)
        times = np.arange(500.0)

    rng = np.random.default_rng(0)
    noise = 0.1 * (rng.normal(size=(12, 4, 500)) + 1j * rng.normal(size=(12, 4, 500)))
    turning = np.exp(-0.3j * np.arange(500))
    for field, wanted in ((1.0 + noise, 0.0), (0.5 + turning + noise, 1.0)):
        scene = FieldScene(np.broadcast_to(field, noise.shape), None, Given())
        found = order.phase_correlation(scene, tuple(range(12)), 5)
        assert found == pytest.approx(wanted, abs=0.05)


def test_raw_phases_count_a_common_displacement_and_free_ones_lose_nothing():
    from dataclasses import replace

    from qsyncdsl.measure.ensemble import FieldScene
    from qsyncdsl.problem import FieldFamily

    class Given:
        families = (FieldFamily("b", 0, 12, (12,), True),)
        times = np.arange(500.0)

    class Free(Given):
        families = (replace(Given.families[0], free=True),)

    rng = np.random.default_rng(0)
    noise = 0.1 * (rng.normal(size=(12, 4, 500)) + 1j * rng.normal(size=(12, 4, 500)))
    sites = tuple(range(12))
    bound, free = (FieldScene(1.0 + noise, None, given()) for given in (Given, Free))
    assert order.phase_correlation(bound, sites, 5) == pytest.approx(0, abs=0.05)
    assert order.phase_correlation(bound, sites, 5, "none") > 0.9
    assert order.order_parameter(bound, sites) < 0.4
    assert order.order_parameter(bound, sites, "none") > 0.9
    assert order.collective_amplitude(bound, sites) < 0.1
    for scene, how in ((bound, "none"), (free, "static")):
        assert order.collective_amplitude(scene, sites, how) == pytest.approx(
            1, abs=0.02
        )
    assert order.phase_correlation(free, sites, 5) > 0.9


def test_phases_are_free_where_no_term_fixes_them():
    from qsyncdsl import pipeline
    from qsyncdsl.algebra.fields import build_fields
    from qsyncdsl.lower.langevin import langevin
    from qsyncdsl.model.environment import Environment

    found = {}
    for name in ("vdp_driven", "vdp_global", "vdp_pair_reactive", "optomech_array"):
        model, _ = pipeline.load_source(pipeline.read(pipeline.find(name)))
        system = build_fields(model, Environment(model, []))
        found[name] = [f.free for f in langevin(system, "", {}).problem.families]
    assert found == {
        "vdp_driven": [False],
        "vdp_global": [True],
        "vdp_pair_reactive": [True, True],
        "optomech_array": [False, False],
    }


def test_the_autocorrelation_time_of_a_first_order_process():
    from qsyncdsl.measure.statistics import autocorrelation_time

    rng, x = np.random.default_rng(3), [0.0]
    for z in rng.normal(size=100_000):
        x.append(0.8 * x[-1] + z)
    assert autocorrelation_time(np.array(x)) == pytest.approx(4.5, rel=0.06)


ONE_RUN = """
mode a : boson
hamiltonian 0.3*a'*a
dissipator 1.3 : a
dissipator 0.3 : a'
experiment e {
  solve langevin(time = 4000, burn_in = 20)
  measure n = <a'*a>
  measure S = phase_coherence(a)
}
"""


def test_one_long_run_has_the_error_and_the_memory_of_its_process():
    r"""$|\alpha|^2$ of a damped mode: mean 0.8, variance 0.64, correlations $e^{-t}$."""
    result = run_text(ONE_RUN)["e"]
    error = result.dataset["n_error"].sel({"method": "langevin"}).values
    trust = result.trust["langevin"]
    exact = np.sqrt(2 * 0.64 / 3980)
    assert error == pytest.approx(exact, rel=0.3)
    assert abs(values(result, "n", "langevin") - 0.3) < 4 * exact
    assert trust["autocorrelation_time of n"] == pytest.approx(1.0, rel=0.5)
    assert trust["effective_samples of n"] == pytest.approx(1990, rel=0.5)
    assert "effective_samples of S" not in trust


EXCHANGE = """
parameter V = 3.1
mode a, b : boson
hamiltonian V*(a'*b + h.c.)
dissipator 1e-9 : a
initial a = coherent(30)
experiment e {
  solve langevin(times = [0, 4], dt = 0.02, realizations = 16) as heun
  solve langevin(times = [0, 4], dt = 0.02, realizations = 16, scheme = euler) as euler
  measure n = <a'*a> + <b'*b>
}
"""


@pytest.mark.slow
def test_a_coherent_coupling_is_pumped_at_the_rate_of_the_scheme():
    r"""$|1 - i\theta|^2 = 1 + \theta^2$ and $|1 - i\theta - \theta^2/2|^2 = 1 + \theta^4/4$, $\theta = V\,dt$."""
    result = run_text(EXCHANGE)["e"]
    for scheme, rate in (("euler", 3.1**2 * 0.02), ("heun", 3.1**4 * 0.02**3 / 4)):
        start, end = values(result, "n", scheme)
        assert np.log(end / start) / 4 == pytest.approx(rate, rel=0.01)
