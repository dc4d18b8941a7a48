"""Image config + RunRequest to the container's own config, as docker merges them.  Pure.

The result has docker's names (`Config` of `docker inspect`), and is what is kept: what the image becomes later changes
nothing of a container.
"""

from __future__ import annotations

import os

from tuidock.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from tuidock.engine.requests import RunRequest

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def configure(image: Mapping[str, Any], request: RunRequest, container_id: str) -> dict[str, Any]:
    """Docker's `Config` object.  image: the `config` part of the image's config.  Raises UsageError.

    The process is ENTRYPOINT + CMD: a command on the command line replaces CMD, --entrypoint drops it.
    """
    entrypoint, command = list(image.get("Entrypoint") or ()), list(image.get("Cmd") or ())
    if request.entrypoint is not None:
        entrypoint, command = list(request.entrypoint), []
    if request.command:
        command = list(request.command)
    if not entrypoint and not command:
        raise UsageError("no command specified", f"the image {request.image} has none: name one after the image")
    labels = dict(image.get("Labels") or {})
    labels.update(pair(text) for text in request.labels)
    attached = request.attach or (() if request.detach else ("stdout", "stderr", *(("stdin",) if request.interactive else ())))
    return {
        "Hostname": request.hostname or (os.uname().nodename if request.uts == "host" else container_id[:12]),
        "Domainname": request.domainname,
        "User": request.user or image.get("User") or "",
        "AttachStdin": "stdin" in attached,
        "AttachStdout": "stdout" in attached,
        "AttachStderr": "stderr" in attached,
        "ExposedPorts": _exposed(image.get("ExposedPorts") or {}, (*request.publish, *request.expose)),
        "Tty": request.tty,
        "OpenStdin": request.interactive,
        "StdinOnce": request.interactive and "stdin" in attached,
        "Env": environment((f"PATH={PATH}",), image.get("Env") or (), request.env),
        "Cmd": command,
        "Image": request.image,
        "Volumes": dict(image.get("Volumes") or {}),
        "WorkingDir": request.workdir or image.get("WorkingDir") or "",
        "Entrypoint": entrypoint or None,
        "OnBuild": image.get("OnBuild"),
        "Labels": labels,
        **({"StopSignal": signal} if (signal := request.stop_signal or image.get("StopSignal")) else {}),
        **_health(image.get("Healthcheck"), request),
        **({"StopTimeout": request.stop_timeout} if request.stop_timeout is not None else {}),
    }


def _exposed(image: Mapping[str, Any], more: Iterable[str]) -> dict[str, Any]:
    """Docker's `80/tcp` to {}: the image's, --expose's, and those that are published."""
    found = dict(image)
    if more:
        from tuidock.network import ports

        found.update({f"{one.inside}/{one.protocol}": {} for text in more for one in ports.parse(text)})
    return found


def _health(image: Mapping[str, Any] | None, request: RunRequest) -> dict[str, Any]:
    if not (image or request.health_cmd or request.no_healthcheck or request.health_interval or request.health_timeout
            or request.health_start_period or request.health_start_interval or request.health_retries):  # fmt: skip
        return {}
    from tuidock.engine import health

    check = health.merged(image, request)
    return {"Healthcheck": check} if check else {}


def environment(*sources: Iterable[str]) -> list[str]:
    """NAME=VALUE words, the later source wins at the place where the name stood first."""
    merged: dict[str, str] = {}
    for words in sources:
        for word in words:
            name, sign, _ = word.partition("=")
            if sign:
                merged[name] = word
            else:
                merged.pop(name, None)
    return list(merged.values())


def pair(text: str) -> tuple[str, str]:
    """KEY=VALUE or KEY."""
    key, _, value = text.partition("=")
    return key, value
