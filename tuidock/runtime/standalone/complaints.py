"""How a command without a monitor says what went wrong: on stderr, and in the log that an engine reads (--log).

As runc: with --log-format json a line is an object with level, msg and time.
"""

from __future__ import annotations

import os
import time

from tuidock.errors import TuidockError
from tuidock.oci.jsontext import dumps
from tuidock.oci.value import Value

JSON, TEXT = "json", "text"


class Complaints(Value):
    """Where they go."""

    log: str = ""
    form: str = TEXT
    debug: bool = False

    def open(self) -> None:
        """See that there can be a log before anything is done.  Raises OSError."""
        if self.log:
            os.close(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644))

    def error(self, error: BaseException) -> int:
        """Say it.  Returns the exit status of the command."""
        if isinstance(error, TuidockError):
            said, hint = error.message, error.hint
            status = error.exit_status if error.exit_status in (126, 127) else 1
        elif isinstance(error, OSError):
            said, hint, status = f"{error.filename or 'error'}: {error.strerror}", "", 1
        else:
            said, hint, status = f"{type(error).__name__}: {error}", "this is a mistake of tuidock's own", 1
        if self.debug:
            import traceback

            said += "\n" + "".join(traceback.format_exception(error))
        self._log("error", f"{said} ({hint})" if hint else said)
        _print(f"tuidock-oci: {said}\n" + (f"{hint}\n" if hint else ""))
        return status

    def warn(self, said: str) -> None:
        self._log("warning", said)
        _print(f"tuidock-oci: warning: {said}\n")

    def _log(self, level: str, said: str) -> None:
        if not self.log:
            return
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        value = {"level": level, "msg": said, "time": moment}
        line = dumps(value) if self.form == JSON else " ".join(f"{key}={dumps(word)}" for key, word in value.items())
        try:
            file = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            os.write(file, f"{line}\n".encode())
            os.close(file)
        except OSError as error:
            _print(f"tuidock-oci: --log {self.log}: {error.strerror}\n")


def _print(text: str) -> None:
    try:
        os.write(2, text.replace("\x1b", "\\x1b").encode())
    except OSError:
        pass
