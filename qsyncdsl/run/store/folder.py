"""The store of an output folder: shelves, the last command, and who is at work."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock, Timeout

from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.run.plan import Line, Plan
from qsyncdsl.run.store.address import FORMAT, Addresses
from qsyncdsl.run.store.blocks import write_whole
from qsyncdsl.run.store.shelf import ABOUT, Shelf
from qsyncdsl.run.store.stretches import Stretches

NAME = "store"
_COMMAND = "command.json"
_GATE = ".gate"


@dataclass(frozen=True)
class Store:
    """What is kept below one output folder.

    Attributes:
        folder: `OUT/store`.
    """

    folder: Path

    def shelf(self, plan: Plan, line: Line, addresses: Addresses) -> Shelf:
        """The shelf of a line."""
        about = {
            "model": plan.model.title,
            "experiment": plan.experiment.name,
            "solve": " ".join(line.node.span.text.split()),
            "address": addresses.shelf,
        }
        return self._shelf(shelf_name(plan, line.label, addresses), about)

    def stretches(self, plan: Plan, line: Line, addresses: Addresses) -> Stretches:
        """Realizations of the points of a line."""
        about = {"model": plan.model.title, "experiment": plan.experiment.name}
        name = stretches_name(plan, line.label, addresses)
        return Stretches(self.folder / name, _json(about))

    def verdicts(self, plan: Plan, addresses: Addresses) -> Shelf:
        """The shelf of what expectations came to."""
        about = {"model": plan.model.title, "experiment": plan.experiment.name}
        return self._shelf(shelf_name(plan, "expect", addresses), about)

    def _shelf(self, name: str, about: dict[str, str]) -> Shelf:
        """A shelf, with a note for people of what it is."""
        return Shelf(self.folder / name, _json(about))

    def shelves(self) -> list[Path]:
        """The folders of all shelves, also of models that were changed since."""
        if not self.folder.is_dir():
            return []
        return sorted(p for p in self.folder.iterdir() if (p / ABOUT).is_file())

    # ── the command ──────────────────────────────────────────────────────────────────────

    def remember(self, command: dict[str, Any]) -> None:
        """Keep what `resume` needs.

        Raises:
            OSError: If it cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / _COMMAND, _json({"format": FORMAT, **command}))

    def command(self) -> dict[str, Any]:
        """The last command.

        Raises:
            ModelError: E731 if there is none that can be read.
        """
        try:
            found = json.loads((self.folder / _COMMAND).read_text(encoding="utf-8"))
            if found["format"] != FORMAT:
                raise ValueError
        except (OSError, ValueError, KeyError, TypeError):
            raise ModelError(
                [
                    Diagnostic(
                        "E731",
                        f"'{self.folder.parent}' holds nothing that 'qsyncdsl run' left",
                        help="name the output folder of a run, results/MODEL by default",
                    )
                ]
            ) from None
        return dict(found)

    # ── who is at work ───────────────────────────────────────────────────────────────────

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While inside, nobody may clean the store; others may work on it too."""
        folder = self.folder / "at_work"
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{uuid4().hex[:12]}.lock")
        try:
            with FileLock(self.folder / _GATE, timeout=60):
                lock.acquire(timeout=0)
        except (OSError, NotImplementedError):
            # A file system without locks: cleaning is then not guarded.
            yield
            return
        try:
            yield
        finally:
            lock.release()
            Path(lock.lock_file).unlink(missing_ok=True)

    def workers(self) -> int:
        """Commands that are at work on this store."""
        count = 0
        for path in (self.folder / "at_work").glob("*.lock"):
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                count += 1
                continue
            except (OSError, NotImplementedError):
                continue
            lock.release()
            path.unlink(missing_ok=True)
        return count

    def clean(self, used: set[Path]) -> tuple[int, int]:
        """Remove the shelves that are not used and compact the others.

        Returns:
            Shelves removed, and bytes freed.

        Raises:
            ModelError: E732 while a command is at work.
        """
        with FileLock(self.folder / _GATE, timeout=60):
            if self.workers():
                raise ModelError(
                    [
                        Diagnostic(
                            "E732",
                            f"a command is at work in '{self.folder.parent}'",
                            help="clean when it has ended",
                        )
                    ]
                )
            before, removed = self.size(), 0
            for path in self.shelves():
                if path not in used:
                    shutil.rmtree(path)
                    removed += 1
                else:
                    Shelf(path).compact()
            return removed, before - self.size()

    def size(self) -> int:
        """Bytes on the disk."""
        if not self.folder.is_dir():
            return 0
        return sum(p.stat().st_size for p in self.folder.rglob("*") if p.is_file())


def shelf_name(plan: Plan, label: str, addresses: Addresses) -> str:
    """The folder of a line's shelf."""
    return f"{plan.experiment.name}.{label}.{addresses.shelf[:12]}"


def stretches_name(plan: Plan, label: str, addresses: Addresses) -> str:
    """The folder of the realizations of a line."""
    return f"{plan.experiment.name}.{label}.realizations.{addresses.realizations[:12]}"


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode()
