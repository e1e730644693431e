"""What several tests share: checking a text, running an experiment written in a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qsyncdsl import pipeline
from qsyncdsl.diagnostics import ModelError
from qsyncdsl.source import Source

ROOT = Path(__file__).parent.parent
MODELS = sorted((ROOT / "models").glob("*.qsync"))


def model_of(text: str):
    """The checked model of a text."""
    return pipeline.load_source(Source("model.qsync", text))[0]


def rendered(text: str) -> str:
    """What a user sees of the faults of a text."""
    try:
        model = model_of(text)
        pipeline.examine_at(model)
    except ModelError as fault:
        return "\n\n".join(diagnostic.render() for diagnostic in fault.diagnostics)
    raise AssertionError("no fault was found")


def run_text(text: str, *sets: str) -> dict[str, Any]:
    """Run a text; the results by experiment."""
    request = pipeline.Request(sets=sets)
    results = pipeline.run_model(model_of(text), request)
    return {result.plan.experiment.name: result for result in results}


def values(result: Any, name: str, method: str = "steadystate") -> Any:
    """A measure's values under one method."""
    return result.dataset[name].sel({"method": method}).values


@pytest.fixture
def command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in an empty folder: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        from qsyncdsl import cli, endings

        def program(standalone_mode: bool) -> Any:
            return cli.app(list(arguments), standalone_mode=standalone_mode)

        code = endings.guarded(program)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
