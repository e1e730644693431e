"""The files that `import` means: below the model's folder, or in the bundled library."""

from __future__ import annotations

from pathlib import Path

from qsyncdsl import resources
from qsyncdsl.diagnostics import ModelError
from qsyncdsl.model import faults
from qsyncdsl.syntax import tree


def imported_path(target: tree.String | tree.Path, folder: Path) -> Path:
    """The file of an import in a file of a folder.

    Raises:
        ModelError: E237 if there is none, or none that may be imported.
    """
    if isinstance(target, tree.Path):
        return _in_library(target)
    path = (folder / target.value).resolve()
    if not path.is_relative_to(folder.resolve()):
        reason = "an import must stay below the model's folder"
        raise ModelError([faults.bad_import(target, reason)])
    if not path.is_file():
        reason = f"there is no file '{target.value}'"
        raise ModelError([faults.bad_import(target, reason)])
    return path


def _in_library(target: tree.Path) -> Path:
    """`library.NAME`."""
    names = [name.key for name in target.names]
    library = {path.stem: path for path in resources.library().glob("*.qsync")}
    if names[0] == "library" and len(names) == 2 and names[1] in library:
        return library[names[1]]
    reason = f"there is no library '{'.'.join(names)}'"
    help_ = f"the library has {', '.join(f'library.{n}' for n in sorted(library))}"
    raise ModelError([faults.bad_import(target, reason, help_)])


def load_file(path: Path) -> tree.File:
    """Parse an imported file.

    Raises:
        ModelError: E1xx.
    """
    from qsyncdsl.syntax.load import parse, read

    return parse(read(path))
