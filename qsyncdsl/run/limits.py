"""What a sweep will take: time, memory, disk; and a refusal of what cannot fit."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.report.progress import duration, size

# Part of the free memory and disk that is left alone.
_SPARE = 0.05


@dataclass(frozen=True)
class Estimate:
    """What is left to do, from what the first points took.

    Attributes:
        points: Solves.
        seconds: Wall time of all of them together.
        workers: Processes.
        memory: Bytes of each process.
        disk: Bytes that are still to be written.
        result: Bytes of the dataset in memory.
    """

    points: int
    seconds: float
    workers: int
    memory: float
    disk: float
    result: float

    def text(self) -> str:
        """One line for people."""
        who = f" in {self.workers} processes" if self.workers > 1 else ""
        each = " each" if self.workers > 1 else ""
        return (
            f"{self.points} point{'s' * (self.points != 1)} to do, about {duration(self.seconds)}{who}; "
            f"{size(self.memory)} of memory{each}, {size(self.disk)} on disk"
        )


def refuse(estimate: Estimate, folder: Path | None, local: bool) -> None:
    """Refuse before anything is lost what this machine cannot hold.

    Args:
        folder: Where points are kept.
        local: Whether all processes share this machine.

    Raises:
        ModelError: E747 for memory, E748 for the disk.
    """
    room = (1 - _SPARE) * free_memory()
    if local and estimate.workers > 1 and estimate.memory:
        fits = int(room // estimate.memory)
        if fits < estimate.workers:
            message = (
                f"{estimate.workers} processes of {size(estimate.memory)} do not fit: "
                f"{size(room)} are free"
            )
            help = f"--jobs {fits}" if fits > 1 else "without --jobs"
            raise ModelError([Diagnostic("E747", message, help=help)])
    if estimate.result > room:
        message = (
            f"the result takes {size(estimate.result)} of memory, {size(room)} are free"
        )
        help = "measure less at each point, or sweep in parts"
        raise ModelError([Diagnostic("E747", message, help=help)])
    if folder is not None:
        free = (1 - _SPARE) * _free_disk(folder)
        if estimate.disk + estimate.result > free:
            message = (
                f"{size(estimate.disk + estimate.result)} are to be written, "
                f"{size(free)} are free below '{folder}'"
            )
            raise ModelError([Diagnostic("E748", message, help="--out elsewhere")])


def _free_disk(folder: Path) -> float:
    while not folder.exists():
        folder = folder.parent
    return float(shutil.disk_usage(folder).free)


def free_memory() -> float:
    """Bytes that can still be taken, by this machine's count or that of its container."""
    found = []
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            found += [
                float(line.split()[1]) * 1024
                for line in lines
                if line.startswith("MemAvailable")
            ]
    except OSError:
        pass
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii")
        found += [] if limit == "max" else [float(limit) - float(used)]
    except (OSError, ValueError):
        pass
    if not found:
        try:
            pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
            found.append(float(pages))
        except (ValueError, OSError, AttributeError):
            return 8e9
    return max(min(found), 0.0)
