"""The tree of a text: as it was parsed the last time, or parsed now.

Building the parser takes longer than reading most models; a text that is unchanged needs none.
"""

from __future__ import annotations

import pickle
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from qsyncdsl import resources
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.source import Source
from qsyncdsl.syntax import tree

# Where trees are kept, and how many.
_FOLDER, _MOST = "trees", 256
# Bytes of a model file at most.
_LARGEST = 20_000_000
# Modules of this folder that make a tree what it is.
_MAKERS = ("load.py", "parse.py", "names.py", "tree.py", "node.py", "../source.py")


def parse(source: Source) -> tree.File:
    """The tree of a whole file.

    Raises:
        ModelError: E1xx, with every fault.
    """
    named = blake2b(repr((source.name, source.text)).encode(), digest_size=16)
    key = f"{_version()}-{named.hexdigest()}"
    # Whatever is wrong with what was kept, the text can be parsed again.
    with suppress(Exception):
        found = pickle.loads(resources.kept(_FOLDER, key) or b"")
        if isinstance(found, tree.File):
            return found
    from qsyncdsl.syntax.parse import parse as parsed

    file = parsed(source)
    with suppress(RecursionError, pickle.PicklingError):
        resources.keep(pickle.dumps(file), _FOLDER, key, most=_MOST)
    return file


@lru_cache(maxsize=1)
def _version() -> str:
    """Of the grammar and of what reads it."""
    state = blake2b(resources.grammar().encode(), digest_size=8)
    for name in _MAKERS:
        state.update((Path(__file__).parent / name).read_bytes())
    return state.hexdigest()


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
        help_ = "save the file as UTF-8"
        raise ModelError([Diagnostic("E111", message, help=help_)]) from None
    if "\0" in text:
        raise ModelError(
            [Diagnostic("E111", f"'{path}' is not text: it contains null bytes")]
        )
    if "\n" not in text:
        # lines of old editors end in a carriage return alone
        text = text.replace("\r", "\n")
    return Source(str(path), text)
