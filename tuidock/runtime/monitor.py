"""The process beside each container: parent of its pid 1, owner of its streams, writer of its log and of its end.

It is a fresh interpreter without site (spawn.py), so it is small, and it lives in a mount namespace of its own:
the container's overlay is mounted here and nowhere else, and what is mounted here cannot leak.  Nothing depends on the
front end that started it.  It ends when the container has ended and that is written down; taking apart what lies in
the database is the clean-up's work (`engine/containers.py`), which it starts as a command, or leaves to the front end
that waits for the container anyway.
"""

from __future__ import annotations

import _signal as signal
import _socket
import gc
import os
import select
import sys as interpreter
import time

from tuidock.errors import RuntimeFailure, TuidockError
from tuidock.oci.jsontext import loads
from tuidock.runtime import bundle, cgroups, init, log, terminal, trace, wire
from tuidock.runtime import syscalls as sys
from tuidock.runtime.mounts import Overlay
from tuidock.runtime.streams import CHUNK, Client, Job

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from tuidock.runtime import health

DRAIN = 2.0
"""Seconds that a stream may stay open after its process has ended, held by somebody outside (moby waits as long)."""

FLAGS = {
    "mount": sys.CLONE_NEWNS, "pid": sys.CLONE_NEWPID, "network": sys.CLONE_NEWNET,
    "ipc": sys.CLONE_NEWIPC, "uts": sys.CLONE_NEWUTS,
}  # fmt: skip
"""Namespaces that pid 1 is born in; the cgroup namespace is made when its cgroup is joined."""


