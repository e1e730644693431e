"""A command at work on an output folder: its engine, its store, its memory of what was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from qsyncdsl.diagnostics import Diagnostic
from qsyncdsl.model.types import Model
from qsyncdsl.run.engines.queue import Engine, Inline
from qsyncdsl.run.experiment import wanted
from qsyncdsl.run.follow import line_run
from qsyncdsl.run.line import LineRun, Workshop
from qsyncdsl.run.plan import Plan
from qsyncdsl.run.store.address import Addresses
from qsyncdsl.run.store.folder import NAME, Store, shelf_name
from qsyncdsl.source import Source


class Wishes(Protocol):
    """How a command wants to compute."""

    @property
    def jobs(self) -> int:
        """Processes."""

    @property
    def cluster(self) -> str:
        """Address of a scheduler, or `local`, `slurm`; empty for none."""

    @property
    def retry(self) -> bool:
        """Whether failed points are done again."""


def engine(wishes: Wishes) -> Engine:
    """The engine that was asked for.

    Raises:
        ModelError: E742, E743 where there is no such cluster.
    """
    if wishes.cluster:
        from qsyncdsl.run.engines.cluster import Cluster

        return Cluster(wishes.cluster, wishes.jobs)
    if wishes.jobs > 1:
        from qsyncdsl.run.engines.processes import Processes

        return Processes(wishes.jobs)
    return Inline()


@contextmanager
def workshop(
    folder: Path | None,
    wishes: Wishes,
    progress: Callable[..., None] | None,
    warn: Callable[[Diagnostic], None] | None,
) -> Iterator[Workshop]:
    """An engine, and the store of a folder if one is given."""
    with ExitStack() as stack:
        store = None
        if folder is not None:
            store = store_of(folder)
            stack.enter_context(store.at_work())
        chosen = engine(wishes)
        stack.callback(chosen.close)
        shop = Workshop(chosen, store, wishes.retry, progress)
        shop.far = "://" in wishes.cluster or wishes.cluster == "slurm"
        if warn is not None:
            shop.warn = warn
        yield shop


def store_of(folder: Path) -> Store:
    """The store of an output folder."""
    return Store(folder / NAME)


def remember(
    folder: Path, model: Model, request: dict[str, Any], only: Sequence[str]
) -> None:
    """Keep what was asked, with the text of the model.

    Raises:
        OSError: If it cannot be written.
    """
    source = Path(model.source.name)
    name = str(source.absolute()) if source.is_file() else model.source.name
    store_of(folder).remember(
        {
            "model": name,
            "text": model.source.text,
            "request": request,
            "only": list(only),
        }
    )


def recall(folder: Path) -> tuple[Source, dict[str, Any], tuple[str, ...]]:
    """The model, the request and the chosen experiments of the last command.

    Raises:
        ModelError: E731 if there is none.
    """
    found = store_of(folder).command()
    return Source(found["model"], found["text"]), found["request"], tuple(found["only"])


# ── looking at it ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class LineStatus:
    """How far one line is; points are counted for each draw of disorder.

    Attributes:
        realizations: Kept of this line, where points are missing.
    """

    experiment: str
    label: str
    done: int
    failed: int
    total: int
    reasons: dict[str, int]
    damaged: int
    realizations: int = 0


@dataclass(frozen=True)
class Status:
    """How far the last command of a folder is.

    Attributes:
        at_work: Commands that are working on it now.
        others: Shelves of earlier models or options.
        size: Bytes on the disk.
    """

    lines: tuple[LineStatus, ...]
    at_work: int
    others: int
    size: int


def status(folder: Path, plans: Sequence[Plan]) -> Status:
    """Count what is there."""
    store = store_of(folder)
    lines, used = [], set()
    for plan in plans:
        for line in plan.lines:
            run = line_run(plan, line, Workshop(store=store))
            used.add(run.shelf.folder)
            if run.begun is not None:
                used.add(run.begun.shelf.folder)
            lines.append(
                _line_status(run, list(plan.points(line)) if wanted(plan) else [])
            )
    shelves = [p for p in store.shelves() if ".expect." not in p.name]
    others = len(set(shelves) - used)
    return Status(tuple(lines), store.workers(), others, store.size())


def _line_status(run: LineRun, points: list[tuple[int, ...]]) -> LineStatus:
    results = run.known(points)
    done, total = run.count(points)
    reasons: dict[str, int] = {}
    for result in results:
        for name, fault in result.failures.items():
            text = f"{name}: {fault.message}" if name else fault.message
            reasons[text] = reasons.get(text, 0) + 1
    failed = sum(bool(result.failures) for result in results)
    name, label = run.plan.experiment.name, run.line.label
    begun = 0 if run.begun is None or done == total else run.begun.shelf.count()
    damaged = len(run.complain())
    return LineStatus(name, label, done, failed, total, reasons, damaged, begun)


def clean(folder: Path, plans: Sequence[Plan]) -> tuple[int, int]:
    """Remove the shelves that no line of some plans uses.

    Returns:
        Shelves removed, and bytes freed.

    Raises:
        ModelError: E732 while a command is at work.
    """
    store, used = store_of(folder), set()
    for plan in plans:
        for line in plan.lines:
            addresses = Addresses(plan, line)
            used.add(store.folder / shelf_name(plan, line.label, addresses))
            used.add(store.folder / shelf_name(plan, "expect", addresses))
            run = line_run(plan, line, Workshop(store=store))
            points = list(plan.points(line)) if wanted(plan) else []
            run.known(points)
            done, total = run.count(points)
            if run.begun is not None and run.begun.shelf.folder and done < total:
                # of finished points they only serve those who ask for more
                used.add(run.begun.shelf.folder)
    return store.clean(used)
