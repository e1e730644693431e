"""Points that consist of realizations: cut anywhere, done by anybody, interrupted: the same bits."""

import random
import signal
from collections import deque

import numpy as np
import pytest

from qsyncdsl.registry import methods
from qsyncdsl.run import begun as begun_module
from qsyncdsl.run import line as line_module
from qsyncdsl.run import points as points_module
from qsyncdsl.run.begun import BegunPoints
from qsyncdsl.run.line import Task
from qsyncdsl.run.plan import Options, make_plan
from qsyncdsl.run.point_results import Job, PointResult
from qsyncdsl.run.realizations import Realizing
from qsyncdsl.run.store.stretches import Stretches
from tests.conftest import model_of
from tests.test_store import bits, block_files, run

KERR = """
parameter F = 0.8, K = 0.3
mode a : boson(levels = 8)
mode b : qubit
hamiltonian K*a'*a'*a*a + F*(a + a') + 0.2*(a*b.plus + h.c.)
dissipator 1 : a
dissipator 0.3 : b.minus
experiment e {
  solve   METHOD
  measure n = <a'*a>
  measure P = phase_distribution(a)
  measure I = mutual_information(a, b)
  measure x = along(<a.q>)
  measure j = jump_counts(1)
}
"""
FIELD = """
parameter F = 0.8, K = 0.3
mode a : boson
hamiltonian K*a'*a'*a*a + F*(a + a')
dissipator 1 : a
experiment e {
  solve   METHOD
  measure n = <a'*a>
  measure w = observed_frequency(a)
  measure x = along(<a.q>)
}
"""
SERIES = FIELD.replace("observed_frequency(a)", "var(a.q)").replace(
    "  measure x = along(<a.q>)\n", ""
)
TYPED = """
variable x : real
noise xi : white(0.3)
equation d/dt x = x - x^3 + xi
experiment e {
  solve   METHOD
  measure m = <x^2>
}
"""
CASES = {
    "jumps": (KERR, "trajectories(time = 6, burn_in = 1, realizations = 45)"),
    "jumps in time": (
        KERR.replace("  measure x = along(<a.q>)\n", ""),
        "trajectories(times = [0, 1, 3], realizations = 70)",
    ),
    "grown levels": (
        KERR.replace("(levels = 8)", ""),
        "trajectories(time = 6, burn_in = 1, realizations = 20)",
    ),
    "a pulse": (
        KERR.replace("F*(a", "F*exp(-(t - 2)^2)*(a"),
        "trajectories(time = 6, burn_in = 1, realizations = 20)",
    ),
    "langevin": (FIELD, "langevin(time = 8, burn_in = 2, realizations = 70)"),
    "langevin in time": (
        SERIES,
        "langevin(times = [0, 1, 3], realizations = 70)",
    ),
    "typed": (TYPED, "langevin(time = 20, burn_in = 2, realizations = 40)"),
    "until": (
        FIELD.replace("observed_frequency(a)", "<a>"),
        "langevin(time = 8, burn_in = 2, realizations = 16, until error(n) < 0.03)",
    ),
}


def line_of(text, method):
    model = model_of(text.replace("METHOD", method))
    plan = make_plan(model, model.experiments["e"], Options())
    return plan, plan.lines[0]


def cut(plan, line, seconds, order, workers=2):
    """One point as several workers do it, each stretch by one of them and in a wild order."""
    crew = [Task(plan, line, {}) for _ in range(workers)]
    here = BegunPoints(Stretches())
    waiting = deque([Job((0,), 0, tuple(plan.measures), None, here.opening())])
    jobs = 0
    while waiting:
        order.shuffle(waiting)
        [found] = order.choice(crew)([waiting.popleft()])
        jobs += 1
        if isinstance(found, PointResult):
            return found, jobs
        for step in here.heard(found):
            if isinstance(step, PointResult):
                return step, jobs
            waiting.append(step)
    raise AssertionError("the point was never finished")


def assert_same_bits(one, other):
    assert one.measures.keys() == other.measures.keys()
    assert one.measures
    for name, item in one.measures.items():
        assert np.array_equal(item.values, other.measures[name].values), name
        if item.error is not None:
            assert np.array_equal(item.error, other.measures[name].error), name
    assert one.trust == other.trust
    assert one.failures == other.failures


@pytest.mark.parametrize("case", CASES)
def test_a_point_has_the_same_bits_however_it_is_cut(case, monkeypatch):
    plan, line = line_of(*CASES[case])
    [whole] = Task(plan, line, {})([Job((0,), 0, tuple(plan.measures))])
    assert not whole.failures
    order = random.Random(3)
    for seconds in (0.0, 0.004):
        monkeypatch.setattr(begun_module, "_BUDGET", seconds)
        monkeypatch.setattr(begun_module, "_SHORTEST", seconds)
        found, jobs = cut(plan, line, seconds, order)
        assert jobs > 3
        assert_same_bits(found, whole)


def test_every_method_with_realizations_says_so():
    """What has realizations among its options is cut, and nothing else: no name is known here."""
    for name, word in methods.items():
        counts = {"realizations", "max_realizations"}
        has = any(argument.name in counts for argument in word.arguments)
        assert bool(word.load().realizations) == has, name


def test_the_first_realization_that_fails_is_the_reason_whoever_finds_it(monkeypatch):
    """x = 1 is unstable: single realizations leave the real numbers, at other times."""
    text = TYPED.replace("x - x^3", "-x + x^3")
    plan, line = line_of(text, "langevin(time = 6, burn_in = 2, realizations = 24)")
    [whole] = Task(plan, line, {})([Job((0,), 0, tuple(plan.measures))])
    assert whole.failures[""].code == "E513"
    monkeypatch.setattr(begun_module, "_BUDGET", 0.0)
    monkeypatch.setattr(begun_module, "_SHORTEST", 0.0)
    for seed in range(3):
        found, _ = cut(plan, line, 0.0, random.Random(seed))
        assert found.failures == whole.failures


