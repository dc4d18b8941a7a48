"""Every path under the two roots.  Nobody else joins one.

The data root (`/var/lib/tuidock`, `--root`, TUIDOCK_ROOT) holds what must survive a reboot, the run root (`/run/tuidock`,
`--run-root`) what must not.  Two data roots never disturb each other: what they share with the whole machine (cgroups,
links, the table of nf_tables) carries a name that is made from the root.

    ROOT/
      tuidock.db                names, containers, images, volumes, events
      ballast                   room that is kept for the database on a full disk
      image/                    an OCI image layout: oci-layout, index.json, blobs/sha256/HEX
      layers/HEX/               an unpacked layer by its chain id, ready to be an overlay's lower directory
      l/NAME                    a link of a few bytes to each of them, for mount(2)'s one page of options
      ingest/ staging/ trash/   blobs and layers on their way in, and everything on its way out
      containers/ID/            config.json (the bundle), init/ (init layer), rw/ (read-write layer), work/, log,
                                exit.json, start.json (the record of the start)
      volumes/NAME/_data        a volume's content
      seccomp/                  compiled filters
    RUN/
      containers/ID/            rootfs (where the overlay is mounted, in the monitor's mount namespace), attach.sock, state.json
      locks/                    one file per subject
      bell                      its time changes when there is a new event
"""

from __future__ import annotations

import os

from tuidock.oci.value import Value

DEFAULT_ROOT = "/var/lib/tuidock"
DEFAULT_RUN_ROOT = "/run/tuidock"


class ContainerPaths(Value):
    """The folders of one container."""

    data: str
    run: str

    @property
    def config(self) -> str:
        """config.json of the OCI bundle; `data` is the bundle's folder."""
        return f"{self.data}/config.json"

    @property
    def init(self) -> str:
        """The init layer: hosts, hostname, resolv.conf, mount points; never committed."""
        return f"{self.data}/init"

    @property
    def rw(self) -> str:
        """The read-write layer, the overlay's upper directory."""
        return f"{self.data}/rw"

    @property
    def work(self) -> str:
        return f"{self.data}/work"

    @property
    def log(self) -> str:
        return f"{self.data}/log"

    @property
    def monitor_log(self) -> str:
        """What the monitor itself had to complain about; empty in a good life."""
        return f"{self.data}/monitor.log"

    @property
    def exit(self) -> str:
        """exit.json: how the process ended; written by the monitor."""
        return f"{self.data}/exit.json"

    @property
    def health(self) -> str:
        """health.json: what the health checks have found; written by the monitor."""
        return f"{self.data}/health.json"

    @property
    def start(self) -> str:
        """start.json: the record of calls of the last start."""
        return f"{self.data}/start.json"

    @property
    def rootfs(self) -> str:
        return f"{self.run}/rootfs"

    @property
    def socket(self) -> str:
        """The monitor's socket: attach, exec, resize."""
        return f"{self.run}/attach.sock"

    @property
    def proxy(self) -> str:
        """proxy.json: pid, start time and boot id of the process that carries its published ports; written by that one."""
        return f"{self.run}/proxy.json"

    @property
    def state(self) -> str:
        """state.json: pid, start time and boot id of the running process; written by the monitor."""
        return f"{self.run}/state.json"


class Roots(Value):
    """The data root and the run root, both absolute and real."""

    data: str
    run: str

    @property
    def database(self) -> str:
        return f"{self.data}/tuidock.db"

    @property
    def ballast(self) -> str:
        """Room that is kept for the database on a full disk."""
        return f"{self.data}/ballast"

    @property
    def image_layout(self) -> str:
        return f"{self.data}/image"

    @property
    def blobs(self) -> str:
        return f"{self.data}/image/blobs"

    @property
    def layers(self) -> str:
        return f"{self.data}/layers"

    @property
    def links(self) -> str:
        return f"{self.data}/l"

    @property
    def ingest(self) -> str:
        return f"{self.data}/ingest"

    @property
    def staging(self) -> str:
        return f"{self.data}/staging"

    @property
    def trash(self) -> str:
        return f"{self.data}/trash"

    @property
    def volumes(self) -> str:
        return f"{self.data}/volumes"

    @property
    def containers(self) -> str:
        return f"{self.data}/containers"

    @property
    def seccomp(self) -> str:
        return f"{self.data}/seccomp"

    @property
    def locks(self) -> str:
        return f"{self.run}/locks"

    @property
    def bell(self) -> str:
        return f"{self.run}/bell"

    def layer(self, chain_id: str) -> str:
        """The tree of an unpacked layer.  chain_id: `sha256:HEX`."""
        return f"{self.layers}/{chain_id.removeprefix('sha256:')}"

    def volume(self, name: str) -> str:
        """The directory that is mounted; its parent is the volume's own folder."""
        return f"{self.volumes}/{name}/_data"

    def container(self, container_id: str) -> ContainerPaths:
        return ContainerPaths(f"{self.data}/containers/{container_id}", f"{self.run}/containers/{container_id}")

    @property
    def cgroup(self) -> str:
        """The name of this root's cgroup below the hierarchy's own root: `tuidock`, or with a mark of the root."""
        return "tuidock" if self.data == DEFAULT_ROOT else f"tuidock-{_mark(self.data)}"

    @property
    def mark(self) -> str:
        """Eight digits that stand for the root: part of the names of its cables."""
        return _mark(self.data)

    def bridge(self, number: str) -> str:
        """The name of a network's bridge, at most 15 characters: tuidock0, td1a2b3c4d-f00d.  number: up to 4 digits."""
        if self.data == DEFAULT_ROOT:
            return "tuidock0" if number == "0" else f"tuidock-{number}"
        return f"td{_mark(self.data)}-{number}"

    def make(self) -> None:
        """Make the folders, readable by root alone: below them lie setuid files of images (CVE-2021-41091)."""
        for path in (self.data, self.run):
            os.makedirs(path, mode=0o711, exist_ok=True)
        for path in (
            self.blobs, self.layers, self.links, self.ingest, self.staging, self.trash, self.volumes, self.containers,
            self.seccomp, f"{self.run}/containers", self.locks,
        ):  # fmt: skip
            os.makedirs(path, mode=0o700, exist_ok=True)
        if not os.path.exists(self.bell):
            os.close(os.open(self.bell, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))


def roots(data: str = "", run: str = "") -> Roots:
    """The two roots: as given, else from TUIDOCK_ROOT and TUIDOCK_RUN_ROOT, else the defaults.

    A data root without a run root gets one of its own, so that it never shares state with another.
    """
    data = os.path.realpath(data or os.environ.get("TUIDOCK_ROOT", "") or DEFAULT_ROOT)
    run = run or os.environ.get("TUIDOCK_RUN_ROOT", "")
    if not run:
        run = DEFAULT_RUN_ROOT if data == DEFAULT_ROOT else f"{DEFAULT_RUN_ROOT}-{_mark(data)}"
    return Roots(data, os.path.realpath(run))


def _mark(path: str) -> str:
    """Eight digits that stand for a path."""
    from _blake2 import blake2b  # what hashlib gives out, without the 4 ms that loading OpenSSL takes

    return blake2b(path.encode(), digest_size=4).hexdigest()
