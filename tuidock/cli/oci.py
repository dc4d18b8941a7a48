"""`tuidock oci …`, and `tuidock-oci` for engines that want a path: the command line of an OCI runtime, as runc has it.

Options before the command's name are for all of them.  Nothing here knows tuidock's own containers.
"""

from __future__ import annotations

import gc
import os
import sys

from tuidock import __version__
from tuidock.cli.flags import UNLIMITED, Command, HelpAsked, Words, count, parse
from tuidock.engine.options import BOOL, INTEGER, LIST, TEXT, Option
from tuidock.errors import TuidockError, UsageError
from tuidock.runtime.standalone.complaints import JSON, Complaints
from tuidock.runtime.standalone.state import DEFAULT_ROOT, VERSION, Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

OBJECTS = 50_000


class WrongWords(UsageError):
    exit_status = 1


class Call:
    """One call: the options for all commands, and the command's own words."""

    def __init__(self, top: Words, name: str) -> None:
        self.top = top
        self.name = name
        self.root = os.path.abspath(top.text("root") or DEFAULT_ROOT)
        self.complaints = Complaints(
            os.path.abspath(top.text("log")) if top.text("log") else "", top.text("log-format"), top.flag("debug")
        )

    def find(self, words: Words) -> Container:
        return Container.find(self.root, words.arguments[0])

    def warn(self, warnings: Sequence[str]) -> int:
        for warning in warnings:
            self.complaints.warn(warning)
        return 0


_call: Call


def create(words: Words, _place: object = None) -> int:
    bundle = words.text("bundle") or os.getcwd()
    _sealed(words, bundle=os.path.abspath(bundle), detach=words.given.get("detach", False), keep=words.given.get("keep", False))
    return 0


def exec_(words: Words, _place: object = None) -> int:
    wanted = {
        "file": _absolute(words.text("process")), "args": words.arguments[1:], "env": words.many("env"),
        "cwd": words.text("cwd"), "user": words.text("user"), "groups": words.many("additional-gids"),
        "tty": words.flag("tty"), "capabilities": words.many("cap"), "no_new_privileges": words.flag("no-new-privs"),
    }  # fmt: skip
    _sealed(words, wanted=wanted, detach=words.flag("detach"))
    return 0


def _sealed(words: Words, **more: object) -> None:
    """These go on in another interpreter: runtime/standalone/sealed.py."""
    from tuidock.runtime.standalone import sealed

    options = {
        "config": words.given.get("config", "config.json"),
        "pid_file": _absolute(words.text("pid-file")),
        "console_socket": _absolute(words.text("console-socket")),
        "preserve_fds": words["preserve-fds"] or 0,
        "stays": _call.name in ("run", "exec") and not more["detach"],
    }
    sealed.become({
        "do": _call.name, "root": _call.root, "id": words.arguments[0], "options": options,
        "complaints": _call.complaints.as_dict(), **more,
    })  # fmt: skip


def _absolute(path: str) -> str:
    return os.path.abspath(path) if path else ""


def start(words: Words, _place: object = None) -> int:
    from tuidock.runtime.standalone import operations

    operations.start(_call.find(words))
    return 0


def state(words: Words, _place: object = None) -> int:
    return _print(_call.find(words).shown())


def kill(words: Words, _place: object = None) -> int:
    from tuidock.runtime import signals
    from tuidock.runtime.standalone import operations

    number = signals.number(words.arguments[1] if len(words.arguments) > 1 else "TERM")
    operations.kill(_call.find(words), number, everything=words.flag("all"))
    return 0


def delete(words: Words, _place: object = None) -> int:
    from tuidock.runtime.standalone import operations

    return _call.warn(operations.delete(_call.root, words.arguments[0], force=words.flag("force")))


def pause(words: Words, _place: object = None) -> int:
    from tuidock.runtime.standalone import operations

    operations.pause(_call.find(words))
    return 0


