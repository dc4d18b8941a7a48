"""Every command that can be typed, and the module that does it: nothing is imported before its name is called.

Each module has a `COMMANDS` that gives the rest: options, arguments, and what to call.
"""

from __future__ import annotations

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("run", "Create and run a new container from an image"),
    "exec": ("exec", "Execute a command in a running container"),
    "ps": ("ps", "List containers"),
    "images": ("images", "List images"),
    "version": ("system", "Show the tuidock version information"),
    "info": ("system", "Display system-wide information"),
    "attach": ("exec", "Attach local standard input, output, and error streams to a running container"),
    "commit": ("changes", "Create a new image from a container's changes"),
    "completion": ("completion", "Print the completion script of a shell"),
    "cp": ("copy", "Copy files/folders between a container and the local filesystem"),
    "create": ("run", "Create a new container"),
    "diff": ("changes", "Inspect changes to files or directories on a container's filesystem"),
    "events": ("events", "Get real time events"),
    "explain": ("explain", "Tell which system calls made a container"),
    "export": ("archive", "Export a container's filesystem as a tar archive"),
    "history": ("images", "Show the history of an image"),
    "import": ("archive", "Import the contents from a tarball to create a filesystem image"),
    "inspect": ("inspect", "Return low-level information on containers, images and volumes"),
    "kill": ("container", "Kill one or more running containers"),
    "load": ("archive", "Load an image from a tar archive or STDIN"),
    "logs": ("logs", "Fetch the logs of a container"),
    "pause": ("container", "Pause all processes within one or more containers"),
    "port": ("port", "List port mappings or a specific mapping for the container"),
    "oci": ("oci", "Run bundles as an OCI runtime, for other engines"),
    "rename": ("container", "Rename a container"),
    "restart": ("container", "Restart one or more containers"),
    "rm": ("container", "Remove one or more containers"),
    "rmi": ("images", "Remove one or more images"),
    "save": ("archive", "Save one or more images to a tar archive (streamed to STDOUT by default)"),
    "start": ("exec", "Start one or more stopped containers"),
    "stats": ("stats", "Display a live stream of container(s) resource usage statistics"),
    "stop": ("container", "Stop one or more running containers"),
    "tag": ("images", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
    "top": ("container", "Display the running processes of a container"),
    "unpause": ("container", "Unpause all processes within one or more containers"),
    "update": ("container", "Update configuration of one or more containers"),
    "wait": ("container", "Block until one or more containers stop, then print their exit codes"),
    "container inspect": ("inspect", "Display detailed information on one or more containers"),
    "container prune": ("prune", "Remove all stopped containers"),
    "image inspect": ("inspect", "Display detailed information on one or more images"),
    "image prune": ("prune", "Remove unused images"),
    "image starter": ("archive", "Make an image from this machine's own Python, shell and libraries"),
    "network connect": ("network", "Connect a container to a network"),
    "network create": ("network", "Create a network"),
    "network disconnect": ("network", "Disconnect a container from a network"),
    "network inspect": ("network", "Display detailed information on one or more networks"),
    "network ls": ("network", "List networks"),
    "network prune": ("network", "Remove all unused networks"),
    "network rm": ("network", "Remove one or more networks"),
    "system df": ("df", "Show disk usage"),
    "system prune": ("prune", "Remove unused data"),
    "system start": ("boot", "Start the containers that their restart policies want to run"),
    "system stop": ("boot", "Stop all containers, so that system start starts them again"),
    "system unit": ("boot", "Print a systemd unit that does both at boot and at shutdown"),
    "volume create": ("volume", "Create a volume"),
    "volume inspect": ("inspect", "Display detailed information on one or more volumes"),
    "volume ls": ("volume", "List volumes"),
    "volume prune": ("prune", "Remove unused local volumes"),
    "volume rm": ("volume", "Remove one or more volumes"),
}
"""Name to (module of tuidock.cli, meaning).  A name of two words is known under that name alone."""

COMMON = ("run", "exec", "ps", "images", "version", "info")
"""What help shows first."""

GROUPS: dict[str, tuple[str, dict[str, str]]] = {
    "container": (
        "Manage containers",
        {
            "attach": "attach", "commit": "commit", "cp": "cp", "create": "create", "diff": "diff", "exec": "exec",
            "export": "export", "inspect": "container inspect", "kill": "kill", "logs": "logs", "ls": "ps",
            "pause": "pause", "port": "port", "prune": "container prune", "rename": "rename", "restart": "restart",
            "rm": "rm", "run": "run", "start": "start", "stats": "stats", "stop": "stop", "top": "top",
            "unpause": "unpause", "update": "update", "wait": "wait",
        },
    ),
    "image": (
        "Manage images",
        {
            "history": "history", "import": "import", "inspect": "image inspect", "load": "load", "ls": "images",
            "prune": "image prune", "rm": "rmi", "save": "save", "starter": "image starter", "tag": "tag",
        },
    ),
    "network": (
        "Manage networks",
        {
            "connect": "network connect", "create": "network create", "disconnect": "network disconnect",
            "inspect": "network inspect", "ls": "network ls", "prune": "network prune", "rm": "network rm",
        },
    ),
    "system": (
        "Manage tuidock",
        {"df": "system df", "events": "events", "info": "info", "prune": "system prune", "start": "system start",
         "stop": "system stop", "unit": "system unit"},
    ),
    "volume": (
        "Manage volumes",
        {
            "create": "volume create", "inspect": "volume inspect", "ls": "volume ls", "prune": "volume prune",
            "rm": "volume rm",
        },
    ),
}  # fmt: skip
"""First word to (meaning, second word to the command's name)."""

HIDDEN: dict[str, dict[str, str]] = {
    "container": {"list": "ls", "ps": "ls", "remove": "rm"},
    "image": {"list": "ls", "remove": "rm"},
    "network": {"list": "ls", "remove": "rm"},
    "system": {},
    "volume": {"list": "ls", "remove": "rm"},
}
"""Second words that docker takes, too, without showing them in a group's list."""

LATER = (
    "build", "builder", "buildx", "compose", "login", "logout", "manifest",
    "pull", "push", "search",
    "image build", "image pull", "image push", "volume update",
)  # fmt: skip
"""Docker's commands that are not there yet."""

NEVER = ("checkpoint", "config", "context", "node", "plugin", "secret", "service", "stack", "swarm", "trust")
"""Docker's commands that need what tuidock will not have: a daemon elsewhere, a swarm, plugins."""


def paths(name: str) -> list[str]:
    """All ways to call a command, the group's first, as docker lists them under Aliases."""
    found = []
    for group, (_, seconds) in GROUPS.items():
        for second, command in seconds.items():
            if command == name:
                hidden = [alias for alias, shown in HIDDEN[group].items() if shown == second]
                found += [f"{group} {word}" for word in (second, *hidden)]
    return found if " " in name else [*found, name]
