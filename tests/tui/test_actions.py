"""What keys do to containers, asked of the kernel where it knows."""

from __future__ import annotations

import os

from tests.engine.running import running
from tests.machine import alive, eventually, inode
from tests.tui.screens import SMALL, WIDE, screen
from tuidock.engine import Engine
from tuidock.engine.requests import RunRequest
from tuidock.storage.paths import Roots


async def test_pause_and_go_on(engine: Engine, roots: Roots, busybox: str) -> None:
    script = "while :; do date +%s%N; sleep 0.05; done"
    with running(engine, "sh", "-c", script) as container:
        async with screen(roots, SMALL) as shown:
            await shown.waits_for("● ")
            await shown.press("p")
            await shown.waits_for("◫ ")
            written = roots.container(container.id).log
            size = os.stat(written).st_size
            await shown.waits_for("paused")
            assert os.stat(written).st_size == size
            await shown.press("p")
            await shown.waits_for("● ")
            assert eventually(lambda: os.stat(written).st_size > size)


async def test_kill_start_and_remove(engine: Engine, roots: Roots, busybox: str) -> None:
    made = engine.containers.create(RunRequest(busybox, ("sleep", "1000"), detach=True))
    engine.containers.start(made)
    first = engine.containers.get(made).pid
    async with screen(roots, WIDE) as shown:
        await shown.waits_for("● ")
        await shown.press("K")
        await shown.waits_for("exit 137")
        assert not alive(first)
        await shown.press("u")
        await shown.waits_for("● ")
        pid = engine.containers.get(made).pid
        assert alive(pid)
        await shown.press("d")
        await shown.waits_for("its process is killed")
        await shown.press("n")
        await shown.until(lambda: "Remove container" not in shown.text)
        assert alive(pid)
        await shown.press("d")
        await shown.waits_for("its process is killed")
        await shown.press("y")
        await shown.waits_for("No container yet.")
        assert not alive(pid)


async def test_the_form_joins_the_network_of_another(engine: Engine, roots: Roots, busybox: str) -> None:
    with running(engine, "sleep", "1000") as container:
        async with screen(roots, WIDE) as shown:
            await shown.press("c")
            await shown.waits_for("Run a container")
            await shown.type("sleep 1000")
            shown.app.screen.query_one("#network").value = f"container:{container.name}"  # type: ignore[attr-defined]
            await shown.waits_for(f"--network container:{container.name}")
            await shown.press("enter")
            await shown.waits_for("2 of 2 running")
            other = next(one for one in engine.containers.list() if one.id != container.id)
            assert inode(other.pid, "net") == inode(container.pid, "net")
            assert inode(other.pid, "pid") != inode(container.pid, "pid")
            engine.containers.remove(other.id, force=True)
