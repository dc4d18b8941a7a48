"""Containers: made, started, ended, removed.  What is seen of them is in `views`, what docker's inspect says in `inspect`."""

from __future__ import annotations

import os
import select
import time
from _sqlite3 import IntegrityError

from tuidock.engine import config as configs
from tuidock.engine import files, names, reconcile, spec, volumes
from tuidock.engine.requests import ExecRequest, RunRequest, on_networks
from tuidock.errors import (
    Conflict,
    DiskFull,
    InUse,
    NameTaken,
    NoSuchContainer,
    NotRunning,
    RuntimeFailure,
    TuidockError,
    UsageError,
)
from tuidock.image.store import Store
from tuidock.oci.jsontext import dumps
from tuidock.runtime import bundle, cgroups, identity, lifecycle, seccomp, signals
from tuidock.runtime.cgroups import limits
from tuidock.runtime.spawn import Spawned, interpreter_command
from tuidock.storage import overlay
from tuidock.storage.layers import Layers
from tuidock.storage.locks import Lock
from tuidock.storage.remove import remove_tree
from tuidock.volume import Mount, collect

TYPE_CHECKING = False
if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from tuidock.engine import Engine
    from tuidock.engine.commit import Preview
    from tuidock.engine.copying import Copied
    from tuidock.engine.explain import Call
    from tuidock.engine.reconcile import Container
    from tuidock.engine.requests import CommitRequest, CopyRequest, LogRequest
    from tuidock.engine.views import Namespace, Stack
    from tuidock.engine.wiring import Wired
    from tuidock.image.changes import Change
    from tuidock.image.intake import Progress
    from tuidock.runtime.attach import Session
    from tuidock.runtime.log import LogLine

DEFAULT_STOP = "SIGTERM"
WORDS = (
    "ulimits", "extra_hosts", "dns", "ipc", "pid", "uts", "cgroupns", "oom_score_adj", "sysctls", "devices", "device_rules",
)  # fmt: skip
"""Fields of a RunRequest whose words can be wrong."""
GRACE = 10.0
"""Seconds from the stop signal to SIGKILL where nobody said otherwise (docker stop)."""


