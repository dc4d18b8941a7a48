"""`tuidock events`: what happened, and what happens while one looks."""

from __future__ import annotations

import os
import sys
import threading
import time

from tuidock.cli.filters import FILTER, Filters
from tuidock.cli.flags import Command, Words
from tuidock.cli.formats import filled, parsed
from tuidock.cli.output import NANO, rfc3339
from tuidock.cli.templates.values import Struct
from tuidock.cli.times import moment
from tuidock.engine import Engine
from tuidock.engine.options import TEXT, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tuidock.engine.events import Event
    from tuidock.storage.paths import Roots

KNOWN = ("container", "event", "image", "label", "scope", "type", "volume")


def events(words: Words, place: Roots) -> int:
    filters = Filters(words.many("filter"), KNOWN)
    since, until = moment(words.text("since"), "since"), moment(words.text("until"), "until")
    form = words.text("format")
    template = parsed("{{json .}}" if form == "json" else form) if form else None
    for event in _between(Engine(place), since, until):
        if passes(event, filters):
            sys.stdout.write(f"{filled(template, as_docker(event)) if template else line(event)}\n")
            sys.stdout.flush()
    return 0


def _between(engine: Engine, since: int, until: int) -> Iterator[Event]:
    """From `since`, or from now on if it is 0, to `until`, or for ever; ns since the epoch."""
    found = engine.events
    begin = 0 if since else found.latest()
    reader, writer = os.pipe2(os.O_CLOEXEC)
    left = (until - time.time_ns()) / NANO
    timer = threading.Timer(left, lambda: os.write(writer, b".")) if until and left > 0 else None
    if timer:
        timer.daemon = True
        timer.start()
    elif until:
        os.write(writer, b".")
    try:
        for event in found.watch(begin, reader):
            if until and event.time > until:
                return
            if event.time >= since:
                yield event
    finally:
        if timer:
            timer.cancel()
        os.close(reader)
        os.close(writer)


def passes(event: Event, filters: Filters) -> bool:
    """Values of one key are alternatives, different keys must all hold."""
    names = (event.actor, event.actor[:12], event.attributes.get("name", ""))
    action = event.action.partition(":")[0]
    return (
        filters.exact("type", event.type)
        and filters.exact("event", event.action, action)
        and filters.exact("scope", "local")
        and filters.labels(event.attributes)
        and ("container" not in filters or (event.type == "container" and filters.exact("container", *names)))
        and ("volume" not in filters or (event.type == "volume" and filters.exact("volume", *names)))
        and ("image" not in filters or filters.exact("image", *_images(event)))
    )


def _images(event: Event) -> tuple[str, ...]:
    """What an image may be called in a filter: its id, or its name with and without the tag."""
    name = event.attributes.get("name" if event.type == "image" else "image", "")
    return (event.actor if event.type == "image" else "", name, name.rpartition(":")[0])


def line(event: Event) -> str:
    """2026-11-23T20:57:11.685959638Z container die ID (exitCode=0, image=busybox, name=a)"""
    pairs = ", ".join(f"{key}={value}" for key, value in sorted(event.attributes.items()))
    told = f" ({pairs})" if pairs else ""
    return f"{rfc3339(event.time)} {event.type} {event.action} {event.actor}{told}"


def as_docker(event: Event) -> Struct:
    """moby's events.Message, with the old fields that it still has."""
    old = {} if event.type == "volume" else {"status": event.action, "id": event.actor}
    if event.type == "container" and "image" in event.attributes:
        old["from"] = event.attributes["image"]
    actor = Struct({"ID": event.actor, "Attributes": dict(event.attributes)}, "events.Actor")
    fields = {"Type": event.type, "Action": event.action, "Actor": actor, "scope": "local"}
    times = {"time": event.time // NANO, "timeNano": event.time}
    return _Message({**old, **fields, **times}, "*events.Message")


class _Message(Struct):
    """Go's names of the fields that have others in JSON: {{.Time}}, {{.ID}}."""

    _GO = {"Status": "status", "ID": "id", "From": "from", "Scope": "scope", "Time": "time", "TimeNano": "timeNano"}

    def get(self, key: str, default: object = None) -> object:
        return super().get(self._GO.get(key, key), default)


COMMANDS = {
    "events": Command(
        events,
        options=(
            FILTER,
            Option("format", "", TEXT, "Format output: 'json', or the given Go template"),
            Option("since", "", TEXT, "Show all events created since timestamp"),
            Option("until", "", TEXT, "Stream events until this timestamp"),
        ),
    )
}
