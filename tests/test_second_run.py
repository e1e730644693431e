"""What one process keeps for the next: derived problems, machine code; and results as plain tables."""

import ctypes
import dataclasses
import os
import pickle

import numpy as np
import pytest
import sympy
import xarray as xr

from qsyncdsl import resources
from qsyncdsl.diagnostics import ModelError
from qsyncdsl.model.environment import Environment
from qsyncdsl.problem import Lowered
from qsyncdsl.resources import cache_folder
from qsyncdsl.run import dataset, derived
from qsyncdsl.run.derived import Derived
from qsyncdsl.run.files import open_results, save
from qsyncdsl.run.plan import Options, make_plan
from qsyncdsl.run.structure import Structure
from qsyncdsl.run.table import Column, Table
from qsyncdsl.solve import kernels, machine_code
from qsyncdsl.source import Source, Span
from qsyncdsl.syntax import load, tree
from qsyncdsl.syntax.walk import names_in
from tests.conftest import model_of
from tests.conftest import run_text as run_all


def run_text(text):
    """The only experiment of a text."""
    return next(iter(run_all(text).values()))


OSCILLATOR = """
parameter gamma2 = 0.3
parameter E = 1
mode a : boson(levels = 12)
hamiltonian -0.3*a'*a + i*E*(a - a')
dissipator 1 : a'
dissipator gamma2 : a^2
experiment e {{
  {body}
  measure A = <a>
  measure n = <a'*a>
}}
"""
SPAN = Span(Source("m.qsync", "x"), 0, 1)
LANGEVIN = "solve langevin(time = 5, realizations = 4)"


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for function in (kernels.loaded, kernels.compiled):
        function.cache_clear()
    return cache_folder()


@pytest.mark.parametrize(
    "body",
    [LANGEVIN, "solve steadystate", "solve fokkerplanck", "solve evolve(time = 1)"],
)
def test_a_problem_that_was_kept_gives_the_same_bits(empty_cache, body, monkeypatch):
    text = OSCILLATOR.format(body=body)
    first = run_text(text)
    assert list(empty_cache.glob("problems/*/*"))

    def never(*_):
        raise AssertionError("derived again")

    monkeypatch.setattr(derived, "keep", never)
    kernels.loaded.cache_clear()
    xr.testing.assert_equal(first.dataset, run_text(text).dataset)


def test_other_models_options_and_structures_have_problems_of_their_own(empty_cache):
    texts = [
        OSCILLATOR.format(body="solve steadystate"),
        OSCILLATOR.format(body="solve steadystate").replace("-0.3*a", "-0.4*a"),
        OSCILLATOR.format(body="solve steadystate").replace("= 12", "= 14"),
        OSCILLATOR.format(body="solve evolve(time = 1)"),
        OSCILLATOR.format(body="solve evolve(time = 2)"),
    ]
    values = [complex(run_text(text).dataset["A"].values.item()) for text in texts]
    assert len(list(empty_cache.glob("problems/*"))) == 5
    assert len({f"{value:.9g}" for value in values}) == 5
    assert [complex(run_text(t).dataset["A"].values.item()) for t in texts] == values


def test_a_parameter_that_becomes_complex_does_not_find_the_problem_of_real_ones(
    empty_cache,
):
    text = """
parameter g = 0.5
mode a : boson(levels = 8)
hamiltonian g*a + h.c.
dissipator 1 : a
experiment e { solve steadystate; measure A = <a> }
"""
    real = complex(run_text(text).dataset["A"].values.item())
    other = text.replace("g = 0.5", "g = 0.5*i")
    turned = complex(run_text(other).dataset["A"].values.item())
    assert real == pytest.approx(-1j, abs=1e-2)
    assert turned == pytest.approx(-1, abs=1e-2)


def test_damaged_files_and_a_folder_that_cannot_be_written_do_no_harm(
    empty_cache, monkeypatch
):
    text = OSCILLATOR.format(body=LANGEVIN)
    first = run_text(text).dataset
    kept = ("objects/*", "problems/*/*", "kernels/*.py")
    for path in (path for pattern in kept for path in empty_cache.glob(pattern)):
        path.write_bytes(b"damaged")
    kernels.loaded.cache_clear()
    kernels.compiled.cache_clear()
    xr.testing.assert_equal(first, run_text(text).dataset)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    kernels.loaded.cache_clear()
    kernels.compiled.cache_clear()
    xr.testing.assert_equal(first, run_text(text).dataset)