def resume(words: Words, _place: object = None) -> int:
    from tuidock.runtime.standalone import operations

    operations.resume(_call.find(words))
    return 0


def update(words: Words, _place: object = None) -> int:
    """--resources FILE, `-` for stdin; or single limits by runc's options."""
    from tuidock.oci.jsontext import loads
    from tuidock.runtime.standalone import operations

    container = _call.find(words)
    wanted: dict[str, dict[str, object]] = {}
    if path := words.text("resources"):
        try:
            with open(0 if path == "-" else path, "rb") as file:
                wanted = loads(file.read())
        except ValueError as error:
            raise WrongWords(f"--resources {path} is no JSON: {error}") from None
    for option, (group, key) in UPDATES.items():
        if option in words.given:
            wanted.setdefault(group, {})[key] = words[option]
    operations.update(container, wanted)
    return 0


def list_(words: Words, _place: object = None) -> int:
    from tuidock.runtime.standalone import operations

    found = operations.listed(_call.root)
    if words.flag("quiet"):
        print("".join(f"{one['id']}\n" for one in found), end="")
    elif words.text("format") == JSON:
        return _print(found)
    else:
        from tuidock.cli.output import table

        rows = ["ID\tPID\tSTATUS\tBUNDLE\tCREATED\n"]
        rows += [f"{one['id']}\t{one['pid']}\t{one['status']}\t{one['bundle']}\t{one['created']}\n" for one in found]
        print(table("".join(rows)), end="")
    return 0


def ps(words: Words, _place: object = None) -> int:
    from tuidock.runtime.standalone import operations

    pids = operations.processes(_call.find(words))
    if words.text("format") == JSON:
        return _print(pids)
    import subprocess

    shown = subprocess.run(["ps", *(words.arguments[1:] or ["-ef"])], capture_output=True, text=True)
    if shown.returncode:
        raise WrongWords(f"ps: {shown.stderr.strip()}")
    head, *lines = shown.stdout.splitlines()
    if "PID" not in head.split():
        raise WrongWords("these options of ps show no PID")
    column = head.split().index("PID")
    wanted = {str(pid) for pid in pids}
    for line in (head, *(line for line in lines if line.split()[column] in wanted)):
        print(line)
    return 0


def events(words: Words, _place: object = None) -> int:
    """Figures once, or again and again until the container ends; and when the kernel killed something for its memory."""
    import time

    from tuidock.oci.jsontext import dumps
    from tuidock.runtime.standalone import operations
    from tuidock.runtime.standalone.state import STOPPED

    container = _call.find(words)
    told = operations.statistics(container)
    print(dumps(told), flush=True)
    while not words.flag("stats"):
        time.sleep(words["interval"])
        if container.status() == STOPPED:
            break
        before, told = told, operations.statistics(container)
        if told["data"]["memory"]["oom_kill"] > before["data"]["memory"]["oom_kill"]:
            print(dumps({"type": "oom", "id": container.identifier}), flush=True)
        print(dumps(told), flush=True)
    return 0


def features(_words: Words, _place: object = None) -> int:
    from tuidock.runtime.standalone.features import features

    return _print(features())


def spec(words: Words, _place: object = None) -> int:
    import json

    from tuidock.runtime.standalone.features import specification

    path = os.path.join(words.text("bundle") or ".", "config.json")
    try:
        with open(path, "x") as file:
            file.write(json.dumps(specification(rootless=words.flag("rootless")), indent="\t") + "\n")
    except FileExistsError:
        raise WrongWords(f"file {path} exists", "remove it first") from None
    return 0


def _print(value: object) -> int:
    import json

    print(json.dumps(value, indent=2))
    return 0


