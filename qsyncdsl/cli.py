"""The command line: arguments, exit codes and printing. No physics here."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.endings import (
    EXPECTATION_FAILED,
    MODEL_ERRORS,
    WELL,
    complain,
    create,
    guarded,
    kept,
    leave,
    outlook,
    print_json,
    progress_of,
    usage,
    writable,
)

app = typer.Typer(
    name="qsyncdsl",
    help="Quantum synchronization from text files: one model, every level of theory.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Model = Annotated[str, typer.Argument(help="A file, or the name of a bundled model.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=EXPR", help="Set a parameter."),
]
Sweeps = Annotated[
    list[str] | None,
    typer.Option("--sweep", metavar="'NAME = GRID'", help="Sweep a parameter."),
]
Cases = Annotated[list[str] | None, typer.Option("--case", help="Choose a case.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no tables.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything random.")]
Folder = Annotated[Path, typer.Argument(help="The output folder of a run.")]
Retry = Annotated[
    bool, typer.Option("--retry-failed", help="Do points that failed again.")
]
Cluster = Annotated[
    str,
    typer.Option(metavar="WHERE", help="Dask: tcp://HOST:PORT, 'local' or 'slurm'."),
]
Limit = Annotated[
    str,
    typer.Option("--time-limit", metavar="TIME", help="Stop after 90s, 30m, 1:30:00."),
]
Planned = Annotated[
    bool, typer.Option("--plan", help="Show solvers, memory and time; solve nothing.")
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict", help="Doubtful numbers are failures; skipped expectations too."
    ),
]


@app.callback(invoke_without_command=True)
def top(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.")
    ] = False,
) -> None:
    """Quantum synchronization from text files."""
    if version:
        from qsyncdsl import __version__

        typer.echo(f"qsyncdsl {__version__}")
        raise typer.Exit


@app.command()
def run(
    model: Model,
    only: Annotated[
        list[str] | None, typer.Option(help="Run this experiment only.")
    ] = None,
    case: Cases = None,
    set_: Sets = None,
    sweep: Sweeps = None,
    out: Annotated[
        Path | None, typer.Option(help="Output folder, default results/MODEL.")
    ] = None,
    jobs: Jobs = 1,
    seed: Seed = 0,
    retry_failed: Retry = False,
    cluster: Cluster = "",
    time_limit: Limit = "",
    plan: Planned = False,
    strict: Strict = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Solve, measure, save and plot the experiments of a model."""
    from qsyncdsl import pipeline

    request = pipeline.Request(
        tuple(set_ or ()),
        tuple(sweep or ()),
        tuple(case or ()),
        seed,
        jobs,
        retry_failed,
        cluster,
    )
    if plan:
        return outlook(pipeline.outlooks(model, request, only or ()), as_json)
    folder = out or Path("results") / Path(model).stem
    writable(folder)
    with progress_of(quiet or as_json) as progress, kept(folder, time_limit):
        found = pipeline.run(
            model, request, only or (), progress, True, folder, complain
        )
        results = _finish(found, folder, progress, quiet or as_json)
    if as_json:
        print_json(pipeline.document(model, results))
    leave(results, strict)


@app.command()
def resume(
    folder: Folder,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Processes.")
    ] = None,
    retry_failed: Retry = False,
    cluster: Cluster = "",
    time_limit: Limit = "",
    strict: Strict = False,
    quiet: Quiet = False,
) -> None:
    """Go on with a run that was stopped, or do its failed points again."""
    from qsyncdsl import pipeline

    changes: dict[str, Any] = {"retry": retry_failed, "cluster": cluster}
    if jobs is not None:
        changes["jobs"] = jobs
    with progress_of(quiet) as progress, kept(folder, time_limit):
        found = pipeline.resume(folder, changes, progress, complain)
        results = _finish(found, folder, progress, quiet)
    leave(results, strict)


def _finish(
    found: Iterable[Any], folder: Path, progress: Any, silent: bool
) -> list[Any]:
    """Write and show experiments as they come."""
    from qsyncdsl import pipeline
    from qsyncdsl.report import terminal

    results = []
    for result in found:
        results.append(result)
        files = pipeline.write(result, folder, progress)
        if not silent:
            terminal.show(result, files)
    return results


