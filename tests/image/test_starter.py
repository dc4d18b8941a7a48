"""The starter image: all that is in it works in a container, and nothing of this machine's people is in it."""

from __future__ import annotations

import os
import pwd
import shutil
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.machine import Cli
from tuidock.engine import Engine
from tuidock.errors import Missing
from tuidock.image import elf, starter
from tuidock.image.contents import Contents
from tuidock.image.libraries import Libraries, MissingLibrary

pytestmark = pytest.mark.root

EXTENSIONS = """\
import importlib, os, sys, sysconfig
folder = sysconfig.get_path("platstdlib") + "/lib-dynload"
for name in sorted(os.listdir(folder)):
    importlib.import_module(name.partition(".")[0])
    print(name)
"""
CERTIFICATES = "import ssl; print(ssl.create_default_context().cert_store_stats()['x509_ca'])"
UNRESOLVED = """\
import os, subprocess, sys
linker = next(f"{folder}/{name}" for folder in ("/lib64", "/lib") if os.path.isdir(folder)
              for name in sorted(os.listdir(folder)) if name.startswith("ld-"))
count = 0
for folder, _, names in os.walk("/"):
    if folder.startswith(("/proc", "/sys", "/dev")):
        continue
    for name in names:
        path = f"{folder}/{name}"
        if os.path.islink(path) or not os.path.isfile(path) or open(path, "rb").read(4) != b"\\x7fELF":
            continue
        listed = subprocess.run([linker, "--list", path], capture_output=True, text=True)
        count += 1
        for line in (listed.stdout + listed.stderr).splitlines():
            if "not found" in line or "cannot open" in line:
                print(path, line)
print(count)
"""
"""The dynamic linker itself is asked, in the image, of every program and library."""


@pytest.fixture
def assembled(cli: Cli) -> str:
    return cli.ok("image", "starter", "-q", timeout=120)


def run(cli: Cli, *command: str) -> str:
    return cli.ok("run", "--rm", "--net", "none", "tuidock/starter", *command)


def trees(engine: Engine) -> list[Path]:
    return [Path(engine.images.layers.path(chain_id)) for chain_id in engine.images.get(starter.NAME).chain_ids]


def test_all_of_it_works(cli: Cli, engine: Engine, assembled: str) -> None:
    """Every extension module can be imported, every library is found, certificates and users are known."""
    *unresolved, count = run(cli, "python3", "-c", UNRESOLVED).splitlines()
    assert unresolved == []
    assert int(count) > 30
    assert "_ssl" in run(cli, "python3", "-c", EXTENSIONS)
    assert run(cli, "python3", "-c", "import sys; print(sys.version)") == sys.version
    here = ssl.create_default_context().cert_store_stats()["x509_ca"]
    if here:
        assert int(run(cli, "python3", "-c", CERTIFICATES)) > 0
    assert run(cli, "python3", "-m", "venv", "--without-pip", "/tmp/v") == ""
    assert run(cli, "python3", "-c", "import pwd; print(pwd.getpwnam('nobody').pw_uid)") == "65534"
    assert run(cli, "sh", "-c", "id -un; ls -d /tmp; echo a b | awk '{print $2}'; test -x /usr/local/bin/python").split() == [
        "root", "/tmp", "b",
    ]  # fmt: skip
    shown = engine.images.inspect(starter.NAME)
    assert (shown["Id"], len(shown["RootFS"]["Layers"])) == (assembled, 2)
    assert [row.empty for row in engine.images.history(starter.NAME)] == [False, False]


def test_nothing_of_this_machines_people_is_in_it(engine: Engine, assembled: str) -> None:
    """All is root's, nothing is setuid, nobody else writes; no home, no secret, no user but those of every machine."""
    people = {user.pw_name for user in pwd.getpwall() if user.pw_uid >= 100 and user.pw_name != "nobody"}
    for tree in trees(engine):
        for folder, folders, names in os.walk(tree):
            for name in (*folders, *names):
                found = os.lstat(f"{folder}/{name}")
                path = f"{folder}/{name}".removeprefix(str(tree))
                assert (found.st_uid, found.st_gid) == (0, 0), path
                assert not stat.S_ISLNK(found.st_mode) or not os.readlink(tree / path[1:]).startswith(
                    ("/root", "/home", "/tmp")
                )
                if stat.S_ISREG(found.st_mode):
                    assert not found.st_mode & 0o6022, path
                    assert found.st_nlink == 1, path
                assert not path.startswith(("/root/", "/home/", "/tmp/", "/etc/shadow", "/etc/ssh", "/etc/ssl/private")), path
                assert "site-packages" not in path
                assert "__pycache__" not in path
    passwd = (trees(engine)[0] / "etc/passwd").read_text()
    assert not people & {line.partition(":")[0] for line in passwd.splitlines()}
    assert passwd.startswith("root:x:0:0:")


