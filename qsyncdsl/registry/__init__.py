"""The directory of words that a file may use: one entry a word, loaded on first use.

A word's signature is data, so that the checker knows it without importing any numerics.
Installed packages add words through the entry-point group `qsyncdsl.<registry>`.
"""

from qsyncdsl.registry.entry import Argument, Registry, Word, word
from qsyncdsl.registry.function_words import functions
from qsyncdsl.registry.measure_words import measures
from qsyncdsl.registry.model_words import (
    distributions,
    lattices,
    methods,
    modes,
    noises,
    states,
    variables,
)

__all__ = [
    "Argument",
    "Registry",
    "Word",
    "distributions",
    "functions",
    "lattices",
    "measures",
    "methods",
    "modes",
    "noises",
    "states",
    "variables",
    "word",
]