class Containers:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.database = engine.database
        self.roots = engine.roots
        self.trees = Layers(engine.database, engine.roots)

    # making

    def create(self, request: RunRequest) -> str:
        """Make a container from an image, not started.  Returns its id, 64 hexadecimal digits.

        Raises NoSuchImage, NameTaken, UsageError for what contradicts itself; nothing is left then.
        """
        with Lock(f"{self.roots.locks}/store", shared=True):
            image = Store(self.database, self.roots).find(request.image)
            container_id = os.urandom(32).hex()
            config = configs.configure(image.config.get("config") or {}, request, container_id)
            self._check(request, config)
            mounts = [self._place(mount) for mount in collect(request.volumes, request.tmpfs, config["Volumes"])]
            paths = self.roots.container(container_id)
            written = files.files(config["Hostname"], host_network=request.network == "host", request=request)
            try:
                overlay.make(paths, self.trees, image.chain_ids, written)
                for mount in mounts:
                    self._make_source(mount)
                name = self._insert(container_id, request, config, image.id, image.chain_ids, mounts)
            except BaseException:
                remove_tree(paths.data)
                for mount in mounts:
                    if mount.anonymous:
                        remove_tree(os.path.dirname(mount.source))
                raise
            del name
        return container_id

    def _check(self, request: RunRequest, config: Mapping[str, Any]) -> None:
        """What can be found wrong before anything is made."""
        if request.name and not valid_name(request.name):
            raise UsageError(
                f"Invalid container name ({request.name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
                "choose another --name",
            )
        kind, _, other = request.network.partition(":")
        if kind == "container":
            reconcile.find(self.database, other)
            if request.hostname:
                raise UsageError("conflicting options: hostname and the network mode", "-h goes with a network of its own")
            if request.publish or request.publish_all:
                raise UsageError(
                    "conflicting options: port publishing and the container type network mode", f"publish them of {other}"
                )
        elif kind == "host" and (request.publish or request.publish_all):
            self.engine.warnings.append("Published ports are discarded when using host network mode")
        elif request.networks and not on_networks(request.network):
            raise UsageError(
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
                f"{request.network} goes alone",
            )
        elif on_networks(request.network):
            from tuidock.engine import wiring

            wiring.check(self.engine, request)
        signals.number(config.get("StopSignal") or DEFAULT_STOP)
        if any(getattr(request, field) for field in WORDS):
            from tuidock.engine import words

            words.check(request)
            if request.pid.startswith("container:"):
                reconcile.find(self.database, request.pid.partition(":")[2])
        if request.log_driver or request.log_opts:
            from tuidock.engine import logdriver

            logdriver.options(request.log_driver, request.log_opts)
        if request.restart != "no":
            from tuidock.engine import restarts

            if not restarts.policy(request.restart).never and request.remove:
                raise UsageError(
                    "conflicting options: cannot specify both --restart and --rm", "--rm removes it at its first end"
                )
        identity.capabilities(request.cap_add, request.cap_drop, privileged=request.privileged)
        self._resources(request)
        for word in request.security_opt:
            check_security(word)

    def _place(self, mount: Mount) -> Mount:
        """A volume's directory and, for an anonymous one, its name."""
        if mount.kind != "volume":
            return mount
        name = mount.name or os.urandom(32).hex()
        return mount.replace(name=name, source=self.roots.volume(name))

    def _make_source(self, mount: Mount) -> None:
        """A volume's folder; a directory of the host that is not there, as docker's -v does (not --mount)."""
        if mount.kind == "volume":
            volumes.make_folder(self.roots, mount.name)
        elif mount.kind == "bind" and not os.path.lexists(mount.source):
            os.makedirs(mount.source, 0o755)

    def _insert(
        self, container_id: str, request: RunRequest, config: dict[str, Any], image_id: str, chain_ids: tuple[str, ...],
        mounts: builtins.list[Mount],
    ) -> str:  # fmt: skip
        kept = {"Config": config, "Mounts": [mount.as_dict() for mount in mounts]}
        for attempt in range(100):
            name = request.name or names.suggest(attempt)
            try:
                with self.database.transaction() as transaction:
                    transaction.execute(
                        "INSERT INTO containers (id, name, image, image_name, chain_ids, request, config, created_at, status)"
                        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'created')",
                        (
                            container_id, name, image_id, request.image, dumps(list(chain_ids)), dumps(request.as_dict()),
                            dumps(kept), time.time_ns(),
                        ),
                    )  # fmt: skip
                    if on_networks(request.network):
                        from tuidock.engine import wiring

                        wiring.enroll(transaction, self.roots, container_id, request)
                    for mount in mounts:
                        if mount.kind == "volume":
                            owner = container_id if mount.anonymous else ""
                            volumes.insert(transaction, mount.name, anonymous=mount.anonymous, owner=owner, labels={})
                            transaction.execute(
                                "INSERT INTO mounts (container, volume, destination) VALUES (?, ?, ?)",
                                (container_id, mount.name, mount.destination),
                            )
                    told = {"image": request.image, "name": name, **config["Labels"]}
                    transaction.tell("container", "create", container_id, told)
                return name
            except IntegrityError:
                holder = self.database.row("SELECT id FROM containers WHERE name = ?", (name,))
                if holder is None:
                    raise
                if request.name:
                    raise NameTaken(name, holder[0][:12]) from None
        raise Conflict("no free name was found in 100 attempts", "give one with --name")

    # starting

    def start(
        self, name: str, *, session: bool = False, cleanup_here: bool = False, size: tuple[int, int] = (0, 0),
        monitor: Spawned | None = None, again: bool = False,
    ) -> Session | None:  # fmt: skip
        """Start a container that is made or has ended.

        session: attach from the first byte on and return that session.  cleanup_here: the caller promises to call
        `finish` with it; if it dies before, the monitor sees to it.  size: rows and columns of the terminal.
        monitor: one that was spawned ahead; else it is spawned now.  again: by its restart policy, if that still wants it.
        Raises CommandNotFound (127), CommandNotExecutable (126), RuntimeFailure; the container is `created` then.
        """
        container = reconcile.find(self.database, name)
        with self._lock(container.id) as lock:
            try:
                container = self._settled(container.id, lock)
            except NoSuchContainer:  # it has been removed meanwhile
                raise NoSuchContainer(name) from None
            if again or container.restarting:
                from tuidock.engine import restarts

                if not again:
                    restarts.dismiss(container)
                elif not restarts.due(container):
                    return None
            if not again and (container.restart_count or container.stopped_by):
                container = self._reset_restarts(container)
            if container.paused:
                raise Conflict("cannot start a paused container", f"`tuidock unpause {name}` lets it go on")
            if container.running:
                if session:
                    return lifecycle.attached(self.roots.container(container.id).socket)
                return None
            try:
                promised = cleanup_here and container.request.get("restart", "no") == "no"
                started, state = self._start(container, session=session, cleanup_here=promised, size=size, monitor=monitor)
            except BaseException as error:
                self._failed(container, lock, error)
                raise
            container = container.replace(
                status="running", pid=state["pid"], start_time=state["start_time"], boot_id=state["boot_id"],
                monitor_pid=state["monitor"], started_at=state["started_at"],
            )  # fmt: skip
            try:
                with self.database.transaction() as transaction:
                    reconcile.set_running(transaction, container)
                    transaction.tell("container", "start", container.id, reconcile.attributes(container))
            except DiskFull:
                pass  # it runs; whoever looks next learns that from its state file
        if session:
            return started
        started.close()
        return None

    def _reset_restarts(self, container: Container) -> Container:
        """Somebody starts it: its restarts count from here."""
        with self.database.transaction() as transaction:
            transaction.execute(
                "UPDATE containers SET restart_count = 0, restart_pause = 0, stopped_by = '' WHERE id = ?", (container.id,)
            )
        return container.replace(restart_count=0, restart_pause=0, stopped_by="")

    def _start(
        self,
        container: Container,
        *,
        session: bool,
        cleanup_here: bool,
        size: tuple[int, int],
        monitor: Spawned | None,
    ) -> tuple[Session, dict[str, Any]]:
        request = run_request(container.request)
        paths = self.roots.container(container.id)
        os.makedirs(paths.rootfs, 0o700, exist_ok=True)
        for path in (paths.exit, paths.state):
            if os.path.exists(path):
                os.unlink(path)
        network, etc, joined, wired = self._network(container, request, paths.init + "/etc")
        capabilities = identity.capabilities(request.cap_add, request.cap_drop, privileged=request.privileged)
        configuration = spec.spec(
            container.config["Config"], request, self._mounts(container),
            rootfs=paths.rootfs, etc=etc, capabilities=capabilities, resources=self._resources(request), network=network,
            pid=self._pid_space(request, joined), devices=self._devices(request), thermal=thermal_paths(), size=size,
        )  # fmt: skip
        bundle.write_json(paths.config, configuration)
        interactive = request.interactive
        asked = lifecycle.StartRequest(
            monitor_log=paths.monitor_log,
            bundle=paths.data,
            rootfs=overlay.stack(self.roots, self.trees, paths, container.chain_ids),
            cgroup=f"{self.roots.cgroup}/{container.id}",
            controllers=cgroups.hierarchy().controllers,
            log=paths.log, socket=paths.socket, state=paths.state, exit=paths.exit, trace=paths.start,
            cleanup=[
                *interpreter_command("tuidock.engine.cleanup", "sys.argv[2:]"),
                self.roots.data, self.roots.run, container.id,
            ],
            seccomp=self._filter(request, capabilities),
            stdin=interactive, stdin_once=interactive and session and bool(container.config["Config"]["StdinOnce"]),
            init=request.init, attach=session, cleans=cleanup_here, remove=request.remove,
            stop_signal=signals.number(stop_signal(container)), calls=wired.calls if wired else (),
            only_stop_signal="StopSignal" in container.config["Config"],
            health=self._health(container, request, capabilities),
            log_options=_log_options(container.request),
        )  # fmt: skip
        with self.database.transaction() as transaction:
            transaction.execute("UPDATE containers SET status = 'starting' WHERE id = ?", (container.id,))
        try:
            begun, state = lifecycle.start(monitor or Spawned(), asked, joined)
            if wired is not None:
                wired.follow(state["pid"], state["start_time"])
            return begun, state
        finally:
            if wired is not None:
                wired.close()
            for descriptor in joined.values():
                os.close(descriptor)

    def _failed(self, container: Container, lock: Lock, error: BaseException) -> None:
        """It never ran: say so, and leave nothing but the container itself, nor that with --rm."""
        message = error.message if isinstance(error, TuidockError) else str(error)
        status = error.exit_status if isinstance(error, TuidockError) else 128
        try:
            if on_networks(container.request["network"]):
                from tuidock.engine import wiring

                wiring.free(self.database, self.roots, container.id)
            with self.database.transaction() as transaction:
                transaction.execute(
                    "UPDATE containers SET status = ?, error = ?, exit_code = ? WHERE id = ?",
                    ("exited" if container.restarting else "created", message, status, container.id),
                )
                told = {**reconcile.attributes(container), "exitCode": str(status)}
                transaction.tell("container", "die", container.id, told)
        except DiskFull:
            pass  # whoever looks next finds a start that was interrupted
        remove_tree(self.roots.container(container.id).run)
        if container.removes_itself:
            self._remove(container, lock, volumes=True)

    def _network(self, container: Container, request: RunRequest, etc: str) -> tuple[str, str, dict[str, int], Wired | None]:
        """What spec calls network, the folder of the three files, the namespace to join, held open, and its own network."""
        if on_networks(request.network):
            from tuidock.engine import wiring

            wired = wiring.wire(self.engine, container, request, etc)
            return wired.path, etc, {"network": os.dup(wired.namespace.descriptor)}, wired
        kind, _, other = request.network.partition(":")
        if kind != "container":
            return "host" if kind == "host" else "", etc, {}, None
        target, path, descriptor = self._space_of(other, "net")
        return path, self.roots.container(target.id).init + "/etc", {"network": descriptor}, None

    def _space_of(self, other: str, kind: str) -> tuple[Container, str, int]:
        """A running container, and its namespace by path and by descriptor.  Raises NotRunning."""
        target = self.get(other)
        pidfd = bundle.open_pidfd(target.pid, target.start_time) if target.running else -1
        if pidfd < 0:
            raise NotRunning(other, target.status)
        path = f"/proc/{target.pid}/ns/{kind}"
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            if not reconcile.alive(target):  # else the pid may have become another's before the open
                os.close(descriptor)
                raise NotRunning(other)
        finally:
            os.close(pidfd)
        return target, path, descriptor

    def _pid_space(self, request: RunRequest, joined: dict[str, int]) -> str:
        """The path of the pid namespace that --pid names a container for; held open in `joined`."""
        kind, _, other = request.pid.partition(":")
        if kind != "container":
            return ""
        _, path, joined["pid"] = self._space_of(other, "pid")
        return path

    def _devices(self, request: RunRequest) -> builtins.list[dict[str, Any]]:
        found = host_devices() if request.privileged else []
        if request.devices:
            from tuidock.engine import words

            found += words.devices(request.devices)[0]
        return found

    def _health(self, container: Container, request: RunRequest, capabilities: builtins.list[str]) -> dict[str, Any] | None:
        if "Healthcheck" not in container.config["Config"]:
            return None
        from tuidock.engine import health

        program = self._filter(request, capabilities)
        return health.asked(container, request, self.roots, capabilities=capabilities, seccomp=program)

    def _resources(self, request: RunRequest) -> dict[str, Any]:
        found = limits.resources(request, privileged=request.privileged)
        if request.devices or request.device_rules:
            from tuidock.engine import words

            more = [*words.devices(request.devices)[1], *map(words.device_rule, request.device_rules)]
            found["devices"] = [*found["devices"], *more]
        return found

    def _filter(self, request: RunRequest, capabilities: builtins.list[str]) -> str:
        """The path of the compiled seccomp filter; empty for none."""
        if request.privileged:
            return ""
        chosen = [word.partition("=")[2] for word in request.security_opt if word.startswith("seccomp=")]
        if chosen and chosen[-1] == "unconfined":
            return ""
        return seccomp.cached(chosen[-1] if chosen else "", capabilities, self.roots.seccomp)

    @staticmethod
    def _mounts(container: Container) -> builtins.list[Mount]:
        return [Mount(**mount) for mount in container.config["Mounts"]]

    # ending

    def finish(self, container_id: str, session: Session | None = None) -> int:
        """The container's process has ended: write that down, and remove what --rm says.  Returns its exit status.

        For who promised it at the start (`session` then hears that it is done), and for the clean-up command.  Somebody
        else may have looked at the container meanwhile and have done all that: then the status is what `session` was told.
        """
        try:
            status = self._finish(container_id)
        except NoSuchContainer:
            if session is None or session.status is None:
                raise
            status = session.status
        if session is not None:
            session.cleaned()
            session.close()
        return status

    def _finish(self, container_id: str) -> int:
        with self._lock(container_id) as lock:
            container = self._settled(container_id, lock)
            for _ in range(500):  # the monitor's last words are on their way to the disk
                if not container.running or reconcile.alive(container):
                    break
                time.sleep(0.01)
                container = self._settled(container_id, lock)
            if container.status in ("exited", "restarting"):
                remove_tree(self.roots.container(container.id).run)
                if container.removes_itself:
                    self._remove(container, lock, volumes=True)
        return container.exit_code

    def stop(self, name: str, *, timeout: float | None = None, signal: str = "", by: str = "user") -> int:
        """Ask a container to end, and end it if it does not.

        timeout: seconds from the stop signal to SIGKILL; None: as the container says, else 10; 0 kills at once, a
        negative number waits for ever (as docker).  signal: instead of the container's stop signal.  by: who keeps it from
        starting again, `user` or `system`.
        Returns the exit status, 0 to 255, 128 + N if signal N ended it; of a container that had ended before, the old one.
        """
        container = self._marked(name, by)
        if not container.running:
            return container.exit_code
        config = container.config["Config"]
        if timeout is None:
            timeout = float(config.get("StopTimeout", GRACE))
        number = signals.number(signal or stop_signal(container))
        watch = None if container.paused else self._watch(container)
        lifecycle.kill(container.pid, container.start_time, number)
        if container.paused:  # only then its monitor is sure to answer: a health check of it may stand still, too
            self._thaw(container)
            watch = self._watch(container)
        status = self._end(container, watch, None if timeout < 0 else timeout)
        if status is None:
            lifecycle.kill(container.pid, container.start_time, 9)
            status = self._end(container, watch, GRACE)
        if status is None:
            raise RuntimeFailure(f"container {name} did not end within {GRACE:.0f} s of SIGKILL", "dmesg may say why")
        self._tell(container, "stop")
        return status

    def kill(self, name: str, signal: str = "KILL") -> None:
        """Send its pid 1 a signal.  A paused one goes on if the signal is to end it.  Raises NotRunning.

        A signal is to end it if it is SIGKILL or its stop signal; where no stop signal was chosen, any (moby, daemon/kill.go).
        """
        container = self.get(name)
        number = signals.number(signal)
        ends = number == 9 or number == signals.number(stop_signal(container)) or "StopSignal" not in container.config["Config"]
        if ends and (container.running or container.restarting):
            was_restarting, container = container.restarting, self._marked(container.id, "user")
            if was_restarting and not container.running:
                return
        if not container.running or not lifecycle.kill(container.pid, container.start_time, number):
            raise NotRunning(name, container.status)
        if ends:
            self._thaw(container)
        self._tell(container, "kill", signal=str(number))
        if number == 9:
            self._end(container, self._watch(container), GRACE)

    def _marked(self, name: str, by: str) -> Container:
        """The container, after it was written down who ends it: so its policy does not start it again.

        One that waits for its next start waits no longer.
        """
        container = self.get(name)
        if container.status not in ("starting", "running", "paused", "restarting"):
            return container
        with self._lock(container.id) as lock:  # an end that is being written down must not overlook it
            container = self._settled(container.id, lock)
            if container.running or container.restarting:
                try:
                    with self.database.transaction() as transaction:
                        transaction.execute("UPDATE containers SET stopped_by = ? WHERE id = ?", (by, container.id))
                except DiskFull:
                    pass  # the monitor knows it, too
        if container.restarting:
            from tuidock.engine import restarts

            restarts.give_up(self, container.id)
            container = self.get(container.id)
        return container

    def restart(self, name: str, timeout: float | None = None, signal: str = "") -> None:
        """Stop, then start; one that does not run is started.  timeout, signal: as in `stop`."""
        container = self.get(name)
        self.stop(container.id, timeout=timeout, signal=signal)
        self.start(container.id)
        self._tell(container, "restart")

    def wait(self, name: str) -> int:
        """Wait until it has ended.  Returns its exit status; of one that does not run the last one, at once.

        One that waits for its next start counts as one that runs, as with docker.
        """
        container = self.get(name)
        while container.restarting:
            time.sleep(0.05)
            container = self.get(container.id)
        status = self._end(container, self._watch(container), None) if container.running else container.exit_code
        return reconcile.LOST if status is None else status

    def pause(self, name: str) -> None:
        """Make its processes stand still.  Raises NotRunning, Conflict if it is paused already."""
        from tuidock.engine import pausing

        pausing.pause(self, name)

    def unpause(self, name: str) -> None:
        """Let its processes go on.  Raises Conflict if it is not paused."""
        from tuidock.engine import pausing

        pausing.unpause(self, name)

    def update(self, name: str, **changes: Any) -> None:
        """Other limits for it, at once if it runs.  changes: fields of RunRequest.  Raises UsageError, Conflict."""
        from tuidock.engine import updating

        updating.update(self, name, changes)

    def _thaw(self, container: Container) -> None:
        if container.paused:
            from tuidock.engine import pausing

            pausing.thaw(self, container)

    def _watch(self, container: Container) -> Session | None:
        """Somebody who will tell of the end; None if its monitor is gone."""
        try:
            return lifecycle.watch(self.roots.container(container.id).socket)
        except (OSError, RuntimeFailure):
            return None

    def _end(self, container: Container, watch: Session | None, seconds: float | None) -> int | None:
        """Wait for its end and see that it is written down.  Returns its exit status; None if the time is over first.

        The status comes from the monitor: a container with --rm may be gone before its row can be read.
        """
        pidfd = -1
        if watch is None:
            pidfd = bundle.open_pidfd(container.pid, container.start_time)
        poll = select.poll()
        if watch is not None or pidfd >= 0:
            poll.register(watch.descriptor if watch is not None else pidfd, select.POLLIN)
            try:
                if not poll.poll(None if seconds is None else max(0.0, seconds) * 1000):
                    return None
            finally:
                if pidfd >= 0:
                    os.close(pidfd)
        status = next((value for kind, value in watch.events() if kind == "exit"), None) if watch is not None else None
        if watch is not None:
            watch.close()
        try:
            with self._lock(container.id) as lock:
                settled = self._settled(container.id, lock)
                for _ in range(500):  # without a watch, the monitor's last words may still be on their way to the disk
                    if watch is not None or not settled.running or reconcile.alive(settled):
                        break
                    time.sleep(0.01)
                    settled = self._settled(container.id, lock)
        except NoSuchContainer:
            return reconcile.LOST if status is None else int(status)
        return settled.exit_code if status is None else int(status)

    def remove(self, name: str, *, force: bool = False, volumes: bool = False) -> str:
        """Remove a container.  force: kill it first.  volumes: its anonymous volumes, too.  Returns its id.

        Raises InUse for one that runs.
        """
        container = self.get(name)
        if (container.running or container.restarting) and not force:
            first = "unpause and stop" if container.paused else "stop"
            raise InUse(
                f"cannot remove container {name}: container is {container.status}",
                f"{first} it first (`tuidock stop {name}`), or `tuidock rm -f {name}`",
            )
        if container.running or container.restarting:
            container = self._marked(container.id, "user")
        if container.running:
            watch = None if container.paused else self._watch(container)
            lifecycle.kill(container.pid, container.start_time, 9)
            if container.paused:
                self._thaw(container)
                watch = self._watch(container)
            self._end(container, watch, GRACE)
        with self._lock(container.id) as lock:
            try:
                container = self._settled(container.id, lock)
            except NoSuchContainer:
                return container.id  # its own --rm was faster
            if container.running:
                raise InUse(f"container {name} did not end", "dmesg may say why")
            self._remove(container, lock, volumes=volumes or container.removes_itself)
        return container.id

    def _remove(self, container: Container, lock: Lock, *, volumes: bool) -> None:
        """The folders first, under a status that says so; the row last, and `lock`, the container's, with it."""
        try:
            with self.database.transaction() as transaction:
                transaction.execute("UPDATE containers SET status = 'removing' WHERE id = ?", (container.id,))
        except DiskFull:
            pass  # its folders are what fills it
        anonymous = [
            row[0]
            for row in self.database.rows(
                "SELECT volume FROM mounts JOIN volumes ON volumes.name = volume WHERE container = ? AND anonymous",
                (container.id,),
            )
        ]
        paths = self.roots.container(container.id)
        remove_tree(paths.run)
        remove_tree(paths.data)
        with self.database.transaction() as transaction:
            transaction.execute("DELETE FROM containers WHERE id = ?", (container.id,))
            gone = []
            for volume in anonymous if volumes else ():
                if not transaction.row("SELECT 1 FROM mounts WHERE volume = ?", (volume,)):
                    transaction.execute("DELETE FROM volumes WHERE name = ?", (volume,))
                    transaction.tell("volume", "destroy", volume, {"driver": "local"})
                    gone.append(volume)
            transaction.tell("container", "destroy", container.id, reconcile.attributes(container))
        for volume in gone:
            remove_tree(os.path.dirname(self.roots.volume(volume)))
        lock.spent = True

    # working with one that runs

    def exec(self, request: ExecRequest) -> Session | None:
        """A further process in a running container.  None with `detach`.

        Raises NotRunning, CommandNotFound (127), CommandNotExecutable (126).
        """
        container = self.get(request.container)
        if container.restarting:
            from tuidock.engine import pausing

            pausing.refuse_restarting(container, request.container)
        if not container.running:
            raise NotRunning(request.container, container.status)
        if container.paused:
            raise Conflict(
                f"container {request.container} is paused, unpause the container before exec",
                f"`tuidock unpause {request.container}` lets it go on",
            )
        asked = run_request(container.request)
        config = container.config["Config"]
        privileged = request.privileged or asked.privileged
        capabilities = identity.capabilities(asked.cap_add, asked.cap_drop, privileged=privileged)
        process = spec.process(
            configs.environment(config["Env"], request.env), request.command, user=request.user or config["User"],
            workdir=request.workdir or config["WorkingDir"], terminal=request.tty, capabilities=capabilities,
            security=asked.security_opt, size=(request.rows, request.columns), hostname=config["Hostname"], request=asked,
        )  # fmt: skip
        own = identity.capabilities(asked.cap_add, asked.cap_drop, privileged=asked.privileged)
        program = self._filter(asked, own)  # the container's filter holds for a privileged process in it, too
        self._tell(container, f"exec_create: {' '.join(request.command)}")
        try:
            session = lifecycle.exec_(
                self.roots.container(container.id).socket, process, seccomp=program, stdin=request.interactive,
                detach=request.detach,
            )  # fmt: skip
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotRunning(request.container, "without its monitor") from error
        self._tell(container, f"exec_start: {' '.join(request.command)}")
        if request.detach:
            session.close()
            return None
        return session

    def attach(self, name: str) -> Session:
        """The streams of its pid 1, from now on.  Raises NotRunning."""
        container = self.get(name)
        if not container.running:
            raise NotRunning(name, container.status)
        if container.paused:
            raise Conflict("you cannot attach to a paused container, unpause it first", f"`tuidock unpause {name}`")
        try:
            return lifecycle.attached(self.roots.container(container.id).socket)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotRunning(name, "without its monitor") from error

    def rename(self, name: str, new: str) -> None:
        """Raises NameTaken, UsageError, Conflict."""
        container = self.get(name)
        if new == container.name:
            raise Conflict("renaming a container with the same name as its current name", "choose another")
        if not valid_name(new):
            raise UsageError(f"Invalid container name ({new}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", "choose another")
        try:
            with self.database.transaction() as transaction:
                transaction.execute("UPDATE containers SET name = ? WHERE id = ?", (new, container.id))
                told = {**reconcile.attributes(container), "name": new, "oldName": container.name}
                transaction.tell("container", "rename", container.id, told)
        except IntegrityError:
            holder = self.database.row("SELECT id FROM containers WHERE name = ?", (new,))
            raise NameTaken(new, holder[0][:12] if holder else "another") from None

    # finding and seeing

    def list(self, *, all: bool = False) -> builtins.list[Container]:
        """The running ones, or all; newest first; settled where that was needed."""
        found: builtins.list[Container] = []
        for row in self.database.rows(f"{reconcile.QUERY} ORDER BY created_at DESC"):
            container = self._looked_after(reconcile.container(row))
            if container is not None and (all or container.running or container.restarting):
                found.append(container)
        reconcile.sweep(self.database, self.roots)
        return found

    def find(self, name: str) -> Container:
        """As the database has it, whatever runs.  Raises as `get` does."""
        return reconcile.find(self.database, name)

    def get(self, name: str) -> Container:
        """By name, id, or the beginning of an id.  Raises NoSuchContainer, AmbiguousName."""
        container = reconcile.find(self.database, name)
        return self._looked_after(container) or reconcile.find(self.database, name)

    def _looked_after(self, container: Container) -> Container | None:
        """Settled if it has ended meanwhile; None if that removed it.  One that somebody else works on is left to them."""
        if container.restarting:
            self._attend(container)
            return container
        unfinished = container.status == "removing"
        if not unfinished and not reconcile.ended(container, self.roots):
            return container
        lock = Lock(self._lock_path(container.id))
        if not lock.take(wait=False):
            return container
        try:
            container = self._settled(container.id, lock)
            if (container.status == "exited" and container.removes_itself) or container.status == "removing":
                self._remove(container, lock, volumes=True)
                return None
        except NoSuchContainer:
            return None
        finally:
            lock.release()
        if container.restarting:
            self._attend(container)
        return container

    def _attend(self, container: Container) -> None:
        """See that somebody waits for its next start."""
        from tuidock.engine import restarts

        if not restarts.attended(container) and not container.stopped_by:
            restarts.send_for(self.roots, container.id)

    def _settled(self, container_id: str, lock: Lock) -> Container:
        """The row as it is now, settled; under the lock, which goes if the container has gone."""
        try:
            return reconcile.settle(self.database, self.roots, reconcile.find(self.database, container_id))
        except NoSuchContainer:
            lock.spent = True
            raise

    def _lock_path(self, container_id: str) -> str:
        return f"{self.roots.locks}/container-{container_id}"

    def _lock(self, container_id: str) -> Lock:
        return Lock(self._lock_path(container_id))

    def _tell(self, container: Container, action: str, **more: str) -> None:
        """Write an event down, if the disk has room for it."""
        try:
            with self.database.transaction() as transaction:
                transaction.tell("container", action, container.id, {**reconcile.attributes(container), **more})
        except DiskFull:
            pass

    def inspect(self, name: str) -> dict[str, Any]:
        """Docker's object of a container."""
        from tuidock.engine import inspect

        container = self.get(name)
        found = inspect.inspect(container, self.roots)
        if on_networks(container.request["network"]):
            from tuidock.engine import wiring

            found["NetworkSettings"]["Networks"] = wiring.settings(self.database, container)
        return found

    def logs(self, request: LogRequest, stop_fd: int = -1) -> Iterator[LogLine]:
        """The lines of its log, oldest first; with `follow` also those that come, until its end or `stop_fd`."""
        from tuidock.engine import logs

        return logs.lines(self.get(request.container), request, self.roots, stop_fd)

    def top(self, name: str) -> tuple[builtins.list[str], builtins.list[builtins.list[str]]]:
        """Its processes as ps -ef would show them on the host.  Raises NotRunning."""
        from tuidock.engine import views

        return views.top(self._running(name), self.roots)

    def processes(self, name: str) -> builtins.list[int]:
        """Pids on the host of all processes in its cgroup; empty if it does not run."""
        from tuidock.engine import views

        return views.processes(self.get(name), self.roots)

    def namespaces(self, name: str) -> builtins.list[Namespace]:
        """Its namespaces, each with its inode and who else holds it."""
        from tuidock.engine import views

        return views.namespaces(self.get(name), self.list())

    def layers(self, name: str) -> Stack:
        """Its layers: image, init, read-write, and what is mounted where."""
        from tuidock.engine import views

        return views.stack(self.engine, self.get(name))

    def diff(self, name: str) -> builtins.list[Change]:
        """What its read-write layer changes, each before what is in it, as docker diff tells it."""
        from tuidock.engine import views

        return views.changes(self.roots, self.get(name))

    def commit(self, request: CommitRequest, progress: Callable[[Progress], None] | None = None) -> str:
        """What it has written as an image; its id.  Raises UsageError, Refused, Conflict; nothing is left then."""
        from tuidock.engine import commit

        return commit.make(self.engine, request, progress)

    def commit_preview(self, name: str) -> Preview:
        """What `commit` would take, without doing it."""
        from tuidock.engine import commit

        return commit.preview(self.engine, self.get(name))

    def export(self, name: str, descriptor: int) -> None:
        """Write its root file system to `descriptor` as a tar: image, init and read-write layer as one, without volumes."""
        from tuidock.engine import copying

        copying.export(self.engine, self.get(name), descriptor)

    def copy_out(self, request: CopyRequest, descriptor: int = -1) -> Copied:
        """Files of it to the host; or to `descriptor` as a tar.  Raises NotFound, UsageError, Refused."""
        from tuidock.engine import copying

        return copying.copy_out(self.engine, request, descriptor)

    def copy_in(self, request: CopyRequest, descriptor: int = -1) -> Copied:
        """Files of the host, or the tar of `descriptor`, into it.  Raises NotFound, UsageError, Refused, Conflict."""
        from tuidock.engine import copying

        return copying.copy_in(self.engine, request, descriptor)

    def explain(self, name: str) -> builtins.list[Call]:
        """The record of its last start."""
        from tuidock.engine import explain

        return explain.calls(self.get(name), self.roots)

    def shell(self, name: str) -> tuple[str, ...]:
        """The shell that its image has: bash, ash or sh.  Raises NotRunning; RuntimeFailure if it has none."""
        from tuidock.engine import views

        return views.shell(self._running(name))

    def _running(self, name: str) -> Container:
        container = self.get(name)
        if not container.running:
            raise NotRunning(name, container.status)
        return container


