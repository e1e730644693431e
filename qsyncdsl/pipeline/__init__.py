"""START HERE: the verbs of the program, each a walk through the house.

source -> syntax tree -> checked model -> system -> problem -> result -> measures -> output

`models` finds, reads and checks a file, and `request` holds what is asked beside it; `running` takes both to
results, `output` these to files. `folders` goes on with what was begun in one, `explaining` shows what a model
becomes on its way, `notebook` is the same for Python.
"""

from qsyncdsl.pipeline.explaining import describe
from qsyncdsl.pipeline.folders import begun, clean, resume, so_far, status
from qsyncdsl.pipeline.models import (
    check,
    examine_at,
    find,
    format_file,
    load_source,
    template,
    titles,
)
from qsyncdsl.pipeline.notebook import LoadedModel, load
from qsyncdsl.pipeline.output import document, replot, write
from qsyncdsl.pipeline.request import Request
from qsyncdsl.pipeline.running import (
    comparisons,
    evaluate,
    expectations,
    outlooks,
    run,
    run_model,
)
from qsyncdsl.syntax.load import read

__all__ = [
    "LoadedModel", "Request", "begun", "check", "clean", "comparisons", "describe", "document", "evaluate",
    "examine_at", "expectations", "find", "format_file", "load", "load_source", "outlooks", "read", "replot",
    "resume", "run", "run_model", "so_far", "status", "template", "titles", "write",
]  # fmt: skip
