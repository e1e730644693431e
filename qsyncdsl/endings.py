"""How the program ends: exit codes, messages and what is written to the terminal or a file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from qsyncdsl.diagnostics import Diagnostic, InternalError, ModelError, SolveError

WELL, MODEL_ERRORS, USAGE, SOLVE_FAILED, EXPECTATION_FAILED = 0, 1, 2, 3, 4


def progress_of(quiet: bool) -> Any:
    """A bar, or lines in a log; nothing where it shall be quiet."""
    from qsyncdsl.report.progress import progress

    return progress(quiet)


def guarded(program: Callable[..., Any]) -> int:
    """The exit code of the program, whatever happens in it."""
    try:
        code = program(standalone_mode=False)
        return code if isinstance(code, int) else WELL
    except typer.Exit as ending:
        return ending.exit_code
    except typer.Abort:
        return 130
    except ModelError as fault:
        for diagnostic in fault.diagnostics:
            complain(diagnostic)
        return MODEL_ERRORS
    except SolveError as fault:
        complain(fault.diagnostic)
        return SOLVE_FAILED
    except KeyboardInterrupt:
        typer.echo(
            "stopped; results of experiments that were finished are kept", err=True
        )
        return 130
    except RecursionError:
        # expressions are followed as deep as Python calls itself
        message = "definitions or terms lie too deep in one another"
        complain(
            Diagnostic("E108", message, help="write long sums as sum(k in ..., x[k])")
        )
        return MODEL_ERRORS
    except MemoryError:
        complain(
            Diagnostic(
                "E501",
                "the memory of this machine is not enough",
                help="fewer levels or points",
            )
        )
        return SOLVE_FAILED
    except OSError as fault:
        complain(
            Diagnostic(
                "E730",
                f"{fault.strerror or fault}: {fault.filename or ''}".rstrip(": "),
            )
        )
        return SOLVE_FAILED
    except Exception as fault:
        return _unexpected(fault)


@contextmanager
def kept(folder: Path, limit: str) -> Iterator[None]:
    """Stop in good order on Ctrl-C, at the end of a time limit, or when asked to end."""
    from qsyncdsl.run.stopping import Stopped, stopping

    try:
        with stopping(limit):
            yield
    except Stopped as signal:
        typer.echo(
            f"stopped {signal.reason}; every finished point is kept.\n"
            f"'qsyncdsl resume {folder}' goes on, 'qsyncdsl status {folder}' tells how far it is",
            err=True,
        )
        raise typer.Exit(signal.code) from None


def _unexpected(fault: Exception) -> int:
    """Usage errors of the parser of arguments, and bugs of ours."""
    if os.environ.get("QSYNCDSL_TRACEBACK"):
        raise fault
    show = getattr(fault, "show", None)
    if show is not None:
        show()
        return USAGE
    text = (
        str(fault)
        if isinstance(fault, InternalError)
        else f"{type(fault).__name__}: {fault}"
    )
    complain(
        Diagnostic(
            "E900",
            "this is a bug in qsyncdsl, please report it with your model",
            help=text.splitlines()[0][:200] if text else "",
        )
    )
    return SOLVE_FAILED


def outlook(lines: Iterable[Any], as_json: bool) -> None:
    """Print what is planned; exit 3 if a line cannot fit in memory."""
    from qsyncdsl.report import tables

    found = list(lines)
    if as_json:
        print_json([line.to_json() for line in found])
    else:
        tables.show_plan(found)
    if any(line.refusal is not None for line in found):
        raise typer.Exit(SOLVE_FAILED)


def leave(results: list[Any], strict: bool) -> None:
    """Exit 3 if a point failed or, strictly, is doubtful; 4 if an expectation failed."""
    verdicts = [v for result in results for v in result.verdicts]
    if any(r.failed_points or (strict and r.doubtful) for r in results):
        raise typer.Exit(SOLVE_FAILED)
    if any(
        v.verdict == "failed" or (strict and v.verdict == "skipped") for v in verdicts
    ):
        raise typer.Exit(EXPECTATION_FAILED)


def complain(diagnostic: Diagnostic) -> None:
    """A diagnostic on standard error, its first word in color on a terminal."""
    first, _, rest = diagnostic.render().partition("\n")
    color = "red" if diagnostic.severity == "error" else "yellow"
    head, _, message = first.partition(": ")
    styled = (
        typer.style(head, fg=color, bold=True) + ": " + typer.style(message, bold=True)
    )
    typer.echo(styled + ("\n" + rest if rest else "") + "\n", err=True)


def usage(message: str) -> None:
    """End with what is wrong with the arguments."""
    typer.echo(f"usage: {message}", err=True)
    raise typer.Exit(USAGE)


def print_json(document: Any) -> None:
    """One document on standard output; not-a-number is a bug."""
    typer.echo(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False))


def writable(folder: Path) -> None:
    """Find out before hours of work whether results can be written."""
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / ".writable"
    probe.touch()
    probe.unlink()


def create(path: Path, text: str) -> None:
    """Write a new file; never over an old one."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        usage(f"'{path}' exists; nothing was overwritten")
    typer.echo(f"wrote {path}")
