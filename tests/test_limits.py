"""What a sweep says before it starts, what it refuses, and what it writes into a log."""

import pytest

from qsyncdsl.diagnostics import ModelError
from qsyncdsl.report import progress as progress_module
from qsyncdsl.run import limits
from qsyncdsl.run import line as line_module
from qsyncdsl.run.limits import Estimate, refuse
from tests.test_store import SWEEP, run


def estimate(**changes):
    values = {
        "points": 1000, "seconds": 100.0, "workers": 4, "memory": 2e9, "disk": 1e6, "result": 1e6,
    }  # fmt: skip
    return Estimate(**{**values, **changes})


def test_an_estimate_is_one_line():
    assert estimate().text() == (
        "1000 points to do, about 1 min 40 s in 4 processes; "
        "2 GB of memory each, 1 MB on disk"
    )


@pytest.mark.parametrize(
    ("changes", "code", "help"),
    [
        ({}, "E747", "--jobs 2"),
        ({"workers": 2, "memory": 4e9}, "E747", "without --jobs"),
        ({"workers": 1, "result": 9e9}, "E747", "measure less"),
        ({"workers": 1, "disk": 1e18}, "E748", "--out"),
    ],
)
def test_what_cannot_fit_is_refused(monkeypatch, tmp_path, changes, code, help):
    monkeypatch.setattr(limits, "free_memory", lambda: 5e9)
    with pytest.raises(ModelError) as fault:
        refuse(estimate(**changes), tmp_path / "not" / "yet", local=True)
    [diagnostic] = fault.value.diagnostics
    assert diagnostic.code == code
    assert help in diagnostic.help


def test_what_fits_is_not_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(limits, "free_memory", lambda: 9e9)
    refuse(estimate(), tmp_path, local=True)
    # Workers of a cluster have memory of their own.
    refuse(estimate(workers=400), tmp_path, local=False)
    assert limits.free_memory() > 0


def test_the_log_of_a_batch_job_has_lines(command, tmp_path, monkeypatch):
    monkeypatch.setattr(progress_module, "_FIRST", 0.0)
    monkeypatch.setattr(progress_module, "_BETWEEN", 0.0)
    monkeypatch.setattr(line_module, "_ALONE", 0.001)
    monkeypatch.setattr(line_module, "_SAID", 0.0)
    (tmp_path / "m.qsync").write_text(SWEEP)
    code, _, err = command("run", "m.qsync", "--out", "out")
    assert code == 0
    assert "points to do, about" in err
    assert " of 22 points, " in err
    assert " left" in err


def test_a_quiet_run_says_nothing(command, tmp_path, monkeypatch):
    monkeypatch.setattr(progress_module, "_FIRST", 0.0)
    assert run(command, tmp_path, SWEEP)[1:] == ("", "")