@app.command()
def status(folder: Folder, as_json: Json = False) -> None:
    """Say how far a run is, what failed, and what the store takes."""
    from qsyncdsl import pipeline
    from qsyncdsl.report import terminal

    found = pipeline.status(folder)
    if as_json:
        print_json(asdict(found))
    else:
        terminal.show_status(folder, found)


@app.command()
def clean(
    folder: Folder,
    everything: Annotated[
        bool, typer.Option("--all", help="Remove all that was kept, not only the rest.")
    ] = False,
) -> None:
    """Remove from the store what the last run does not use; results stay."""
    from qsyncdsl import pipeline

    removed, freed = pipeline.clean(folder, everything)
    typer.echo(f"removed {removed} shelves, {freed / 1e6:.3g} MB")


@app.command()
def compare(
    model: Model,
    only: Annotated[
        list[str] | None, typer.Option(help="Compare in this experiment only.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Relative difference that may be passed over.")
    ] = 0.05,
    case: Cases = None,
    set_: Sets = None,
    sweep: Sweeps = None,
    jobs: Jobs = 1,
    seed: Seed = 0,
    strict: Strict = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Hold the methods of an experiment against the one that leaves out least."""
    from qsyncdsl import pipeline
    from qsyncdsl.report import tables
    from qsyncdsl.report.progress import progress as progress_of

    request = pipeline.Request(
        tuple(set_ or ()), tuple(sweep or ()), tuple(case or ()), seed, jobs
    )
    found = []
    with progress_of(quiet or as_json) as progress:
        results = pipeline.run(model, request, only or (), progress, False)
        for result, rows in pipeline.comparisons(results, tolerance):
            found.append((result, rows))
            if not (quiet or as_json):
                name, skipped = result.plan.experiment.name, dict(result.plan.skipped)
                tables.show_comparison(name, rows, skipped)
    if as_json:
        print_json(
            {r.plan.experiment.name: [x.to_json() for x in rows] for r, rows in found}
        )
    leave([result for result, _ in found], strict)


@app.command(name="eval")
def evaluate(
    model: Model,
    solve: Annotated[list[str], typer.Option(help="'METHOD(options)', as in a file.")],
    measure: Annotated[
        list[str], typer.Option(metavar="'NAME = EXPR'", help="What to compute.")
    ],
    case: Cases = None,
    set_: Sets = None,
    sweep: Sweeps = None,
    jobs: Jobs = 1,
    seed: Seed = 0,
    strict: Strict = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Run one experiment that is written on the command line."""
    from qsyncdsl import pipeline
    from qsyncdsl.report import terminal

    request = pipeline.Request(
        tuple(set_ or ()), tuple(sweep or ()), tuple(case or ()), seed, jobs
    )
    with progress_of(quiet or as_json) as progress:
        result = pipeline.evaluate(model, solve, measure, request, progress)
    if as_json:
        print_json(pipeline.document(model, [result]))
    else:
        terminal.show(result, (), full=True)
    leave([result], strict)


@app.command()
def check(
    files: Annotated[
        list[str], typer.Argument(help="Files, or names of bundled models.")
    ],
    as_json: Json = False,
) -> None:
    """Find every fault of model files without solving anything."""
    from qsyncdsl import pipeline

    found: list[Diagnostic] = []
    broken = 0
    for name in files:
        try:
            _, diagnostics = pipeline.check(name)
        except ModelError as fault:
            diagnostics, broken = fault.diagnostics, broken + 1
        found += diagnostics
        if not as_json:
            for diagnostic in diagnostics:
                complain(diagnostic)
            if not any(d.severity == "error" for d in diagnostics):
                typer.echo(f"{name}: ok")
    if as_json:
        print_json([diagnostic.to_json() for diagnostic in found])
    raise typer.Exit(MODEL_ERRORS if broken else WELL)


@app.command()
def fmt(
    files: Annotated[list[Path], typer.Argument(help="Files to format in place.")],
    check_only: Annotated[
        bool, typer.Option("--check", help="Only tell; exit 1.")
    ] = False,
) -> None:
    """Bring model files into the canonical layout."""
    from qsyncdsl import pipeline

    changed = [
        path for path in files if pipeline.format_file(path, write=not check_only)
    ]
    for path in changed:
        typer.echo(f"{'would reformat' if check_only else 'reformatted'} {path}")
    raise typer.Exit(MODEL_ERRORS if check_only and changed else WELL)


@app.command()
def explain(
    model: Model,
    set_: Sets = None,
    case: Cases = None,
    latex: Annotated[
        bool, typer.Option("--latex", help="The master equation in LaTeX.")
    ] = False,
    code: Annotated[bool, typer.Option("--code", help="The generated source.")] = False,
    solve: Annotated[
        str | None,
        typer.Option(help="A method: its equations, and what it leaves out."),
    ] = None,
) -> None:
    """Show what was understood: operators, rates, symmetries, equations."""
    from qsyncdsl import pipeline

    request = pipeline.Request(tuple(set_ or ()), (), tuple(case or ()))
    form = "latex" if latex else "code" if code else "text"
    typer.echo(pipeline.describe(model, request, form, solve), nl=False)


@app.command()
def models(
    action: Annotated[str, typer.Argument(help="list, show or copy.")] = "list",
    name: Annotated[str | None, typer.Argument(help="A bundled model.")] = None,
    to: Annotated[Path | None, typer.Argument(help="Where to copy it.")] = None,
) -> None:
    """List, show or copy the bundled models."""
    from qsyncdsl import pipeline, resources

    if action == "list":
        for model_name, title in pipeline.titles():
            typer.echo(f"{model_name:<26} {title}"[:80])
        return
    if action not in ("show", "copy") or name is None:
        usage("write 'models list', 'models show NAME' or 'models copy NAME [FILE]'")
    path = pipeline.find(name or "")
    if path not in resources.bundled_models().values():
        usage(f"there is no bundled model '{name}'; 'qsyncdsl models' lists them")
    if action == "show":
        typer.echo(path.read_text(encoding="utf-8"), nl=False)
        return
    target = to or Path(path.name)
    create(target, path.read_text(encoding="utf-8"))


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the model, without .qsync.")],
) -> None:
    """Write a small model to start from."""
    from qsyncdsl import pipeline

    path = Path(name if name.endswith(".qsync") else f"{name}.qsync")
    create(path, pipeline.template(path.stem))


