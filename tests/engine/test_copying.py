"""export and cp: files out of a container and into it, and never anything else."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

from tests.dockerd import Docker
from tests.engine.running import execute, running
from tests.image.tars import folder, hardlink, member, symlink, tar
from tests.machine import REPOSITORY, Cli, eventually, mounts_below
from tuidock.engine.requests import CopyRequest, RunRequest
from tuidock.engine.rootview import Task, host_view
from tuidock.errors import Conflict, NoSuchContainer, TuidockError
from tuidock.oci.jsontext import dumps

pytestmark = pytest.mark.usefixtures("busybox")


def exported(engine, name):
    with tempfile.TemporaryFile() as file:
        engine.containers.export(name, file.fileno())
        file.seek(0)
        archive = tarfile.open(fileobj=io.BytesIO(file.read()))
        return {one.name: archive.extractfile(one).read() if one.isfile() else one for one in archive}


def test_export_is_the_root_as_one_without_what_is_mounted(engine):
    script = "echo x >/new; rm /etc/group; echo x >/test/in; echo far >>/etc/hosts; ln -s /new /link; sleep 600"
    with running(engine, "sh", "-c", script, volumes=("/test",)) as container:
        execute(engine, container, "sh", "-c", "until [ -L /link ]; do :; done")
        found = exported(engine, container.name)
    assert found["new"] == b"x\n"
    assert "etc/group" not in found
    assert found["link"].linkname == "/new"
    assert "test" in found
    assert not any(name.startswith(("test/", "proc/", "sys/")) for name in found)
    assert sorted(name for name in found if name.startswith("dev/")) == ["dev/console", "dev/pts", "dev/shm"]


def test_export_of_one_that_never_ran_or_has_ended(engine):
    created = engine.containers.create(RunRequest("busybox", ("sh", "-c", "rm /etc/group; echo x >/new")))
    assert "etc/group" in exported(engine, created)
    engine.containers.start(created)
    engine.containers.wait(created)
    found = exported(engine, created)
    assert (found["new"], "etc/group" in found) == (b"x\n", False)
    assert mounts_below(engine.roots.data, engine.roots.run) == []
    with pytest.raises(NoSuchContainer):
        exported(engine, "nosuch")


def test_export_is_what_docker_exports(cli: Cli, busybox: str, docker: Docker, tmp_path: Path) -> None:
    script = "mkdir /d; echo x >/d/x; ln /d/x /d/y; rm -r /home; ln -s x /d/l; mkfifo /d/p; chown 5:6 /d/x; chmod 4711 /d/x"
    cli.ok("run", "--name", "one", "-v", "/vol", busybox, "sh", "-c", script)
    docker("run", "--name", "one", "--network", "none", "-v", "/vol", "base", "sh", "-c", script)
    cli.ok("export", "-o", str(tmp_path / "ours.tar"), "one")
    (tmp_path / "theirs.tar").write_bytes(docker("export", "one"))
    docker("rm", "-v", "one")

    def listed(name: str) -> list[tuple[object, ...]]:
        known = tarfile.open(tmp_path / name).getmembers()
        return sorted((one.name, one.type, oct(one.mode & 0o7777), one.uid, one.gid, one.linkname) for one in known)

    init = (".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf")  # docker makes these 0755
    assert [one for one in listed("ours.tar") if one[0] not in init] == [
        one for one in listed("theirs.tar") if one[0] not in init
    ]


def test_export_into_a_pipe_that_is_closed(cli: Cli, busybox: str) -> None:
    cli.ok("create", "--name", "one", busybox, "true")
    process = subprocess.Popen([*cli.words, "export", "one"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(20) == 128 + 13
    assert os.listdir(Path(cli.words[4], "staging")) == []


# ------------------------------------------------------------------------------------------------------------------ cp


def out(engine, container, inside, outside, **asked):
    asked.setdefault("shown", str(outside))
    return engine.containers.copy_out(CopyRequest(container, inside, str(outside), **asked))


def into(engine, container, outside, inside, **asked):
    return engine.containers.copy_in(CopyRequest(container, inside, str(outside), f"{container}:{inside}", **asked))


def stopped(engine, *script, **asked):
    container = engine.containers.create(RunRequest("busybox", ("sh", "-c", "; ".join(script) or "true"), **asked))
    if script:
        engine.containers.start(container)
        engine.containers.wait(container)
    return container


TO = (
    "f aa:/tmp/new", "f aa:/tmp/", "f aa:/tmp/none/", "f aa:/none/x", "dir aa:/tmp/nd", "dir aa:/tmp/nd", "dir/. aa:/tmp/dd",
    "dir/. aa:/tmp/dd", "dir aa:/tmp/new", "lf aa:/tmp/lf", "-L lf aa:/tmp/lfl", "ldir aa:/tmp/ldir", "ldir/ aa:/tmp/ldir2",
    "f aa:/tmp/f/", "none aa:/tmp", "f none:/x", "f g", "aa:/x aa:/y", "f aa:", "f aa:tmp/relative", "f aa:/tmp/dangling",
    "f aa:/dev", "f aa:/vol/f", "dir aa:/vol", "f aa:/tmp/tolink",
)  # fmt: skip
FROM = (
    "aa:/none here", "aa:/tmp/nd out", "aa:/tmp/nd out", "aa:/tmp/nd/. out2", "aa:/tmp/lf outl", "-L aa:/tmp/lf outl2",
    "aa:/tmp/f out/", "aa:/tmp/f none/", "aa:/tmp/f none/x", "aa:/tmp/nd f", "aa:/tmp/new .", "aa:/vol vol", "aa:/dev/null n",
    "aa:/proc/1/status s", "aa:/etc/mtab mtab", "aa:/etc/mtab/ y", "aa:/usr/.. root", "aa:/tmp/pipe pipe",
)  # fmt: skip


def test_cp_does_what_docker_does(cli: Cli, busybox: str, docker: Docker, tmp_path: Path) -> None:
    """Each word above by both, one after the other: the same status, and in the end the same files on both sides."""
    script = "ln -s /tmp/later /tmp/dangling; ln -s real /tmp/tolink; echo 1 >/tmp/real; mkfifo /tmp/pipe; sleep 600"
    run = ("run", "-d", "--name", "aa", "--network", "none", "-v", "/vol")
    cli.ok(*run, busybox, "sh", "-c", script)
    docker(*run, "base", "sh", "-c", script)
    ready = ("exec", "aa", "sh", "-c", "until [ -p /tmp/pipe ]; do :; done")
    cli.ok(*ready)
    docker(*ready)
    seen = []
    for name, words in (("ours", cli.words), ("theirs", docker.words)):
        place = tmp_path / name
        (place / "dir" / "sub").mkdir(parents=True)
        (place / "f").write_text("hi\n")
        (place / "dir" / "one").write_text("1\n")
        os.chown(place / "f", 1234, 5678)
        os.chmod(place / "dir", 0o711)
        for link, target in (("dir/link", "one"), ("ldir", "dir"), ("lf", "f")):
            os.symlink(target, place / link)
        for path in (place / "f", place / "dir" / "one"):
            os.utime(path, (1_000_000_000, 1_000_000_000))
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        statuses = [
            (text, subprocess.run([*words, "cp", *text.split()], cwd=place, env=environment, capture_output=True).returncode)
            for text in (*TO, *FROM)
        ]
        find = "find {} | sort | xargs stat -c '%n %f %u %g %s'; cat /tmp/later /tmp/real"
        listed = subprocess.run([*words, "exec", "aa", "sh", "-c", find.format("/tmp /vol")], capture_output=True, text=True)
        here = sorted(
            (str(path.relative_to(place)), oct(path.lstat().st_mode), path.lstat().st_uid, path.lstat().st_size)
            for path in place.rglob("*")
            if "root/" not in str(path) and not path.is_dir()
        )
        seen.append((statuses, listed.stdout, here))
    docker("rm", "-f", "-v", "aa")
    assert seen[0][0] == seen[1][0]
    assert without_size_of_directories(seen[0][1]) == without_size_of_directories(seen[1][1])
    assert seen[0][2] == seen[1][2]


def without_size_of_directories(text: str) -> list[str]:
    return [line.rpartition(" ")[0] if " 4" in line else line for line in text.splitlines()]


def test_cp_of_one_that_does_not_run_and_through_its_volumes(engine, tmp_path):
    (tmp_path / "bound").mkdir()
    (tmp_path / "file").write_text("mine")
    container = stopped(engine, "echo x >/vol/in; echo y >/root/out", volumes=("/vol", f"{tmp_path}/bound:/bound"))
    out(engine, container, "/vol/in", tmp_path)
    out(engine, container, "/root/out", tmp_path)
    assert ((tmp_path / "in").read_text(), (tmp_path / "out").read_text()) == ("x\n", "y\n")
    into(engine, container, tmp_path / "file", "/vol/")
    into(engine, container, tmp_path / "file", "/bound/")
    into(engine, container, tmp_path / "file", "/root/new")
    (volume,) = [mount for mount in engine.containers.get(container).config["Mounts"] if mount["kind"] == "volume"]
    assert sorted(os.listdir(volume["source"])) == ["file", "in"]
    assert (tmp_path / "bound" / "file").read_text() == "mine"
    assert [change.path for change in engine.containers.diff(container)] == [
        "/bound",
        "/root",
        "/root/new",
        "/root/out",
        "/vol",
    ]
    assert mounts_below(engine.roots.data, engine.roots.run) == []
    assert os.listdir(engine.roots.staging) == []


def test_cp_into_one_that_never_ran_fills_its_volume_first(engine, tmp_path):
    """Else the volume would not be empty at the start, and what the image has there would never come."""
    (tmp_path / "file").write_text("mine")
    container = stopped(engine, volumes=("/etc/vol", "/bin"))
    into(engine, container, tmp_path / "file", "/bin/")
    engine.containers.start(container)
    assert engine.containers.wait(container) == 0, "its sh is there"


def test_cp_to_the_hosts_own_root(engine):
    container = stopped(engine, "echo x >/new")
    place = f"/tuidock-test-{os.getpid()}"
    try:
        out(engine, container, "/new", place)
        with open(place) as file:
            assert file.read() == "x\n"
    finally:
        os.unlink(place)


def test_cp_writes_to_what_cannot_be_replaced(engine, tmp_path):
    """/etc/hosts is a mount of its own; docker gives up there."""
    (tmp_path / "hosts").write_text("10.0.0.1 pier\n")
    with running(engine) as container:
        into(engine, container.name, tmp_path / "hosts", "/etc/hosts")
        assert execute(engine, container, "cat", "/etc/hosts").out == "10.0.0.1 pier\n"
        assert engine.containers.diff(container.id) == []


def test_cp_respects_what_is_read_only(engine, tmp_path):
    (tmp_path / "file").write_text("mine")
    container = stopped(engine, read_only=True, volumes=("/vol", f"{tmp_path}:/ro:ro"))
    into(engine, container, tmp_path / "file", "/vol/")
    with pytest.raises(Conflict, match="container rootfs is marked read-only"):
        into(engine, container, tmp_path / "file", "/root/")
    with pytest.raises(TuidockError, match="read-only file system"):
        into(engine, container, tmp_path / "file", "/ro/other")
    assert os.listdir(tmp_path) == ["file"]


def test_nothing_that_could_hurt_the_host_comes_out_unasked(engine, tmp_path):
    """A program that is setuid in the container would be root's on the host; a device would be the host's disk."""
    script = "cp /bin/busybox /d/su; chown 7 /d/su; chmod 6755 /d/su; mknod /d/disk b 8 0; mkfifo /d/pipe"
    container = stopped(engine, "mkdir /d", script)
    copied = out(engine, container, "/d", tmp_path / "plain")
    assert copied.skipped == ("plain/disk",)
    assert sorted(os.listdir(tmp_path / "plain")) == ["pipe", "su"]
    found = (tmp_path / "plain" / "su").stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (0, 0o755)
    out(engine, container, "/d", tmp_path / "whole", archive=True)
    found = (tmp_path / "whole" / "su").stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (7, 0o6755)
    assert (tmp_path / "whole" / "disk").is_block_device()


def test_streams_both_ways(cli: Cli, busybox: str, tmp_path: Path) -> None:
    cli.ok("run", "--name", "aa", busybox, "sh", "-c", "mkdir /d; echo 1 >/d/one; ln /d/one /d/two")
    stream = subprocess.run([*cli.words, "cp", "aa:/d", "-"], capture_output=True, check=True, cwd=REPOSITORY).stdout
    assert tarfile.open(fileobj=io.BytesIO(stream)).getnames() == ["d", "d/one", "d/two"]
    cli.ok("cp", "-", "aa:/root", input=stream)
    back = subprocess.run([*cli.words, "cp", "aa:/root/d/.", "-"], capture_output=True, check=True, cwd=REPOSITORY).stdout
    assert tarfile.open(fileobj=io.BytesIO(back)).getnames() == [".", "./one", "./two"]
    for words, given, said in (
        (("-", "aa:/etc/passwd"), stream, 'destination "aa:/etc/passwd" must be a directory'),
        (("-", "aa:/none"), stream, 'destination "aa:/none" must be a directory'),
        (("-", "aa:/root"), stream[:700], "cut off"),
        (("-", "aa:/root"), b"no tar" * 200, "not a tar archive"),
        (("aa:/none", "-"), b"", "Could not find the file /none in container aa"),
    ):
        refused = cli("cp", *words, input=given)
        assert (refused.status, said in refused.err) == (1, True), refused.err
    assert cli("cp", "-", "aa:/root", input=b"").status == 0


def hostile(tmp_path: Path, content: bytes) -> None:
    """What the process says that takes a tar into a directory of the host."""
    place = tmp_path / "place"
    place.mkdir(exist_ok=True)
    asked = {"path": "/", "name": "", "is_dir": True, "shown": "", "container": "", "read_only": False, "stream": False}
    asked |= {"prefix": ".", "trusting": False, "links": False, "task": "receive", "view": host_view(str(place))}
    with Task(asked, [], subprocess.PIPE, subprocess.DEVNULL) as task:
        task.process.stdin.write(content)
        task.process.stdin.close()
        task.finish()


def test_no_archive_of_a_container_leaves_the_directory(tmp_path):
    """moby 2021-41089, 2014-9356: names and links that lead out, and modes of what lies there."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_text("mine")
    os.chmod(victim, 0o700)
    for target in (str(victim), "../victim", "/proc/self/root" + str(victim)):
        with pytest.raises(TuidockError):
            hostile(tmp_path, tar(symlink("d", target), member("d/file", b"theirs")))
        with pytest.raises(TuidockError):
            hostile(tmp_path, tar(symlink("e", target), folder("e", mode=0o777)))
        with pytest.raises(TuidockError):
            hostile(tmp_path, tar(hardlink("h", f"{target}/file")))
    with pytest.raises(TuidockError):
        hostile(tmp_path, tar(member("../victim/file", b"theirs")))
    hostile(tmp_path, tar(symlink("f", str(victim / "file")), member("f", b"theirs")))
    assert (tmp_path / "place" / "f").read_bytes() == b"theirs"
    assert ((victim / "file").read_text(), stat.S_IMODE(victim.stat().st_mode)) == ("mine", 0o700)


