"""What a container's root is made of, as it lies: the read-write layer on top, the init layer, the image's layers.

The overlay of these directories is what the process sees (the kernel's filesystems/overlayfs).  What it writes appears in the
read-write layer as it writes: the directory is looked through again once a second while somebody looks at this pane, as
inotify would take a watch for each directory of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from tuidock.tui.panes.pane import Pane
from tuidock.tui.widgets.drawing import box
from tuidock.tui.words import fit, fit_path, plural, right, since, size

if TYPE_CHECKING:
    from tuidock.engine import Engine
    from tuidock.engine.views import Layer, MountPoint, Stack
    from tuidock.image.changes import Change
    from tuidock.tui.messages import Subject

_KINDS = {"A": ("+", "$added", "added"), "C": ("~", "$changed", "changed"), "D": ("−", "$removed", "deleted")}
SHOWN = 500
"""Entries of the read-write layer that are drawn, the newest."""


class Layers(Pane):
    PERIOD = 1.0

    def read(self, engine: Engine, subject: Subject) -> Stack:
        return engine.containers.layers(subject.key)

    def draw(self, value: Stack, width: int) -> list[Content]:
        running = bool(self.row.running)
        return [
            Content.styled(fit("what the process sees as one root, from the top", width), "$muted"),
            *_read_write(value, width, running),
            *_init(value.init, width),
            *image_layers(value.layers, width, str(self.row.image)),
        ]


def _read_write(stack: Stack, width: int, running: bool) -> list[Content]:
    room = width - 4
    files = [entry for entry in stack.rw if not entry.is_dir]
    mounts = {mount.destination: mount for mount in stack.mount_points}
    lines = []
    for entry in stack.rw[:SHOWN]:
        mount = mounts.pop(entry.path, None)
        lines.append(_mount_point(mount, room) if mount else _entry(entry, room))
    if len(stack.rw) > SHOWN:
        lines.append(Content.styled(f"  and {len(stack.rw) - SHOWN} older ones", "$muted"))
    if not stack.rw:
        lines.append(Content.styled("empty: nothing has been written yet", "$muted"))
    lines += [_mount_point(mount, room) for mount in mounts.values()]
    note = f"{plural(len(files), 'file')} · {size(sum(entry.size for entry in files))}" if files else ""
    title = Content.assemble(("read-write layer", "bold $rw"), (" ● live" if running else "", "$rw"))
    return box(lines, width, title, note, "$rw")


def _entry(entry: Change, room: int) -> Content:
    sign, role, word = _KINDS[entry.kind]
    word = fit(word, 9) if room >= 52 else ""
    last = f"{'' if entry.is_dir or entry.kind == 'D' else size(entry.size):>8}"
    if room >= 46:
        last += f"{since(entry.mtime):>8}"
    path = entry.path + ("/" if entry.is_dir else "")
    return Content.assemble(
        (f"{sign} ", role),
        (fit_path(path, room - 3 - len(word) - len(last)) + " ", "$muted" if entry.is_dir else ""),
        (word, role),
        (last, "$muted"),
    )


def _mount_point(mount: MountPoint, room: int) -> Content:
    """The directory that lies here is empty; what the process sees is another's inode."""
    source = f"volume {mount.name[:12]}" if mount.kind == "volume" else mount.source
    same = f"  inode {mount.inode_outside}" if mount.inode_outside else ""
    if mount.inode_inside and mount.inode_inside == mount.inode_outside:
        same += " outside and inside"
    return Content.assemble(("◆ ", "$volume"), (mount.destination, "$volume"), (f" ← {source}{same}", "$muted")).truncate(
        room, ellipsis=True
    )


def _init(entries: tuple[Change, ...], width: int) -> list[Content]:
    lines = []
    for entry in entries:
        last = right(size(entry.size), 8) + (right("", 8) if width >= 50 else "")
        lines.append(Content.assemble(("· ", "$init"), fit(entry.path, width - 6 - len(last)), (last, "$muted")))
    return box(lines, width, Content.styled("init layer", "bold $init"), "this container's own, never committed", "$init")


def image_layers(layers: tuple[Layer, ...], width: int, image: str) -> list[Content]:
    """The image's layers, the newest on top; empty ones are instructions that changed no file."""
    room = width - 4
    most = max((layer.size for layer in layers), default=0)
    bars = 12 if room >= 70 else 0
    lines = []
    for number, layer in reversed(list(enumerate(layers, 1))):
        filled = -(-layer.size * bars // most) if most else 0
        extent = "empty" if layer.empty else size(layer.size)
        role = "$faint" if layer.empty else "$image"
        instruction = fit(instruction_of(layer.created_by), room - 4 - 9 - bars - (1 if bars else 0))
        lines.append(
            Content.assemble(
                (f"{number:>2}  ", "$muted"),
                (instruction, "$muted" if layer.empty else ""),
                (" " + "▇" * filled + " " * (bars - filled) if bars else "", role),
                (right(extent, 9), role if layer.empty else "$muted"),
            )
        )
    total = size(sum(layer.size for layer in layers))
    filled_layers = sum(not layer.empty for layer in layers)
    title = Content.assemble(("image ", "bold $image"), (image, "$image"))
    return box(lines, width, title, f"read-only · {plural(filled_layers, 'layer')} · {total}", "$image")


def instruction_of(created_by: str) -> str:
    """A history line as its Dockerfile had it: without the shell and docker's mark of what changes no file."""
    words = " ".join(created_by.split())
    for prefix in ("/bin/sh -c #(nop) ", "/bin/sh -c #(nop)"):
        if words.startswith(prefix):
            return words[len(prefix) :].strip()
    if words.startswith("/bin/sh -c "):
        return "RUN " + words[len("/bin/sh -c ") :]
    return words.removesuffix(" # buildkit") or "imported"
