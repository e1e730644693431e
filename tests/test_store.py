"""Sweeps that never lose work: what is kept, found again, done by others, and survived."""

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from qsyncdsl.run import experiment as experiment_module
from qsyncdsl.run import line as line_module
from qsyncdsl.run import points as points_module
from qsyncdsl.run.engines.processes import Processes
from qsyncdsl.run.engines.queue import Inline, Queue
from qsyncdsl.run.session import Session
from qsyncdsl.run.stopping import Stopped, stopping
from qsyncdsl.run.store import blocks as blocks_module
from tests.conftest import ROOT
from tests.workers import deadly

SWEEP = """
parameter E = 0.5, Delta = 0   # the drive
mode a : boson(levels = 8)
hamiltonian -Delta*a'*a + E*(a + a')
dissipator 1 : a'
dissipator 2 : a^2
experiment e {
  sweep   Delta = linspace(-2, 2, 11), E = [0.25, 0.5]
  solve   steadystate
  measure n = <a'*a>
  measure P = phase_distribution(a)
  expect  n at Delta = 0 is above 0
}
"""


def bits(folder, name="e"):
    return hashlib.sha256((folder / f"{name}.nc").read_bytes()).hexdigest()


@pytest.fixture
def solved(monkeypatch):
    """Counts the solves of this process, without those that try other cutoffs."""
    count = [0]
    solve = Session.solve

    def counting(self, *arguments, **options):
        count[0] += 1
        return solve(self, *arguments, **options)

    look = experiment_module.examined

    def uncounted(*arguments):
        before = count[0]
        found = look(*arguments)
        count[0] = before
        return found

    monkeypatch.setattr(Session, "solve", counting)
    monkeypatch.setattr(experiment_module, "examined", uncounted)
    return count


def run(command, tmp_path, text, *arguments, out="out"):
    (tmp_path / "m.qsync").write_text(text)
    return command("run", "m.qsync", "--out", out, "-q", *arguments)


# ── what is kept is found again ──────────────────────────────────────────────────────────────


def test_a_second_run_solves_nothing_and_leaves_the_same_bits(
    command, tmp_path, solved
):
    assert run(command, tmp_path, SWEEP)[0] == 0
    first, solved[0] = bits(tmp_path / "out"), 0
    assert run(command, tmp_path, SWEEP)[0] == 0
    assert solved[0] == 0
    assert bits(tmp_path / "out") == first


@pytest.mark.parametrize(
    ("place", "more"),
    [
        ("n at Delta = 0", False),
        ("n at Delta = 4/10, E = 1/4, method = steadystate", False),
        ("C(1, 1) at Delta = 0", False),
        ("m(1, 0) at Delta = 0", False),
        ("P(0.1) at Delta = 0", True),
        ("n at Delta = 0.1", True),
        ("n at Delta = 1e-13", True),
        ("n at E = 0.25, levels_a = 9", True),
        ("2*n at Delta = 0", True),
    ],
)
def test_expectations_take_what_the_sweep_found(command, tmp_path, solved, place, more):
    more_measures = (
        "  measure C = covariance(a)\n  measure m[j in 1..2, k in 0..1] = j*<a'*a>^k\n"
    )
    text = SWEEP.replace("levels = 8", "levels = 20")
    text = text.replace("  expect", more_measures + "  expect")
    run(command, tmp_path, text.replace("  expect  n at Delta = 0 is above 0\n", ""))
    text = text.replace("n at Delta = 0 is above 0", f"{place} is above 0.01")
    solved[0] = 0
    assert run(command, tmp_path, text)[0] == 0
    assert bool(solved[0]) == more
    # `test` solves the point by itself
    assert command("test", "m.qsync")[0] == 0


def test_expectations_on_a_branch_that_is_followed_are_solved_by_themselves(
    command, tmp_path, solved
):
    """x ((x - 3)^2 + 1/4) = F^2 has three roots; downward the largest is followed, from the vacuum the smallest found."""
    text = """
parameter F = 1
mode a : boson
hamiltonian -3*a'*a + 0.5*a'^2*a^2 + F*(a + a')
dissipator 1 : a
experiment e {
  sweep   F = linspace(0.2, 3, 8) updown
  solve   gaussian
  measure x = abs(<a>)^2
  expect  x at F = 1.8 is 0.497507 within 1e-5
}"""
    assert run(command, tmp_path, text)[0] == 0


def test_comments_and_layout_do_not_change_an_address(command, tmp_path, solved):
    run(command, tmp_path, SWEEP)
    solved[0] = 0
    run(command, tmp_path, "# new\n" + SWEEP.replace("# the drive", "   "))
    assert solved[0] == 0