def test_without_a_home_nothing_is_kept(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(resources.Path, "home", homeless)
    load.parse(Source("m.qsync", "mode a : boson\n"))
    resources.keep(b"x", "some", "name", most=3)
    assert resources.kept("some", "name") is None
    assert resources.kept_names("some") == []


def test_problems_with_expressions_or_places_are_not_kept(empty_cache):
    nowhere = Structure((), (), ())
    for problem in (sympy.Symbol("x"), SPAN):
        derived.keep("address", Derived(Lowered(problem, ()), {}, nowhere))
    assert not list(empty_cache.glob("problems/*/*"))
    derived.keep("address", Derived(Lowered("plain", ()), {}, nowhere))
    environment = Environment(model_of(OSCILLATOR.format(body=LANGEVIN)))
    found = derived.known("address", environment)
    assert found is not None
    assert found.lowered.problem == "plain"
    assert derived.known("another", environment) is None


# ── machine code ─────────────────────────────────────────────────────────────────────────────

SOURCE = kernels.module_source(
    [
        '''def total(x, pair, factor, count, negative):
    """Of two arrays, scaled."""
    found = 0.0
    for k in range(count):
        found += factor * x[k] * pair[0][k, 0].real + pair[1]
    return -found if negative else found
''',
        '''def both(x, out):
    """A product and a number of items."""
    for k in range(x.shape[0]):
        out[k] = np.exp(x[k])
    return out[0], x.shape[0]
''',
        '''def room(x):
    """An array that is made inside."""
    return x + 1.0
''',
    ]
)


def test_machine_code_is_called_as_numba_would(empty_cache):
    x = np.array([1.0, 2.0, 3.0])
    z = np.array([[1.0 + 2j], [0.5], [2.0]])
    for repeated in range(2):
        total = kernels.loaded(SOURCE, "total")
        assert total(x, (z, 0.25), 2.0, 3, False) == 2 * (1 + 1 + 6) + 0.75
        assert total(x, (z, 0.25), 2.0, 2, True) == -(2 * 2 + 0.5)
        out = np.empty(3)
        first, count = kernels.loaded(SOURCE, "both")(x, out)
        assert (first, count) == (np.exp(1.0), 3)
        np.testing.assert_array_equal(out, np.exp(x))
        assert len(list(empty_cache.glob("objects/*"))) == 2
        kernels.loaded.cache_clear()
        if not repeated:
            # the second time numba is not asked
            kernels.compiled.cache_clear()


def test_what_needs_numba_is_left_to_numba(empty_cache):
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(kernels.loaded(SOURCE, "room")(x[0]), x[0] + 1)
    out = np.empty(2)
    kernels.loaded(SOURCE, "both")(x[:, 0], out)
    np.testing.assert_array_equal(out, np.exp(x[:, 0]))
    assert not list(empty_cache.glob("objects/*"))


def test_arguments_are_passed_item_by_item():
    x = np.zeros((2, 3), dtype=complex)
    kinds = tuple(map(machine_code._kind, (x, (1.0, x), True, 2)))
    passed = machine_code._passed((x, (1.0, x), True, 2), [])
    assert passed == [
        *(None, None, 6, 16, x.ctypes.data, 2, 3, 48, 16, 1.0),
        *(None, None, 6, 16, x.ctypes.data, 2, 3, 48, 16, True, 2),
    ]
    assert len(list(machine_code._types(kinds))) == len(passed)
    assert list(machine_code._types(kinds))[9] is ctypes.c_double


# ── tables ───────────────────────────────────────────────────────────────────────────────────


def test_a_file_is_the_one_that_xarray_writes(tmp_path):
    table = Table(
        {
            "a": Column(("method", "x"), np.array([[1.0, np.nan, 3.0]]), {"units": "Hz"}),
            "z": Column(("method", "x"), np.array([[1 + 1j, complex(np.nan, np.nan), 3]])),
            "s": Column((), np.array(2.5)),
            "i": Column(("x",), np.arange(3)),
        },
        {
            "x": Column(("x",), np.array([0.1, 0.2, 0.3])),
            "method": Column(("method",), np.array(["langevin"])),
            "failure": Column(("method", "x"), np.array([["", "é: E513", ""]])),
            "k": Column(("x",), np.array([1, 2, 3])),
            "loose": Column(("case",), np.array([1.5, 2.5])),
            "case": Column(("case",), np.array(["None", "b"])),
        },
        {"title": "é", "seed": 0, "notes": ""},
    )  # fmt: skip
    save(table, tmp_path / "own.nc")
    table.to_xarray().to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    own, other = open_results(tmp_path / "own.nc"), open_results(tmp_path / "other.nc")
    xr.testing.assert_identical(own, other)
    xr.testing.assert_identical(own, table.to_xarray())
    for name in other.variables:
        assert own[name].dtype == other[name].dtype
        assert own[name].encoding.keys() == other[name].encoding.keys()


FAILING = """
parameter g = 1
mode a : boson(levels = 6)
hamiltonian 0.2*(a + a')
dissipator g : a
case strong { g = 2 }
experiment e {
  case strong
  sweep g = [0.5, 1], s = [1, 2]
  solve steadystate
  measure n = <a'*a>
  measure P = phase_distribution(a)
  measure x = 1/(g - 1)
}
parameter s = 1
"""


@pytest.mark.parametrize(
    "text", [OSCILLATOR.format(body=LANGEVIN), FAILING], ids=["langevin", "sweep"]
)
def test_one_line_alone_is_what_xarray_makes_of_it(text, monkeypatch):
    found = run_text(text).dataset
    model = model_of(text)
    plan = make_plan(model, model.experiments["e"], Options())
    monkeypatch.setattr(
        dataset,
        "alone",
        lambda line, label: dataset.together([line], [label], plan),
    )
    xr.testing.assert_identical(found, run_text(text).dataset)


# ── trees ────────────────────────────────────────────────────────────────────────────────────


def test_a_tree_that_was_kept_is_the_one_that_was_parsed(empty_cache):
    source = Source("m.qsync", OSCILLATOR.format(body="solve steadystate"))
    first = load.parse(source)
    (kept,) = empty_cache.glob("trees/*")
    again = load.parse(source)
    assert again == first
    assert again is not first
    places = [
        (node.span.start, node.span.end, node.span.source) for node in names_in(again)
    ]
    assert places == [
        (n.span.start, n.span.end, n.span.source) for n in names_in(first)
    ]
    kept.write_bytes(b"damaged")
    assert load.parse(source) == first


def test_a_text_with_faults_leaves_no_tree(empty_cache):
    for _ in range(2):
        with pytest.raises(ModelError):
            load.parse(Source("m.qsync", "mode a : : boson"))
    assert not list(empty_cache.glob("trees/*"))


def test_no_more_is_kept_than_has_room(empty_cache):
    for k in range(5):
        resources.keep(b"x", "some", f"{k}", most=3)
        os.utime(empty_cache / "some" / f"{k}", (k, k))
    assert resources.kept_names("some") == ["2", "3", "4"]
    assert resources.kept("some", "4") == b"x"
    assert resources.kept("some", "0") is None


def test_nodes_are_frozen_compared_by_content_and_pickled():
    name = tree.Name(SPAN, "g", "γ")
    assert name == tree.Name(span=SPAN, key="g", written="g")
    assert hash(name) == hash(tree.Name(SPAN, "g", "g"))
    assert name != tree.Name(SPAN, "h", "γ")
    assert name != tree.String(SPAN, "g")
    assert repr(name) == "Name(key='g')"
    assert pickle.loads(pickle.dumps(name)) == name
    assert dataclasses.replace(name, key="h").key == "h"
    with pytest.raises(dataclasses.FrozenInstanceError):
        name.key = "h"
    with pytest.raises(TypeError):
        tree.Name(SPAN, "g")
    with pytest.raises(TypeError):
        tree.Name(SPAN, "g", "g", key="h")