# ── the command ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def counted(monkeypatch):
    """Counts the realizations that are done, in very short stretches."""
    count, done = [0], points_module.Realizing.__init__.__globals__["Stretch"]

    class Counting(done):
        __slots__ = ()

        def __init__(self, first, size, arrays):
            super().__init__(first, size, arrays)
            count[0] += size

    monkeypatch.setitem(Realizing.__init__.__globals__, "Stretch", Counting)
    for name in ("_BUDGET", "_SHORTEST"):
        monkeypatch.setattr(begun_module, name, 0.0)
    return count


JUMPS = KERR.replace("METHOD", "trajectories(time = 6, burn_in = 1, realizations = 48)")
NOISY = SERIES.replace("METHOD", "langevin(times = [0, 1, 3], realizations = 160)")


@pytest.mark.parametrize("text", [JUMPS, NOISY])
def test_a_run_that_is_stopped_goes_on_inside_its_point(
    command, tmp_path, counted, text
):
    assert run(command, tmp_path, text, out="whole")[0] == 0
    total, counted[0], calls = counted[0], 0, [0]
    many = points_module.Points.many

    def interrupted(self, jobs):
        calls[0] += 1
        if calls[0] == 6:
            signal.raise_signal(signal.SIGINT)
        return many(self, jobs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(points_module.Points, "many", interrupted)
        code, _, err = run(command, tmp_path, text)
    assert code == 130
    assert "qsyncdsl resume out" in err
    _, out, _ = command("status", "out")
    kept = int(out.split(" realizations of points begun")[0].split()[-1])
    assert 0 < kept < total
    before, counted[0] = counted[0], 0
    assert command("resume", "out", "-q")[0] == 0
    assert before + counted[0] <= total + 16
    assert bits(tmp_path / "out") == bits(tmp_path / "whole")
    assert "begun" not in command("status", "out")[1]


def test_more_realizations_use_those_that_are_there(command, tmp_path, counted):
    for text in (NOISY, JUMPS.replace("time = 6, burn_in = 1", "times = [0, 1]")):
        text = text.replace("  measure I = mutual_information(a, b)\n", "")
        text = text.replace("  measure P = phase_distribution(a)\n", "")
        text = text.replace("  measure x = along(<a.q>)\n", "")
        more = text.replace("= 160)", "= 320)").replace("= 48)", "= 96)")
        run(command, tmp_path, text)
        first, counted[0] = counted[0], 0
        run(command, tmp_path, more)
        assert counted[0] <= first
        run(command, tmp_path, more, out="anew")
        assert bits(tmp_path / "out") == bits(tmp_path / "anew")
        counted[0] = 0


def test_expectations_use_the_realizations_of_the_sweep(command, tmp_path, counted):
    text = JUMPS.replace(
        "= jump_counts(1)\n", "= jump_counts(1)\n  expect n is above 0\n"
    )
    run(command, tmp_path, text)
    assert counted[0] <= 48


def test_a_damaged_stretch_is_done_again(command, tmp_path, counted):
    run(command, tmp_path, NOISY)
    before, counted[0] = bits(tmp_path / "out"), 0
    for path in block_files(tmp_path / "out", "e.langevin.*"):
        if path.suffix == ".blocks":
            path.unlink()
    [path] = (tmp_path / "out" / "store").rglob("*.stretches")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert run(command, tmp_path, NOISY)[0] == 0
    assert 0 < counted[0] <= 64
    assert bits(tmp_path / "out") == before


def test_clean_removes_the_realizations_of_finished_points(command, tmp_path, counted):
    run(command, tmp_path, NOISY)
    assert list((tmp_path / "out" / "store").rglob("*.stretches"))
    assert command("clean", "out")[0] == 0
    assert not list((tmp_path / "out" / "store").rglob("*.stretches"))
    counted[0] = 0
    assert run(command, tmp_path, NOISY)[0] == 0
    assert counted[0] == 0


def test_processes_share_the_realizations_of_one_point(command, tmp_path, monkeypatch):
    run(command, tmp_path, JUMPS)
    for name in ("_ALONE", "_WORTH"):
        monkeypatch.setattr(line_module, name, 0.0)
    for name in ("_BUDGET", "_SHORTEST"):
        monkeypatch.setattr(begun_module, name, 0.0)
    many = points_module.Points.many
    here = []

    def noting(self, jobs):
        here.extend(jobs)
        return many(self, jobs)

    monkeypatch.setattr(points_module.Points, "many", noting)
    assert run(command, tmp_path, JUMPS, "--jobs", "2", out="two")[0] == 0
    assert len(here) < 10
    assert bits(tmp_path / "two") == bits(tmp_path / "out")


def test_a_time_limit_holds_inside_a_point(command, tmp_path, counted):
    many, calls = points_module.Points.many, [0]

    def ends(self, jobs):
        calls[0] += 1
        if calls[0] == 6:
            # The alarm is set, and goes off now: how fast this machine is says nothing.
            assert 3000 < signal.getitimer(signal.ITIMER_REAL)[0] <= 3600
            signal.raise_signal(signal.SIGALRM)
        return many(self, jobs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(points_module.Points, "many", ends)
        code, _, err = run(command, tmp_path, JUMPS, "--time-limit", "1h")
    assert code == 5
    assert "after 1h" in err
    assert list((tmp_path / "out" / "store").rglob("*.stretches"))
