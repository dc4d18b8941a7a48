"""The figures of networks and published ports beside docker's: `python -m tests.bench.networks [RUNS]`.

Both engines run in one network namespace that is thrown away, so nothing of the machine's is touched or measured.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from tests.bench.__main__ import milliseconds
from tests.bench.engines import IMAGE, Docker, Engine, tuidock
from tests.dockerd import dockerd, installed
from tests.machine import make_busybox, usable_for_overlay
from tests.network.places import HOST4, Place, machine, outside

COMMANDS = (
    (("run", "--rm", "--net", "none", IMAGE, "true"), 0.25),
    (("run", "--rm", "--net", "bridge", IMAGE, "true"), 0.25),
    (("run", "--rm", "-p", "4000:80", IMAGE, "true"), 0.25),
)
"""What is run, and what part of docker's time it may take."""
AT_ONCE, AT_ONCE_RATIO = 20, 0.35
SENT = 4 << 30
"""Bytes through a published port."""


def in_turns(engines: list[Engine], runs: int) -> None:
    """Medians, and the best of each: on a machine that does other things, that is nearer to the truth."""
    times: dict[tuple[int, str], list[float]] = {}
    for _ in range(runs + 1):
        for number, (words, _) in enumerate(COMMANDS):
            for one in engines:
                times.setdefault((number, one.name), []).append(milliseconds(one.command(*words)))
    for number, (words, ratio) in enumerate(COMMANDS):
        found = [times[number, one.name][1:] for one in engines]
        row(" ".join(words), [statistics.median(its) for its in found], [min(its) for its in found], ratio)


def row(title: str, medians: list[float], best: list[float], ratio: float) -> None:
    cells = "".join(f"{median:>8.0f} ({least:.0f})" for median, least in zip(medians, best, strict=True))
    parts = " ".join(f"{its[0] / its[1]:.2f}" for its in (medians, best)) if len(medians) > 1 else ""
    print(f"{title:<44}{cells}   {parts}, at most {ratio}", flush=True)


def at_once(one: Engine) -> float:
    """Milliseconds until so many have run that were started together."""
    began = time.perf_counter()
    words = one.command("run", "--rm", "--net", "bridge", IMAGE, "true")
    started = [subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) for _ in range(AT_ONCE)]
    assert [process.wait() for process in started] == [0] * AT_ONCE
    return (time.perf_counter() - began) * 1000


@contextmanager
def sink(pid: int):  # type: ignore[no-untyped-def]
    """A server in a container's namespace that reads and forgets, and says so at the end."""
    place = Place(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY))
    listener = place.open()
    listener.bind(("", 80))
    listener.listen()
    listener.settimeout(None)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            buffer = bytearray(1 << 20)
            while connection.recv_into(buffer):
                pass
            connection.close()

    threading.Thread(target=serve, daemon=True).start()
    yield
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    os.close(place.descriptor)


def gigabytes(address: str) -> float:
    """GB/s into the published port."""
    block = bytes(1 << 20)
    with socket.create_connection((address, 4000)) as client:
        began = time.perf_counter()
        for _ in range(SENT >> 20):
            client.sendall(block)
        client.shutdown(socket.SHUT_WR)
        client.recv(1)
        return SENT / (time.perf_counter() - began) / 1e9


def throughput(engines: list[Engine]) -> None:
    for title, address in (("to 127.0.0.1, GB/s", "127.0.0.1"), ("to the machine's address, GB/s", HOST4)):
        found = []
        for one in engines:
            one.ok("run", "-d", "--name", "port", "-p", "4000:80", IMAGE, "sleep", "1000")
            with sink(int(one.ok("inspect", "--format", "{{.State.Pid}}", "port"))):
                found.append(max(gigabytes(address) for _ in range(3)))
            one.ok("rm", "-f", "port")
        print(f"{title:<44}" + "".join(f"{its:>8.2f}" for its in found), flush=True)


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    if os.geteuid() != 0 or not installed():
        print("the figures are beside docker's, so they need root and dockerd")
        return 1
    with tempfile.TemporaryDirectory(prefix="tuidock-bench-", dir=usable_for_overlay()) as scratch, machine() as host:
        folders = [Path(scratch, name) for name in ("tuidock", "docker")]
        for folder in folders:
            folder.mkdir()
        busybox = make_busybox(Path(scratch))
        with outside(host), tuidock(folders[0]) as ours, dockerd(folders[1], networks=True) as words:
            engines: list[Engine] = [ours, Docker(words)]
            for one in engines:
                one.ok("import", "-", IMAGE, stdin=busybox)
            print(f"{'medians and bests in ms, and parts of them':<44}{'tuidock':>12}{'docker':>12}")
            in_turns(engines, runs)
            found = [[at_once(one) for _ in range(3)] for one in engines]
            title = f"{AT_ONCE} at once on the bridge"
            row(title, [statistics.median(its) for its in found], [min(its) for its in found], AT_ONCE_RATIO)
            throughput(engines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
