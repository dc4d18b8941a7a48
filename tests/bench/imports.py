"""What an import costs: `python -m tests.bench.imports [STATEMENT …]`.

The least of many runs, each in an interpreter of its own: what other processes do meanwhile hardly shows.
"""

from __future__ import annotations

import subprocess
import sys

RUNS = 20
STATEMENTS = (
    "import re", "import json", "import argparse", "import typing", "import contextlib", "import subprocess",
    "import dataclasses", "import pathlib", "import logging", "import asyncio", "import tempfile", "import shutil",
    "import signal", "import socket", "import sqlite3", "import psutil", "import humanize", "import pyroute2",
    "import dockerfile", "import textual.app",
    "import tuidock.oci.jsontext",
    "from dataclasses import dataclass\n@dataclass(frozen=True, slots=True)\nclass Point:\n    x: int\n    y: int = 0",
    "from typing import NamedTuple\nclass Point(NamedTuple):\n    x: int\n    y: int = 0",
    "from tuidock.oci.value import Value\nclass Point(Value):\n    x: int\n    y: int = 0",
)  # fmt: skip


TIMED = "from time import perf_counter as now; began = now(); exec({!r}); print(now() - began)"


def cost(statement: str) -> float:
    """Milliseconds that it takes in an interpreter of its own."""
    words = [sys.executable, "-c", TIMED.format(statement)]
    return min(float(subprocess.check_output(words)) for _ in range(RUNS)) * 1000


def main() -> None:
    for statement in sys.argv[1:] or STATEMENTS:
        print(f"{cost(statement):7.1f} ms  {statement.splitlines()[0]}{' and a class' if chr(10) in statement else ''}")


if __name__ == "__main__":
    main()
