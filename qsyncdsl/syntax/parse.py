"""Text to syntax tree. The only module that knows Lark."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken
from lark import __version__ as lark_version
from lark.exceptions import VisitError

from qsyncdsl import resources
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.source import Source, Span
from qsyncdsl.syntax import faults, tree
from qsyncdsl.syntax.names import canonical

_ASCII = {"−": "-", "·": "*", "≤": "<=", "≥": ">=", "≠": "!="}
_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_PLURALS = {
    "statements",
    "overrides",
    "requests",
    "places",
    "names",
    "settings",
    "exprs",
    "several",
    "arguments",
    "options",
}


# A line longer than this is not a model; brackets deeper than this are not physics.
_LONGEST_LINE = 100_000
_DEEPEST = 200
_MOST_FAULTS = 30


def parse(source: Source) -> tree.File:
    """Parse a whole file.

    After a fault its statement is blanked and the rest is read on, so that all faults are found.

    Raises:
        ModelError: E1xx, with every fault.
    """
    refused = _refused(source)
    if refused is not None:
        raise ModelError([refused])
    text, found = source.text, []
    while True:
        try:
            parsed = _parser().parse(text)
            break
        except UnexpectedInput as fault:
            at = _position(fault, text)
            diagnostic, start, end = faults.syntax_fault(
                source, text, at, _expected(fault)
            )
            found.append(diagnostic)
            blanked = faults.blank(text, start, end)
            if blanked == text or len(found) >= _MOST_FAULTS:
                break
            text = blanked
    if found:
        raise ModelError(sorted(found, key=lambda d: d.span.start if d.span else 0))
    try:
        return _Builder(source).transform(parsed)  # type: ignore[no-any-return]
    except VisitError as fault:
        if isinstance(fault.orig_exc, ModelError):
            raise fault.orig_exc from None
        raise
    except RecursionError:
        raise ModelError([faults.too_deep(_longest(source))]) from None


def _longest(source: Source) -> Span:
    """The longest line, which holds what is too deep."""
    lines = [source.line(k) for k in range(1, source.line_count + 1)]
    number = max(range(len(lines)), key=lambda k: len(lines[k]))
    start = sum(len(line) + 1 for line in source.text.split("\n")[:number])
    return Span(source, start, start + 1)


def _refused(source: Source) -> Diagnostic | None:
    """What is not read at all."""
    for number in range(1, source.line_count + 1):
        if len(source.line(number)) > _LONGEST_LINE:
            return faults.too_long(source, number, len(source.line(number)))
    depth = 0
    for place, letter in enumerate(source.text):
        depth += (letter in "([{") - (letter in ")]}")
        if depth > _DEEPEST:
            return faults.too_deep(Span(source, place, place + 1))
    return None


def _position(fault: UnexpectedInput, text: str) -> int:
    """Where reading stopped; the end of the text if it ended too early."""
    token = getattr(fault, "token", None)
    if token is not None and token.type == "$END":
        return len(text)
    return len(text) if fault.pos_in_stream is None else int(fault.pos_in_stream)


def _expected(fault: UnexpectedInput) -> set[str]:
    """The terminals that could have stood there."""
    return set(
        getattr(fault, "accepts", None)
        or getattr(fault, "expected", None)
        or getattr(fault, "allowed", None)
        or ()
    )


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
    """The compiled grammar, kept on disk between runs where that is possible."""
    try:
        return _compile(_cache_file())
    except Exception:  # a stale, torn or unwritable cache must never be noticed
        return _compile(None)


def _cache_file() -> str | None:
    """A file of its own for each grammar and each version of what reads it."""
    try:
        base = resources.cache_folder()
        base.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    versions = f"{resources.grammar()}{lark_version}{sys.version}"
    return str(
        base / f"grammar-{hashlib.sha256(versions.encode()).hexdigest()[:16]}.lark"
    )


def _compile(cache: str | None) -> Lark:
    """The parser, from the cache if there is one."""
    return Lark(
        resources.grammar(),
        cache=cache or False,
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
            return tree.Name(span, canonical(str(token)), str(token))
        if token.type == "STRING":
            return tree.String(span, str(token)[1:-1])
        if token.type == "NUMBER":
            return self._number(span, str(token))
        return _ASCII.get(str(token), str(token))

    def _number(self, span: Span, text: str) -> tree.Number:
        """A literal; whole numbers are exact."""
        if text.isdecimal():
            if len(text) > 300:
                raise ModelError([faults.bad_number(span)])
            return tree.Number(span, int(text))
        value = float(text)
        if value in (float("inf"), float("-inf")):
            raise ModelError([faults.bad_number(span)])
        return tree.Number(span, value)

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

    def _make_map(self, span: Span, children: list[Any]) -> tree.Map:
        return tree.Map(span, tuple(children[:-1]), children[-1])

    def _make_duality(self, span: Span, children: list[Any]) -> tree.Duality:
        source, target, *steps, settings = children
        return tree.Duality(span, source, target, tuple(steps), settings)

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
