"""Comparing programs: CPU times that alternate in one process, peak memory of processes of their own."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Attributes:
        ours: Gives numbers; what it computes is the whole way from the text to measures.
        peer: The same by another program, or a part of it; None where there is no comparison.
        share: Which part of the work the peer does; its time is scaled to the whole.
        same: Numbers of ours that the peer's are compared with.
        limit: What the best known code reaches, in words.
        goal: What is asked for, in words.
        parts: Parts of what `ours` does, by name, each timed in turn with the peer.
    """

    name: str
    ours: Callable[[], np.ndarray]
    peer: Callable[[], np.ndarray] | None = None
    peer_name: str = ""
    share: float = 1.0
    same: Callable[[np.ndarray], np.ndarray] = lambda x: x
    limit: str = ""
    goal: str = ""
    repeats: int = 3
    parts: Mapping[str, Callable[[], Any]] = field(default_factory=dict)


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU time of this process for some work, and what came out."""
    begin = time.process_time()
    found = work()
    return time.process_time() - begin, found


def measure(case: Case) -> str:
    """Run a case, ours and the peer in turn; one line of text."""
    cpu(case.ours)  # compiled, loaded
    for part in case.parts.values():
        cpu(part)
    mine, theirs, worst = [], [], 0.0
    parts: dict[str, list[float]] = {name: [] for name in case.parts}
    for _ in range(case.repeats):
        seconds, value = cpu(case.ours)
        mine.append(seconds)
        for name, part in case.parts.items():
            parts[name].append(cpu(part)[0])
        if case.peer is None:
            continue
        seconds, other = cpu(case.peer)
        theirs.append(seconds / case.share)
        worst = max(worst, float(np.abs(case.same(value) - other).max()))
    text = f"{case.name:<38} {statistics.median(mine):8.3f} s"
    if theirs:
        ratio = statistics.median(b / a for a, b in zip(mine, theirs, strict=True))
        text += (
            f" {case.peer_name:>10} {statistics.median(theirs):8.2f} s {ratio:7.1f} x"
        )
        text += f"  (differ by {worst:.0e})"
    text += f"  goal {case.goal}; known best {case.limit}"
    for name, taken in parts.items():
        text += f"\n  {name:<36} {statistics.median(taken):8.3f} s"
        if theirs:
            ratio = statistics.median(b / a for a, b in zip(taken, theirs, strict=True))
            text += f" {'':>10} {'':>10} {ratio:7.1f} x"
    return text


def peak(script: str, name: str) -> float:
    """Peak memory in MB of a process that runs one case of a script once."""
    command = [sys.executable, script, "--alone", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def alone(cases: Iterable[Case], name: str) -> None:
    """Run one case and print the peak memory of this process in MB."""
    next(case for case in cases if case.name == name).ours()
    print(_peak_here())


def _peak_here() -> float:
    """Peak memory of this process in MB.

    On Linux from /proc: `getrusage` counts the parent that a process was forked from.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="ascii").splitlines()
        (line,) = [line for line in lines if line.startswith("VmHWM")]
        return float(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def show(script: str, cases: Iterable[Case], arguments: list[str]) -> None:
    """The table of some cases; `--quick` leaves out those of many seconds, or one for `--alone NAME`."""
    if arguments[:1] == ["--alone"]:
        alone(cases, arguments[1])
        return
    for case in cases:
        if "--quick" in arguments and case.repeats == 1:
            continue
        print(f"{measure(case)}; peak {peak(script, case.name):.0f} MB", flush=True)
