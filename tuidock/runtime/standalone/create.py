"""`create`: from a bundle to a process that stands right before its execve, waiting for `start`."""

from __future__ import annotations

import _signal as signal
import _socket
import fcntl
import os
import sys as interpreter

from tuidock.errors import Conflict, RuntimeFailure, TuidockError, UsageError
from tuidock.oci.value import Value
from tuidock.runtime import attach, bundle, cgroups, init, mounts, seccomp, trace, wire
from tuidock.runtime import syscalls as sys
from tuidock.runtime.standalone import configuration, hooks, resources
from tuidock.runtime.standalone.stages import FURNISHED, Stops
from tuidock.runtime.standalone.state import CREATED, CREATING, Container, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

CHUNK = 65536


class Options(Value):
    """What create, run and exec are told beside the bundle."""

    config: str = "config.json"
    pid_file: str = ""
    console_socket: str = ""
    preserve_fds: int = 0
    stays: bool = False
    """Whether the command stays with the process and so can read its terminal."""


def create(root: str, identifier: str, folder: str, options: Options) -> tuple[Container, int]:
    """Returns the container, and the master of its terminal if nobody's socket has been named for it, else -1.

    folder: the bundle.  Raises TuidockError; nothing is left then, and the poststop hooks have run if others had.
    """
    folder = os.path.realpath(folder)
    config = configuration.read(folder, options.config)
    configuration.not_the_hosts(config)
    check_streams(config["process"], options)
    container = Container.make(root, identifier, config, folder)
    creation = _Creation(container, options)
    with container:
        try:
            creation.run()
        except BaseException as error:
            creation.undo()
            if isinstance(error, OSError):
                raise RuntimeFailure(f"{error.filename or 'create'}: {error.strerror}") from error
            raise
    return container, creation.console