def test_the_same_machine_gives_the_same_image(cli: Cli, engine: Engine, assembled: str, folder: Path) -> None:
    """Again, and on other roots, with another umask, and with no network to ask."""
    assert cli.ok("image", "starter", "-q") == assembled
    assert len(engine.images.list()) == 1
    if not shutil.which("unshare"):
        pytest.skip("util-linux is not here")
    words = [*cli.words]
    words[words.index("--root") + 1], words[words.index("--run-root") + 1] = str(folder / "root"), str(folder / "run")
    again = subprocess.run(["unshare", "--net", *words, "image", "starter"], capture_output=True, text=True, umask=0o077)
    assert again.stdout.strip() == assembled


def test_a_machine_without_busybox(cli: Cli, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is the machine's own shell and commands, with their libraries."""
    monkeypatch.setattr(starter.Machine, "_busybox", lambda self, contents: "")
    engine.images.starter()
    assert "commands of this machine" in engine.images.history(starter.NAME)[1].created_by
    assert run(cli, "sh", "-c", "ls / | grep -c . >/dev/null; cat /etc/passwd | head -n 1 | cut -d: -f1") == "root"
    assert run(cli, "python3", "-c", UNRESOLVED).splitlines()[:-1] == []


def test_a_machine_without_a_shell(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter, "PATH", "/nosuch")
    with pytest.raises(Missing, match="no /bin/sh"):
        engine.images.starter()
    assert engine.images.list() == []


@pytest.mark.parametrize(
    "program", ["/bin/bash", "/usr/bin/tar", "/usr/bin/ssh", "/usr/bin/perl", os.path.realpath(sys.executable)]
)
def test_libraries_are_those_that_the_linker_finds(program: str) -> None:
    """Against ldd(1)."""
    if not os.path.exists(program) or not shutil.which("ldd"):
        pytest.skip(f"{program} or ldd is not here")
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    expected = {}
    for line in listed.splitlines():
        name, arrow, rest = line.strip().partition(" => ")
        if arrow:
            expected[name] = os.path.realpath(rest.partition(" (")[0])
    found = Libraries().closure(program)
    assert {name: os.path.realpath(library.path) for name, library in found.items()} == expected


def test_a_library_that_is_nowhere(folder: Path) -> None:
    program = folder / "program"
    program.write_bytes(Path("/bin/bash").read_bytes().replace(b"libc.so.6\0", b"liQ.so.6\0\0"))
    with pytest.raises(MissingLibrary, match=r"liQ\.so\.6"):
        Libraries().closure(str(program))
    contents = Contents()
    with pytest.raises(MissingLibrary):
        starter.Machine().program(contents, "/bin/x", str(program))
    assert contents.nodes == {}


WHOLE = Path("/bin/bash").read_bytes()[: 1 << 15] if os.path.exists("/bin/bash") else b""


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(4, 1200), st.integers(0, 255)), max_size=4), st.integers(4, len(WHOLE)))
def test_no_damaged_program_is_a_bug(folder: Path, changes: list[tuple[int, int]], end: int) -> None:
    content = bytearray(WHOLE)
    for at, value in changes:
        content[at] = value
    path = folder / "program"
    path.write_bytes(content[:end])
    found = elf.read(str(path))
    assert found is None or found.kind


def test_what_is_no_program(folder: Path) -> None:
    for content in (b"", b"\x7fELF", b"#!/bin/sh\n", bytes(100)):
        (folder / "x").write_bytes(content)
        assert elf.read(str(folder / "x")) is None
    assert elf.read("/nosuch") is None