def run_request(kept: Mapping[str, Any]) -> RunRequest:
    """A RunRequest from its JSON: lists are tuples again."""
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()}
    return RunRequest(**values)


def _log_options(kept: Mapping[str, Any]) -> dict[str, Any] | None:
    if not kept.get("log_driver") and not kept.get("log_opts"):
        return None
    from tuidock.engine import logdriver

    return logdriver.told(kept)


def stop_signal(container: Container) -> str:
    """What asks it to end, by name or number: --stop-signal, else STOPSIGNAL of its image, else SIGTERM."""
    return container.config["Config"].get("StopSignal") or DEFAULT_STOP


def valid_name(name: str) -> bool:
    """[a-zA-Z0-9][a-zA-Z0-9_.-]*; docker asks for two characters, for no reason that is known."""
    plain = name.replace("_", "a").replace(".", "a").replace("-", "a")
    return name.isascii() and name[:1].isalnum() and plain.isalnum()


def check_security(word: str) -> None:
    """A word of --security-opt.  Raises UsageError."""
    key, _, value = word.replace(":", "=", 1).partition("=") if not word.startswith("seccomp=") else word.partition("=")
    known = {
        "no-new-privileges": ("", "true", "false"),
        "systempaths": ("unconfined",),
        "seccomp": None,
        "label": ("disable",),
    }
    if key not in known:
        raise UsageError(
            f"invalid --security-opt: {word}", "no-new-privileges, seccomp=unconfined|FILE, systempaths=unconfined"
        )
    allowed = known[key]
    if allowed is not None and value not in allowed:
        raise UsageError(f"invalid --security-opt: {word}", f"{key} takes {' or '.join(word for word in allowed if word)}")
    if key == "seccomp" and value != "unconfined" and not os.path.isfile(value):
        raise UsageError(f"opening seccomp profile ({value}) failed: no such file", "seccomp=unconfined, or a JSON file")


