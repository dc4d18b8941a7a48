"""A container at a glance: its state in words, what it runs, what it uses and may use, its processes."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from textual.content import Content

from tuidock.tui import state
from tuidock.tui.panes.pane import Pane
from tuidock.tui.widgets.drawing import beside, chart, facts, titled
from tuidock.tui.words import ago, binary_size, brief, clock, fit, right, shell_line, size, span

if TYPE_CHECKING:
    from tuidock.engine import Engine
    from tuidock.engine.reconcile import Container
    from tuidock.engine.stats import Sample
    from tuidock.tui.messages import Subject

WIDE = 84
"""Cells from which on charts stand side by side."""
HISTORY = 300
"""Seconds of samples that are kept."""


class Process(NamedTuple):
    pid: int
    depth: int
    name: str
    state: str
    cpu_seconds: float
    memory: int


class Reading(NamedTuple):
    container: Container
    sample: Sample | None
    """None: it does not run."""
    processes: list[Process]


class Overview(Pane):
    PERIOD = 1.0

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.forget()

    def forget(self) -> None:
        self._last: Sample | None = None
        self._cpu: deque[float] = deque(maxlen=HISTORY)
        self._memory: deque[float] = deque(maxlen=HISTORY)
        self._pids: deque[float] = deque(maxlen=HISTORY)

    def read(self, engine: Engine, subject: Subject) -> Reading:
        container = engine.containers.get(subject.key)
        if not container.running:
            return Reading(container, None, [])
        return Reading(container, engine.stats.sample(container.id), processes(engine.containers.processes(container.id)))

    def draw(self, value: Reading, width: int) -> list[Content]:
        container, sample, tree = value
        sign, role = state.look(container)
        lines = [Content.assemble((f"{sign} ", role), (state.sentence(container), f"bold {role}")), Content("")]
        about = facts(_facts(container, sample, width), width)
        if sample is None:
            return lines + about
        if self._last is None or sample.time > self._last.time:
            self._keep(sample)
        charts = self._charts(sample, width)
        processes_of_it = [titled("Processes", width), *_tree(tree, width)]
        if width < WIDE:  # what lives comes first, as not all can be seen
            return [*lines, *charts, Content(""), *about, Content(""), *processes_of_it]
        return [*lines, *about, Content(""), *charts, Content(""), *processes_of_it]

    def _keep(self, sample: Sample) -> None:
        if self._last is not None:
            self._cpu.append(100 * (sample.cpu_ns - self._last.cpu_ns) / (sample.time - self._last.time))
        self._memory.append(sample.memory)
        self._pids.append(sample.pids)
        self._last = sample

    def _charts(self, sample: Sample, width: int) -> list[Content]:
        """Side by side where there is room, else a line each.  The top of each is its limit, or a round number above all."""
        each, height = (width - 4) // 3, 5 if self.size.height > 24 else 3
        cpus = float(self.row.request.get("cpus") or 0)
        cpu_top = 100 * cpus or _round_above(max(self._cpu, default=0), 10)
        memory_top = float(sample.memory_limit) or _round_above(max(self._memory), 1 << 20)
        pids_top = float(sample.pids_limit) or _round_above(max(self._pids), 5)
        limit = {
            "cpu": f"of {cpus:g} core{'' if cpus == 1 else 's'}" if cpus else f"↥ {cpu_top:g} %",
            "memory": f"of {binary_size(sample.memory_limit)}" if sample.memory_limit else f"↥ {binary_size(memory_top)}",
            "processes": f"of {sample.pids_limit}" if sample.pids_limit else f"↥ {pids_top:g}",
        }
        now = f"{self._cpu[-1]:.1f} %" if self._cpu else "–"
        drawn = (
            ("cpu", now, self._cpu, cpu_top, "$cpu"),
            ("memory", binary_size(sample.memory), self._memory, memory_top, "$memory"),
            ("processes", str(sample.pids), self._pids, pids_top, "$pids"),
        )
        if width < WIDE:
            room = max(4, width - 35)
            return [
                Content.assemble(
                    (fit(name, 10), "$muted"), (right(value, 9), "bold"), "  ", chart(history, room, 1, top, role)[0],
                    (right(limit[name], 14), "$muted"),
                )
                for name, value, history, top, role in drawn
            ]  # fmt: skip
        blocks = [
            [_caption(name, value, limit[name], each), *chart(history, each, height, top, role)]
            for name, value, history, top, role in drawn
        ]
        axis = Content.styled(fit(f"{'╵':─<{each - 4}} now", each), "$faint")
        return beside([[*block, axis] for block in blocks])


def _round_above(value: float, least: float) -> float:
    """`least`, or the first of its doubles that is not below `value`."""
    while least < value:
        least *= 2
    return least


def _caption(name: str, value: str, limit: str, width: int) -> Content:
    head = Content.assemble((name, "$muted"), " ", (value, "bold"))
    return Content.assemble(head, (f"{limit:>{max(0, width - head.cell_length)}}", "$muted")).truncate(width)


def _facts(container: Container, sample: Sample | None, width: int) -> list[tuple[str, Content | str]]:
    config: dict[str, Any] = container.config["Config"]
    request = container.request
    limits = []
    if request.get("memory"):
        limits.append(f"memory {binary_size(request['memory'])}")
    if request.get("cpus"):
        limits.append(f"{request['cpus']:g} cpus")
    if (request.get("pids_limit") or 0) > 0:
        limits.append(f"{request['pids_limit']} processes")
    found: list[tuple[str, Content | str]] = [
        ("command", Content.styled(brief(shell_line(container.command), 5 * (width - 16) // 2), "bold")),
        ("image", Content.assemble(container.image, (f"  {container.image_id.removeprefix('sha256:')[:12]}", "$muted"))),
        ("id", container.id[:12]),
    ]
    if container.running:
        inside = "" if width < 60 else "; 1 inside"
        found.append(("pid", Content.assemble(str(container.pid), (f"  on this machine{inside}", "$muted"))))
    found += [
        ("host name", config.get("Hostname") or "–"),
        ("network", ", ".join([request.get("network") or "none", *request.get("networks", ())])),
        ("limits", ", ".join(limits) or Content.styled("none", "$muted")),
    ]
    if container.mounts:
        places = [f"{mount['destination']} ← {mount['name'][:12] or mount['source']}" for mount in container.config["Mounts"]]
        found.append(("mounts", "\n".join(places)))
    if ports := container.ports:
        found.append(("exposes", ports))
    found.append(
        (
            "created",
            Content.assemble(ago(container.created_at), ("" if width < 60 else f"  {clock(container.created_at)}", "$muted")),
        )
    )
    if container.status == "exited":
        found.append(("ran for", span((container.finished_at - container.started_at) / 1e9)))
    if sample is not None and (sample.read_bytes or sample.write_bytes):
        found.append(("disk", f"{size(sample.read_bytes)} read, {size(sample.write_bytes)} written"))
    if sample is not None and (sample.rx_bytes or sample.tx_bytes):
        found.append(("net", f"{size(sample.rx_bytes)} received, {size(sample.tx_bytes)} sent"))
    return found


def processes(pids: list[int]) -> list[Process]:
    """These processes as a tree, parents before their children; one that ends as we look is left out."""
    import psutil

    found: dict[int, tuple[int, Process]] = {}
    for pid in pids:
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                spent = process.cpu_times()
                name = " ".join(process.cmdline()) or f"[{process.name()}]"
                found[pid] = (
                    process.ppid(),
                    Process(pid, 0, name, process.status(), spent.user + spent.system, process.memory_info().rss),
                )
        except psutil.NoSuchProcess:
            continue
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in found.items():
        children.setdefault(parent if parent in found else 0, []).append(pid)
    tree: list[Process] = []
    pending = [(pid, 0) for pid in reversed(children.get(0, []))]
    while pending:
        pid, depth = pending.pop()
        tree.append(found[pid][1]._replace(depth=depth))
        pending += [(child, depth + 1) for child in reversed(children.get(pid, []))]
    return tree


def _tree(tree: list[Process], width: int) -> list[Content]:
    room = width - 8 - 11 - 9
    lines = [
        Content.styled(f"{'pid':>7}  {fit('command', room - 1)}{'state':<9}{'memory':>10}", "$muted")
        if room > 10
        else Content.styled(f"{'pid':>7}  command", "$muted")
    ]
    for process in tree:
        branch = "  " * (process.depth - 1) + "└ " if process.depth else ""
        if room > 10:
            lines.append(
                Content.assemble(
                    (f"{process.pid:>7}  ", "$muted"), (branch, "$faint"), fit(process.name, room - 1 - len(branch)),
                    (fit(process.state, 9), "$muted"), (f"{binary_size(process.memory):>10}", "$memory"),
                )
            )  # fmt: skip
        else:
            lines.append(
                Content.assemble(
                    (f"{process.pid:>7}  ", "$muted"), (branch, "$faint"), fit(process.name, width - 9 - len(branch))
                )
            )
    return lines