def test_a_wider_range_solves_the_new_points_only(command, tmp_path, solved):
    text = SWEEP
    run(command, tmp_path, text.replace("[0.25, 0.5]", "[0.25]"))
    solved[0] = 0
    run(command, tmp_path, text)
    assert solved[0] == 11
    assert run(command, tmp_path, text, out="anew")[0] == 0
    assert bits(tmp_path / "out") == bits(tmp_path / "anew")


@pytest.fixture
def unexamined(monkeypatch):
    """No point is solved again with other cutoffs, or by other equations."""
    monkeypatch.setattr(
        experiment_module, "examined", lambda plan, line, point, session: point
    )
    monkeypatch.setattr(
        points_module.Closures, "told", lambda self, solved, *rest: solved
    )


def test_a_new_measure_leaves_the_old_ones_alone(
    command, tmp_path, monkeypatch, unexamined
):
    run(command, tmp_path, SWEEP)
    asked = set()
    one = points_module.Points.one

    def noting(self, job):
        asked.update(job.names)
        return one(self, job)

    monkeypatch.setattr(points_module.Points, "one", noting)
    more = SWEEP.replace(
        "  expect",
        "  measure m = 2*n + <a>\n  locate  half : Delta in 0..2 where n = 0.4\n  expect",
    )
    assert run(command, tmp_path, more)[0] == 0
    assert asked == {"m", "half"}
    assert run(command, tmp_path, more, out="anew")[0] == 0
    assert bits(tmp_path / "out") == bits(tmp_path / "anew")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("dissipator 2 : a^2", "dissipator 2 : a"),
        ("levels = 8", "levels = 9"),
        ("solve   steadystate", "solve   steadystate(solver = direct)"),
        ("dissipator 1 :", "dissipator E + 1 :"),
    ],
)
def test_another_model_is_another_address(command, tmp_path, solved, old, new):
    run(command, tmp_path, SWEEP)
    before, solved[0] = bits(tmp_path / "out"), 0
    run(command, tmp_path, SWEEP.replace(old, new))
    assert solved[0] >= 22
    run(command, tmp_path, SWEEP.replace(old, new), out="anew")
    assert bits(tmp_path / "out") == bits(tmp_path / "anew")
    run(command, tmp_path, SWEEP)
    assert bits(tmp_path / "out") == before


def test_clean_removes_what_the_last_run_does_not_use(command, tmp_path, solved):
    run(command, tmp_path, SWEEP)
    run(command, tmp_path, SWEEP.replace("levels = 8", "levels = 9"))
    code, out, _ = command("status", "out", "--json")
    assert code == 0
    assert json.loads(out)["others"] == 1
    assert command("clean", "out")[1].startswith("removed 2 shelves")
    assert json.loads(command("status", "out", "--json")[1])["others"] == 0
    solved[0] = 0
    assert run(command, tmp_path, SWEEP.replace("levels = 8", "levels = 9"))[0] == 0
    assert solved[0] == 0


