"""Who a process is and what it may: the files that say so, hostile ones too, and what the kernel holds in the end."""

from __future__ import annotations

import os
import stat

import pytest

from tests.engine.running import execute, run, running
from tuidock.errors import RuntimeFailure, TuidockError, UsageError
from tuidock.runtime import identity
from tuidock.runtime.identity import DEFAULT, User, capabilities, resolve_user, user_of

ROOT_FIRST = "root:x:0:0:root:/root:/bin/sh\n"


@pytest.fixture
def files(monkeypatch, tmp_path):
    """Write passwd and group files that stand for the image's."""
    monkeypatch.setattr(identity, "PASSWD", str(tmp_path / "passwd"))
    monkeypatch.setattr(identity, "GROUP", str(tmp_path / "group"))

    def write(passwd: str | bytes = "", group: str | bytes = "") -> None:
        for name, text in (("passwd", passwd), ("group", group)):
            (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    write(
        ROOT_FIRST + "app:x:1000:1001:App:/home/app:/bin/sh\nnoone:x:65534:65534::/:\n",
        "root:x:0:\napp:x:1001:\nwheel:x:10:root,app\naudio:x:29:app\nother:x:30:apple\n",
    )
    write.folder = tmp_path  # type: ignore[attr-defined]
    return write


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("app", User(1000, 1001, (1001, 10, 29), "/home/app")),
        ("1000", User(1000, 1001, (1001, 10, 29), "/home/app")),
        ("0001000", User(1000, 1001, (1001, 10, 29), "/home/app")),
        ("app:audio", User(1000, 29, (29,), "/home/app")),
        ("app:77", User(1000, 77, (77,), "/home/app")),
        ("7", User(7, 0, (0,), "")),
        ("7:8", User(7, 8, (8,), "")),
        ("7:audio", User(7, 29, (29,), "")),
        ("0", User(0, 0, (0, 10), "/root")),
        ("", User(0, 0, (0, 10), "/root")),
        (":audio", User(0, 29, (29,), "/root")),
        ("app:", User(1000, 1001, (1001, 10, 29), "/home/app")),
        ("2147483647", User(2147483647, 0, (0,), "")),
    ],
)
def test_users_as_docker_reads_them(files, text, user):
    assert resolve_user(text) == user


@pytest.mark.parametrize(
    "text",
    [
        "nosuch", "app:nosuch", "-1", "+5", "1000.0", "0x0", " 0", "0 ", "2147483648", "4294967296", "18446744073709551616",
        "0:4294967296", "9" * 5000, "²", "٠", "app:²", "app\n",
    ],
)  # fmt: skip
def test_what_is_no_user_is_refused(files, text):
    """4294967296 would wrap around to root: CVE-2024-40635."""
    with pytest.raises(RuntimeFailure):
        resolve_user(text)


def test_digits_are_a_number_whatever_name_somebody_has(files):
    """Else an image's author gives root to `-u 1000`."""
    files("1000:x:0:0::/root:\n" + ROOT_FIRST, "1000:x:0:\n")
    assert resolve_user("1000") == User(1000, 0, (0,), "")
    assert resolve_user("5:1000") == User(5, 1000, (1000,), "")


@pytest.mark.parametrize("number", ["4294967296", "2147483648", "-1", "", "²", "0x0", "9" * 5000])
def test_a_number_in_the_files_that_is_none_makes_nobody_root(files, number):
    files(f"evil:x:{number}:5::/:\nworse:x:5:{number}::/:\n", f"g:x:{number}:\n")
    for text in ("evil", "worse", "0:g"):
        with pytest.raises(RuntimeFailure):
            resolve_user(text)


def test_a_full_name_adds_no_line(files):
    """A user of the container may set his own: what str.splitlines() takes for a line's end is none here."""
    for separator in ("\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\r"):
        files(f"app:x:1000:1000:A{separator}b:x:0:0::/root::/home/app:/bin/sh\n" + ROOT_FIRST)
        with pytest.raises(RuntimeFailure):
            resolve_user("b")
        assert resolve_user("app").uid == 1000


def test_short_and_odd_lines(files):
    files("\n# a comment\nx\nshort:x:1:2\r\nsame:x:3:3::/first:\nsame:x:4:4::/second:\n", "g:x:5\nh:x:6:short")
    assert resolve_user("short") == User(1, 2, (2, 6), "")
    assert resolve_user("same:g") == User(3, 5, (5,), "/first")
    for text in ("x", "#", "# a comment"):
        with pytest.raises(RuntimeFailure):
            resolve_user(text)


