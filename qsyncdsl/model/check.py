"""The checker: every fault of meaning in a file at once."""

from __future__ import annotations

from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.model.elaborate import elaborate
from qsyncdsl.model.types import Model
from qsyncdsl.source import Source
from qsyncdsl.syntax import tree


def check_file(file: tree.File, source: Source) -> tuple[Model, tuple[Diagnostic, ...]]:
    """The model of a file, and warnings.

    Raises:
        ModelError: With every fault.
    """
    model, faults = elaborate(file, source)
    if faults:
        raise ModelError(faults)
    return model, ()