def test_a_link_that_comes_and_goes_leads_nowhere_out(engine, tmp_path):
    """moby 2018-15664, podman 2019-10152: the container swaps a directory for a link to the host while files are copied."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "key").write_text("of the host")
    (tmp_path / "key").write_text("evil")
    swap = (
        f"mkdir /a; echo x >/a/key; ln -s {victim} /b; touch /ready; while :; do mv /a /c; mv /b /a; mv /a /b; mv /c /a; done"
    )
    with running(engine, "sh", "-c", swap) as container:
        assert eventually(lambda: os.path.exists(f"{engine.roots.container(container.id).rw}/ready"))
        for number in range(15):
            for act in (
                lambda number=number: out(engine, container.id, "/a/key", tmp_path / f"got{number}"),
                lambda: into(engine, container.id, tmp_path / "key", "/a/key"),
            ):
                try:
                    act()
                except TuidockError:
                    pass
    got = {path.read_text() for path in tmp_path.glob("got*")}
    assert got <= {"x\n", "evil"}
    assert (victim / "key").read_text() == "of the host"


def test_links_of_the_container_are_of_the_container(engine, tmp_path):
    """Absolute ones too, across what is mounted: /vol/link leads to the container's /etc/passwd (GHSA-vp62-88p7-qqf5)."""
    container = stopped(engine, "ln -s /etc/passwd /vol/link; ln -s /etc /vol/dir; echo inside >/etc/group", volumes=("/vol",))
    out(engine, container, "/vol/link", tmp_path / "passwd", follow=True)
    assert (tmp_path / "passwd").read_text() == exported(engine, container)["etc/passwd"].decode()
    out(engine, container, "/vol/dir/group", tmp_path)
    assert (tmp_path / "group").read_text() == "inside\n"