@pytest.mark.parametrize(
    "method",
    [
        "steadystate",
        "evolve(times = [0, 1, 2])",
        pytest.param(
            "langevin(time = 1, window = [0, 1], realizations = 12)",
            marks=pytest.mark.slow,
        ),
        pytest.param("gaussian(time = 1, window = [0, 1])", marks=pytest.mark.slow),
    ],
)
def test_a_new_measure_reads_the_states_that_were_kept(
    command, tmp_path, method, unexamined
):
    text = SWEEP.replace("steadystate", method + "; keep states")
    text = text.replace("  measure P = phase_distribution(a)\n", "")
    text = text.replace("  expect  n at Delta = 0 is above 0\n", "")
    text = text.replace("linspace(-2, 2, 11), E = [0.25, 0.5]", "[0, 1]")
    more = text.replace("  measure", "  measure m = var(a.q)\n  measure")
    assert run(command, tmp_path, text)[0] == 0
    method_class = points_module.Points.one.__globals__["Session"]
    solved = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            method_class, "solve", lambda self, *a, **k: solved.append(a) or 1 / 0
        )
        patch.setattr(method_class, "solve_many", lambda self, asked: [])
        assert run(command, tmp_path, more)[0] == 0
    assert not solved
    assert run(command, tmp_path, more, out="anew")[0] == 0
    assert bits(tmp_path / "out") == bits(tmp_path / "anew")
    # A state that is damaged is solved again.
    for path in (tmp_path / "out" / "store").rglob("*.states"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    other = more.replace("var(a.q)", "var(a.p)")
    assert run(command, tmp_path, other)[0] == 0
    assert run(command, tmp_path, other, out="other")[0] == 0
    assert bits(tmp_path / "out") == bits(tmp_path / "other")


def test_draws_of_disorder_are_kept_one_by_one(command, tmp_path, solved):
    text = (
        "parameter w ~ normal(0, 1)\nmode a : boson(levels = 5)\nhamiltonian w*a.n + a + a'\n"
        "dissipator 1 : a\nexperiment e { solve steadystate; measure n = <a.n>; average 6 draws }\n"
    )
    run(command, tmp_path, text)
    solved[0] = 0
    run(command, tmp_path, text.replace("6 draws", "10 draws"))
    assert solved[0] == 4
    run(command, tmp_path, text.replace("6 draws", "10 draws"), out="anew")
    assert bits(tmp_path / "out") == bits(tmp_path / "anew")


# ── however the work is split ────────────────────────────────────────────────────────────────


def test_processes_and_interruptions_leave_the_same_bits(
    command, tmp_path, monkeypatch
):
    run(command, tmp_path, SWEEP)
    monkeypatch.setattr(line_module, "_ALONE", 0.0)
    monkeypatch.setattr(line_module, "_WORTH", 0.0)
    assert run(command, tmp_path, SWEEP, "--jobs", "2", out="two")[0] == 0
    assert bits(tmp_path / "two") == bits(tmp_path / "out")


def test_ctrl_c_keeps_everything_and_says_how_to_go_on(command, tmp_path, solved):
    # a shell that starts something in the background has Ctrl-C ignored
    before = signal.getsignal(signal.SIGINT)
    run(command, tmp_path, SWEEP, out="whole")
    many = points_module.Points.many
    calls = [0]

    def interrupted(self, jobs):
        calls[0] += 1
        if calls[0] == 4:
            signal.raise_signal(signal.SIGINT)
        return many(self, jobs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(points_module.Points, "many", interrupted)
        code, _, err = run(command, tmp_path, SWEEP)
    assert code == 130
    assert "qsyncdsl resume out" in err
    status = json.loads(command("status", "out", "--json")[1])["lines"][0]
    assert 0 < status["done"] < status["total"]
    assert command("plot", "out")[0] == 0
    assert command("resume", "out", "-q")[0] == 0
    assert bits(tmp_path / "out") == bits(tmp_path / "whole")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_stop_that_compiled_code_swallows_is_obeyed_before_anything_is_kept():
    """An exception in a callback of a compiler is lost, and what it does afterwards is in doubt."""
    kept = []

    def swallowed(jobs):
        with suppress(Stopped):
            signal.raise_signal(signal.SIGTERM)
        return ["in doubt"] * len(jobs)

    queue = Queue(swallowed, [1, 2], kept.append, lambda job, fault: [])
    with pytest.raises(Stopped, match="SIGTERM"), stopping():
        Inline().run(queue)
    assert not kept
    Queue(list, [1], lambda answers: [], lambda job, fault: []).take(1.0, 1)


def test_a_time_limit_stops_in_good_order(command, tmp_path):
    many, calls = points_module.Points.many, [0]

    def slow(self, jobs):
        calls[0] += 1
        if calls[0] > 2:
            # Until the limit, however fast this machine is.
            time.sleep(60)
        return many(self, jobs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(points_module.Points, "many", slow)
        code, _, err = run(command, tmp_path, SWEEP, "--time-limit", "0.5s")
    assert code == 5
    assert "after 0.5s" in err
    assert command("resume", "out", "-q")[0] == 0
    assert run(command, tmp_path, SWEEP, out="whole")[0] == 0
    assert bits(tmp_path / "out") == bits(tmp_path / "whole")
    code, _, err = run(command, tmp_path, SWEEP, "--time-limit", "soon")
    assert code == 1
    assert "E744" in err


def test_resume_goes_on_with_the_model_as_it_was(command, tmp_path, solved):
    run(command, tmp_path, SWEEP)
    before, solved[0] = bits(tmp_path / "out"), 0
    (tmp_path / "m.qsync").write_text("this is no model any more")
    assert command("resume", "out", "-q")[0] == 0
    assert bits(tmp_path / "out") == before
    assert solved[0] == 0
    code, _, err = command("resume", "elsewhere")
    assert code == 1
    assert "E731" in err


# ── failures are data ────────────────────────────────────────────────────────────────────────

FAILING = """
parameter g = 1
mode a : boson(levels = 5)
hamiltonian a'*a
dissipator g : a
dissipator 0.1 : a'
experiment e { sweep g = [1, -1, 2]; solve steadystate; measure n = <a'*a> }
"""


def test_a_point_that_fails_is_a_gap_with_its_reason(command, tmp_path, solved):
    code, _, _ = run(command, tmp_path, FAILING)
    assert code == 3
    dataset = xr.open_dataset(tmp_path / "out" / "e.nc", engine="h5netcdf")
    n = dataset["n"].sel({"method": "steadystate"})
    assert np.isnan(n.values).tolist() == [False, True, False]
    reasons = dataset["failure"].sel({"method": "steadystate"}).values.tolist()
    assert reasons[0] == reasons[2] == ""
    assert reasons[1].startswith("E503")
    before, solved[0] = bits(tmp_path / "out"), 0
    assert run(command, tmp_path, FAILING)[0] == 3
    assert solved[0] == 0
    assert run(command, tmp_path, FAILING, "--retry-failed")[0] == 3
    assert solved[0] == 1
    assert bits(tmp_path / "out") == before


def test_an_error_that_nobody_thought_of_costs_one_point(
    command, tmp_path, monkeypatch
):
    solve = Session.solve

    def broken(self, layers, *rest):
        if any(o.value == 2 for layer in layers for o in layer):
            raise MemoryError
        return solve(self, layers, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "solve", broken)
        assert run(command, tmp_path, FAILING.replace("-1", "3"))[0] == 3
    assert run(command, tmp_path, FAILING.replace("-1", "3"), "--retry-failed")[0] == 0
    assert run(command, tmp_path, FAILING.replace("-1", "3"), out="anew")[0] == 0
    assert bits(tmp_path / "out") == bits(tmp_path / "anew")


def test_a_worker_that_dies_loses_its_batch_only():
    answers, lost = [], []

    def answered(found):
        answers.extend(found)
        return ()

    def gave_up(job, fault):
        lost.append((job, fault))
        return ()

    engine = Processes(2)
    try:
        engine.warm(deadly)
        queue = Queue(deadly, range(40), answered, gave_up)
        queue.seconds = 0.01
        engine.run(queue)
        assert sorted(answers) == [2 * k for k in range(40) if k != 7]
        [(job, fault)] = lost
        assert job == 7
        assert fault.code == "E740"
        assert "SIGKILL" in fault.message
    finally:
        engine.close()


def test_batches_take_about_the_wanted_time():
    queue = Queue(deadly, range(1000), lambda found: (), lambda job, fault: ())
    queue.done(queue.take(0.1, 2), [0], 0.001)
    assert len(queue.take(0.1, 2).jobs) == 100
    queue.done(queue.take(0.1, 2), [0], 0.0)
    assert len(queue.take(0.1, 2).jobs) <= 400
    Inline().run(Queue(deadly, [], lambda found: (), lambda job, fault: ()))


# ── disks and files ──────────────────────────────────────────────────────────────────────────


def block_files(folder, line="e.steadystate.*"):
    found = (folder / "store").glob(f"{line}/*.blocks")
    return sorted(found, key=lambda p: p.stat().st_size)


def test_a_damaged_block_is_found_and_computed_again(command, tmp_path, solved):
    run(command, tmp_path, SWEEP)
    before = bits(tmp_path / "out")
    path = block_files(tmp_path / "out")[-1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    solved[0] = 0
    code, _, err = run(command, tmp_path, SWEEP)
    assert code == 0
    assert "W745" in err
    assert solved[0] > 0
    assert bits(tmp_path / "out") == before
    command("clean", "out")
    assert "W745" not in run(command, tmp_path, SWEEP)[2]
    assert bits(tmp_path / "out") == before


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
def test_a_file_that_was_cut_off_costs_its_last_block(command, tmp_path, kept):
    run(command, tmp_path, SWEEP)
    before = bits(tmp_path / "out")
    path = block_files(tmp_path / "out")[-1]
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    assert run(command, tmp_path, SWEEP)[0] == 0
    assert bits(tmp_path / "out") == before


def test_every_block_but_the_damaged_one_is_read(tmp_path):
    path = tmp_path / "x.blocks"
    appender = blocks_module.Appender(path)
    ends = []
    for k in range(9):
        appender.append(blocks_module.packed({"k": k}, {"x": np.arange(50) + k}))
        ends.append(path.stat().st_size)
    appender.close()
    data = path.read_bytes()
    for position in range(0, len(data), 37):
        changed = bytearray(data)
        changed[position] ^= 0x5A
        path.write_bytes(changed)
        damaged = []
        found = [b.header["k"] for b in blocks_module.blocks(path, damaged)]
        hit = int(np.searchsorted(ends, position, side="right"))
        assert found == [k for k in range(9) if k != hit]
        assert len(damaged) == 1


def test_a_full_disk_is_said_and_nothing_is_lost(command, tmp_path):
    append = blocks_module.Appender.append
    calls = [0]

    def full(self, data):
        calls[0] += 1
        if calls[0] > 3:
            self._file.write(data[:10])
            self._file.truncate(self._end)
            raise OSError(errno.ENOSPC, "No space left on device", str(self.path))
        append(self, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks_module.Appender, "append", full)
        code, _, err = run(command, tmp_path, SWEEP)
    assert code == 3
    assert "No space left" in err
    assert command("resume", "out", "-q")[0] == 0
    assert run(command, tmp_path, SWEEP, out="anew")[0] == 0
    assert bits(tmp_path / "out") == bits(tmp_path / "anew")


def test_a_folder_that_cannot_be_written_is_said_first(command, tmp_path, solved):
    (tmp_path / "out").write_text("a file")
    code, _, err = run(command, tmp_path, SWEEP)
    assert code == 3
    assert "E730" in err
    assert solved[0] == 0


def test_a_clock_that_jumps_does_no_harm(command, tmp_path, monkeypatch):
    run(command, tmp_path, SWEEP, out="before")
    clock = iter(range(10**9, 0, -1000))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    assert run(command, tmp_path, SWEEP)[0] == 0
    assert bits(tmp_path / "out") == bits(tmp_path / "before")


# ── others at work ───────────────────────────────────────────────────────────────────────────


def started(tmp_path, *arguments):
    """The program in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "qsyncdsl.cli", *arguments],
        cwd=tmp_path,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_commands_on_one_folder_do_no_harm(command, tmp_path):
    run(command, tmp_path, SWEEP, out="alone")
    both = [started(tmp_path, "run", "m.qsync", "--out", "out", "-q") for _ in "12"]
    for process in both:
        assert process.wait(120) == 0, process.stderr.read()
    assert bits(tmp_path / "out") == bits(tmp_path / "alone")
    assert run(command, tmp_path, SWEEP)[0] == 0
    assert bits(tmp_path / "out") == bits(tmp_path / "alone")


def test_a_store_in_use_is_not_cleaned(command, tmp_path):
    from qsyncdsl.run.command import store_of

    run(command, tmp_path, SWEEP)
    with store_of(tmp_path / "out").at_work():
        code, _, err = command("clean", "out")
        assert code == 1
        assert "E732" in err
    assert command("clean", "out")[0] == 0


READING = """
import ctypes, os, sys
if os.geteuid() == 0:
    # Without the capability of the administrator to pass over permissions (CAP_DAC_OVERRIDE).
    head, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None)
    assert libc.capget(head, sets) == 0
    for k in range(3):
        sets[k] &= ~0b110
    assert libc.capset(head, sets) == 0
from qsyncdsl.cli import main
sys.argv = ["qsyncdsl", *sys.argv[1:]]
main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are those of Linux")
def test_a_folder_that_may_only_be_read_is_said_first(command, tmp_path):
    """As for anybody but the administrator, to whom permissions say nothing."""
    run(command, tmp_path, SWEEP)
    place = Path(tempfile.mkdtemp())
    try:
        place.chmod(0o755)
        shutil.copytree(tmp_path / "out", place / "out")
        shutil.copy(tmp_path / "m.qsync", place)
        for path in place.rglob("*"):
            path.chmod(0o555 if path.is_dir() else 0o444)

        def reading(*arguments):
            return subprocess.run(
                [sys.executable, "-c", READING, *arguments],
                cwd=place,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                timeout=120,
            )

        found = reading("run", "m.qsync", "--out", "out", "-q")
        assert found.returncode == 3, found.stderr
        assert "E730" in found.stderr
        assert "Permission denied" in found.stderr
        assert "Traceback" not in found.stderr
        # What is there can be looked at.
        found = reading("status", "out")
        assert found.returncode == 0, found.stderr
        assert "22 of 22" in found.stdout
        assert sorted(p.name for p in (place / "out").iterdir()) == sorted(
            p.name for p in (tmp_path / "out").iterdir()
        )
    finally:
        for path in (place, *place.rglob("*")):
            path.chmod(0o755)
        shutil.rmtree(place)
