"""`tuidock stats`: what containers use, once or live."""

from __future__ import annotations

import sys
import time

from tuidock.cli.flags import UNLIMITED, Command, Words
from tuidock.cli.formats import FORMAT, Listing, row
from tuidock.cli.output import binary_size, human_size, short_id
from tuidock.engine import Engine
from tuidock.engine.options import Option
from tuidock.errors import NotFound, NotRunning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.cli.templates.values import Row
    from tuidock.engine.reconcile import Container
    from tuidock.engine.stats import Sample
    from tuidock.storage.paths import Roots

INTERVAL = 1.0
"""Seconds between two samples: a share of the CPU needs two."""
TITLES = {
    "Container": "CONTAINER",
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}
TABLE = "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}"
HOME, CLEAR_LINE, CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
NOTHING = "--"


def stats(words: Words, place: Roots) -> int:
    engine = Engine(place)
    names = words.arguments
    for name in names:
        engine.containers.get(name)  # a wrong name is told at once
    listing = Listing(TITLES, TABLE)
    before: dict[str, Sample] | None = None
    live = not words.flag("no-stream")
    if live and sys.stdout.isatty():
        sys.stdout.write("\x1b[2J")
    while True:
        shown = _shown(engine, names, all_=words.flag("all"))
        samples = _samples(engine, shown)
        if before is not None or not samples:  # a rate takes two looks, nothing that runs takes none
            rows = [_row(one, (before or {}).get(one.id), samples.get(one.id), full=words.flag("no-trunc")) for one in shown]
            text = listing.text(rows, words.text("format"))
            if live and sys.stdout.isatty():
                text = HOME + text.replace("\n", f"{CLEAR_LINE}\n") + CLEAR_BELOW
            sys.stdout.write(text)
            sys.stdout.flush()
            if not live:
                return 0
        before = samples
        time.sleep(INTERVAL)


def _shown(engine: Engine, names: list[str], *, all_: bool) -> list[Container]:
    if not names:
        return engine.containers.list(all=all_)
    found = []
    for name in names:
        try:
            found.append(engine.containers.get(name))
        except NotFound:
            continue  # it was there when we began
    return found


def _samples(engine: Engine, containers: list[Container]) -> dict[str, Sample]:
    samples = {}
    for container in containers:
        if container.running:
            try:
                samples[container.id] = engine.stats.sample(container.id)
            except (NotFound, NotRunning):
                continue
    return samples


def cpu_share(before: Sample, after: Sample) -> float:
    """Per cent of one core between two samples."""
    passed = after.time - before.time
    return 100.0 * max(after.cpu_ns - before.cpu_ns, 0) / passed if passed > 0 else 0.0


def _row(container: Container, before: Sample | None, after: Sample | None, *, full: bool) -> Row:
    name = container.id if full else short_id(container.id)
    fields = dict.fromkeys(("CPUPerc", "MemPerc", "PIDs"), NOTHING)
    fields |= dict.fromkeys(("MemUsage", "NetIO", "BlockIO"), f"{NOTHING} / {NOTHING}")
    if after is not None:
        limit = after.memory_limit or _memory_of_machine()
        fields = {
            "CPUPerc": f"{cpu_share(before, after) if before else 0.0:.2f}%",
            "MemUsage": f"{binary_size(after.memory)} / {binary_size(limit)}",
            "MemPerc": f"{100.0 * after.memory / limit:.2f}%",
            "NetIO": f"{human_size(after.rx_bytes, 3)} / {human_size(after.tx_bytes, 3)}",
            "BlockIO": f"{human_size(after.read_bytes, 3)} / {human_size(after.write_bytes, 3)}",
            "PIDs": str(after.pids),
        }
    return row("statsContext", Container=name, ID=name, Name=container.name, **fields)


def _memory_of_machine() -> int:
    import psutil

    return int(psutil.virtual_memory().total)


COMMANDS = {
    "stats": Command(
        stats,
        "[CONTAINER...]",
        (
            Option("all", "a", meaning="Show all containers (default shows just running)"),
            FORMAT,
            Option("no-stream", meaning="Disable streaming stats and only pull the first result"),
            Option("no-trunc", meaning="Do not truncate output"),
        ),
        0,
        UNLIMITED,
    )
}
