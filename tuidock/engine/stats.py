"""What a container uses now, from its control group and its network namespace."""

from __future__ import annotations

import time

from tuidock.errors import NotRunning
from tuidock.oci.value import Value
from tuidock.runtime import cgroups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.engine import Engine


class Sample(Value):
    """Counters at one moment; rates come from two of them."""

    time: int
    """ns, monotonic"""
    cpu_ns: int
    """of all processors together, since the start"""
    memory: int
    """bytes in use without what the kernel can drop at once (inactive file cache), as docker counts it"""
    memory_limit: int
    """bytes; 0 for none"""
    pids: int
    pids_limit: int
    """0 for none"""
    read_bytes: int
    """from block devices, since the start; likewise below"""
    write_bytes: int
    rx_bytes: int
    """over the network interfaces of its namespace, without the loopback"""
    tx_bytes: int

    def cpu_percent(self, before: Sample) -> float:
        """Of one processor, between two samples: 200.0 is two processors busy."""
        passed = self.time - before.time
        return 100.0 * (self.cpu_ns - before.cpu_ns) / passed if passed > 0 else 0.0


class Stats:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def sample(self, name: str) -> Sample:
        """What it uses now.  Raises NotRunning, NoSuchContainer."""
        container = self.engine.containers.get(name)
        cgroup = cgroups.existing(f"{self.engine.roots.cgroup}/{container.id}") if container.running else None
        if cgroup is None:
            raise NotRunning(name, container.status)
        received, sent = network_bytes(container.pid) if container.request["network"] != "host" else (0, 0)
        return Sample(time=time.monotonic_ns(), rx_bytes=received, tx_bytes=sent, **cgroup.read())


def network_bytes(pid: int) -> tuple[int, int]:
    """Bytes received and sent by the interfaces of a process's network namespace, without `lo`.  proc(5), /proc/net/dev."""
    received = sent = 0
    try:
        with open(f"/proc/{pid}/net/dev") as file:
            for line in file:
                name, colon, numbers = line.partition(":")
                if colon and name.strip() != "lo":
                    words = numbers.split()
                    received, sent = received + int(words[0]), sent + int(words[8])
    except OSError:
        pass  # it has just ended
    return received, sent