class Failed(Exception):
    """A process could not be started; `told` is what its front end hears."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(told.get("message", ""))
        self.told = told


class Monitor:
    """One container's."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.request = request
        with open(f"{request['bundle']}/config.json", "rb") as file:
            self.config: dict[str, Any] = loads(file.read())
        self.clients: list[Client] = []
        self.jobs: list[Job] = []
        self.container: Job | None = None
        self.cgroup: cgroups.Cgroup | None = None
        self.log = log.writer(request["log"], **request.get("log_options") or {})
        self.listener: _socket.socket | None = None
        self.calls: list[list[object]] = []
        self.settled = False
        self.lacking = False
        """The last thing that it wrote could not be logged."""
        self.stopped_by = ""
        """Who asked for its end: `user`, by a client's signal, `system`, by this process's own; else empty."""
        self.prober: health.Prober | None = None
        """Runs the health check, if there is one."""
        self.host = -1
        """The mount namespace that this process came from."""

    # starting

    def start(self) -> dict[str, Any]:
        """From the request to a running pid 1.  Returns what is known of it then.  Raises Failed, with nothing left."""
        request = self.request
        try:
            self.host = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
            sys.unshare(sys.CLONE_NEWNS)
            sys.mount("", "/", "", sys.MS_SLAVE | sys.MS_REC)
            overlay = request["rootfs"]
            stack = Overlay(tuple(overlay["lower"]), overlay["links"], overlay["upper"], overlay["work"], overlay["target"])
            stack.apply()
            resources = self.config.get("linux", {}).get("resources", {})
            self.cgroup = cgroups.create(request["cgroup"], resources)
            job = self._clone_container()
            self.container = job
            _written(bundle.reserve, request["exit"])  # while the child is busy: its end must find room
            self._listen()
            began = {"pid": job.pid, "start_time": bundle.start_time(job.pid), "boot_id": bundle.boot_id()}
            self._until_running(job)
            state = {**began, "monitor": os.getpid(), "started_at": time.time_ns()}
            _written(bundle.write_json, request["state"], state)
            _written(bundle.write_json, request["trace"], {"calls": [*request["calls"], *self.calls]})
            return state
        except Failed:
            self._undo()
            raise
        except (OSError, TuidockError) as error:
            self._undo()
            raise Failed(_told(error)) from error

    def _undo(self) -> None:
        for job in list(self.jobs):
            self._kill(job)
        if self.cgroup is not None:
            self.cgroup.kill()
            self.cgroup.remove()
        if self.listener is not None:
            os.unlink(self.request["socket"])
        try:
            sys.umount2(self.request["rootfs"]["target"], sys.MNT_DETACH)
        except OSError:
            pass  # it failed before that mount

    def _clone_container(self) -> Job:
        config = self.config
        flags = 0
        for space in config["linux"]["namespaces"]:
            if not space.get("path"):
                flags |= FLAGS.get(space["type"], 0)
        process, stdin = config["process"], bool(self.request.get("stdin"))
        given = self.request.get("namespaces", {}).get("pid", -1)
        if given < 0:
            return self._clone(flags, process, stdin, dict(self.request), join=-1)
        return self._clone_among(given, flags, process, stdin, dict(self.request), join=-1)

    def _clone_among(
        self, space: int, flags: int, process: Mapping[str, Any], stdin: bool, request: dict[str, Any], join: int
    ) -> Job:
        """Clone a child into another pid namespace: setns(2) of one holds for children only.

        space: a descriptor of it, or the pidfd of a process in it.
        """
        home = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        try:
            sys.setns(space, sys.CLONE_NEWPID, "pid")
            try:
                return self._clone(flags, process, stdin, request, join)
            finally:
                sys.setns(home, sys.CLONE_NEWPID, "pid")
        finally:
            os.close(home)

    def _clone(self, flags: int, process: Mapping[str, Any], stdin: bool, request: dict[str, Any], join: int) -> Job:
        """Clone a child that becomes `process`; the channel to it is kept in the job until it runs."""
        assert self.cgroup is not None
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        ends: list[int] = []
        stdio = None
        if not process.get("terminal"):
            read_in, write_in = os.pipe2(os.O_CLOEXEC) if stdin else (os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC), -1)
            read_out, write_out = os.pipe2(os.O_CLOEXEC)
            read_err, write_err = os.pipe2(os.O_CLOEXEC)
            stdio, ends = (read_in, write_out, write_err), [write_in, read_out, read_err]
        pid, pidfd = sys.clone3(flags, signal.SIGCHLD, self.cgroup.descriptor())
        if pid == 0:
            del trace.calls[:]
            _child(ours, theirs, self.config, process, request, stdio, join)
        theirs.close()
        for descriptor in stdio or ():
            os.close(descriptor)
        job = Job(pid, pidfd)
        job.channel = ours
        if ends:
            job.stdin = ends[0]
            job.outputs = {ends[1]: log.STDOUT, ends[2]: log.STDERR}
        for descriptor in ends:
            if descriptor >= 0:
                os.set_blocking(descriptor, False)
        self.jobs.append(job)
        try:
            self.cgroup.enter(pid)
            ours.sendall(wire.pack(wire.GO))
        except (OSError, TuidockError) as error:
            self._kill(job)
            raise Failed(_told(error)) from error
        return job

    def _until_running(self, job: Job) -> None:
        """Read the child's reports until its exec closes the channel.  Raises Failed."""
        channel = job.channel
        assert channel is not None
        done = failed = None
        console, unpacker = -1, wire.Unpacker()
        while True:
            content, rights, _, _ = channel.recvmsg(CHUNK, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC)
            for _, _, descriptors in rights:
                console = int.from_bytes(descriptors[:4], interpreter.byteorder)
            if not content:
                break
            for kind, payload in unpacker.feed(content):
                if kind == wire.DONE:
                    done = wire.read_json(payload)
                elif kind == wire.FAILED:
                    failed = wire.read_json(payload)
        channel.close()
        job.channel = None
        self.calls = [["monitor", *call] for call in trace.take()]
        for report in (done, failed):
            if report is not None:
                self.calls += [["init", *call] for call in report.pop("trace")]
        if done is not None:
            error = int(failed.get("errno", 0)) if failed else 0
            self.calls.append(["init", "execve", done["args"], -1 if failed else 0, error, trace.now() - done["at"]])
        if failed is not None:
            self._kill(job)
            raise Failed(failed)
        if done is None:
            status = self._kill(job)
            raise Failed({"kind": "RuntimeFailure", "message": f"container init ended early, with status {status}", "hint": ""})
        if console >= 0:
            os.set_blocking(console, False)
            job.terminal, job.slave = console, terminal.open_slave(console)
            job.outputs = {console: log.STDOUT}

    def _kill(self, job: Job) -> int:
        """End a child that never ran, and reap it."""
        try:
            signal.pidfd_send_signal(job.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass
        status = _wait(job.pidfd)
        job.close()
        if job.channel is not None:
            job.channel.close()
            job.channel = None
        if job in self.jobs:
            self.jobs.remove(job)
        return status

    def _listen(self) -> None:
        path = self.request["socket"]
        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        listener.bind(f"/proc/self/fd/{folder}/{os.path.basename(path)}")  # sun_path has 108 bytes; a root may lie deep
        os.close(folder)
        os.chmod(path, 0o600)
        listener.listen(64)
        listener.setblocking(False)
        self.listener = listener

    # running

    def run(self) -> None:
        """Until the container has ended, its streams are drained and its clients know."""
        assert self.container is not None
        while not self._over():
            poll = select.poll()
            readers: dict[int, Job] = {}
            writers: dict[int, Job] = {}
            clients = {client.descriptor: client for client in self.clients}
            ends = {job.pidfd: job for job in self.jobs if job.status is None}
            if self.listener is not None:
                poll.register(self.listener.fileno(), select.POLLIN)
            for descriptor in ends:
                poll.register(descriptor, select.POLLIN)
            for client in self.clients:
                busy = client.job is not None and len(client.job.input) > CHUNK * 4
                wanted = (0 if busy else select.POLLIN) | (select.POLLOUT if client.waiting else 0)
                poll.register(client.descriptor, wanted)
            for job in self.jobs:
                masks: dict[int, int] = {}
                if not job.held:
                    masks = dict.fromkeys(job.outputs, select.POLLIN)
                    readers.update(dict.fromkeys(job.outputs, job))
                target = job.terminal if job.terminal >= 0 else job.stdin
                if job.input and target >= 0:
                    masks[target] = masks.get(target, 0) | select.POLLOUT
                    writers[target] = job
                for descriptor, mask in masks.items():
                    poll.register(descriptor, mask)
            happenings = poll.poll(self._patience())
            if not happenings and not self.settled:
                self._settle_down()
            for descriptor, happened in happenings:
                if descriptor in ends:
                    self._ended(ends[descriptor])
                elif descriptor in clients:
                    self._serve(clients[descriptor], happened)
                elif self.listener is not None and descriptor == self.listener.fileno():
                    self._accept()
                else:
                    if descriptor in writers and happened & select.POLLOUT:
                        writers[descriptor].feed()
                    if descriptor in readers and happened & ~select.POLLOUT:
                        self._read(readers[descriptor], descriptor)
            self._settle()
            if self.prober is not None:
                self._probe(self.prober)

    def _patience(self) -> int | None:
        """Milliseconds until a stream of an ended process is given up, or a health check is due; None if there is neither."""
        due = [job.ended_at + DRAIN for job in self.jobs if job.status is not None]
        if self.prober is not None:
            due.append(self.prober.at)
        soonest = min(due, default=float("inf"))
        if soonest == float("inf"):
            return None if self.settled else 500
        left = max(0, int((soonest - time.monotonic()) * 1000) + 1)
        return left if self.settled else min(left, 500)

    def _probe(self, prober: health.Prober) -> None:
        """Begin a health check that is due, or end one that takes too long."""
        assert self.container is not None
        assert self.cgroup is not None
        if time.monotonic() < prober.at or self.container.status is not None:
            return
        if prober.job is not None:
            prober.give_up()
        elif self.cgroup.frozen():
            prober.skip()
        else:
            try:
                prober.begin(self._enter(prober.asked["process"], prober.asked["seccomp"]))
            except Failed as failed:
                prober.begin(None, str(failed))
            except (OSError, TuidockError) as error:
                prober.begin(None, str(_told(error)["message"]))
            self.settled = False

    def _settle_down(self) -> None:
        """A container that is quiet for a moment may be so for long."""
        from tuidock.runtime import memory

        self.settled = True
        self.calls = []
        gc.collect()
        memory.release()

    def _over(self) -> bool:
        job = self.container
        return job is not None and job not in self.jobs and not any(client.waiting for client in self.clients)

    def _accept(self) -> None:
        assert self.listener is not None
        try:
            descriptor, _ = self.listener._accept()  # type: ignore[attr-defined]
        except OSError:
            return
        self.clients.append(Client(_socket.socket(fileno=descriptor)))

    def _read(self, job: Job, descriptor: int) -> None:
        try:
            content = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return
        except OSError:  # EIO: the last one has left the terminal
            content = b""
        if not content:
            del job.outputs[descriptor]
            if descriptor == job.terminal:
                job.terminal = -1
            os.close(descriptor)
            return
        stream = job.outputs[descriptor]
        if job is self.container:
            try:
                self.log.write(time.time_ns(), stream, content)
                self.lacking = False
            except OSError as error:
                if not self.lacking:  # once, not for each read: the disk is full
                    _complain(f"the log lacks {len(content)} bytes and maybe more: {error}")
                self.lacking = True
        if self.prober is not None and job is self.prober.job:
            self.prober.take(content)
        message = wire.pack(wire.OUTPUT if stream == log.STDOUT else wire.ERROR_OUTPUT, content)
        for client in job.clients:
            if client.streams:
                client.send(message)

    def _ended(self, job: Job) -> None:
        job.status = _wait(job.pidfd)
        job.ended_at = time.monotonic()
        job.let_go()
        if job is self.container:
            if {"type": "pid"} not in self.config["linux"]["namespaces"]:  # else the kernel ends all others
                assert self.cgroup is not None
                self.cgroup.kill()
            for other in self.jobs:
                if other is not job and other.status is None:  # the kernel ends what is in the pid namespace of pid 1
                    other.ended_at = job.ended_at

    def _settle(self) -> None:
        """Finish jobs that have ended and whose streams are empty, and forget clients that are gone."""
        for job in list(self.jobs):
            if job.status is None:
                continue
            if job.outputs and time.monotonic() - job.ended_at < DRAIN:
                continue
            if job is self.container:
                if any(other is not job for other in self.jobs):
                    continue
                self._finish(job)
            if self.prober is not None and job is self.prober.job:
                self.prober.end(job.status)
            for client in job.clients:
                client.send(wire.pack_json(wire.EXITED, {"status": job.status}))
            job.close()
            self.jobs.remove(job)
        for client in [client for client in self.clients if client.gone]:
            self._forget(client)

    def _forget(self, client: Client) -> None:
        client.connection.close()
        self.clients.remove(client)
        job = client.job
        if job is not None and client in job.clients:
            job.clients.remove(client)
            if client.streams and job.stdin_once and not any(other.streams for other in job.clients):
                job.end_input()

    # conversations

    def _serve(self, client: Client, happened: int) -> None:
        if happened & select.POLLOUT:
            client.flush()
        if not happened & ~select.POLLOUT:
            return
        try:
            content = client.connection.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            content = b""
        if not content:
            client.gone = True
            return
        try:
            for kind, payload in client.unpacker.feed(content):
                self._said(client, kind, payload)
        except (wire.Broken, ValueError, KeyError) as error:
            _complain(f"a client was not understood: {error}")
            client.gone = True

    def _said(self, client: Client, kind: bytes, payload: bytes) -> None:
        job = client.job
        if kind == wire.INPUT and job is not None:
            job.take_input(payload)
        elif kind == wire.INPUT_END and job is not None:
            job.end_input()
        elif kind == wire.RESIZE and job is not None:
            asked = wire.read_json(payload)
            if job.terminal >= 0:
                terminal.resize(job.terminal, int(asked["rows"]), int(asked["columns"]))
        elif kind == wire.SIGNAL and job is not None:
            number = int(wire.read_json(payload)["signal"])
            ends = number in (signal.SIGKILL, self.request.get("stop_signal")) or not self.request.get("only_stop_signal")
            if job is self.container and ends:
                self.stopped_by = "user"
            _pass_on(job, number)
        elif kind in (wire.ATTACH, wire.WATCH):
            assert self.container is not None
            client.streams = kind == wire.ATTACH
            self.join(client, self.container)
            client.send(wire.pack_json(wire.READY, {"pid": self.container.pid}))
        elif kind == wire.EXEC:
            self._exec(client, wire.read_json(payload))
        elif kind == wire.CLEANED:
            client.gone = True

    def join(self, client: Client, job: Job) -> None:
        """From now on this client talks to this process."""
        client.job = job
        job.clients.append(client)

    def _exec(self, client: Client, asked: Mapping[str, Any]) -> None:
        try:
            job = self._enter(asked["process"], asked.get("seccomp", ""), stdin=bool(asked.get("stdin")))
        except Failed as failed:
            client.send(wire.pack_json(wire.FAILED, failed.told))
            return
        except (OSError, TuidockError) as error:
            client.send(wire.pack_json(wire.FAILED, _told(error)))
            return
        job.stdin_once = True
        client.streams = not asked.get("detach")
        self.join(client, job)
        client.send(wire.pack_json(wire.READY, {"pid": job.pid, "calls": self.calls}))

    def _enter(self, process: Mapping[str, Any], seccomp: str, *, stdin: bool = False) -> Job:
        """A further process in the container.  Raises Failed, OSError, TuidockError."""
        container = self.container
        if container is None or container.status is not None:
            raise RuntimeFailure("the container has ended")
        job = self._clone_among(container.pidfd, 0, process, stdin, {"seccomp": seccomp}, container.pidfd)
        self._until_running(job)
        return job

    # ending

    def shut_down(self, number: int) -> None:
        """Who ends the monitor means the container: a machine that shuts down, say."""
        assert self.container is not None
        self.stopped_by = "system"
        _pass_on(self.container, number)

    def _finish(self, job: Job) -> None:
        """The container has ended: nothing of it runs, nothing of it is mounted, and its end is on the disk."""
        assert self.cgroup is not None
        request = self.request
        if self.prober is not None:
            self.prober.close()
        self.cgroup.kill()
        killed = self.cgroup.oom_kills() > 0
        end = {
            "status": job.status, "oom_killed": killed, "finished_at": time.time_ns(), "boot_id": bundle.boot_id(),
            "stopped_by": self.stopped_by,
        }  # fmt: skip
        _written(bundle.write_json, request["exit"], end, lasting=not request.get("remove"))
        self.cgroup.remove()
        sys.umount2(request["rootfs"]["target"], sys.MNT_DETACH)
        for path in (request["socket"], request["state"]):
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
        if self.listener is not None:
            self.listener.close()
            self.listener = None
        try:
            self.log.close()
        except OSError as error:
            _complain(f"the log lacks its end: {error}")

    def hand_over(self) -> None:
        """The clean-up: by the front end that promised it, as long as it lives, else by a command."""
        for client in [client for client in self.clients if client.cleans]:
            client.connection.setblocking(True)
            try:
                while content := client.connection.recv(CHUNK):
                    if any(kind == wire.CLEANED for kind, _ in client.unpacker.feed(content)):
                        return
            except (OSError, wire.Broken):
                continue
        sys.setns(self.host, sys.CLONE_NEWNS, "mnt")
        command = self.request["cleanup"]
        os.posix_spawn(command[0], command, {"PATH": os.environ.get("PATH", "")}, setsid=True)


def _child(
    ours: _socket.socket, theirs: _socket.socket, config: Mapping[str, Any], process: Mapping[str, Any],
    request: dict[str, Any], stdio: tuple[int, int, int] | None, join: int,
) -> None:  # fmt: skip
    """The other side of `clone3`."""
    ours.close()
    streams = init.Stdio(*stdio) if stdio else None
    if join >= 0:
        init.join(theirs, join, process, request, streams)
    init.main(theirs, config, request, streams)


def _pass_on(container: Job, number: int) -> None:
    if container.status is None:
        try:
            signal.pidfd_send_signal(container.pidfd, number)
        except ProcessLookupError:
            pass


def _wait(pidfd: int) -> int:
    """Reap the process of a pidfd: its exit status, 128 + N if signal N ended it."""
    while True:
        result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        if result is not None:
            return result.si_status if result.si_code == os.CLD_EXITED else 128 + result.si_status


def _told(error: BaseException) -> dict[str, Any]:
    if isinstance(error, TuidockError):
        return {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
    if isinstance(error, OSError):
        return {"kind": "RuntimeFailure", "message": f"{error.filename or 'monitor'}: {error.strerror}", "hint": ""}
    return {"kind": "RuntimeFailure", "message": f"{type(error).__name__}: {error}", "hint": "this is a bug"}


def _complain(words: str) -> None:
    """Into monitor.log, which is this process's stderr, if there is room."""
    try:
        os.write(2, f"{words}\n".encode())
    except OSError:
        pass


def _written(write: Callable[..., None], path: str, *values: object, **options: object) -> None:
    """Write a file, or complain: a full disk ends no container."""
    try:
        write(path, *values, **options)
    except OSError as error:
        _complain(f"{path} cannot be written: {error}")


def main() -> None:
    """The rest of a monitor's life: descriptor 3 is the front end that starts the container (spawn.py, launch.py)."""
    with open("/proc/self/comm", "wb") as name:
        name.write(b"tuidock-monitor")
    os.set_inheritable(3, False)
    first = _socket.socket(fileno=3)
    head, rights, _, _ = first.recvmsg(1, _socket.CMSG_SPACE(32), _socket.MSG_CMSG_CLOEXEC)
    if head != wire.START:
        os._exit(0)  # the front end has changed its mind
    given = [
        int.from_bytes(numbers[start : start + 4], interpreter.byteorder)
        for _, _, numbers in rights
        for start in range(0, len(numbers), 4)
    ]
    request = wire.read_json(wire.rest(first))
    request["namespaces"] = dict(zip(request["namespaces"], given, strict=True))
    complaints = os.open(request["monitor_log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.dup2(complaints, 2, inheritable=True)
    os.close(complaints)
    client = Client(first)
    client.streams, client.cleans = bool(request.get("attach")), bool(request.get("cleans"))
    monitor = Monitor(request)
    monitor.clients.append(client)
    try:
        state = monitor.start()
    except Failed as failed:
        first.setblocking(True)
        try:
            first.sendall(wire.pack_json(wire.FAILED, failed.told))
        except OSError:
            monitor.hand_over()
        os._exit(125)
    assert monitor.container is not None
    monitor.container.stdin_once = bool(request.get("stdin_once"))
    monitor.join(client, monitor.container)
    if request.get("health"):
        from tuidock.runtime import health

        monitor.prober = health.Prober(request["health"])
    client.send(wire.pack_json(wire.READY, state))
    stop = int(request.get("stop_signal", signal.SIGTERM))
    signal.signal(signal.SIGTERM, lambda *_: monitor.shut_down(stop))
    monitor.calls = []
    for descriptor in request["namespaces"].values():
        os.close(descriptor)
    monitor.run()
    monitor.hand_over()
    os._exit(0)