@app.command(name="test")
def test_models(
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Files, folders or bundled names; default: all bundled."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Check this experiment only.")
    ] = None,
    strict: Strict = False,
    quiet: Quiet = False,
) -> None:
    """Check the `expect` lines of models, solving only their points."""
    from qsyncdsl import pipeline
    from qsyncdsl.report import terminal

    verdicts = []
    with progress_of(quiet) as progress:
        for name, verdict in pipeline.expectations(files or (), progress, only or ()):
            verdicts.append(verdict)
            terminal.show_verdict(name, verdict, quiet)
    terminal.summary_of_verdicts(verdicts)
    bad = [
        v
        for v in verdicts
        if v.verdict == "failed" or (strict and (v.verdict == "skipped" or v.doubt))
    ]
    raise typer.Exit(EXPECTATION_FAILED if bad else WELL)


@app.command()
def plot(
    result: Annotated[
        Path,
        typer.Argument(help="A .nc file, or the folder of a run that is still going."),
    ],
    out: Annotated[Path | None, typer.Option(help="Folder for the pictures.")] = None,
) -> None:
    """Draw the plots of a saved result again, or what is there so far."""
    from qsyncdsl import pipeline

    folder = out or (result if result.is_dir() else result.parent)
    files = pipeline.replot(result, folder)
    for path in files:
        typer.echo(str(path))
    if not files:
        typer.echo("nothing to draw: no plot of the model has values yet", err=True)


def main() -> None:
    """Run the program: every end is an exit code and at most a message, never a traceback."""
    # Hardly anything that is made while modules are imported is garbage.
    gc.set_threshold(50_000, 20, 20)
    sys.exit(guarded(app))


if __name__ == "__main__":
    main()
