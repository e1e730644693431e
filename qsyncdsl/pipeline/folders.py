"""What was begun before in an output folder: gone on with, looked at, cleaned up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qsyncdsl.model.types import Model
from qsyncdsl.pipeline.models import load_source
from qsyncdsl.pipeline.request import Request
from qsyncdsl.pipeline.running import Warn, chosen, run_model

if TYPE_CHECKING:
    from qsyncdsl.run.command import Status
    from qsyncdsl.run.experiment import ExperimentResult, Progress


def begun(folder: Path) -> tuple[Model, Request, tuple[str, ...]]:
    """The last command of an output folder: model as it was, request, chosen experiments.

    Raises:
        ModelError: E731 if there is none.
    """
    from qsyncdsl.run.command import recall

    source, request, only = recall(folder)
    model, _ = load_source(source)
    known: dict[str, Any] = {
        f.name: request[f.name] for f in fields(Request) if f.name in request
    }
    lists = {k: tuple(v) for k, v in known.items() if isinstance(v, list)}
    return model, Request(**{**known, **lists}), only


def resume(
    folder: Path,
    changes: Mapping[str, Any],
    progress: Progress | None = None,
    warn: Warn | None = None,
) -> Iterator[ExperimentResult]:
    """Go on with the last command of a folder.

    Args:
        changes: Fields of the request that are different now: `jobs`, `retry`, `cluster`.

    Raises:
        ModelError: E731, and those of `run`.
    """
    model, request, only = begun(folder)
    request = replace(request, **changes)
    yield from run_model(model, request, only, progress, True, folder, warn)


def so_far(folder: Path) -> Iterator[ExperimentResult]:
    """What the store of a folder knows of each experiment of its last command.

    Raises:
        ModelError: E731.
    """
    from qsyncdsl.run.command import store_of
    from qsyncdsl.run.experiment import known_so_far
    from qsyncdsl.run.plan import make_plan

    model, request, only = begun(folder)
    options = request.options(model)
    for experiment in chosen(model, only):
        plan = make_plan(model, experiment, options)
        yield known_so_far(plan, store_of(folder))


def status(folder: Path) -> Status:
    """How far the last command of a folder is.

    Raises:
        ModelError: E731.
    """
    from qsyncdsl.run.command import status as status_of
    from qsyncdsl.run.plan import make_plan

    model, request, only = begun(folder)
    options = request.options(model)
    plans = [make_plan(model, e, options) for e in chosen(model, only)]
    return status_of(folder, plans)


def clean(folder: Path, everything: bool = False) -> tuple[int, int]:
    """Remove what the last command of a folder does not use, or all that was kept.

    Returns:
        Shelves removed, and bytes freed.

    Raises:
        ModelError: E731; E732 while a command is at work.
    """
    from qsyncdsl.run.command import clean as clean_store
    from qsyncdsl.run.plan import make_plan

    model, request, _ = begun(folder)
    options = request.options(model)
    chosen = [] if everything else list(model.experiments.values())
    return clean_store(folder, [make_plan(model, e, options) for e in chosen])
