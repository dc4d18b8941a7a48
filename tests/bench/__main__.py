"""The figures: `make bench`, or `python -m tests.bench [RUNS]`.

tuidock is measured beside docker and podman where they are installed, in the same minutes and in turns, so that a busy
machine is as hard on each.  What is printed are medians, their ratio, and the budget that the project set itself.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.bench.engines import IMAGE, INSTALLED, Engine, Tuidock, engine
from tests.bench.screen import first_frame
from tests.machine import make_busybox, usable_for_overlay

RUN = ("run", "--rm", "--net", "none", IMAGE, "true")
EXEC = ("exec", "idle", "true")
IDLE = 5
"""How many containers stand idle while the memory of what stays beside each is read."""


os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed tuidock is compiled; with this it would be at every start


def milliseconds(command: list[str]) -> float:
    """How long a command takes from its start to its end."""
    began = time.perf_counter()
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - began) * 1000


def in_turns(engines: list[Engine], words: tuple[str, ...], runs: int) -> dict[str, float]:
    """The median for each engine; the first two runs of each do not count."""
    times: dict[str, list[float]] = {one.name: [] for one in engines}
    for turn in range(runs + 2):
        for one in engines:
            took = milliseconds(one.command(*words))
            if turn >= 2:
                times[one.name].append(took)
    return {name: statistics.median(values) for name, values in times.items()}


def pss(pid: int) -> float:
    """Proportional set size in MB: a page that n processes share counts a n-th for each."""
    found = re.search(r"^Pss:\s+(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def beside_idle(engines: list[Engine]) -> dict[str, float]:
    """MB that stay beside each idle container."""
    found = {}
    for one in engines:
        names = [f"still{number}" for number in range(IDLE)]
        for name in names:
            one.ok("run", "-d", "--net", "none", "--name", name, IMAGE, "sleep", "1000")
        time.sleep(2)
        found[one.name] = statistics.median(sum(pss(pid) for pid in one.beside(name)) for name in names)
        one.ok("rm", "-f", *names)
    return found


def row(title: str, unit: str, values: dict[str, float], names: list[str], *, most: float = 0, ratio: float = 0) -> bool:
    """Print one line; whether the budget holds.  most: what tuidock may take; ratio: what part of docker's."""
    cells = "".join(
        f"{values[name]:>9.{0 if unit == 'ms' else 1}f} {unit}" if name in values else f"{'':>12}" for name in names
    )
    held, said = True, ""
    if most:
        held, said = values["tuidock"] <= most, f"at most {most:g} {unit}"
    elif "docker" in values:
        part = values["tuidock"] / values["docker"]
        held, said = part <= ratio, f"{part:.2f} of docker's, at most {ratio}"
    print(f"{title:<32}{cells}   {said}{'' if held else '   MISSED'}", flush=True)
    return held


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    if os.geteuid() != 0:
        print("the figures are of real containers, so they need root")
        return 1
    below = usable_for_overlay()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tuidock-bench-", dir=below)))
        busybox = make_busybox(scratch)
        engines: list[Engine] = []
        for name, (_, installed) in INSTALLED.items():
            if not installed:
                print(f"{name} is not installed")
                continue
            engines.append(stack.enter_context(engine(name, below, busybox)))
        names = [one.name for one in engines]
        print(
            f"Linux {platform.release()}, Python {platform.python_version()}, {os.cpu_count()} CPUs, medians of {runs} runs\n"
        )
        print(f"{'':<32}" + "".join(f"{name:>12}" for name in names))
        held = [row(" ".join(RUN), "ms", in_turns(engines, RUN, runs), names, ratio=0.25)]
        for one in engines:
            one.ok("run", "-d", "--net", "none", "--name", "idle", IMAGE, "sleep", "1000")
        held.append(row(" ".join(EXEC), "ms", in_turns(engines, EXEC, runs), names, ratio=0.8))
        held.append(row("memory beside an idle container", "MB", beside_idle(engines), names, most=6))
        ours = next(one for one in engines if isinstance(one, Tuidock))
        frames = [first_frame(ours.words) for _ in range(max(3, runs // 3))]
        held.append(row("first frame of the TUI", "ms", {"tuidock": statistics.median(frames)}, names, most=700))
        print("\nthe commands:")
        for one in engines:
            print(f"  {shlex.join(one.command(*RUN))}\n  {shlex.join(one.command(*EXEC))}")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
