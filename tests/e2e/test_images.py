"""An image made by hand goes to another machine: the walkthrough's commands, one after the other."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from tests.machine import REPOSITORY, Cli
from tuidock.storage.paths import Roots


def test_from_a_file_by_hand_to_an_image_elsewhere(cli: Cli, roots: Roots, busybox: str, scratch: Path) -> None:
    """Claims 9, 10, 15 and 18: exec, touch, commit; the volume's content stays here, its empty mount point goes along."""
    container = cli.ok("run", "-d", "--name", "web", "-v", "/test", busybox, "sleep", "1000")
    cli.ok("exec", "web", "touch", "/test.txt")
    cli.ok("exec", "web", "sh", "-c", "echo mine >/test/in; echo 1.2.3.4 far >>/etc/hosts; rm /etc/group")
    assert os.listdir(f"{roots.container(container).rw}/test") == [], "the mount is in another mount namespace"
    assert cli.ok("diff", "web").splitlines() == ["C /etc", "D /etc/group", "A /test", "A /test.txt"]
    assert "/test.txt" in cli.ok("commit", "--preview", "web")
    image = cli.ok("commit", "-m", "by hand", "web", "geektime/helloworld:v2")
    shown = cli(
        "run", "--rm", "geektime/helloworld:v2", "sh", "-c", "ls -d /test.txt /etc/group; ls -A /test; grep far /etc/hosts"
    )
    assert (shown.out, shown.status) == ("/test.txt\n", 1)
    cli.ok("cp", "web:/test/in", str(scratch / "in"))
    assert (scratch / "in").read_text() == "mine\n"

    away = tempfile.mkdtemp(dir=scratch)
    other = Cli(Roots(f"{away}/root", f"{away}/run"))
    save = subprocess.Popen([*cli.words, "save", "geektime/helloworld"], stdout=subprocess.PIPE, cwd=REPOSITORY)
    assert save.stdout is not None
    loaded = subprocess.run([*other.words, "load"], stdin=save.stdout, capture_output=True, text=True, cwd=REPOSITORY)
    save.stdout.close()
    assert (save.wait(), loaded.stdout) == (0, "Loaded image: geektime/helloworld:v2\n")
    assert other.ok("images", "-q", "--no-trunc") == image
    assert other.ok("run", "--rm", image, "ls", "/test.txt") == "/test.txt"

    cli.ok("rm", "-f", "-v", "web")
    for machine, place in ((cli, roots.data), (other, f"{away}/root")):
        machine.ok("rmi", *set(machine.ok("images", "-q").split()))
        assert (
            os.listdir(f"{place}/layers") == os.listdir(f"{place}/image/blobs/sha256") == os.listdir(f"{place}/volumes") == []
        )
