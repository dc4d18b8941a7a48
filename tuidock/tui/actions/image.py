"""What can be done to an image, and the starter image that can be made from nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuidock.tui.actions.acting import Acting
from tuidock.tui.words import plural, size

if TYPE_CHECKING:
    from tuidock.engine import Engine
    from tuidock.image.views import ImageSummary
    from tuidock.tui.actions.acting import Tell

STARTER = "tuidock/starter"


class ImageActions(Acting):
    def action_remove_image(self) -> None:
        row: ImageSummary = self.row
        subject = self.subject
        assert subject is not None
        from tuidock.tui.screens.confirm import Confirm

        if row.dangling:
            losses = [f"the image and its layers go: {size(row.size)}, what it shares with others excepted"]
        else:
            losses = [
                f"the name {subject.name} goes",
                f"if it is the image's last name, so do the image and its layers: {size(row.size)} at most",
            ]
        if row.containers:
            losses.append(f"{plural(row.containers, 'container')} made from it may forbid that")

        def answered(yes: bool | None) -> None:
            if yes:
                self.perform(f"removing {subject.name}", lambda engine, tell: engine.images.remove(subject.key))

        self.app.push_screen(Confirm(f"Remove image {subject.name}?", losses, f"tuidock rmi {subject.name}"), answered)

    def action_run_image(self) -> None:
        self.open_run_form(self.subject.key if self.subject else "")

    assembling = False
    """The starter image is under way."""

    def action_starter(self) -> None:
        self.assembling = True
        self.refresh_bindings()
        self.perform(f"assembling {STARTER}", _assemble, self.starter_is_there)

    def open_run_form(self, image: str) -> None:
        raise NotImplementedError

    def starter_is_there(self, image: str) -> None:
        raise NotImplementedError


def _assemble(engine: Engine, tell: Tell) -> str:
    return engine.images.starter(lambda progress: tell(progress.what, progress.done, progress.total))
