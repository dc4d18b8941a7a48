"""An image at a glance: its names, what it runs, how large it is, who uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.content import Content

from tuidock.tui.panes.pane import Pane
from tuidock.tui.widgets.drawing import facts
from tuidock.tui.words import ago, brief, plural, shell_line, size

if TYPE_CHECKING:
    from tuidock.engine import Engine
    from tuidock.tui.messages import Subject


class ImageOverview(Pane):
    def read(self, engine: Engine, subject: Subject) -> tuple[dict[str, Any], list[str]]:
        found = engine.images.inspect(subject.key)
        users = [container.name for container in engine.containers.list(all=True) if container.image_id == found["Id"]]
        return found, users

    def draw(self, value: tuple[dict[str, Any], list[str]], width: int) -> list[Content]:
        image, users = value
        config = image["Config"]
        process = [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]
        pairs: list[tuple[str, Content | str]] = [
            (
                "runs",
                Content.styled(brief(shell_line(process), 5 * (width - 16) // 2), "bold")
                if process
                else Content.styled("nothing of its own", "$muted"),
            ),
            ("names", "\n".join(image["RepoTags"]) or Content.styled("none", "$muted")),
            ("id", image["Id"].removeprefix("sha256:")[:12]),
            ("size", f"{size(image['Size'])} in {plural(len(image['RootFS']['Layers']), 'layer')}"),
            ("platform", f"{image['Os']}/{image['Architecture']}"),
            ("created", ago(self.row.created_at) if self.row.created_at else "it does not say"),
        ]
        for name, key in (("user", "User"), ("directory", "WorkingDir"), ("stop signal", "StopSignal")):
            if config.get(key):
                pairs.append((name, str(config[key])))
        if config.get("Env"):
            pairs.append(("environment", "\n".join(config["Env"])))
        if config.get("ExposedPorts"):
            pairs.append(("exposes", ", ".join(config["ExposedPorts"])))
        if config.get("Volumes"):
            pairs.append(("volumes", ", ".join(config["Volumes"])))
        if config.get("Labels"):
            pairs.append(("labels", "\n".join(f"{key}={text}" for key, text in config["Labels"].items())))
        pairs.append(("used by", ", ".join(users) or Content.styled("no container", "$muted")))
        return [
            *facts(pairs, width),
            Content(""),
            Content.assemble(("⏎", "bold $accent"), (" runs a container of it", "$muted")),
        ]
