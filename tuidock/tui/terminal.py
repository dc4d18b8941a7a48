"""The whole terminal for a process of a container; the screen comes back when it ends or is left."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from textual.app import SuspendNotSupported

from tuidock.errors import TuidockError

if TYPE_CHECKING:
    from textual.screen import Screen

    from tuidock.runtime.attach import Session

_CLEAR = "\x1b[0m\x1b[2J\x1b[H"


def give_terminal(screen: Screen[None], session: Session, title: str, *, tty: bool = True, pause: bool = False) -> None:
    """Suspend the application, relay the terminal to `session`, come back.

    title: one line above, which says how to come back.  tty: the process has a terminal of its own; raw mode then.
    pause: wait for a key afterwards, so that what a short command printed can be read.
    """
    from tuidock.runtime.attach import relay

    error: TuidockError | OSError | None = None
    try:
        with screen.app.suspend():
            columns = os.get_terminal_size(0).columns
            sys.stdout.write(f"{_CLEAR}\x1b[7m {title:<{columns - 1}.{columns - 1}}\x1b[0m\r\n")
            sys.stdout.flush()
            try:
                status = relay(session, tty=tty, interactive=True, sig_proxy=False)
            except (TuidockError, OSError) as failure:
                error = failure
            else:
                if pause:
                    _wait_for_key(status)
            sys.stdout.write(_CLEAR)
            sys.stdout.flush()
    except SuspendNotSupported:
        screen.notify("this terminal cannot be handed over", severity="error")
    finally:
        session.close()
    screen.refresh(layout=True)
    if error is not None:
        screen.notify(str(error), title="✗ the terminal", severity="error", markup=False)


def _wait_for_key(status: int | None) -> None:
    from tuidock.runtime import terminal

    sys.stdout.write(f"\r\n\x1b[7m {'left' if status is None else f'ended with status {status}'} · any key comes back \x1b[0m")
    sys.stdout.flush()
    with terminal.Raw(0):
        os.read(0, 64)
