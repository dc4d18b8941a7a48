"""A terminal that goes away while the screen is drawn on it."""

from __future__ import annotations

import os
import threading

from textual.drivers._writer_thread import WriterThread

from tuidock.tui.driver import Lasting


def test_what_is_written_to_a_terminal_that_is_gone_is_dropped() -> None:
    """Textual's thread must live on: with it dead the 31st write waits for ever, and `stop` with it."""
    master, slave = os.openpty()
    terminal = os.fdopen(slave, "w")
    writer = WriterThread(Lasting(terminal))  # type: ignore[arg-type]
    writer.start()
    writer.write("seen")
    assert os.read(master, 4) == b"seen"
    os.close(master)

    def many() -> None:
        for number in range(100):
            writer.write(f"line {number}\n")
        writer.stop()

    drawing = threading.Thread(target=many, daemon=True)
    drawing.start()
    drawing.join(10)
    assert not drawing.is_alive()
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), slave)  # what is left in its buffer has to go somewhere
    terminal.close()
