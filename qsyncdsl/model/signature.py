"""Binding written arguments to the signature of a word of the registry."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from qsyncdsl.diagnostics import Diagnostic, ModelError, did_you_mean
from qsyncdsl.registry import Argument, Word
from qsyncdsl.syntax import tree


def bind(
    word: Word, arguments: tuple[tree.Argument, ...], node: tree.Node
) -> dict[str, tree.Expr | tuple[tree.Expr, ...]]:
    """The expressions given for a word's arguments, by name; `many` ones as tuples.

    Raises:
        ModelError: E230 (too many), E231 (unknown option), E232 (given twice),
            E233 (missing).
    """
    given: dict[str, tree.Expr | tuple[tree.Expr, ...]] = {}
    places = list(word.arguments)
    for argument in arguments:
        match argument:
            case tree.Option(name=name, value=value):
                _named(word, name, value, given)
            case tree.Each():
                raise ModelError(
                    [Diagnostic("E230", f"'{word.name}' binds no index", argument.span)]
                )
            case _:
                _positional(word, places, argument, given)
    missing = [a.name for a in word.arguments if a.required and a.name not in given]
    if missing:
        names = ", ".join(f"'{name}'" for name in missing)
        raise ModelError(
            [
                Diagnostic(
                    "E233", f"'{word.name}' needs {names}", node.span, help=usage(word)
                )
            ]
        )
    return given


def usage(word: Word) -> str:
    """How a word is written.

    >>> from qsyncdsl.registry import lattices
    >>> usage(lattices["ring"])
    'ring(N, range = ..., boundary = periodic | open)'
    """

    def one(argument: Argument) -> str:
        if argument.words:
            return f"{argument.name} = {' | '.join(argument.words)}"
        if argument.many:
            return f"{argument.name}, ..."
        return argument.name if argument.required else f"{argument.name} = ..."

    inside = ", ".join(one(argument) for argument in word.arguments)
    return f"{word.name}({inside})" if inside else word.name


def call(
    function: Callable[..., Any],
    before: tuple[Any, ...],
    word: Word,
    values: dict[str, Any],
) -> Any:
    """Call the object behind a word; its parameters stand in the order of the signature."""
    names = _parameters(function)[len(before) :]
    order = {
        argument.name: name
        for argument, name in zip(word.arguments, names, strict=False)
    }
    return function(*before, **{order[name]: value for name, value in values.items()})


@lru_cache(maxsize=512)
def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


def _named(
    word: Word, name: tree.Name, value: tree.Expr, given: dict[str, Any]
) -> None:
    known = [argument.name for argument in word.arguments]
    if name.key not in known:
        help = did_you_mean(name.key, known) or usage(word)
        message = f"'{word.name}' has no option '{name.written}'"
        raise ModelError([Diagnostic("E231", message, name.span, help=help)])
    if name.key in given:
        raise ModelError(
            [Diagnostic("E232", f"'{name.written}' is given twice", name.span)]
        )
    given[name.key] = value


def _positional(
    word: Word, places: list[Argument], value: tree.Expr, given: dict[str, Any]
) -> None:
    while places and places[0].name in given and not places[0].many:
        places.pop(0)
    if not places:
        count = len(word.arguments)
        takes = (
            f"{count} argument{'s' if count != 1 else ''}" if count else "no arguments"
        )
        raise ModelError(
            [
                Diagnostic(
                    "E230", f"'{word.name}' takes {takes}", value.span, help=usage(word)
                )
            ]
        )
    if places[0].many:
        given[places[0].name] = (*given.get(places[0].name, ()), value)
    else:
        given[places.pop(0).name] = value
