"""Models as files: found by name, read and checked, formatted, listed; one to begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from qsyncdsl import resources
from qsyncdsl.diagnostics import Diagnostic, ModelError, did_you_mean
from qsyncdsl.model.check import check_file
from qsyncdsl.model.dualities import verify_dualities
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.types import Model, Override
from qsyncdsl.source import Source
from qsyncdsl.syntax import tree
from qsyncdsl.syntax.load import parse, read


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


def examine_at(model: Model, sets: tuple[Override, ...] = ()) -> None:
    """Refuse operators that make no sense before anything is solved."""
    from qsyncdsl.algebra.build import examine

    environment = Environment(model, [sets])
    verify_dualities(model, environment)
    examine(model, environment)


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