ROOT = Option("root", "", TEXT, f"Where the state of containers is kept (default {DEFAULT_ROOT})")
TOP = (
    Option("debug", "", BOOL, "Show the traceback of an error"),
    Option("log", "", TEXT, "A file for errors and warnings, beside stderr"),
    Option("log-format", "", TEXT, 'Form of the log ("text", "json")', "text"),
    Option("systemd-cgroup", "", BOOL, "Refused: cgroups are made without systemd"),
    Option("cgroup-manager", "", TEXT, 'Only "cgroupfs"', "cgroupfs"),
    Option("rootless", "", TEXT, "Taken for runc's sake, and without effect"),
    Option("version", "v", BOOL, "Print version information and quit"),
)
BUNDLE = Option("bundle", "b", TEXT, "Folder with config.json (default: the current one)")
PID_FILE = Option("pid-file", "", TEXT, "A file to write the process's pid to")
CONSOLE = Option("console-socket", "", TEXT, "A socket to send the terminal's master to")
PRESERVE = Option("preserve-fds", "", INTEGER, "Pass so many descriptors after stderr on")
DETACH = Option("detach", "d", BOOL, "Do not stay with the process")
FORMAT = Option("format", "f", TEXT, 'Form of the output ("table", "json")', "table")
CREATE = (
    BUNDLE, CONSOLE, PID_FILE, PRESERVE,
    Option("config", "f", TEXT, "Name of the configuration in the bundle", "config.json"),
    Option("no-pivot", "", BOOL, "Refused: the root is always changed by pivot_root"),
    Option("no-new-keyring", "", BOOL, "Refused: containers have a session keyring of their own"),
)  # fmt: skip
UPDATES = {
    "memory": ("memory", "limit"), "memory-reservation": ("memory", "reservation"), "memory-swap": ("memory", "swap"),
    "cpu-period": ("cpu", "period"), "cpu-quota": ("cpu", "quota"), "cpu-share": ("cpu", "shares"),
    "cpuset-cpus": ("cpu", "cpus"), "cpuset-mems": ("cpu", "mems"), "pids-limit": ("pids", "limit"),
    "blkio-weight": ("blockIO", "weight"), "cpu-rt-period": ("cpu", "realtimePeriod"),
    "cpu-rt-runtime": ("cpu", "realtimeRuntime"),
}  # fmt: skip

OPERATIONS: dict[str, Command] = {
    "create": Command(create, "ID", CREATE, least=1, most=1),
    "run": Command(
        create, "ID",
        (
            *CREATE, DETACH, Option("keep", "", BOOL, "Do not delete it when it ends"),
            Option("no-subreaper", "", BOOL, "Taken for runc's sake: it is none"),
        ),
        least=1, most=1,
    ),
    "start": Command(start, "ID", least=1, most=1),
    "state": Command(state, "ID", least=1, most=1),
    "kill": Command(kill, "ID [SIGNAL]", (Option("all", "a", BOOL, "Signal all its processes"),), least=1, most=2),
    "delete": Command(delete, "ID", (Option("force", "f", BOOL, "End it first if it runs"),), least=1, most=1),
    "pause": Command(pause, "ID", least=1, most=1),
    "resume": Command(resume, "ID", least=1, most=1),
    "update": Command(
        update, "ID",
        (
            Option("resources", "r", TEXT, "A file with linux.resources, or - for stdin"),
            *(Option(name, "", TEXT if name.startswith("cpuset") else INTEGER) for name in UPDATES),
        ),
        least=1, most=1,
    ),
    "list": Command(list_, "", (FORMAT, Option("quiet", "q", BOOL, "Only ids"))),
    "ps": Command(ps, "ID [PS OPTIONS]", (FORMAT,), least=1, most=UNLIMITED, stops=True),
    "events": Command(
        events, "ID",
        (Option("stats", "", BOOL, "Figures once"), Option("interval", "", INTEGER, "Seconds between figures", 5)),
        least=1, most=1,
    ),
    "exec": Command(
        exec_, "ID COMMAND [ARG...]",
        (
            Option("process", "p", TEXT, "A file with the process"), CONSOLE, PID_FILE, PRESERVE, DETACH,
            Option("tty", "t", BOOL, "Allocate a terminal"), Option("env", "e", LIST, "Set environment variables"),
            Option("cwd", "", TEXT, "Working directory"), Option("user", "u", TEXT, "UID[:GID]"),
            Option("additional-gids", "g", LIST, "Further groups"), Option("cap", "c", LIST, "Add a capability"),
            Option("no-new-privs", "", BOOL, "Set no_new_privs"),
            Option("ignore-paused", "", BOOL, "Taken for runc's sake, and without effect"),
        ),
        least=1, most=UNLIMITED, stops=True,
    ),
    "features": Command(features, ""),
    "spec": Command(spec, "", (BUNDLE, Option("rootless", "", BOOL, "For who is not root: with a user namespace"))),
}  # fmt: skip


