"""A Docker of a test's own, away from the machine's."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.machine import Result, eventually, mounts_below

SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
"""Where Debian has dockerd, which is not on everybody's PATH."""


def installed() -> bool:
    """Whether there are a daemon and a client here, and the right to start them."""
    return os.geteuid() == 0 and bool(shutil.which("dockerd", path=SBIN) and shutil.which("docker"))


@contextmanager
def dockerd(folder: Path, *, networks: bool = False, runtime: Path | None = None) -> Iterator[list[str]]:
    """Run a daemon that keeps all it has in `folder`; gives the words that a client's command begins with.

    networks: with bridges and firewall, for a caller in a network namespace of its own.
    runtime: an executable for `run --runtime plugged`.
    Raises RuntimeError with the end of its log if it does not come up.
    """
    daemon, client = shutil.which("dockerd", path=SBIN), shutil.which("docker")
    assert daemon is not None
    assert client is not None
    words = [client, "--host", f"unix://{folder}/docker.sock"]
    more = [] if networks else ["--bridge=none", "--iptables=false"]
    if runtime is not None:
        more.append(f"--add-runtime=plugged={runtime}")
    with open(folder / "dockerd.log", "wb") as log:
        process = subprocess.Popen(
            [
                daemon, "--data-root", f"{folder}/root", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid",
                *words[1:], *more,
            ],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        if not eventually(lambda: subprocess.run([*words, "version"], capture_output=True).returncode == 0, seconds=30):
            raise RuntimeError((folder / "dockerd.log").read_text()[-2000:])
        yield words
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for point in reversed(mounts_below(str(folder))):
            subprocess.run(["umount", "-l", point], check=False)


DOCKERFILE = """\
FROM base
ENV A=1
RUN mkdir /data && echo one >/data/one && echo two >/data/two
RUN rm /data/one && echo three >/data/three && ln /data/two /data/link
RUN rm -r /data && mkdir /data && echo new >/data/new && chown 7:8 /data/new && chmod 4755 /data/new
LABEL who=me
CMD ["/bin/sh"]
"""


class Docker:
    """The command, on a daemon of its own."""

    def __init__(self, words: list[str]) -> None:
        self.words = words

    def run(self, *words: str) -> Result:
        """Status, output and error output, whatever they are."""
        ended = subprocess.run([*self.words, *words], capture_output=True, text=True, timeout=60)
        return Result(ended.returncode, ended.stdout, ended.stderr)

    def __call__(self, *words: str) -> bytes:
        run = subprocess.run([*self.words, *words], capture_output=True, env={**os.environ, "DOCKER_BUILDKIT": "0"}, timeout=60)
        assert run.returncode == 0, run.stderr.decode()
        return run.stdout
