"""`tuidock logs`: a container's lines, on the stream that they came from."""

from __future__ import annotations

import sys

from tuidock.cli.flags import Command, Words
from tuidock.cli.output import rfc3339
from tuidock.cli.times import moment
from tuidock.engine import Engine, logdriver
from tuidock.engine.options import LOGS
from tuidock.engine.requests import LogRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.storage.paths import Roots


def logs(words: Words, place: Roots) -> int:
    follow, stamped = words.flag("follow"), words.flag("timestamps")
    request = LogRequest(
        words.arguments[0],
        follow=follow,
        tail=_tail(words.text("tail")),
        since=moment(words.text("since"), "since"),
        until=moment(words.text("until"), "until"),
    )
    streams = {"stdout": sys.stdout.buffer, "stderr": sys.stderr.buffer}
    begins = {"stdout": True, "stderr": True}
    containers = Engine(place).containers
    details = f"{logdriver.details(containers.get(request.container))} ".encode() if words.flag("details") else b""
    for line in containers.logs(request):
        stream = streams[line.stream]
        if stamped and begins[line.stream]:
            stream.write(f"{rfc3339(line.time, local=False)} ".encode())
        if begins[line.stream]:
            stream.write(details)
        begins[line.stream] = line.complete
        stream.write(line.text + b"\n" if line.complete else line.text)
        if follow or line.stream == "stderr":
            stream.flush()
    sys.stdout.buffer.flush()
    return 0


def _tail(text: str) -> int:
    """How many lines; what is no number means all, as in docker."""
    return int(text) if text.isdecimal() else -1


COMMANDS = {
    "logs": Command(logs, "CONTAINER", LOGS, 1, 1),
}