def test_nothing_of_the_container_is_loaded(engine, tmp_path):
    """moby 2019-14271: a container that has modules where the interpreter would look for them."""
    paths = {os.path.dirname(os.__file__), str(REPOSITORY), f"{REPOSITORY}/tuidock/engine"}
    evil = "open('/pwned', 'w').close()"
    lines = []
    for path in sorted(paths):
        lines.append(f"mkdir -p {path}/encodings {path}/importlib")
        for name in ("encodings/__init__", "encodings/idna", "traceback", "copyrules", "shutil", "stat", "linecache", "errno"):
            lines.append(f'echo "{evil}" >{path}/{name}.py')
    container = stopped(engine, *lines)
    (tmp_path / "x").write_text("x")
    into(engine, container, tmp_path / "x", "/root/")
    out(engine, container, os.path.dirname(os.__file__), tmp_path)
    with pytest.raises(TuidockError):
        out(engine, container, "/none", tmp_path)
    assert "/pwned" not in {change.path for change in engine.containers.diff(container)}
    root = tmp_path / "root"
    (root / os.path.dirname(os.__file__)[1:]).mkdir(parents=True)
    (root / os.path.dirname(os.__file__)[1:] / "wave.py").write_text("print('pwned')")
    code = "import sys, tuidock.engine.inside as i; i.TASKS['look'] = lambda asked: __import__('wave'); i.main(sys.argv[1:])"
    asked = dumps({"task": "look", "view": {"rootfs": str(root)}})
    ended = subprocess.run([sys.executable, "-c", code, asked], capture_output=True, text=True, cwd=REPOSITORY)
    assert "No module named 'wave'" in ended.stderr
    assert ended.stdout == ""