class _Creation:
    def __init__(self, container: Container, options: Options) -> None:
        self.container = container
        self.config = container.config
        self.options = options
        self.cgroup: cgroups.Cgroup | None = None
        self.pid = 0
        self.console = -1
        self.hooked = False

    def run(self) -> None:
        config, container = self.config, self.container
        self._make_cgroup()
        request = self._request()
        os.mkfifo(container.start_fifo, 0o600)
        fifo = os.open(container.start_fifo, os.O_RDWR | os.O_CLOEXEC)
        failure = os.open(container.failure, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        tree = sys.open_tree(sys.AT_FDCWD, config["root"]["path"], sys.OPEN_TREE_CLONE | sys.AT_RECURSIVE)
        request["rootfs"] = {"target": config["root"]["path"], "tree": tree}
        trees = [*self._make_devices(), *self._open_binds()]
        stops = Stops(config, fifo, failure, self.options.preserve_fds)
        score = config["process"].pop("oomScoreAdj", None)
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self.pid = self._clone(ours, theirs, request, stops)
        for descriptor in (tree, fifo, failure, *trees):
            os.close(descriptor)
        theirs.close()
        assert self.cgroup is not None
        self.cgroup.enter(self.pid)
        _map(self.pid, config["linux"])
        _score(self.pid, score)
        container.record |= {"pid": self.pid, "start_time": bundle.start_time(self.pid)}
        container.save()
        ours.sendall(wire.pack(wire.GO))
        self._until_ready(ours)
        container.record["ready"] = True
        container.save()
        if self.options.pid_file:
            write_pid(self.options.pid_file, self.pid)

    def _make_cgroup(self) -> None:
        path = configuration.cgroup_path(self.config, self.container.identifier)
        wanted = self.config["linux"].get("resources") or {}
        there = cgroups.existing(path)
        if there is not None and there.pids():
            raise Conflict(f"cgroup {path} has processes already", "two containers cannot have one cgroup; see cgroupsPath")
        self.cgroup = cgroups.create(path, resources.common(wanted, devices=True))
        self.container.record["cgroup"] = path
        self.container.save()
        resources.further(self.cgroup, wanted)

    def _request(self) -> dict[str, Any]:
        """What init.main is told."""
        assert self.cgroup is not None
        where = self.cgroup.hierarchy
        request: dict[str, Any] = {"controllers": where.controllers, "seccomp": ""}
        if "cgroup" not in configuration.fresh(self.config):
            path = self.cgroup.path
            points = {point.rpartition("/")[2]: f"{point}/{path}" for point, _ in where.trees.values()}
            if where.unified[0]:
                points["unified" if where.version == 1 else ""] = f"{where.unified[0]}/{path}"
            request["cgroups"] = points
        if profile := self.config["linux"].get("seccomp"):
            with open(self.container.filter, "wb") as file:
                file.write(seccomp.compile(profile))
            request["seccomp"] = self.container.filter
        return request

    def _make_devices(self) -> list[int]:
        """In a user namespace nodes cannot be made: these are made outside and mounted.  Their descriptors."""
        if "user" not in configuration.fresh(self.config):
            return []
        linux, folder, trees = self.config["linux"], self.container.devices, []
        os.mkdir(folder, 0o700)
        for number, device in enumerate(linux["devices"]):
            path = f"{folder}/{number}"
            mounts.make_node(path, device["type"], device.get("major", 0), device.get("minor", 0))
            uid = _outside(linux["uidMappings"], device.get("uid") or 0)
            os.chown(path, uid, _outside(linux["gidMappings"], device.get("gid") or 0))
            os.chmod(path, device.get("fileMode") or 0o666)
            device["tree"] = sys.open_tree(sys.AT_FDCWD, path, sys.OPEN_TREE_CLONE)
            sys.mount_setattr(
                device["tree"], sys.MOUNT_ATTR_NOSUID | sys.MOUNT_ATTR_NOEXEC, sys.MOUNT_ATTR_NODEV, sys.MS_PRIVATE
            )
            trees.append(device["tree"])
        return trees

    def _open_binds(self) -> list[int]:
        """Sources of bind mounts that the container's root may not reach, or that get other owners.  Their descriptors."""
        trees = []
        for mount in self.config["mounts"]:
            words = mount["options"]
            mapped = [word for word in words if word in mounts.IDMAP] or mount.get("uidMappings")
            if mount["type"] != "bind" or not (mapped or "user" in configuration.fresh(self.config)):
                continue
            recursive = sys.AT_RECURSIVE if "rbind" in words else 0
            tree = mount["tree"] = sys.open_tree(sys.AT_FDCWD, mount["source"], sys.OPEN_TREE_CLONE | recursive)
            trees.append(tree)
            if mapped:
                linux = self.config["linux"]
                maps = {field: mount.get(field) or linux.get(field) for field in ("uidMappings", "gidMappings")}
                if not all(maps.values()):
                    raise RuntimeFailure(f"the mount on {mount['destination']} shall be mapped, and nothing says how")
                space = _mapping(maps)
                try:
                    sys.mount_setattr(tree, sys.MOUNT_ATTR_IDMAP, recursive="ridmap" in words, user_namespace=space)
                finally:
                    os.close(space)
        return trees

    def _clone(self, ours: _socket.socket, theirs: _socket.socket, request: dict[str, Any], stops: Stops) -> int:
        """The container's first process: this process's child, in all its new namespaces."""
        assert self.cgroup is not None
        config = self.config
        flags = 0
        for kind in configuration.fresh(config):
            if kind not in ("cgroup", "time"):
                flags |= init.KINDS[kind][1]
        if "time" in configuration.fresh(config):
            _new_time(config["linux"].get("timeOffsets") or {})
        for space in configuration.paths(config):
            if space["type"] == "pid":
                enter(space["path"], sys.CLONE_NEWPID)
        terminal = config["process"].get("terminal")
        pid, pidfd = sys.clone3(flags, signal.SIGCHLD, self.cgroup.descriptor())
        if pid == 0:
            del trace.calls[:]
            ours.close()
            init.main(theirs, config, request, None if terminal else init.Stdio(0, 1, 2), stops)
        os.close(pidfd)
        return pid

    def _until_ready(self, channel: _socket.socket) -> None:
        """Answer init until it waits for `start`.  Raises what went wrong."""
        unpacker, done = wire.Unpacker(), False
        while not done:
            content, rights, _, _ = channel.recvmsg(CHUNK, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC)
            for _, _, descriptors in rights:
                self.console = int.from_bytes(descriptors[:4], interpreter.byteorder)
            if not content:
                raise RuntimeFailure(f"container init ended early, with status {_reap(self.pid)}")
            for kind, payload in unpacker.feed(content):
                if kind == FURNISHED:
                    self._run_hooks()
                    channel.sendall(wire.pack_json(wire.GO, self.container.state(CREATED)))
                elif kind == wire.FAILED:
                    raise attach.failure(wire.read_json(payload))
                elif kind == wire.DONE:
                    done = True
        channel.close()
        if self.console >= 0 and self.options.console_socket:
            send_console(self.options.console_socket, self.console)
            os.close(self.console)
            self.console = -1

    def _run_hooks(self) -> None:
        state = text(self.container.state(CREATING))
        self.hooked = bool(self.config.get("hooks"))
        for name in (hooks.PRESTART, hooks.CREATE_RUNTIME):
            hooks.run(self.config, name, state)

    def undo(self) -> None:
        if self.pid:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        if self.cgroup is not None:
            try:
                self.cgroup.kill()
                self.cgroup.remove()
            except TuidockError:
                pass  # the first error says more
        if self.hooked:
            hooks.run_all(self.config, hooks.POSTSTOP, text(self.container.state("stopped")))
        self.container.remove()


def check_streams(process: Mapping[str, Any], options: Options) -> None:
    """Raises UsageError for descriptors that are not there, and for a terminal that nobody could have the other end of."""
    for number in range(3, 3 + options.preserve_fds):
        try:
            fcntl.fcntl(number, fcntl.F_GETFD)
        except OSError:
            words = f"--preserve-fds {options.preserve_fds}: descriptor {number} is not open"
            raise UsageError(words, "count those after stderr") from None
    if options.console_socket and not process.get("terminal"):
        raise UsageError("cannot use console socket if no terminal is allocated", "process.terminal is false")
    if process.get("terminal") and not options.console_socket and not options.stays:
        raise UsageError(
            "cannot allocate a terminal without a console socket", "--console-socket names who takes its other end"
        )


def _mapping(maps: Mapping[str, Any]) -> int:
    """A user namespace with these maps and nobody in it; its descriptor."""
    read, write = os.pipe2(os.O_CLOEXEC)
    pid, pidfd = sys.clone3(sys.CLONE_NEWUSER, signal.SIGCHLD)
    if pid == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    os.close(read)
    try:
        _map(pid, {**maps, "namespaces": [{"type": "user"}]})
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(write)
        os.waitpid(pid, 0)
        os.close(pidfd)


def _map(pid: int, linux: Mapping[str, Any]) -> None:
    """user_namespaces(7): who is who, written from outside, as nobody inside may yet."""
    for field, name in (("uidMappings", "uid_map"), ("gidMappings", "gid_map")):
        lines = [f"{one['containerID']} {one['hostID']} {one['size']}\n" for one in linux.get(field) or ()]
        if lines and any(space["type"] == "user" and not space.get("path") for space in linux["namespaces"]):
            try:
                with open(f"/proc/{pid}/{name}", "w") as file:
                    file.write("".join(lines))
            except OSError as error:
                raise RuntimeFailure(f"linux.{field} {linux[field]}: {error.strerror}") from error


def _outside(mappings: Sequence[Mapping[str, int]], number: int) -> int:
    """The host's id for one of a user namespace.  Raises RuntimeFailure if it has none."""
    for one in mappings:
        if 0 <= number - one["containerID"] < one["size"]:
            return one["hostID"] + number - one["containerID"]
    raise RuntimeFailure(f"id {number} has no mapping", "see linux.uidMappings and gidMappings")


def _score(pid: int, score: int | None) -> None:
    """oomScoreAdj, from outside: in a user namespace the process has no right to its own file."""
    if score is not None:
        try:
            with open(f"/proc/{pid}/oom_score_adj", "w") as file:
                file.write(str(score))
        except OSError as error:
            raise RuntimeFailure(f"oomScoreAdj {score}: {error.strerror}", "lowering it takes CAP_SYS_RESOURCE") from error


def _new_time(offsets: Mapping[str, Mapping[str, int]]) -> None:
    """time_namespaces(7): children are born in it, and before the first one the clocks can be set."""
    sys.unshare(sys.CLONE_NEWTIME)
    for clock, offset in offsets.items():
        try:
            with open("/proc/self/timens_offsets", "w") as file:
                file.write(f"{clock} {offset.get('secs', 0)} {offset.get('nanosecs', 0)}")
        except OSError as error:
            raise RuntimeFailure(f"timeOffsets of {clock}: {error.strerror}", "clocks are monotonic and boottime") from error


def enter(path: str, kind: int) -> None:
    """Join a namespace by its path."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sys.setns(descriptor, kind, path)
    finally:
        os.close(descriptor)


def _reap(pid: int) -> int:
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def send_console(path: str, master: int) -> None:
    """The terminal's master to who listens at --console-socket, as runc sends it: the descriptor, and a name."""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        folder = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        connection.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")  # sun_path has 108 bytes
        os.close(folder)
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, master.to_bytes(4, interpreter.byteorder))]
        connection.sendmsg([b"/dev/ptmx"], rights)
    except OSError as error:
        raise RuntimeFailure(f"--console-socket {path}: {error.strerror}", "somebody must listen there") from error
    finally:
        connection.close()


def write_pid(path: str, pid: int) -> None:
    """Whole or not at all: engines wait for the name to appear."""
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}")
    try:
        with open(temporary, "w") as file:
            file.write(str(pid))
        os.rename(temporary, path)
    except OSError as error:
        raise RuntimeFailure(f"--pid-file {path}: {error.strerror}") from error
