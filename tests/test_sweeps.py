"""The slow promises of sweeps: killed at random, spread over a cluster, always the same bits."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qsyncdsl.run.command import store_of
from qsyncdsl.run.store.shelf import Shelf
from tests.conftest import ROOT
from tests.test_store import bits, run

pytestmark = pytest.mark.slow

GRID = """
parameter E = 0.5, Delta = 0
mode a : boson(levels = 22)
hamiltonian -Delta*a'*a + E*(a + a')
dissipator 1 : a'
dissipator 2 : a^2
experiment e {
  sweep   Delta = linspace(-2, 2, 20), E = linspace(0.1, 2, 20)
  solve   steadystate
  measure n = <a'*a>
  measure P = phase_distribution(a)
}
"""


def begin(tmp_path, log, *arguments, pause=0.0):
    """The program, in a process group of its own, with a log of its batches."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "driver.py"), *arguments],
        cwd=tmp_path,
        start_new_session=True,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "BATCH_LOG": str(log),
            "BATCH_PAUSE": str(pause),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def stored(folder):
    """How many points are kept."""
    return sum(len(Shelf(p)) for p in store_of(folder).shelves())


def test_killed_twenty_times_the_bits_are_those_of_one_run(command, tmp_path):
    assert run(command, tmp_path, GRID, out="whole")[0] == 0
    chance, log = random.Random(7), tmp_path / "log"
    arguments = ["run", "m.qsync", "--out", "out", "-q", "--jobs", "2"]
    for _ in range(20):
        log.unlink(missing_ok=True)
        before = stored(tmp_path / "out")
        # Two workers need 10 s for 400 points: all kills find them at work.
        process = begin(tmp_path, log, *arguments, pause=0.05)
        deadline = time.monotonic() + 60
        while not log.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.6))
        assert process.poll() is None, process.stderr.read()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        begun = [json.loads(x) for x in log.read_text().splitlines() if x.endswith("}")]
        kept = stored(tmp_path / "out") - before
        lost = sum(len(batch["jobs"]) for batch in begun) - kept
        last = {batch["pid"]: len(batch["jobs"]) for batch in begun}
        assert 0 <= lost <= sum(last.values())
    process = begin(tmp_path, log, *arguments)
    assert process.wait(120) == 0, process.stderr.read()
    assert bits(tmp_path / "out") == bits(tmp_path / "whole")


def test_a_cluster_with_a_dead_and_a_slow_worker_leaves_the_same_bits(
    command, tmp_path
):
    assert run(command, tmp_path, GRID, out="whole")[0] == 0
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    address = tmp_path / "scheduler.json"
    scheduler = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0",
         "--scheduler-file", str(address), "--no-dashboard"],
        env=environment, **quiet,
    )  # fmt: skip
    crew = [
        subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file",
             str(address), "--nthreads", "1", "--no-nanny", "--no-dashboard"],
            env=environment, **quiet,
        )
        for _ in range(3)
    ]  # fmt: skip
    slow = None
    try:
        deadline = time.monotonic() + 60
        while not address.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        where = json.loads(address.read_text())["address"]
        log = tmp_path / "log"
        process = begin(
            tmp_path, log, "run", "m.qsync", "--out", "out", "-q", "--cluster", where
        )
        while stored(tmp_path / "out") < 30 and process.poll() is None:
            time.sleep(0.1)
        crew[0].kill()
        # The second runs a tenth of the time.
        slow = subprocess.Popen(
            [sys.executable, "-c",
             "import os, sys, time\n"
             "while True:\n"
             f"    os.kill({crew[1].pid}, 19); time.sleep(0.45)\n"
             f"    os.kill({crew[1].pid}, 18); time.sleep(0.05)"],
            **quiet,
        )  # fmt: skip
        assert process.wait(240) == 0, process.stderr.read()
    finally:
        for process in (slow, *crew, scheduler):
            if process is not None:
                process.kill()
                process.wait()
    assert bits(tmp_path / "out") == bits(tmp_path / "whole")


def test_workers_of_this_machine_behind_a_scheduler(command, tmp_path):
    assert run(command, tmp_path, GRID, out="whole")[0] == 0
    assert run(command, tmp_path, GRID, "--cluster", "local", "--jobs", "2")[0] == 0
    assert bits(tmp_path / "out") == bits(tmp_path / "whole")
    code, _, err = run(
        command, tmp_path, GRID, "--cluster", "tcp://127.0.0.1:9", out="x"
    )
    assert code == 1
    assert "E743" in err


def test_jobs_of_slurm_leave_the_same_bits_and_are_ended(
    command, tmp_path, monkeypatch
):
    """`sbatch` and `scancel` of tests/slurm start the workers' scripts on this machine."""
    monkeypatch.setenv("PATH", f"{ROOT / 'tests' / 'slurm'}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    # Alone, jobs are what dask-jobqueue's configuration says; here there is none.
    code, _, err = run(command, tmp_path, GRID, "--cluster", "slurm", out="x")
    assert code == 1
    assert "E743" in err
    assert "cores" in err
    # Read when the program starts, as from a file in ~/.config/dask.
    monkeypatch.setenv("DASK_JOBQUEUE__SLURM__CORES", "1")
    monkeypatch.setenv("DASK_JOBQUEUE__SLURM__MEMORY", "1GB")
    assert run(command, tmp_path, GRID, out="whole")[0] == 0
    log = tmp_path / "log"
    arguments = ["--cluster", "slurm", "--jobs", "2"]
    process = begin(tmp_path, log, "run", "m.qsync", "--out", "out", "-q", *arguments)
    assert process.wait(240) == 0, process.stderr.read()
    assert bits(tmp_path / "out") == bits(tmp_path / "whole")
    begun = (tmp_path / "jobs").read_text().split()
    ended = (tmp_path / "cancelled").read_text().split()
    assert len(begun[::2]) == 2
    assert set(begun[::2]) <= set(ended)
    # The points were done by them: nothing but the first one is done here.
    logs = [Path(f"{job}.log").read_text() for job in begun[1::2]]
    assert any("Registered to" in log for log in logs)
    deadline = time.monotonic() + 60
    while alive(begun[::2]) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not alive(begun[::2])


def alive(groups):
    """The processes of some groups that have not ended."""
    found = subprocess.run(
        ["ps", "-e", "-o", "pgid=,stat=,args="], capture_output=True, text=True
    )
    rows = [line.split(None, 2) for line in found.stdout.splitlines()]
    return [r for r in rows if r[0] in groups and not r[1].startswith("Z")]
