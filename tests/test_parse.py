"""What is read, and how."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsyncdsl.diagnostics import ModelError
from qsyncdsl.source import Source
from qsyncdsl.syntax import tree
from qsyncdsl.syntax.parse import parse
from qsyncdsl.syntax.unparse import format_source
from tests.conftest import MODELS


def expression(text: str) -> tree.Expr:
    """The expression of a Hamiltonian term."""
    statement = parse(Source("t", f"hamiltonian {text}")).statements[0]
    assert isinstance(statement, tree.Hamiltonian)
    return statement.value


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("-a^2", "-(a^2)"),
        ("2^-1*b", "(2^(-1))*b"),
        ("a'^2", "(a')^2"),
        ("a†²·b", "((a')^2)*b"),
        ("a − b", "a - b"),
        ("⟨a⟩", "<a>"),
        ("|n⟩⟨m|", "|n><m|"),
        ("a - b - c", "(a - b) - c"),
        ("a\n  + b", "a + b"),
        ("κ₁*a", "kappa1*a"),
    ],
)
def test_two_spellings_are_one_tree(written, meant):
    assert expression(written) == expression(meant)


@pytest.mark.parametrize(
    "text",
    [
        "2 a",
        "a b",
        "a'b",
        "a < b",
        "|n>",
        "'x'",
        "a**2",
        "(a",
        "<a + b",
        "2x",
        "a == b",
    ],
)
def test_what_is_no_term_is_refused(text):
    with pytest.raises(ModelError):
        parse(Source("t", f"hamiltonian {text}"))


def test_the_grammar_has_no_conflicts():
    import io
    import logging

    import lark

    from qsyncdsl.syntax import parse as module

    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    lark.logger.addHandler(handler)
    lark.logger.setLevel(logging.DEBUG)
    try:
        lark.Lark(
            module.resources.grammar(), parser="lalr", lexer="contextual",
            maybe_placeholders=True, postlex=module._Lines(), debug=True,
        )  # fmt: skip
    finally:
        lark.logger.removeHandler(handler)
        lark.logger.setLevel(logging.CRITICAL)
    assert "conflict" not in stream.getvalue().lower()


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_the_formatter_leaves_bundled_models_alone(path):
    source = Source(str(path), path.read_text())
    assert format_source(source) == source.text


UGLY = 'model "x"\nparameter a=1\nmode c:boson( levels=3 ) # cut\nhamiltonian a*c\'*c\nexperiment e{\nsweep a=linspace(0,1,3)\nsolve steadystate\nmeasure n=<c.n>\n}\n'


def test_the_formatter_keeps_meaning_and_comments_and_is_idempotent():
    once = format_source(Source("t", UGLY))
    assert parse(Source("t", once)) == parse(Source("t", UGLY))
    assert "# cut" in once
    assert "  sweep   a = linspace(0, 1, 3)" in once
    assert format_source(Source("t", once)) == once


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_random_text_is_read_or_refused(text):
    try:
        parse(Source("t", text))
    except ModelError as fault:
        assert fault.diagnostics
        assert all(d.render() for d in fault.diagnostics)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(MODELS), st.data())
def test_a_damaged_model_is_read_or_refused(path, data):
    text = path.read_text()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 12))
        new = data.draw(
            st.sampled_from(
                [
                    "",
                    "(",
                    ")",
                    "{",
                    "}",
                    '"',
                    "'",
                    "=",
                    "for",
                    "..",
                    "\n",
                    ";",
                    "<",
                    "^",
                    "é",
                    "\0",
                ]
            )
        )
        text = text[:at] + new + text[at + cut :]
    from qsyncdsl import pipeline

    try:
        pipeline.load_source(Source("t", text))
    except ModelError as fault:
        assert all(d.render() for d in fault.diagnostics)
