"""The options of what a user can ask for, each declared once: for the command line, a form on the screen and, later, the API.

An option that fills a field of a request (`requests.py`) names it; the others steer the front end alone (`--cidfile`).
What the options of docker are that tuidock does not have yet stands here too, so that they can be refused by name.
"""

from __future__ import annotations

from tuidock.oci.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BOOL, TEXT, LIST, INTEGER, BYTES, DECIMAL, DURATION = "", "string", "list", "int", "bytes", "decimal", "duration"
"""Kinds, by the word that help shows for them; `quantities.read` knows what each takes."""

PROCESS, FILES, RESOURCES, SECURITY, NETWORK, CONTAINER = "Process", "File", "Resource", "Security", "Network", "Container"
"""Groups of run's and create's options, in the order of its help: see GROUPS."""
GROUPS = (CONTAINER, PROCESS, FILES, RESOURCES, SECURITY, NETWORK)


class Option(Value):
    """One option."""

    name: str
    """without dashes"""
    short: str = ""
    """one letter, or empty"""
    kind: str = BOOL
    meaning: str = ""
    default: Any = None
    """None: the kind's own zero (False, "", (), 0); what differs is shown in help"""
    field: str = ""
    """of the request; empty for one that the front end keeps to itself"""
    group: str = ""
    shown_kind: str = ""
    """the word for its kind in help, if another is clearer (filter, network)"""


ENV = Option("env", "e", LIST, "Set environment variables", field="env", group=PROCESS)
ENV_FILE = Option("env-file", "", LIST, "Read in a file of environment variables", group=PROCESS)
DETACH_KEYS = Option("detach-keys", "", TEXT, "Override the key sequence for detaching a container", group=PROCESS)
INTERACTIVE = Option("interactive", "i", BOOL, "Keep STDIN open even if not attached", field="interactive", group=PROCESS)
TTY = Option("tty", "t", BOOL, "Allocate a pseudo-TTY", field="tty", group=PROCESS)
USER = Option("user", "u", TEXT, "Username or UID (format: <name|uid>[:<group|gid>])", field="user", group=PROCESS)
WORKDIR = Option("workdir", "w", TEXT, "Working directory inside the container", field="workdir", group=PROCESS)
SIG_PROXY = Option("sig-proxy", "", BOOL, "Proxy received signals to the process", True, group=PROCESS)