def test_names_that_are_no_utf8_are_not_taken_for_each_other(files):
    files(b"\xff:x:1:1::/:\n\xfe:x:2:2::/:\n")
    assert resolve_user(os.fsdecode(b"\xfe")).uid == 2
    with pytest.raises(RuntimeFailure):
        resolve_user("\ufffd")


def test_a_file_without_end_or_too_large_holds_nothing_up(files):
    folder = files.folder
    for make in (
        lambda path: os.symlink("/dev/zero", path),
        lambda path: os.mkfifo(path),
        lambda path: os.mkdir(path),
        lambda path: os.symlink("/proc/self/mem", path),
        lambda path: os.symlink("passwd", path),
    ):
        (folder / "passwd").unlink()
        make(folder / "passwd")
        assert resolve_user("7") == User(7, 0, (0,), "")
        with pytest.raises(RuntimeFailure):
            resolve_user("app")
        if stat.S_ISDIR(os.lstat(folder / "passwd").st_mode):
            (folder / "passwd").rmdir()
        else:
            (folder / "passwd").unlink()
        (folder / "passwd").touch()


def test_a_file_is_not_read_in_part(files):
    """A line cut off at the limit would be another user."""
    line = "app:x:1000:1000::/:\n"
    files("#" * (identity.LARGEST_FILE - len("app:x:10") - 1) + "\n" + line)
    with pytest.raises(RuntimeFailure):
        resolve_user("app")
    assert resolve_user("1000") == User(1000, 0, (0,), "")


def test_numbers_of_a_bundle_have_the_same_limit(files):
    assert user_of({"uid": 5, "gid": 6, "additionalGids": [7, 6]}) == User(5, 6, (7, 6), "")
    for wanted in ({"uid": 1 << 32, "gid": 0}, {"uid": 1, "gid": -1}, {"uid": 1, "additionalGids": [1 << 31]}):
        with pytest.raises(RuntimeFailure):
            user_of(wanted)


# -------------------------------------------------------------------------------------------------------- capabilities


def named(*names: str) -> set[str]:
    return {f"CAP_{name}" for name in names}


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        ((), (), named(*DEFAULT)),
        (("NET_ADMIN",), (), named(*DEFAULT, "NET_ADMIN")),
        (("cap_net_admin",), ("Cap_Chown",), named(*DEFAULT, "NET_ADMIN") - named("CHOWN")),
        (("CHOWN",), ("ALL",), named("CHOWN")),
        ((), ("all",), set()),
        (("CHOWN",), ("CHOWN",), named(*DEFAULT)),
    ],
)
def test_added_and_dropped(add, drop, expected):
    assert set(capabilities(add, drop, privileged=False)) == expected


def test_all_added_but_one():
    """All are those that this process may have: with more of them no container would start."""
    everything = capabilities((), (), privileged=True)
    with open("/proc/self/status") as file:
        assert len(everything) == held(file.read())["Bnd"].bit_count()
    assert set(capabilities(("ALL",), ("SYS_ADMIN",), privileged=False)) == set(everything) - {"CAP_SYS_ADMIN"}


def test_one_that_cannot_be_had_is_named(monkeypatch):
    monkeypatch.setattr(identity, "to_be_had", lambda: ["CHOWN", "KILL"])
    assert capabilities(("ALL",), (), privileged=False) == capabilities((), (), privileged=True) == ["CAP_CHOWN", "CAP_KILL"]
    assert capabilities((), (), privileged=False) == ["CAP_CHOWN", "CAP_KILL"]
    with pytest.raises(UsageError, match="CAP_NET_ADMIN is not supported by the kernel or not available"):
        capabilities(("NET_ADMIN",), (), privileged=False)


def test_no_such_capability():
    with pytest.raises(UsageError, match='invalid capability: "CAP_FLY"'):
        capabilities(("CAP_FLY",), (), privileged=False)


FOURTEEN = sum(1 << identity.CAPABILITIES.index(name) for name in DEFAULT)


def held(status: str) -> dict[str, int]:
    return {line[3:6]: int(line.split()[1], 16) for line in status.splitlines() if line.startswith("Cap")}


STATUS = ("cat", "/proc/self/status")


