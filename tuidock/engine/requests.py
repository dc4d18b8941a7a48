"""What the user wants, as values: the same from the command line, a form of the TUI and, later, the API."""

from __future__ import annotations

from tuidock.oci.value import Value


class RunRequest(Value):
    """`create` and `run`.  Fields are docker's flags; empty means "as the image says" or docker's default."""

    image: str
    command: tuple[str, ...] = ()
    """Replaces the image's CMD."""
    name: str = ""
    entrypoint: tuple[str, ...] | None = None
    """None keeps the image's; () clears it, and its CMD goes with it."""
    env: tuple[str, ...] = ()
    """NAME=VALUE in order, env-files already read and NAME alone already resolved by the front end."""
    workdir: str = ""
    user: str = ""
    hostname: str = ""
    interactive: bool = False
    tty: bool = False
    attach: tuple[str, ...] = ()
    """Of stdin, stdout, stderr; () with detach."""
    detach: bool = False
    remove: bool = False
    volumes: tuple[str, ...] = ()
    """-v as written: /inside, NAME:/inside[:options], /outside:/inside[:options]."""
    tmpfs: tuple[str, ...] = ()
    """/inside[:options]"""
    read_only: bool = False
    network: str = "bridge"
    """the first network's name or id, or none, host, container:NAME"""
    networks: tuple[str, ...] = ()
    """further networks"""
    ip: str = ""
    """on the first network, as are the next two"""
    ip6: str = ""
    mac_address: str = ""
    network_aliases: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    """-p as written: [[address]:[port[-port]]:]port[-port][/tcp|udp]"""
    publish_all: bool = False
    expose: tuple[str, ...] = ()
    """port[-port][/tcp|udp]"""
    memory: int = 0
    """bytes; 0 is no limit"""
    memory_swap: int = 0
    """bytes of memory and swap together; -1 unlimited, 0 twice the memory"""
    cpus: float = 0.0
    pids_limit: int = 0
    """0 and -1 are no limit"""
    init: bool = False
    labels: tuple[str, ...] = ()
    """KEY=VALUE, in order"""
    stop_signal: str = ""
    stop_timeout: int | None = None
    """seconds; None is 10, negative waits for ever"""
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    privileged: bool = False
    security_opt: tuple[str, ...] = ()
    """no-new-privileges[=true|false], seccomp=unconfined|FILE, systempaths=unconfined"""
    shm_size: int = 64 << 20
    """bytes"""
    memory_reservation: int = 0
    """bytes that it keeps when memory is short; 0 for none"""
    cpu_shares: int = 0
    """weight against others, 2 to 262144; 0 is 1024"""
    cpu_period: int = 0
    """microseconds; 0 is 100000"""
    cpu_quota: int = 0
    """microseconds of each period; 0 is no limit"""
    cpuset_cpus: str = ""
    """0-2,4; empty for all"""
    cpuset_mems: str = ""
    restart: str = "no"
    """no, always, unless-stopped, on-failure[:N]"""
    ulimits: tuple[str, ...] = ()
    """NAME=SOFT[:HARD]"""
    group_add: tuple[str, ...] = ()
    """names or numbers"""
    extra_hosts: tuple[str, ...] = ()
    """NAME:IP"""
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    domainname: str = ""
    ipc: str = ""
    """private, shareable, none, host; empty is private"""
    pid: str = ""
    """host, container:NAME; empty is one of its own"""
    uts: str = ""
    """host; empty is one of its own"""
    cgroupns: str = ""
    """private, host; empty is private"""
    oom_score_adj: int = 0
    """-1000 to 1000"""
    sysctls: tuple[str, ...] = ()
    """KEY=VALUE"""
    devices: tuple[str, ...] = ()
    """/dev/OUTSIDE[:/dev/INSIDE][:rwm]"""
    device_rules: tuple[str, ...] = ()
    """`c 1:3 rwm`"""
    annotations: tuple[str, ...] = ()
    """KEY=VALUE"""
    log_driver: str = ""
    """local, json-file, none; empty is local"""
    log_opts: tuple[str, ...] = ()
    """KEY=VALUE: max-size, max-file, labels, env"""
    health_cmd: str = ""
    """for the shell; empty keeps the image's check"""
    health_interval: int = 0
    """ns, here and below; 0: the image's, else docker's default"""
    health_timeout: int = 0
    health_start_period: int = 0
    health_start_interval: int = 0
    health_retries: int = 0
    no_healthcheck: bool = False


def on_networks(network: str) -> bool:
    """Whether `RunRequest.network` is a network: then it has endpoints, and all of network/ is needed."""
    return network not in ("none", "host") and not network.startswith("container:")


class ExecRequest(Value):
    """`exec`."""

    container: str
    command: tuple[str, ...]
    env: tuple[str, ...] = ()
    workdir: str = ""
    user: str = ""
    interactive: bool = False
    tty: bool = False
    detach: bool = False
    privileged: bool = False
    rows: int = 0
    """of the terminal, set before the command starts; 0 for none"""
    columns: int = 0


class LogRequest(Value):
    """`logs`.  Times are ns since the epoch; 0 means unbounded."""

    container: str
    follow: bool = False
    tail: int = -1
    """how many last lines; -1 all"""
    since: int = 0
    until: int = 0


class CommitRequest(Value):
    """`commit`."""

    container: str
    reference: str = ""
    """NAME[:TAG] of the new image; empty for none"""
    author: str = ""
    message: str = ""
    changes: tuple[str, ...] = ()
    """instructions for its config, in order"""
    pause: bool = True
    """whether a running container stands still meanwhile"""
    epoch: int = -1
    """SOURCE_DATE_EPOCH: seconds since the epoch that no time in the image is later than; -1 for none"""


class CopyRequest(Value):
    """`cp`, in either direction."""

    container: str
    inside: str
    """the path in the container, from its root; `/` or `/.` at its end means what docker says it means"""
    outside: str = ""
    """the path on the host, absolute; empty where a tar is streamed"""
    shown: str = ""
    """the destination as the user wrote it, for messages"""
    follow: bool = False
    """whether a link as the source is followed"""
    archive: bool = False
    """on the way out: keep owners, setuid bits, capabilities and devices"""