CREATE = (
    Option("name", "", TEXT, "Assign a name to the container", field="name", group=CONTAINER),
    Option("rm", "", BOOL, "Automatically remove the container and its associated anonymous volumes when it exits",
           field="remove", group=CONTAINER),
    Option("label", "l", LIST, "Set meta data on a container", field="labels", group=CONTAINER),
    Option("label-file", "", LIST, "Read in a line delimited file of labels", group=CONTAINER),
    Option("cidfile", "", TEXT, "Write the container ID to the file", group=CONTAINER),
    Option("pull", "", TEXT, 'Pull image before running ("always", "missing", "never")', "missing", group=CONTAINER),
    Option("quiet", "q", BOOL, "Suppress the pull output", group=CONTAINER),
    Option("health-cmd", "", TEXT, "Command to run to check health", field="health_cmd", group=CONTAINER),
    Option("health-interval", "", DURATION, "Time between running the check (ms|s|m|h) (default 30s)",
           field="health_interval", group=CONTAINER),
    Option("health-retries", "", INTEGER, "Consecutive failures needed to report unhealthy (default 3)", 0,
           field="health_retries", group=CONTAINER),
    Option("health-start-interval", "", DURATION, "Time between running the check during the start period (ms|s|m|h)"
           " (default 5s)", field="health_start_interval", group=CONTAINER),
    Option("health-start-period", "", DURATION, "Start period for the container to initialize before starting"
           " health-retries countdown (ms|s|m|h) (default 0s)", field="health_start_period", group=CONTAINER),
    Option("health-timeout", "", DURATION, "Maximum time to allow one check to run (ms|s|m|h) (default 30s)",
           field="health_timeout", group=CONTAINER),
    Option("log-driver", "", TEXT, "Logging driver for the container (local, json-file, none)", field="log_driver",
           group=CONTAINER),
    Option("log-opt", "", LIST, "Log driver options (max-size, max-file, labels, env)", field="log_opts", group=CONTAINER),
    Option("no-healthcheck", "", BOOL, "Disable any container-specified HEALTHCHECK", field="no_healthcheck",
           group=CONTAINER),
    Option("restart", "", TEXT, "Restart policy to apply when a container exits (no, always, unless-stopped, on-failure[:N])",
           "no", field="restart", group=CONTAINER),
    Option("stop-signal", "", TEXT, "Signal to stop the container", field="stop_signal", group=CONTAINER),
    Option("stop-timeout", "", INTEGER, "Timeout (in seconds) to stop a container", field="stop_timeout", group=CONTAINER),
    Option("attach", "a", LIST, "Attach to STDIN, STDOUT or STDERR", field="attach", group=PROCESS),
    Option("entrypoint", "", TEXT, "Overwrite the default ENTRYPOINT of the image", field="entrypoint", group=PROCESS),
    ENV,
    ENV_FILE,
    Option("init", "", BOOL, "Run an init inside the container that forwards signals and reaps processes", field="init",
           group=PROCESS),
    INTERACTIVE,
    TTY,
    USER,
    WORKDIR,
    Option("volume", "v", LIST, "Bind mount a volume", field="volumes", group=FILES),
    Option("tmpfs", "", LIST, "Mount a tmpfs directory", field="tmpfs", group=FILES),
    Option("read-only", "", BOOL, "Mount the container's root filesystem as read only", field="read_only", group=FILES),
    Option("shm-size", "", BYTES, "Size of /dev/shm (default 64m)", 64 << 20, field="shm_size", group=FILES),
    Option("memory", "m", BYTES, "Memory limit", field="memory", group=RESOURCES),
    Option("memory-swap", "", BYTES, "Swap limit equal to memory plus swap: '-1' to enable unlimited swap",
           field="memory_swap", group=RESOURCES),
    Option("memory-reservation", "", BYTES, "Memory soft limit", field="memory_reservation", group=RESOURCES),
    Option("cpus", "", DECIMAL, "Number of CPUs", field="cpus", group=RESOURCES),
    Option("cpu-shares", "c", INTEGER, "CPU shares (relative weight)", 0, field="cpu_shares", group=RESOURCES),
    Option("cpu-period", "", INTEGER, "Limit CPU CFS (Completely Fair Scheduler) period", 0, field="cpu_period",
           group=RESOURCES),
    Option("cpu-quota", "", INTEGER, "Limit CPU CFS (Completely Fair Scheduler) quota", 0, field="cpu_quota",
           group=RESOURCES),
    Option("cpuset-cpus", "", TEXT, "CPUs in which to allow execution (0-3, 0,1)", field="cpuset_cpus", group=RESOURCES),
    Option("cpuset-mems", "", TEXT, "MEMs in which to allow execution (0-3, 0,1)", field="cpuset_mems", group=RESOURCES),
    Option("pids-limit", "", INTEGER, "Tune container pids limit (set -1 for unlimited)", field="pids_limit",
           group=RESOURCES),
    Option("cap-add", "", LIST, "Add Linux capabilities", field="cap_add", group=SECURITY),
    Option("cap-drop", "", LIST, "Drop Linux capabilities", field="cap_drop", group=SECURITY),
    Option("privileged", "", BOOL, "Give extended privileges to this container", field="privileged", group=SECURITY),
    Option("security-opt", "", LIST, "Security Options", field="security_opt", group=SECURITY),
    Option("expose", "", LIST, "Expose a port or a range of ports", field="expose", group=NETWORK),
    Option("ip", "", TEXT, 'IPv4 address (e.g., "172.30.100.104")', field="ip", group=NETWORK),
    Option("ip6", "", TEXT, 'IPv6 address (e.g., "2001:db8::33")', field="ip6", group=NETWORK),
    Option("mac-address", "", TEXT, 'Container MAC address (e.g., "92:d0:c6:0a:29:33")', field="mac_address", group=NETWORK),
    Option("network", "", LIST, "Connect a container to a network: NAME, bridge (the default), none, host, container:NAME",
           field="network", group=NETWORK, shown_kind="network"),
    Option("network-alias", "", LIST, "Add network-scoped alias for the container", field="network_aliases", group=NETWORK),
    Option("publish", "p", LIST, "Publish a container's port(s) to the host", field="publish", group=NETWORK),
    Option("publish-all", "P", BOOL, "Publish all exposed ports to random ports", field="publish_all", group=NETWORK),
    Option("annotation", "", LIST, "Add an annotation to the container (passed through to the OCI runtime)",
           field="annotations", group=CONTAINER),
    Option("cgroupns", "", TEXT, "Cgroup namespace to use (host|private)", field="cgroupns", group=SECURITY),
    Option("device", "", LIST, "Add a host device to the container", field="devices", group=FILES),
    Option("device-cgroup-rule", "", LIST, "Add a rule to the cgroup allowed devices list", field="device_rules",
           group=SECURITY),
    Option("group-add", "", LIST, "Add additional groups to join", field="group_add", group=PROCESS),
    Option("ipc", "", TEXT, "IPC mode to use (none|private|shareable|host)", field="ipc", group=SECURITY),
    Option("oom-score-adj", "", INTEGER, "Tune host's OOM preferences (-1000 to 1000)", 0, field="oom_score_adj",
           group=RESOURCES),
    Option("pid", "", TEXT, "PID namespace to use (host|container:NAME)", field="pid", group=SECURITY),
    Option("sysctl", "", LIST, "Sysctl options", field="sysctls", group=SECURITY),
    Option("ulimit", "", LIST, "Ulimit options", field="ulimits", group=RESOURCES),
    Option("uts", "", TEXT, "UTS namespace to use (host)", field="uts", group=SECURITY),
    Option("add-host", "", LIST, "Add a custom host-to-IP mapping (host:ip)", field="extra_hosts", group=NETWORK),
    Option("dns", "", LIST, "Set custom DNS servers", field="dns", group=NETWORK),
    Option("dns-option", "", LIST, "Set DNS options", field="dns_options", group=NETWORK),
    Option("dns-search", "", LIST, "Set custom DNS search domains", field="dns_search", group=NETWORK),
    Option("domainname", "", TEXT, "Container NIS domain name", field="domainname", group=NETWORK),
    Option("hostname", "h", TEXT, "Container host name", field="hostname", group=NETWORK),
)  # fmt: skip
RUN = (
    Option("detach", "d", BOOL, "Run container in background and print container ID", field="detach", group=PROCESS),
    DETACH_KEYS,
    SIG_PROXY,
    *CREATE,
)
UPDATABLE = (
    "cpu-period", "cpu-quota", "cpu-shares", "cpus", "cpuset-cpus", "cpuset-mems", "memory", "memory-reservation",
    "memory-swap", "pids-limit", "restart",
)  # fmt: skip
UPDATE = tuple(option.replace(group="") for option in CREATE if option.name in UPDATABLE)
UPDATE_LATER = "blkio-weight cpu-rt-period cpu-rt-runtime kernel-memory"
EXEC = (
    Option("detach", "d", BOOL, "Detached mode: run command in the background", field="detach"),
    DETACH_KEYS.replace(group=""),
    ENV.replace(group=""),
    ENV_FILE.replace(group=""),
    INTERACTIVE.replace(group=""),
    Option("privileged", "", BOOL, "Give extended privileges to the command", field="privileged"),
    TTY.replace(group=""),
    USER.replace(group=""),
    WORKDIR.replace(group=""),
)
COMMIT = (
    Option("author", "a", TEXT, 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")', field="author"),
    Option("change", "c", LIST, "Apply Dockerfile instruction to the created image", field="changes"),
    Option("message", "m", TEXT, "Commit message", field="message"),
    Option("no-pause", "", BOOL, "Disable pausing container during commit"),
    Option("pause", "p", BOOL, "Pause container during commit", True, field="pause"),
    Option("preview", "", BOOL, "Show what would go into the image, and make none"),
)
LOGS = (
    Option("details", "", BOOL, "Show extra details provided to logs"),
    Option("follow", "f", BOOL, "Follow log output", field="follow"),
    Option("since", "", TEXT, 'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42'
           " minutes)", field="since"),
    Option("tail", "n", TEXT, "Number of lines to show from the end of the logs", "all", field="tail"),
    Option("timestamps", "t", BOOL, "Show timestamps"),
    Option("until", "", TEXT, 'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for'
           " 42 minutes)", field="until"),
)  # fmt: skip

SYNONYMS = {"net": "network", "time": "timeout", "dns-opt": "dns-option", "net-alias": "network-alias"}
"""Long names that docker keeps for old scripts, without showing them."""

RUN_LATER = (
    "blkio-weight blkio-weight-device cgroup-parent cpu-count cpu-percent cpu-rt-period cpu-rt-runtime"
    " device-read-bps device-read-iops device-write-bps device-write-iops disable-content-trust gpus isolation"
    " kernel-memory link link-local-ip memory-swappiness mount oom-kill-disable platform runtime storage-opt"
    " use-api-socket userns volume-driver volumes-from"
)
"""Docker's options of run and create that are not there yet, by name."""
RUN_LATER_SHORT: dict[str, str] = {}
