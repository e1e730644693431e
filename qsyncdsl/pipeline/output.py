"""What a result becomes: a dataset and pictures in files, a document, pictures drawn again."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.pipeline.folders import so_far
from qsyncdsl.pipeline.models import load_source
from qsyncdsl.source import Source
from qsyncdsl.syntax import tree

if TYPE_CHECKING:
    from qsyncdsl.run.experiment import ExperimentResult, Progress


def write(
    result: ExperimentResult, folder: Path, progress: Progress | None = None
) -> tuple[Path, ...]:
    """Write the dataset and the plots of an experiment; each file is complete or absent.

    Raises:
        OSError: If the folder cannot be written.
    """
    from qsyncdsl.run.files import save

    name = result.plan.experiment.name
    path = folder / f"{name}.nc"
    save(result.table, path)
    experiment = result.plan.experiment
    if not any(isinstance(r, tree.Plot) for r in experiment.requests):
        return (path,)
    from qsyncdsl.run.plain_arrays import plain_arrays

    with plain_arrays():
        from qsyncdsl.report.plot import draw

        pictures = draw(result.dataset, result.plan.model, experiment, folder)
    return (path, *pictures)


def document(name: str, results: Iterable[ExperimentResult]) -> dict[str, Any]:
    """The one JSON document of `--json`."""
    from qsyncdsl import __version__
    from qsyncdsl.report.document import experiment_document

    return {
        "model": Path(name).stem,
        "version": __version__,
        "experiments": {
            r.plan.experiment.name: experiment_document(r) for r in results
        },
    }


def replot(path: Path, folder: Path) -> tuple[Path, ...]:
    """Draw the plots of a saved result again, from the model text it carries.

    Args:
        path: A file that `run` wrote; or an output folder: what is there so far of a run that is going,
            and the files of experiments that are done.

    Raises:
        ModelError: E706 for a file that `run` did not write; E731 for a folder.
    """
    from qsyncdsl.report.plot import draw
    from qsyncdsl.run.files import open_results

    if path.is_dir():
        files: list[Path] = []
        done = sorted(path.glob("*.nc"))
        # copied results have no store beside them
        with suppress(ModelError) if done else nullcontext():
            for result in so_far(path):
                plan = result.plan
                files += draw(result.dataset, plan.model, plan.experiment, folder)
        going = {file.name.rpartition("_")[0] for file in files}
        for file in done:
            if file.stem not in going:
                files += replot(file, folder)
        return tuple(files)
    try:
        dataset = open_results(path)
        text, name = dataset.attrs["model_text"], dataset.attrs["experiment"]
    except (OSError, KeyError, ValueError):
        raise ModelError(
            [Diagnostic("E706", f"'{path}' is not a result of 'qsyncdsl run'")]
        ) from None
    model, _ = load_source(Source(str(path), text))
    return draw(dataset, model, model.experiments[name], folder)
