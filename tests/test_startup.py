"""What the commands import: heavy packages only where they are used."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

SMALL = """mode a : boson(levels = 6)
hamiltonian 0.1*(a + a')
dissipator 1 : a
experiment e { solve steadystate; measure n = <a.n> }
"""


def imported(tmp_path, *arguments, text=SMALL):
    """Top-level packages in a fresh process after a command."""
    (tmp_path / "m.qsync").write_text(text)
    script = (
        "import sys\n"
        f"sys.argv = ['qsyncdsl', *{arguments!r}]\n"
        "from qsyncdsl import cli\n"
        "assert cli.guarded(cli.app) == 0\n"
        "print('|', *sorted({m.split('.')[0] for m in sys.modules}))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path,
        check=True, env={"PYTHONPATH": str(ROOT), "PATH": "", "XDG_CACHE_HOME": str(tmp_path)},
    )  # fmt: skip
    return set(found.stdout.rpartition("|")[2].split())


HEAVY = {"numpy", "sympy", "scipy", "qutip", "numba", "matplotlib", "xarray", "pandas"}


@pytest.mark.parametrize(
    "command", [("check", "m.qsync"), ("fmt", "m.qsync"), ("models",)]
)
def test_what_solves_nothing_imports_no_numerics(tmp_path, command):
    assert imported(tmp_path, *command) & (HEAVY | {"rich"}) == set()


def test_a_small_steady_state_needs_no_plots_kernels_or_second_backend(tmp_path):
    found = imported(tmp_path, "run", "m.qsync", "-q")
    assert found & {"matplotlib", "qutip", "numba", "xarray", "IPython"} == set()


LANGEVIN = """mode a : boson
hamiltonian 0.1*(a + a')
dissipator 1 : a
experiment e { solve langevin(time = 1, realizations = 2); measure n = <a.n> }
"""


def test_a_second_run_needs_no_symbols_no_compiler_and_no_dataset(tmp_path):
    lean = {"sympy", "numba", "scipy", "xarray", "pandas", "dask", "pydantic"}
    imported(tmp_path, "run", "m.qsync", "-q", text=LANGEVIN)
    found = imported(tmp_path, "run", "m.qsync", "-q", "--seed", "1", text=LANGEVIN)
    assert found & (lean | {"matplotlib", "qutip"}) == set()
    assert {"llvmlite", "h5netcdf"} <= found


def test_pictures_do_not_need_to_know_arrays_of_dask(tmp_path):
    text = SMALL.replace("measure", "sweep F = linspace(0, 1, 3)\nplot n vs F\nmeasure")
    text = "parameter F = 0\n" + text.replace("0.1*(", "F*(")
    found = imported(tmp_path, "run", "m.qsync", "-q", "--out", "out", text=text)
    assert (tmp_path / "out" / "e_1.png").exists()
    assert {"matplotlib", "xarray"} <= found
    assert not {"dask", "distributed"} & found


def test_a_plan_needs_no_symbols_and_no_dataset(tmp_path):
    found = imported(tmp_path, "run", "m.qsync", "--plan")
    assert found & {"matplotlib", "qutip", "numba", "h5netcdf", "xarray"} == set()


def test_an_installed_package_adds_words(tmp_path, monkeypatch):
    """Its entry points are found by the files alone, and loaded as `importlib.metadata` says."""
    from qsyncdsl.registry import entry

    info = tmp_path / "more_words-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: more-words\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[qsyncdsl.measures]\nbrightness = more_words:brightness\n"
    )
    (tmp_path / "more_words.py").write_text(
        "from qsyncdsl.registry.entry import word\n"
        "brightness = word('brightness', 'a: mode', 'real', 'how bright')\n"
    )
    entry._announced.cache_clear()
    words = entry.Registry("measures", ())
    assert list(words) == []
    monkeypatch.syspath_prepend(tmp_path)
    entry._announced.cache_clear()
    assert list(entry.Registry("measures", ())) == ["brightness"]
    entry._announced.cache_clear()
