"""Experiments run: those of a model, one from the command line, those behind `expect` lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from qsyncdsl import resources
from qsyncdsl.diagnostics import Diagnostic, ModelError, did_you_mean
from qsyncdsl.model.types import Experiment, Model
from qsyncdsl.pipeline.models import examine_at, find, load_source
from qsyncdsl.pipeline.request import Request
from qsyncdsl.source import Source
from qsyncdsl.syntax.load import read

if TYPE_CHECKING:
    from qsyncdsl.run.compare import Comparison
    from qsyncdsl.run.experiment import ExperimentResult, Progress
    from qsyncdsl.run.planning import LineOutlook


Warn = Callable[[Diagnostic], None]


def run(
    name: str,
    request: Request | None = None,
    only: Iterable[str] = (),
    progress: Progress | None = None,
    expectations: bool = True,
    folder: Path | None = None,
    warn: Warn | None = None,
) -> Iterator[ExperimentResult]:
    """Run the experiments of a model, one after the other.

    Args:
        folder: Where what is computed is kept, in `store` below it; nowhere if not given.
        warn: Called with what a person should know at once.

    Raises:
        ModelError: E1xx to E4xx, E7xx.
    """
    source = read(find(name))
    model, _ = load_source(source)
    yield from run_model(
        model, request or Request(), tuple(only), progress, expectations, folder, warn
    )


def run_model(
    model: Model,
    request: Request,
    only: tuple[str, ...] = (),
    progress: Progress | None = None,
    expectations: bool = True,
    folder: Path | None = None,
    warn: Warn | None = None,
) -> Iterator[ExperimentResult]:
    """Run the experiments of a checked model."""
    from qsyncdsl.run.command import remember, workshop
    from qsyncdsl.run.experiment import run_experiment
    from qsyncdsl.run.plan import make_plan

    options = request.options(model)
    experiments = chosen(model, only)
    examine_at(model, options.sets)
    if folder is not None:
        remember(folder, model, asdict(request), only)
    with workshop(folder, request, progress, warn) as shop:
        for experiment in experiments:
            plan = make_plan(model, experiment, options)
            yield run_experiment(plan, shop, expectations)


def chosen(model: Model, only: tuple[str, ...]) -> list[Experiment]:
    """The experiments of those names; all if there are none.

    Raises:
        ModelError: E705 for a name that no experiment has.
    """
    for name in only:
        if name not in model.experiments:
            no_experiment(name, model.experiments)
    return [e for e in model.experiments.values() if not only or e.name in only]


def no_experiment(name: str, known: Iterable[str]) -> NoReturn:
    """E705."""
    help = did_you_mean(name, known) or f"it has {', '.join(known)}"
    fault = Diagnostic("E705", f"the model has no experiment '{name}'", help=help)
    raise ModelError([fault])


def evaluate(
    name: str,
    solve: Iterable[str],
    measures: Iterable[str],
    request: Request,
    progress: Progress | None = None,
) -> ExperimentResult:
    """An experiment from the command line, called `eval`.

    Raises:
        ModelError: E1xx to E4xx, E7xx; places are in the text `<command line>`.
    """
    source = read(find(name))
    lines = [f"  case {', '.join(request.cases)}"] if request.cases else []
    lines += [f"  sweep {text}" for text in request.sweeps]
    lines += [f"  solve {text}" for text in solve]
    lines += [f"  measure {text}" for text in measures]
    extra = Source("<command line>", "experiment eval {\n" + "\n".join(lines) + "\n}\n")
    model, _ = load_source(source, extra)
    inner = replace(request, sweeps=())
    [result] = run_model(model, inner, ("eval",), progress, False)
    return result


def outlooks(
    name: str, request: Request | None = None, only: Iterable[str] = ()
) -> Iterator[LineOutlook]:
    """What every line of the experiments would cost, before anything is allocated.

    Raises:
        ModelError: E1xx to E4xx, E7xx.
    """
    from qsyncdsl.run.plan import make_plan
    from qsyncdsl.run.planning import line_outlooks

    model, _ = load_source(read(find(name)))
    options = (request or Request()).options(model)
    examine_at(model, options.sets)
    for experiment in chosen(model, tuple(only)):
        yield from line_outlooks(make_plan(model, experiment, options))


def comparisons(
    results: Iterable[ExperimentResult], tolerance: float
) -> Iterator[tuple[ExperimentResult, tuple[Comparison, ...]]]:
    """Each experiment with its methods held against the one that leaves out least."""
    from qsyncdsl.run.compare import compare

    for result in results:
        yield result, compare(result, tolerance)


def expectations(
    names: Iterable[str], progress: Progress | None = None, only: Iterable[str] = ()
) -> Iterator[tuple[str, Any]]:
    """The verdict on every `expect` line of some models; of all bundled ones by default.

    Args:
        only: Experiments; all if there are none. Each must be one of some of the models.

    Raises:
        ModelError: If a model has errors; E705 for an experiment that none of them has.
    """
    from qsyncdsl.run.expect import Expectations
    from qsyncdsl.run.plan import Options, make_plan

    files, wanted = _model_files(names), tuple(only)
    if wanted:
        known: dict[str, Model] = {}
        for name in files:
            model = load_source(read(find(name)))[0]
            known |= dict.fromkeys(model.experiments, model)
        for unknown in (name for name in wanted if name not in known):
            no_experiment(unknown, known)
    for name in files:
        model, _ = load_source(read(find(name)))
        for experiment in model.experiments.values():
            if wanted and experiment.name not in wanted:
                continue
            checker = Expectations(make_plan(model, experiment, Options()))
            requests = checker.requests()
            for done, request in enumerate(requests, start=1):
                if progress is not None:
                    progress(
                        f"{Path(name).stem} {experiment.name}", done, len(requests)
                    )
                yield Path(name).stem, checker.one(request)


def _model_files(names: Iterable[str]) -> list[str]:
    """Names, the files of folders, or all bundled models."""
    found: list[str] = []
    for name in names:
        path = Path(name)
        found += sorted(map(str, path.glob("*.qsync"))) if path.is_dir() else [name]
    return found or list(resources.bundled_models())
