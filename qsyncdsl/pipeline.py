"""START HERE: the verbs of the program, each a walk through the house.

source -> syntax tree -> checked model -> system -> problem -> result -> measures -> output
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, fields, replace
from math import prod
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NoReturn

from qsyncdsl import resources
from qsyncdsl.diagnostics import Diagnostic, ModelError, did_you_mean
from qsyncdsl.model.check import check_file
from qsyncdsl.model.check_experiment import settable
from qsyncdsl.model.dualities import verify_dualities
from qsyncdsl.model.elaborate import override
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.types import Experiment, Model, Override
from qsyncdsl.registry import methods
from qsyncdsl.source import Source
from qsyncdsl.syntax import tree
from qsyncdsl.syntax.load import parse, read

if TYPE_CHECKING:
    import xarray as xr

    from qsyncdsl.run.command import Status
    from qsyncdsl.run.compare import Comparison
    from qsyncdsl.run.experiment import ExperimentResult, Progress
    from qsyncdsl.run.plan import Options
    from qsyncdsl.run.planning import LineOutlook


Warn = Callable[[Diagnostic], None]


def find(name: str) -> Path:
    """The file of a model: a path, or the name of a bundled one.

    Raises:
        ModelError: E700 if there is neither.
    """
    path = Path(name)
    bundled = resources.bundled_models()
    if path.is_file() or path.suffix or "/" in name:
        return path
    if name in bundled:
        return bundled[name]
    raise ModelError(
        [
            Diagnostic(
                "E700",
                f"there is no file and no bundled model '{name}'",
                help=did_you_mean(name, bundled)
                or "'qsyncdsl models' lists the bundled ones",
            )
        ]
    )


def load_source(
    source: Source, extra: Source | None = None
) -> tuple[Model, tuple[Diagnostic, ...]]:
    """Parse and check a text; `extra` are statements that the command line adds to it.

    Returns:
        The model and its warnings.

    Raises:
        ModelError: E1xx or E2xx, with every fault of the stage.
    """
    file = parse(source)
    if extra is not None:
        added = parse(extra)
        file = tree.File(file.span, file.statements + added.statements)
    return check_file(file, source)


def check(name: str) -> tuple[Model, tuple[Diagnostic, ...]]:
    """Everything that can be refused without solving: syntax, meaning, operators.

    Raises:
        ModelError: With every fault of the first stage that has any.
    """
    from qsyncdsl.algebra.build import examine

    source = read(find(name))
    model, warnings = load_source(source)
    for case in (None, *model.cases.values()):
        environment = Environment(model, [case.overrides] if case else [])
        environment.all_values()
        verify_dualities(model, environment)
        examine(model, environment)
    return model, warnings


@dataclass(frozen=True)
class Request:
    """What the command line asks for beside the file: texts, not yet parsed."""

    sets: tuple[str, ...] = ()
    sweeps: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    seed: int = 0
    jobs: int = 1
    retry: bool = False
    cluster: str = ""

    def options(self, model: Model) -> Options:
        """The texts parsed and held against the model.

        Raises:
            ModelError: E1xx for the texts, E703 for a name that is no parameter.
        """
        from qsyncdsl.run.plan import Options

        return Options(
            self.cases,
            tuple(_set(model, text) for text in self.sets),
            tuple(_sweep(model, text) for text in self.sweeps),
            self.seed,
            self.jobs,
        )


def _set(model: Model, text: str) -> Override:
    parsed = parse(Source("--set", f"case command_line {{ {text} }}"))
    statement = parsed.statements[0]
    assert isinstance(statement, tree.Case)
    if len(statement.body) != 1 or not isinstance(statement.body[0], tree.Declaration):
        raise ModelError([Diagnostic("E704", f"--set takes NAME=EXPR, not '{text}'")])
    item = statement.body[0]
    _known(model, item.place.name)
    return override(item, model.scope)


def _sweep(model: Model, text: str) -> tree.Sweep:
    parsed = parse(Source("--sweep", f"experiment command_line {{ sweep {text} }}"))
    statement = parsed.statements[0]
    assert isinstance(statement, tree.Experiment)
    sweep = statement.body[0]
    assert isinstance(sweep, tree.Sweep)
    for setting in sweep.settings:
        place = setting.place
        for name in place.names if isinstance(place, tree.Group) else (place.name,):
            _known(model, name)
    return sweep


def _known(model: Model, name: tree.Name) -> None:
    """E703 unless the name can be set."""
    known = settable(model)
    if name.key not in known:
        raise ModelError(
            [
                Diagnostic(
                    "E703",
                    f"the model has no parameter '{name.written}'",
                    name.span,
                    help=did_you_mean(name.key, known) or f"it has {', '.join(known)}",
                )
            ]
        )


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
    chosen = _chosen(model, only)
    examine_at(model, options.sets)
    if folder is not None:
        remember(folder, model, asdict(request), only)
    with workshop(folder, request, progress, warn) as shop:
        for experiment in chosen:
            plan = make_plan(model, experiment, options)
            yield run_experiment(plan, shop, expectations)


def _chosen(model: Model, only: tuple[str, ...]) -> list[Experiment]:
    """The experiments of those names; all if there are none.

    Raises:
        ModelError: E705 for a name that no experiment has.
    """
    for name in only:
        if name not in model.experiments:
            _no_experiment(name, model.experiments)
    return [e for e in model.experiments.values() if not only or e.name in only]


def _no_experiment(name: str, known: Iterable[str]) -> NoReturn:
    """E705."""
    help = did_you_mean(name, known) or f"it has {', '.join(known)}"
    fault = Diagnostic("E705", f"the model has no experiment '{name}'", help=help)
    raise ModelError([fault])


# ── what was begun before ────────────────────────────────────────────────────────────────────


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
    for experiment in _chosen(model, only):
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
    plans = [make_plan(model, e, options) for e in _chosen(model, only)]
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
    for experiment in _chosen(model, tuple(only)):
        yield from line_outlooks(make_plan(model, experiment, options))


def comparisons(
    results: Iterable[ExperimentResult], tolerance: float
) -> Iterator[tuple[ExperimentResult, tuple[Comparison, ...]]]:
    """Each experiment with its methods held against the one that leaves out least."""
    from qsyncdsl.run.compare import compare

    for result in results:
        yield result, compare(result, tolerance)


def examine_at(model: Model, sets: tuple[Override, ...] = ()) -> None:
    """Refuse operators that make no sense before anything is solved."""
    from qsyncdsl.algebra.build import examine

    environment = Environment(model, [sets])
    verify_dualities(model, environment)
    examine(model, environment)


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


def describe(
    name: str, request: Request, form: str = "text", solve: str | None = None
) -> str:
    """A model explained: as text, as LaTeX, or as the code that was generated from it.

    Args:
        solve: A method with options, `langevin(ordering = naive)`: its equations.

    Raises:
        ModelError: E1xx to E4xx.
    """
    if solve is not None:
        return _describe_method(name, request, form, solve)
    from qsyncdsl.algebra.build import build
    from qsyncdsl.report import explain

    model, _ = load_source(read(find(name)))
    options = request.options(model)
    cases = [model.cases[c].overrides for c in request.cases if c in model.cases]
    environment = Environment(model, [*cases, options.sets])
    system = build(model, environment)
    typed_only = bool(model.equations) and not system.space.modes
    if typed_only and form != "text":
        return _describe_method(name, request, form, "classical(time = 1)")
    if form == "latex":
        return explain.latex(system)
    if form == "code":
        from qsyncdsl.lower.lindblad import lindblad

        return str(lindblad(system, model.title).problem.coefficients.source)
    typed = ""
    if typed_only:
        typed = _describe_method(name, request, form, "classical(time = 1)")
    symmetry = _reduction(model, environment, system)
    frame = _frame(model, environment, system)
    return explain.explain(model, system, symmetry, typed, frame)


def _frame(model: Model, environment: Environment, system: Any) -> str:
    """The field about which levels that are open are kept; empty where that is the vacuum."""
    bosons = [m for m in system.space.modes if m.kind.name == "boson"]
    if not any(mode.size is None for mode in bosons) or model.kicks:
        return ""
    from qsyncdsl.algebra.build import numeric
    from qsyncdsl.algebra.frames import NoFieldError, stationary_frame
    from qsyncdsl.report.terminal import number_text

    try:
        frame = stationary_frame(numeric(model, environment), False)
    except (NoFieldError, ModelError, TypeError, ValueError, ArithmeticError):
        return ""
    if frame is None or not frame.sole:
        return ""
    modes = system.space.modes
    named = {modes[k].label: c for k, c in frame.centers.items() if not modes[k].size}
    return ", ".join(f"{label} = {number_text(c)}" for label, c in named.items())


def _describe_method(name: str, request: Request, form: str, solve: str) -> str:
    """The equations of one method."""
    from qsyncdsl.lower.moment_text import with_equations
    from qsyncdsl.report import explain
    from qsyncdsl.run.plan import make_plan
    from qsyncdsl.run.session import Session

    text = f"experiment explain {{\n  solve {_for_some_time(solve)}\n}}\n"
    extra = Source("<command line>", text)
    model, _ = load_source(read(find(name)), extra)
    plan = make_plan(model, model.experiments["explain"], request.options(model))
    if not plan.lines:
        return "".join(f"{label}: {reason}\n" for label, reason in plan.skipped.items())
    lowered = Session(plan, plan.lines[0]).prepare(plan.layers(plan.cases[0]))
    problem = with_equations(lowered.problem)
    if form == "code":
        return str(getattr(problem, "source", "") or problem.coefficients.source)
    if not hasattr(problem, "equations"):
        return describe(name, request, form)
    if form == "latex" and not hasattr(problem, "latex"):
        return describe(name, request, form)
    if form == "latex":
        return str(problem.latex)
    return explain.field_equations(problem, plan.lines[0].method)


def _for_some_time(solve: str) -> str:
    """A method with a time, where it needs one and has none: equations do not depend on it.

    >>> _for_some_time("langevin(ordering = naive)"), _for_some_time("cumulants")
    ('langevin(time = 1, ordering = naive)', 'cumulants')
    """
    name, bracket, rest = solve.partition("(")
    word = methods.get(name.strip())
    given = set(re.findall(r"(\w+)\s*=", rest))
    if word is None or not word.one_of or given & set(word.one_of):
        return solve
    rest = rest if bracket else ")"
    comma = "" if rest.lstrip().startswith(")") else ", "
    return f"{name.strip()}(time = 1{comma}{rest}"


def _reduction(model: Model, environment: Environment, system: Any) -> str:
    """The weak symmetries, and what they save at the declared values of the parameters."""
    from qsyncdsl.lower.lindblad import lindblad
    from qsyncdsl.solve.sizes import MOST_STATES, sizes

    text = symmetry_text(system)
    real = [mode for mode in system.space.modes if mode.ensemble is None]
    if not real:
        return text
    sizes_known = all(mode.size is not None for mode in real)
    if not sizes_known or prod(mode.dimension for mode in real) > MOST_STATES:
        return text
    try:
        lowered = lindblad(system, model.title)
    except ModelError:
        return text
    values = tuple(
        environment.value(model.parameters[name], index)
        for name, index in lowered.parameters
    )
    found = [
        line
        for line in sizes(lowered.problem, values)
        if not line.endswith(f": {text}")
    ]
    shown = [
        part
        for line in found
        for part in wrap(
            line,
            80,
            initial_indent="  ",
            subsequent_indent="    ",
            break_on_hyphens=False,
        )
    ]
    return "\n".join([text, *shown])


def symmetry_text(system: Any) -> str:
    """The weak symmetries that hold whatever the parameters are."""
    from qsyncdsl.algebra.symmetry import operator_shifts, weak_symmetry

    kept = [k for k, mode in enumerate(system.space.modes) if mode.ensemble is None]
    vectors = operator_shifts(system, kept)
    if vectors is None:
        return "not looked for: an operator is a function without definite steps"
    labels = [system.space.modes[k].label for k in kept]
    return weak_symmetry(vectors, len(kept)).describe(labels)


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
            _no_experiment(unknown, known)
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


def titles() -> Iterator[tuple[str, str]]:
    """Names and titles of the bundled models."""
    for name, path in resources.bundled_models().items():
        file = parse(read(path))
        title = next(
            (s.text.value for s in file.statements if isinstance(s, tree.Title)), ""
        )
        yield name, title


def format_file(path: Path, write: bool) -> bool:
    """Format one file; True if that changes it.

    Raises:
        ModelError: E1xx; a file with errors is left alone.
    """
    from qsyncdsl.syntax.unparse import format_source

    source = read(path)
    text = format_source(source)
    if text == source.text:
        return False
    if write:
        beside = path.with_suffix(path.suffix + ".part")
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    return True


def template(name: str) -> str:
    """A small model to start from."""
    return f'''model "{name}: a driven van der Pol oscillator"

parameter gain = 1      "one-quantum gain"
parameter loss = 2      "two-quantum loss"
parameter F = 0.5       "drive"
parameter Delta = 0     "drive minus oscillator frequency"

mode a : boson(levels = 20)

hamiltonian -Delta*a'*a + F*(a + a')
dissipator  gain : a'
dissipator  loss : a^2

experiment locking "phase locking to the drive" {{
  sweep   Delta = linspace(-3, 3, 61)
  solve   steadystate
  measure S = phase_coherence(a)
  measure n = <a'*a>
  plot    S vs Delta
}}
'''


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
