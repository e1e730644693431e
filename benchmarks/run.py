"""All benchmarks: one table after the other.

Run: python benchmarks/run.py [--quick]. Every script beside this one can also be run on its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_NOT_BENCHMARKS = {"run.py", "table.py"}
_ONE_THREAD = {
    f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")
}


def main() -> None:
    """Run every script of this folder, with one thread."""
    here = Path(__file__).parent
    for script in sorted(here.glob("*.py")):
        if script.name in _NOT_BENCHMARKS:
            continue
        print(f"\n{script.stem}", flush=True)
        subprocess.run(
            [sys.executable, str(script), *sys.argv[1:]],
            check=False,
            env={**os.environ, **_ONE_THREAD},
        )


if __name__ == "__main__":
    main()
