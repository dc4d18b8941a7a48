"""What can be done to a container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuidock.tui.actions.acting import Acting
from tuidock.tui.terminal import give_terminal
from tuidock.tui.words import plural, shell_line, size

if TYPE_CHECKING:
    from tuidock.engine import Engine
    from tuidock.engine.commit import Preview
    from tuidock.engine.reconcile import Container
    from tuidock.engine.requests import CommitRequest
    from tuidock.runtime.attach import Session


class ContainerActions(Acting):
    @property
    def container(self) -> Container:
        """The one that is looked at; only where `check_action` has let an action through."""
        found: Container = self.row
        return found

    def action_start(self) -> None:
        name = self.container.name
        self.perform(f"starting {name}", lambda engine, tell: engine.containers.start(name))

    def action_stop(self) -> None:
        name, grace = self.container.name, self.container.config["Config"].get("StopTimeout", 10)
        self.perform(f"stopping {name} (at most {grace} s, then SIGKILL)", lambda engine, tell: engine.containers.stop(name))

    def action_kill(self) -> None:
        name = self.container.name
        self.perform(f"killing {name}", lambda engine, tell: engine.containers.kill(name))

    def action_restart(self) -> None:
        name = self.container.name
        self.perform(f"restarting {name}", lambda engine, tell: engine.containers.restart(name, None))

    def action_pause(self) -> None:
        name = self.container.name
        if self.container.status == "paused":
            self.perform(f"letting {name} go on", lambda engine, tell: engine.containers.unpause(name))
        else:
            self.perform(f"pausing {name}", lambda engine, tell: engine.containers.pause(name))

    def action_remove_container(self) -> None:
        """Says first what goes: the changes of the read-write layer are counted for that."""
        container = self.container
        self.perform(
            f"looking at what {container.name} holds", lambda engine, tell: _losses(engine, container), self._confirm_removal
        )

    def _confirm_removal(self, found: tuple[Container, list[str]]) -> None:
        from tuidock.tui.screens.confirm import Confirm

        container, losses = found
        force = container.running
        command = f"tuidock rm {'-f ' if force else ''}{container.name}"

        def answered(yes: bool | None) -> None:
            if yes:
                self.perform(
                    f"removing {container.name}",
                    lambda engine, tell: engine.containers.remove(container.id, force=force),
                )

        self.app.push_screen(Confirm(f"Remove container {container.name}?", losses, command), answered)

    def action_commit(self) -> None:
        """Shows what would go in, asks for a name."""
        container = self.container
        self.perform(
            f"looking at what {container.name} wrote",
            lambda engine, tell: engine.containers.commit_preview(container.id),
            lambda preview: self._ask_for_commit(container, preview),
        )

    def _ask_for_commit(self, container: Container, preview: Preview) -> None:
        from tuidock.tui.screens.commit import CommitForm

        def answered(request: CommitRequest | None) -> None:
            if request is None:
                return
            self.perform(
                f"committing {container.name}",
                lambda engine, tell: engine.containers.commit(
                    request, lambda progress: tell(size(progress.done) if progress.done else "", progress.done, progress.total)
                ),
                lambda image: self.notify(
                    request.reference or image.removeprefix("sha256:")[:12], title="✓ an image of it", markup=False
                ),
            )

        self.app.push_screen(CommitForm(container, preview), answered)

    def action_logs(self) -> None:
        raise NotImplementedError

    # a terminal in the container

    def action_shell(self) -> None:
        name = self.container.name
        self.perform(
            f"opening a shell in {name}",
            lambda engine, tell: self._enter(engine, name, engine.containers.shell(name)),
            lambda opened: give_terminal(self, opened[0], f"{name} · {opened[1]} · exit or ctrl+d comes back"),
        )

    def action_execute(self) -> None:
        from tuidock.tui.screens.ask import Ask

        name = self.container.name

        def answered(line: str | None) -> None:
            import shlex

            if not line:
                return
            try:
                words = tuple(shlex.split(line))
            except ValueError as error:
                self.notify(str(error), title="✗ that is no command line", severity="error", markup=False)
                return
            self.perform(
                f"exec in {name}",
                lambda engine, tell: self._enter(engine, name, words),
                lambda opened: give_terminal(self, opened[0], f"{name} · {opened[1]}", pause=True),
            )

        self.app.push_screen(Ask(f"Run a command in {name}", "ls -l /", f"tuidock exec -it {name}"), answered)

    def action_attach(self) -> None:
        container = self.container
        title = f"{container.name} · {shell_line(container.command)} · ctrl+p ctrl+q leaves it running"
        self.perform(
            f"attaching to {container.name}",
            lambda engine, tell: engine.containers.attach(container.name),
            lambda session: give_terminal(self, session, title, tty=container.config["Config"]["Tty"]),
        )

    def _enter(self, engine: Engine, name: str, command: tuple[str, ...]) -> tuple[Session, str]:
        """In a thread: a second process in the container, its terminal as large as ours.  Also returns its command line."""
        from tuidock.engine.requests import ExecRequest

        size = self.app.size
        request = ExecRequest(
            name, command, env=("TERM=xterm-256color",), interactive=True, tty=True, rows=size.height, columns=size.width
        )
        session = engine.containers.exec(request)
        assert session is not None  # it is None for a detached one
        return session, shell_line(command)


def _losses(engine: Engine, container: Container) -> tuple[Container, list[str]]:
    """What a removal takes away, a line for each; and what it leaves."""
    stack = engine.containers.layers(container.id)
    files = [entry for entry in stack.rw if not entry.is_dir]
    losses = []
    if container.running:
        losses.append("its process is killed (SIGKILL): it is running")
    if files:
        total = size(sum(entry.size for entry in files))
        losses.append(f"its read-write layer goes: {plural(len(files), 'file')} added, changed or deleted, {total}")
    else:
        losses.append("its read-write layer is empty: nothing written is lost")
    losses.append("its log goes")
    kept = [mount.destination for mount in stack.mount_points]
    if kept:
        losses.append(f"kept: what is mounted at {', '.join(kept)}")
    return container, losses