def test_the_kernel_holds_dockers_fourteen_and_none_to_inherit(engine, busybox):
    """Inheritable ones would let a binary with file capabilities give them to who is not root: CVE-2022-24769."""
    expected = {"Inh": 0, "Prm": FOURTEEN, "Eff": FOURTEEN, "Bnd": FOURTEEN, "Amb": 0}
    assert held(run(engine, *STATUS).out) == expected
    with running(engine) as container:
        assert held(execute(engine, container, *STATUS).out) == expected
        assert held(execute(engine, container, *STATUS, user="1000").out) == {**expected, "Prm": 0, "Eff": 0}
    assert held(run(engine, *STATUS, user="1000").out) == {**expected, "Prm": 0, "Eff": 0}


def test_the_kernel_holds_what_was_asked(engine, busybox):
    mine = held(open("/proc/self/status").read())["Bnd"]
    for asked, expected in (
        ({"cap_drop": ("ALL",)}, 0),
        ({"cap_drop": ("ALL",), "cap_add": ("NET_ADMIN",)}, 1 << 12),
        ({"privileged": True}, mine),
        ({"cap_add": ("ALL",), "cap_drop": ("CHOWN",)}, mine & ~1),
    ):
        assert held(run(engine, *STATUS, **asked).out) == {
            "Inh": 0, "Prm": expected, "Eff": expected, "Bnd": expected, "Amb": 0
        }  # fmt: skip


def test_no_new_privileges(engine, busybox):
    def flag(**asked: object) -> str:
        return run(engine, "grep", "NoNewPrivs", "/proc/self/status", **asked).out.split()[1]

    assert flag() == "0"
    assert flag(security_opt=("no-new-privileges",)) == "1"
    assert flag(security_opt=("no-new-privileges",), privileged=True) == "1"


# ----------------------------------------------------------------------------------------------------- in a container


def test_groups_of_a_member_and_the_image_decides(engine, busybox, tmp_path):
    (tmp_path / "passwd").write_text(ROOT_FIRST + "app:x:1000:1001::/home/app:/bin/sh\n")
    (tmp_path / "group").write_text("app:x:1001:\naudio:x:29:app\n")
    files = (f"{tmp_path}/passwd:/etc/passwd:ro", f"{tmp_path}/group:/etc/group:ro")
    said = run(engine, "sh", "-c", "grep -E '^(Uid|Gid|Groups)' /proc/self/status; echo $HOME", user="app", volumes=files).out
    assert said.split() == ["Uid:", *["1000"] * 4, "Gid:", *["1001"] * 4, "Groups:", "29", "1001", "/home/app"]


def test_the_primary_group_holds_back_too(engine, busybox):
    """A file that its own group may not read: CVE-2022-36109 let those pass who had the group as gid alone, by setgid(2)."""
    program = "echo secret >/x; chown 0:1000 /x; chmod 604 /x; exec sleep 100"
    with running(engine, "sh", "-c", program) as container:
        assert execute(engine, container, "id", "-G", user="1000:1000").out.split() == ["1000"]
        assert "Permission denied" in execute(engine, container, "cat", "/x", user="1000:1000").err
        assert execute(engine, container, "cat", "/x", user="1001:1001").out == "secret\n"


@pytest.mark.parametrize("target", ["/dev/zero", "/proc/kmsg", "/proc/1/mem"])
def test_a_passwd_file_that_is_something_else(engine, busybox, target):
    with running(engine) as container:
        execute(engine, container, "ln", "-sf", target, "/etc/passwd")
        assert execute(engine, container, "grep", "^Uid", "/proc/self/status", user="7").out.split()[1] == "7"
        with pytest.raises(TuidockError, match="unable to find user nobody"):
            execute(engine, container, "true", user="nobody")


def test_limits_hold_and_an_unknown_one_is_named():
    """In a child, since they cannot be taken back."""
    import resource

    child = os.fork()
    if child == 0:
        try:
            identity.limit({"rlimits": [{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 128}], "oomScoreAdj": 500})
            with open("/proc/self/oom_score_adj") as file:
                good = resource.getrlimit(resource.RLIMIT_NOFILE) == (64, 128) and file.read() == "500\n"
            os._exit(0 if good else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with pytest.raises(RuntimeFailure, match="no such rlimit: RLIMIT_LUCK"):
        identity.limit({"rlimits": [{"type": "RLIMIT_LUCK", "soft": 1, "hard": 1}]})
