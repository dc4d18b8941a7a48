"""What can be done to a volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuidock.tui.actions.acting import Acting
from tuidock.tui.words import plural, size

if TYPE_CHECKING:
    from tuidock.engine.volumes import Volume


class VolumeActions(Acting):
    def action_remove_volume(self) -> None:
        """Counts first what would be lost: a volume is where people keep what they have nowhere else."""
        volume: Volume = self.row
        self.perform(f"looking into {volume.name[:12]}", lambda engine, tell: (volume, weigh(volume.mountpoint)), self._confirm)

    def _confirm(self, found: tuple[Volume, tuple[int, int]]) -> None:
        from tuidock.tui.screens.confirm import Confirm

        volume, (files, count) = found
        losses = [f"{plural(files, 'file')} go for good: {size(count)}" if files else "it is empty: nothing is lost"]
        if volume.containers:
            losses.append(f"in use by {', '.join(volume.containers)}, which forbids that")

        def answered(yes: bool | None) -> None:
            if yes:
                self.perform(f"removing {volume.name[:12]}", lambda engine, tell: engine.volumes.remove(volume.name))

        name = volume.name[:12] if volume.anonymous else volume.name
        self.app.push_screen(Confirm(f"Remove volume {name}?", losses, f"tuidock volume rm {volume.name}"), answered)


def weigh(folder: str) -> tuple[int, int]:
    """How many files lie below a directory, and their bytes.  What goes as we look is not counted."""
    import os

    files = count = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                count += os.lstat(os.path.join(path, name)).st_size
                files += 1
            except FileNotFoundError:
                continue
    return files, count
