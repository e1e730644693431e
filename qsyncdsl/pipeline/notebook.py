"""A model in a notebook: read once, run as often as one likes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qsyncdsl.model.types import Model
from qsyncdsl.pipeline.models import find, load_source
from qsyncdsl.pipeline.request import Request
from qsyncdsl.pipeline.running import run_model
from qsyncdsl.syntax.load import read

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class LoadedModel:
    """A checked model for notebooks: `qsyncdsl.load("m.qsync").run()`."""

    model: Model
    name: str

    def run(
        self,
        *experiments: str,
        sets: Iterable[str] = (),
        jobs: int = 1,
        seed: int = 0,
        cluster: str = "",
        folder: str | Path | None = None,
        progress: bool | None = None,
    ) -> dict[str, xr.Dataset]:
        """Run some or all experiments and return their datasets by name.

        Args:
            experiments: Names; all of them if none is given.
            sets: As on the command line, for instance `"levels=20"`.
            jobs: Processes.
            seed: For everything random.
            cluster: As on the command line: the address of a dask scheduler, `local`, `slurm`.
            folder: Where points are kept, so that a second call does only what is missing.
            progress: Whether to show how far it is; in notebooks unless it is said.

        Raises:
            ModelError: As on the command line.
        """
        from qsyncdsl.report import progress as shown

        notebook = shown.in_notebook()
        loud = notebook if progress is None else progress
        request = Request(sets=tuple(sets), jobs=jobs, seed=seed, cluster=cluster)
        kept = None if folder is None else Path(folder)
        with shown.progress(not loud, notebook) as tell:
            found = run_model(self.model, request, experiments, tell, False, kept)
            return {result.plan.experiment.name: result.dataset for result in found}


def load(name: str | Path) -> LoadedModel:
    """Read and check a model: a path, or the name of a bundled one.

    Raises:
        ModelError: E1xx, E2xx.
    """
    model, _ = load_source(read(find(str(name))))
    return LoadedModel(model, str(name))
