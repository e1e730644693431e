"""The directory of words that a file may use: one entry a word, loaded on first use.

A word's signature is data, so that the checker knows it without importing any numerics.
Installed packages add words through the entry-point group `qsyncdsl.<registry>`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from qsyncdsl.diagnostics import InternalError


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a word.

    Attributes:
        name: As it may be written, `name = value`.
        kind: What it must be: `mode`, `subsystem` (a mode, a list or a slice of modes),
            `operator`, `number`, `integer`, `real`, `condition`, `expression` (evaluated by the
            word itself, point by point), `rerun` (evaluated on other runs), `syntax` (as written), `word` (one of
            `words`), `list`, `measure`, `text`.
        words: The words allowed, the default first, where `kind` is `word`.
        required: Whether it must be given.
        many: Whether it takes all remaining positional arguments.
    """

    name: str
    kind: str
    words: tuple[str, ...] = ()
    required: bool = True
    many: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """One entry: what it is called, what it takes and gives, where it lives.

    Attributes:
        target: `"module:object"`, or empty for a word that is known but not implemented yet.
        gives: Kind of the result: `number`, `real`, `distribution`, `map`, `list`, ... .
        about: One line for the reference and for editors.
        one_of: Optional arguments of which one must be given.
    """

    name: str
    target: str
    arguments: tuple[Argument, ...]
    gives: str
    about: str
    one_of: tuple[str, ...] = ()

    @property
    def available(self) -> bool:
        """Whether the word is implemented."""
        return bool(self.target)

    def load(self) -> Any:
        """Import the object behind the word."""
        if not self.target:
            raise InternalError(f"'{self.name}' is not implemented and was not refused")
        return _loaded(self.target)


@cache
def _loaded(target: str) -> Any:
    """The object at `module:name`."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def _plugged(group: str) -> Iterable[Any]:
    """What installed packages add to a group."""
    if not _announced():
        return ()
    from importlib.metadata import entry_points

    return entry_points(group=group)


@lru_cache(maxsize=1)
def _announced() -> bool:
    """Whether an installed package may add words: `importlib.metadata` takes longer than all else to tell."""
    for folder in sys.path:
        # Archives are left to it.
        if os.path.isfile(folder):
            return True
        with suppress(OSError):
            for name in os.listdir(folder or "."):
                if name.endswith((".dist-info", ".egg-info", "EGG-INFO")):
                    with suppress(OSError):
                        place = os.path.join(folder, name, "entry_points.txt")
                        if b"[qsyncdsl." in Path(place).read_bytes():
                            return True
    return False


class Registry(Mapping[str, Word]):
    """A read-only mapping from words to their entries."""

    def __init__(self, name: str, words: tuple[Word, ...]) -> None:
        self.name = name
        self._built_in = words

    @cached_property
    def _words(self) -> dict[str, Word]:
        words = {word.name: word for word in self._built_in}
        for entry in _plugged(f"qsyncdsl.{self.name}"):
            plugged = entry.load()
            words[plugged.name] = plugged
        return words

    def __getitem__(self, name: str) -> Word:
        return self._words[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._words)

    def __len__(self) -> int:
        return len(self._words)


def word(
    name: str,
    signature: str,
    gives: str,
    about: str,
    target: str = "",
    one_of: tuple[str, ...] = (),
) -> Word:
    """Write an entry in one line.

    The signature lists `name: kind`, with ` = ` before the allowed words or the default of an
    optional argument, `*` before an argument that takes the rest, `+` where there must be one.

    >>> word("ring", "N: integer, range: integer = 1", "lattice", "closed chain").arguments[1]
    Argument(name='range', kind='integer', words=(), required=False, many=False)
    """
    arguments = tuple(_argument(text) for text in signature.split(",") if text.strip())
    return Word(name, target, arguments, gives, about, one_of)


def _argument(text: str) -> Argument:
    """`kind: word = von_neumann | renyi2`."""
    declared, _, default = text.partition("=")
    name, _, kind = (part.strip() for part in declared.partition(":"))
    many = name.startswith(("*", "+"))
    words = tuple(w.strip() for w in default.split("|")) if kind == "word" else ()
    return Argument(
        name.lstrip("*+"),
        kind,
        words,
        required=not default.strip() and not name.startswith("*"),
        many=many,
    )