def thermal_paths() -> builtins.list[str]:
    """GHSA-6fw5: what the processor's throttling tells of others."""
    root = "/sys/devices/system/cpu"
    try:
        folders = [f"{root}/{name}/thermal_throttle" for name in os.listdir(root) if name[3:].isdigit()]
    except OSError:
        return []
    return sorted(folder for folder in folders if os.path.isdir(folder))


def host_devices() -> builtins.list[dict[str, Any]]:
    """--privileged: all devices of the host's /dev, but for terminals and what each container has its own of."""
    import stat

    found = []
    own = {"pts", "shm", "fd", "mqueue", "console", "null", "zero", "full", "random", "urandom", "tty", "ptmx"}
    pending = [f"/dev/{name}" for name in sorted(os.listdir("/dev")) if name not in own]
    while pending:
        path = pending.pop()
        status = os.lstat(path)
        if stat.S_ISDIR(status.st_mode):
            pending += [f"{path}/{name}" for name in os.listdir(path)]
        elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            kind = "c" if stat.S_ISCHR(status.st_mode) else "b"
            found.append(
                {
                    "path": path, "type": kind, "major": os.major(status.st_rdev), "minor": os.minor(status.st_rdev),
                    "fileMode": stat.S_IMODE(status.st_mode), "uid": status.st_uid, "gid": status.st_gid,
                }
            )  # fmt: skip
    return found
