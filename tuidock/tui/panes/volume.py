"""A volume at a glance: where it lies, who mounts it where, and the one inode that both sides see."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from textual.content import Content

from tuidock.tui.actions.volume import weigh
from tuidock.tui.panes.pane import Pane
from tuidock.tui.widgets.drawing import facts, titled
from tuidock.tui.words import ago, fit, plural, size

if TYPE_CHECKING:
    from tuidock.engine import Engine
    from tuidock.engine.views import MountPoint
    from tuidock.engine.volumes import Volume
    from tuidock.tui.messages import Subject

_WHY = (
    "A bind mount makes the container's path lead to the inode of this directory: both sides show one number, and what "
    "one writes the other reads."
)


class Reading(NamedTuple):
    volume: Volume
    files: int
    size: int
    """bytes"""
    users: list[tuple[str, MountPoint]]


class VolumeOverview(Pane):
    def read(self, engine: Engine, subject: Subject) -> Reading:
        volume = next(volume for volume in engine.volumes.list() if volume.name == subject.key)
        users = [
            (name, mount)
            for name in volume.containers
            for mount in engine.containers.layers(name).mount_points
            if mount.name == volume.name
        ]
        return Reading(volume, *weigh(volume.mountpoint), users)

    def draw(self, value: Reading, width: int) -> list[Content]:
        volume = value.volume
        lines = facts(
            [
                ("name", volume.name),
                ("lies in", volume.mountpoint),
                ("inode", Content.styled(str(volume.inode), "bold $volume")),
                ("holds", f"{plural(value.files, 'file')}, {size(value.size)}"),
                ("made", f"{'for a container' if volume.anonymous else 'by name'}, {ago(volume.created_at)}"),
            ],
            width,
        )
        lines += [Content(""), titled("Mounted in", width)]
        if not value.users:
            lines.append(Content.styled("no container", "$muted"))
        else:
            lines.append(
                Content.styled(fit("container", 18) + fit("at", max(8, width - 52)) + "inode inside = outside", "$muted")
            )
        for name, mount in value.users:
            same = mount.inode_inside == mount.inode_outside
            inode = (
                f"{mount.inode_inside} {'=' if same else '≠'} {mount.inode_outside}" if mount.inode_inside else "not running"
            )
            lines.append(
                Content.assemble(
                    (fit(name, 17) + " ", "bold"), (fit(mount.destination, max(8, width - 52)), ""),
                    (inode, "$volume" if same and mount.inode_inside else "$muted"),
                )
            )  # fmt: skip
        return [*lines, Content(""), *Content.styled(_WHY, "$muted").wrap(width)]
