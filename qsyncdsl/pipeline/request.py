"""What the command line asks for beside the file: settings, sweeps, cases, a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qsyncdsl.diagnostics import Diagnostic, ModelError, did_you_mean
from qsyncdsl.model.check_experiment import settable
from qsyncdsl.model.scoped import override
from qsyncdsl.model.types import Model, Override
from qsyncdsl.source import Source
from qsyncdsl.syntax import tree
from qsyncdsl.syntax.load import parse

if TYPE_CHECKING:
    from qsyncdsl.run.plan import Options


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