def oci(top: Words, _place: object = None) -> int:
    """The exit status.  top: the options for all commands, and from a command's name on, its own words."""
    global _call
    name = top.arguments[0] if top.arguments else "help"
    _call = Call(top, name)
    try:
        if top.flag("version"):
            print(f"tuidock-oci version {__version__}\nspec: {VERSION}")
            return 0
        _refuse_globals(top)
        _call.complaints.open()
        if name == "help":
            raise HelpAsked
        if name not in OPERATIONS:
            raise WrongWords(f"no such command: {name}", f"one of {', '.join(OPERATIONS)}")
        command = OPERATIONS[name]
        given = parse(command, top.arguments[1:])
        given.path = f"oci {name}"
        count(command, given)
        for option in ("no-pivot", "no-new-keyring"):
            if given.given.get(option):
                raise WrongWords(f"--{option} is not done", "leave it out")
        return command.run(given, None)  # type: ignore[arg-type]  # no roots here
    except HelpAsked:
        if name in OPERATIONS:
            print(_help_on(name), end="")
        else:
            print(_usage(), end="")
        return 0
    except BrokenPipeError:
        raise
    except (TuidockError, OSError) as error:
        return _call.complaints.error(error)


def _refuse_globals(top: Words) -> None:
    if top.flag("systemd-cgroup") or top.text("cgroup-manager") != "cgroupfs":
        raise WrongWords("cgroups are made without systemd", "use the cgroupfs driver (podman --cgroup-manager cgroupfs)")
    if top.text("log-format") not in (JSON, "text"):
        raise WrongWords(f"--log-format {top.text('log-format')}", "text or json")


def _help_on(name: str) -> str:
    from tuidock.cli import help

    command = OPERATIONS[name]
    lines = [help.usage(f"oci {name}", command), ""]
    lines += [f"  {f'-{option.short}, ' if option.short else '    '}--{option.name:20} {option.meaning}".rstrip()
              for option in command.options]  # fmt: skip
    return "\n".join(lines) + "\n"


def _usage() -> str:
    lines = ["Usage: tuidock oci [OPTIONS] COMMAND [ARG...]", "", "Options:"]
    lines += [f"  --{option.name:16} {option.meaning}" for option in (ROOT, *TOP)]
    lines += ["", "Commands:"]
    lines += [f"  {name:10} {command.arguments}".rstrip() for name, command in OPERATIONS.items()]
    return "\n".join(lines) + "\n"


COMMANDS = {
    "oci": Command(oci, "COMMAND [ARG...]", (ROOT, *TOP), most=UNLIMITED, stops=True),
}  # fmt: skip


def main(words: Sequence[str]) -> int:
    """`tuidock-oci`.  words: without the program's name."""
    try:
        return oci(parse(COMMANDS["oci"], words))
    except HelpAsked:
        print(_usage(), end="")
        return 0
    except TuidockError as error:
        return Complaints().error(error)


def command() -> None:
    """`tuidock-oci`: end this process with the exit status."""
    gc.set_threshold(OBJECTS, 20, 100)
    try:
        status = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        status = 141
    os._exit(status)
