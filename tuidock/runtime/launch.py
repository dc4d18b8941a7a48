"""The first moments of a monitor: let go of the front end, and wake the kernel's slow path while the rest is loaded.

Runs in the fresh interpreter before anything else is imported.
"""

from __future__ import annotations

import os


def main() -> None:
    """Fork, so that the monitor is nobody's child: a front end that lives on gets no zombie."""
    if os.fork():
        hasten_attach()
        os._exit(0)
    from tuidock.runtime import monitor

    monitor.main()


def hasten_attach() -> None:
    """On cgroup v1, put this process where it is already.

    Who writes to cgroup.procs waits for all readers of the kernel's cgroup_threadgroup_rwsem: 15 to 20 ms when nobody has
    for a while, and none soon after.  The container's own attach comes in some 15 ms, so the wait is over when it does.
    A container on v2 is born in its cgroup and does not wait.
    """
    try:
        with open("/proc/self/cgroup") as file:
            for line in file:
                _, controllers, path = line.rstrip("\n").split(":", 2)
                if controllers and not controllers.startswith("name="):
                    with open(f"/sys/fs/cgroup/{controllers}{path}/cgroup.procs", "w") as procs:
                        procs.write("0")
                    return
    except OSError:
        pass  # it is only about time
