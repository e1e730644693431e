"""The factors of an LU by PARDISO: what stands between the solver and the library."""

import gc
import sys
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import scipy.sparse.linalg as spla

from tests.conftest import run_text, values

TEXT = """
mode a : boson(levels = 8)
mode b : boson(levels = 8)
hamiltonian 0.1*(a'*a - b'*b)
dissipator  0.3 : a', b'
dissipator  0.6 : a, b
dissipator  1 : a^2, b^2
coupling    0.5 : a - b
experiment e {{ solve steadystate(solver = {solver}); measure n = <a'*a> }}
"""


class _Library:
    """SuperLU with the interface of pypardiso's solver."""

    calls: ClassVar[list[str]] = []

    def __init__(self, mtype: int) -> None:
        assert mtype == 11, "real and not symmetric"

    def factorize(self, matrix: object) -> None:
        self.calls.append("factorize")
        self._inverse = spla.splu(matrix.tocsc())

    def solve(self, matrix: object, right: np.ndarray) -> np.ndarray:
        self.calls.append("solve")
        return self._inverse.solve(right)

    def free_memory(self, everything: bool) -> None:
        self.calls.append("free")


def test_pardiso_factorizes_where_it_is_asked_for_and_its_memory_is_freed(monkeypatch):
    _Library.calls = []
    module = SimpleNamespace(PyPardisoSolver=_Library)
    monkeypatch.setitem(sys.modules, "pypardiso", module)
    result = run_text(TEXT.format(solver="pardiso"))["e"]
    assert "PARDISO" in result.trust["steadystate"]["solver"]
    direct = values(run_text(TEXT.format(solver="direct"))["e"], "n")
    assert values(result, "n") == pytest.approx(direct, abs=1e-12)
    gc.collect()
    assert {"factorize", "solve"} <= set(_Library.calls)
    assert _Library.calls.count("free") == _Library.calls.count("factorize")


def test_without_the_package_the_solver_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pypardiso", None)
    result = run_text(TEXT.format(solver="pardiso"))["e"]
    (failure,) = result.trust["steadystate"]["failures"]
    assert failure["code"] == "E518"
    assert "qsyncdsl[pardiso]" in failure["message"]
