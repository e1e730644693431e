"""The documentation: every example in it is read, and those with experiments run."""

import re

import pytest

from qsyncdsl import pipeline
from tests.conftest import ROOT, model_of

BLOCKS = re.findall(
    r"```qsync\n(.*?)```", (ROOT / "docs" / "language.md").read_text(), flags=re.S
)


@pytest.mark.parametrize("text", BLOCKS, ids=range(len(BLOCKS)))
def test_an_example_of_the_language_reference_is_accepted_and_runs(text):
    model = model_of(text)
    pipeline.examine_at(model)
    for result in pipeline.run_model(model, pipeline.Request()):
        assert result.failed_points == 0
        assert not [v for v in result.verdicts if v.verdict == "failed"]


def test_the_reference_has_examples():
    assert len(BLOCKS) >= 15


def test_the_model_of_the_readme_runs():
    text = re.search(
        r"## A first model\n+```\n(.*?)```",
        (ROOT / "README.md").read_text(),
        flags=re.S,
    )
    assert text is not None
    (result,) = pipeline.run_model(model_of(text.group(1)), pipeline.Request())
    assert result.failed_points == 0
