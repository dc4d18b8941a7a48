"""A container as listings get it, without an engine."""

from __future__ import annotations

from typing import Any

from tuidock.engine.reconcile import Container


def container(**fields: Any) -> Container:
    """One that was never started, unless `fields` say otherwise."""
    config = {"Entrypoint": None, "Cmd": ["sh"], "Labels": {}, "ExposedPorts": {}}
    known: dict[str, Any] = {
        "id": "a" * 64, "name": "a", "image": "busybox", "image_id": "sha256:" + "b" * 64, "chain_ids": (), "request": {},
        "config": {"Config": config, "Mounts": []}, "created_at": 1, "status": "created", "pid": 0, "monitor_pid": 0,
        "start_time": 0, "boot_id": "", "started_at": 0, "finished_at": 0, "exit_code": 0, "oom_killed": False, "error": "",
    }  # fmt: skip
    return Container(**{**known, **fields})
