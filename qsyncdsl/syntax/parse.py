"""Text to syntax tree. The only module that knows Lark."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken

from qsyncdsl import resources
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.source import Source, Span
from qsyncdsl.syntax import tree

_ASCII = {"−": "-", "·": "*", "≤": "<=", "≥": ">=", "≠": "!="}
_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_PLURALS = {
    "statements", "overrides", "requests", "places", "names", "settings", "exprs",
    "several", "arguments",
}  # fmt: skip


def parse(source: Source) -> tree.File:
    """Parse a whole file.

    Raises:
        ModelError: With every fault found.
    """
    try:
        parsed = _parser().parse(source.text)
    except UnexpectedInput as fault:
        start = fault.pos_in_stream or 0
        raise ModelError(
            [Diagnostic("E101", "cannot read this", Span(source, start, start + 1))]
        ) from None
    return _Builder(source).transform(parsed)  # type: ignore[no-any-return]


class _Lines:
    """Drop newlines inside ( ) and [ ]; refuse words that touch (`modea`, `2x`)."""

    always_accept = ()

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        depth, end, word = 0, -1, False
        for token in stream:
            if (
                token.start_pos == end
                and word
                and (token[0].isalpha() or token[0].isdecimal())
            ):
                raise UnexpectedToken(token, {"a space"})
            end = token.end_pos
            word = token[-1].isalpha() or token[-1].isdecimal() or token[-1] == "_"
            if token.type in ("LPAR", "LSQB"):
                depth += 1
            elif token.type in ("RPAR", "RSQB"):
                depth = max(depth - 1, 0)
            if token.type == "_NL" and depth:
                continue
            yield token


@lru_cache(maxsize=1)
def _parser() -> Lark:
    """The compiled grammar."""
    return Lark(
        resources.grammar(),
        parser="lalr",
        lexer="contextual",
        propagate_positions=True,
        maybe_placeholders=True,
        postlex=_Lines(),
    )


class _Builder(Transformer):  # type: ignore[misc]
    """Lark's tree to ours: plural rules make tuples, others the class of their name."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source

    def _span(self, start: int | None, end: int | None) -> Span:
        return Span(self._source, start or 0, end or 0)

    def __default_token__(self, token: Token) -> Any:
        span = self._span(token.start_pos, token.end_pos)
        if token.type == "NAME":
            return tree.Name(span, tree.canonical(str(token)), str(token))
        if token.type == "STRING":
            return tree.String(span, str(token)[1:-1])
        if token.type == "NUMBER":
            return tree.Number(span, int(token) if token.isdecimal() else float(token))
        return _ASCII.get(str(token), str(token))

    def __default__(self, data: Any, children: list[Any], meta: Any) -> Any:
        name = str(data)
        if name in _PLURALS:
            return tuple(children)
        span = self._span(
            getattr(meta, "start_pos", None), getattr(meta, "end_pos", None)
        )
        special = getattr(self, f"_make_{name}", None)
        if special is not None:
            return special(span, children)
        class_name = "".join(part.capitalize() for part in name.split("_"))
        return getattr(tree, class_name)(span, *children)

    # Rules whose children are not their node's fields one by one.

    def _make_start(self, span: Span, children: list[Any]) -> tree.File:
        return tree.File(Span(self._source, 0, len(self._source.text)), children[0])

    def _make_parameters(self, span: Span, children: list[Any]) -> tree.Parameters:
        return tree.Parameters(span, tuple(children))

    def _make_path(self, span: Span, children: list[Any]) -> tree.Path:
        return tree.Path(span, tuple(children))

    def _make_place(self, span: Span, children: list[Any]) -> tree.Place:
        return tree.Place(span, children[0], children[1] or ())

    def _make_call(self, span: Span, children: list[Any]) -> tree.Call:
        return tree.Call(span, children[0], children[1] or ())

    def _make_list(self, span: Span, children: list[Any]) -> tree.List:
        return tree.List(span, children[0] or ())

    def _make_binders(self, span: Span, children: list[Any]) -> tree.Binders:
        return tree.Binders(span, tuple(children[:-1]), children[-1])

    def _make_sweep(self, span: Span, children: list[Any]) -> tree.Sweep:
        return tree.Sweep(span, tuple(children[:-1]), children[-1])

    def _make_protocol(self, span: Span, children: list[Any]) -> tree.Protocol:
        if len(children) == 1:
            return tree.Protocol(span, children[0], None, None)
        return tree.Protocol(span, "adaptive", *children)

    def _make_outcome(self, span: Span, children: list[Any]) -> tree.Outcome:
        if children[0] == "none":
            return tree.Outcome(span, "none", None, None)
        if isinstance(children[0], str):
            return tree.Outcome(span, children[0], children[1], None)
        return tree.Outcome(span, "value", children[0], children[1])

    def _make_superscript(self, span: Span, children: list[Any]) -> tree.Binary:
        base, text = children
        exponent = tree.Number(
            Span(self._source, span.end - len(text), span.end),
            int(text.translate(_SUPERSCRIPTS)),
        )
        return tree.Binary(span, base, "^", exponent)


_LARGEST = 20_000_000


def read(path: Path) -> Source:
    """Read a file as a source.

    Raises:
        ModelError: E110 (cannot be read), E111 (not text), E112 (too large).
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise ModelError(
                [Diagnostic("E112", f"'{path}' is larger than 20 MB: not a model")]
            )
        data = path.read_bytes()
    except OSError as reason:
        message = f"cannot read '{path}': {reason.strerror or reason}"
        raise ModelError([Diagnostic("E110", message)]) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        message = f"'{path}' is not UTF-8 text: byte {reason.start}"
        raise ModelError([Diagnostic("E111", message)]) from None
    if "\0" in text:
        raise ModelError(
            [Diagnostic("E111", f"'{path}' is not text: it contains null bytes")]
        )
    return Source(str(path), text)
