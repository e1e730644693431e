"""How far a command is: on a terminal 80 columns wide, in a notebook, in the log of a batch job."""

import os
import pty
import re
import select
import sys
import time
import types

import pytest

from qsyncdsl import load
from qsyncdsl.report import progress as progress_module
from tests.conftest import ROOT
from tests.test_store import SWEEP


@pytest.fixture
def notebook(monkeypatch):
    """What a notebook shows: a fake IPython that keeps what it is given to display."""
    shown = []

    class Handle:
        def update(self, what):
            shown[-1].append(what)

    def display(what, display_id=False):
        shown.append([what])
        return Handle() if display_id else None

    shell = type("ZMQInteractiveShell", (), {"__module__": "ipykernel.zmqshell"})()
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: shell
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.HTML = lambda text: text
    ipython.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    monkeypatch.setattr(progress_module, "_PATIENCE", 0.0)
    monkeypatch.setattr(progress_module, "_BLINK", -1.0)
    return shown


def test_a_notebook_shows_one_output_that_changes_and_goes(tmp_path, notebook):
    (tmp_path / "m.qsync").write_text(SWEEP)
    model = load(tmp_path / "m.qsync")
    assert set(model.run()["e"]["n"].dims) == {"method", "Delta", "E"}
    [lines] = notebook
    assert len(lines) > 2
    assert any("steadystate: " in line and " of 22 points" in line for line in lines)
    assert any("/s, " in line and " left" in line for line in lines)
    assert lines[-1] == ""
    notebook.clear()
    model.run(progress=False)
    assert not notebook


def test_a_notebook_shows_failures_and_memory_and_no_html_of_models(notebook):
    with progress_module.progress(False, True) as tell:
        tell("a<b>", 3, 10, failed=2, memory=3e8, text="x & y")
    assert notebook[0][0] == "x &amp; y<br>a&lt;b&gt;: 3 of 10 points, 2 failed, 300 MB"


def test_a_script_says_nothing_unless_it_is_asked(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(progress_module, "_FIRST", 0.0)
    monkeypatch.setattr(progress_module, "_BETWEEN", 0.0)
    (tmp_path / "m.qsync").write_text(SWEEP)
    model = load(tmp_path / "m.qsync")
    model.run()
    assert capsys.readouterr() == ("", "")
    model.run(progress=True)
    assert "steadystate: " in capsys.readouterr().err


def test_a_model_keeps_its_points_in_a_folder(tmp_path):
    (tmp_path / "m.qsync").write_text(SWEEP)
    model = load(tmp_path / "m.qsync")
    first = model.run(folder=tmp_path / "kept")
    assert list((tmp_path / "kept" / "store").rglob("*.blocks"))
    assert first["e"].identical(model.run(folder=str(tmp_path / "kept"))["e"])


TALL = """
import time
from qsyncdsl.report import progress
progress._PATIENCE = 0.0
with progress.progress(False) as tell:
    for k in range(6):
        tell("a_rather_long_label_of_a_line", 123456 + k, 1234567, failed=12, memory=3.2e9)
        tell("langevin, % of a point", 10 + k, 100)
        time.sleep(0.15)
"""


def test_a_bar_fits_into_80_columns():
    """On a terminal no line is broken, and what counts is there."""
    main, other = pty.openpty()
    process = os.fork()
    if process == 0:
        os.close(main)
        for stream in (0, 1, 2):
            os.dup2(other, stream)
        settings = {"COLUMNS": "80", "LINES": "24", "TERM": "xterm"}
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings}
        os.execve(sys.executable, [sys.executable, "-c", TALL], environment)
    os.close(other)
    data, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([main], [], [], 1.0)[0]:
            continue
        try:
            piece = os.read(main, 65536)
        except OSError:
            break
        if not piece:
            break
        data += piece
    os.waitpid(process, 0)
    os.close(main)
    text = _plain(data.decode())
    assert "failed" in text
    lines = [line for line in text.splitlines() if line.strip()]
    assert lines
    assert max(map(len, lines)) <= 80
    wanted = r"a_rather_long… \S+ +1234\d\d/1234567 .* left, 12 failed, 3\.2 GB"
    assert re.search(wanted, text), text
    assert re.search(r"% of a point +\S+ +1\d/100 .* left", text), text


def _plain(text):
    """Without what moves the cursor and colors the text."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n")
