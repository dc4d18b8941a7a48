"""Logs that are rotated, of every driver, read while they grow."""

from __future__ import annotations

import json
import os
import threading

import pytest

from tests.dockerd import Docker
from tests.engine.running import running
from tests.machine import Cli, eventually
from tuidock.engine import logdriver
from tuidock.engine.requests import LogRequest, RunRequest
from tuidock.errors import UsageError
from tuidock.runtime import jsonlog, log

COUNT = 3000
WRITES = (
    "sh",
    "-c",
    f"i=0; while [ $i -lt {COUNT} ]; do echo line $i; i=$((i+1)); [ $((i%100)) = 0 ] && sleep 0.01; done; sleep 600",
)
DRIVERS = ("local", "json-file")


@pytest.mark.parametrize(
    ("driver", "words", "said"),
    [
        ("journald", (), "log driver journald is not there"),
        ("nosuch", (), "logger: no log driver named 'nosuch' is registered"),
        ("none", ("max-size=1m",), "invalid logging opts for driver none"),
        ("json-file", ("x=1",), "unknown log opt 'x' for json-file log driver"),
        ("local", ("max-file=0",), "max-file cannot be less than 1"),
        ("local", ("max-size=x",), "invalid size: 'x'"),
    ],
)
def test_what_is_refused(driver, words, said):
    with pytest.raises(UsageError) as caught:
        logdriver.options(driver, words)
    assert caught.value.message == said


def test_sizes_are_decimal():
    assert logdriver.limits("json-file", {"max-size": "10m", "max-file": "3"}) == (10_000_000, 3)
    assert logdriver.limits("", {}) == (20_000_000, 5)


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_full_file_makes_room_and_the_oldest_goes(tmp_path, driver):
    path = str(tmp_path / "log")
    writer = log.writer(path, driver, max_size=1000, max_files=3)
    for number in range(200):
        writer.write(number * 1_000_000_000, log.STDOUT, f"line {number}\n".encode())
    writer.close()
    assert sorted(os.listdir(tmp_path)) == ["log", "log.1", "log.2"]
    assert all(os.stat(tmp_path / name).st_size < 1100 for name in os.listdir(tmp_path))


def test_one_file_begins_anew(tmp_path):
    writer = log.writer(str(tmp_path / "log"), "local", max_size=100, max_files=1)
    for number in range(50):
        writer.write(0, log.STDOUT, f"line {number}\n".encode())
    writer.close()
    assert os.listdir(tmp_path) == ["log"]
    assert os.stat(tmp_path / "log").st_size < 150


@pytest.mark.parametrize("year", [1970, 1999, 2000, 2024, 2026, 2100])
def test_times_of_json_come_back(tmp_path, year):
    at = ((year - 1970) * 365 * 86400 + 59 * 86400 + 3661) * 1_000_000_000 + 120_000_003
    writer = jsonlog.JsonWriter(str(tmp_path / "log"))
    writer.write(at, log.STDERR, b"a\nb")
    writer.close()
    assert list(jsonlog.JsonReader(str(tmp_path / "log")).frames()) == [(at, log.STDERR, b"a\n"), (at, log.STDERR, b"b")]


@pytest.mark.usefixtures("busybox")
class TestOnRealContainers:
    @pytest.mark.parametrize("driver", DRIVERS)
    def test_who_follows_loses_nothing_over_rotations(self, engine, driver):
        """moby#32038."""
        got: list[bytes] = []
        with running(engine, *WRITES, log_driver=driver, log_opts=("max-size=4k", "max-file=60")) as container:

            def follow() -> None:
                from tuidock.engine import Engine

                for line in Engine(engine.roots).containers.logs(LogRequest(container.id, follow=True)):
                    got.append(line.text)

            following = threading.Thread(target=follow)
            following.start()
            wanted = [f"line {number}".encode() for number in range(COUNT)]
            assert eventually(lambda: got == wanted, 30), "while it runs on"
            engine.containers.kill(container.id)
            following.join(10)
            assert not following.is_alive()
            assert got == wanted
            assert os.path.exists(f"{engine.roots.container(container.id).log}.2"), "it was rotated"
            assert [line.text for line in engine.containers.logs(LogRequest(container.id))] == wanted
            for count in (0, 1, 5, 500, COUNT):
                assert [line.text for line in engine.containers.logs(LogRequest(container.id, tail=count))] == wanted[-count:][
                    : count or 0
                ]

    def test_json_is_what_other_programs_read(self, engine):
        program = "printf 'a\\n\\377b\\nrest'; sleep 0.1; echo e >&2"
        with running(engine, "sh", "-c", program, log_driver="json-file") as container:
            engine.containers.wait(container.id)
            with open(engine.containers.inspect(container.id)["LogPath"]) as file:
                lines = [json.loads(line) for line in file]
            assert {(line["log"], line["stream"]) for line in lines} == {
                ("a\n", "stdout"), ("\ufffdb\n", "stdout"), ("rest", "stdout"), ("e\n", "stderr"),
            }  # fmt: skip
            assert all(line["time"].endswith("Z") for line in lines)
            assert engine.containers.inspect(container.id)["HostConfig"]["LogConfig"] == {"Type": "json-file", "Config": {}}

    def test_none_keeps_nothing(self, engine):
        with running(engine, "echo", "x", log_driver="none") as container:
            engine.containers.wait(container.id)
            assert not os.path.exists(engine.roots.container(container.id).log)
            with pytest.raises(UsageError, match="configured logging driver does not support reading"):
                list(engine.containers.logs(LogRequest(container.id)))

    def test_a_log_goes_on_at_the_next_start(self, engine):
        with running(engine, "echo", "x") as container:
            engine.containers.wait(container.id)
            engine.containers.start(container.id)
            engine.containers.wait(container.id)
            assert eventually(lambda: [line.text for line in engine.containers.logs(LogRequest(container.id))] == [b"x", b"x"])

    def test_a_wrong_option_leaves_nothing(self, engine):
        with pytest.raises(UsageError):
            engine.containers.create(RunRequest("busybox", ("true",), log_opts=("x=1",)))
        assert os.listdir(engine.roots.containers) == []


def test_logs_as_docker_tells_them(cli: Cli, busybox: str, docker: Docker) -> None:
    program = "echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three"
    options = ("--log-driver", "json-file", "--log-opt", "labels=l,m", "--log-opt", "env=E", "-l", "l=v w", "-e", "E=1")
    for engine, image in ((cli, busybox), (docker.run, "base")):
        assert engine("run", "--name", "aa", "--net", "none", *options, image, "sh", "-c", program).status == 0
        assert engine("run", "--name", "nn", "--net", "none", "--log-driver", "none", image, "true").status == 0
    for words in (
        ("aa",), ("--details", "aa"), ("-n", "1", "aa"), ("-n", "0", "aa"), ("--tail", "all", "aa"), ("--since", "1h", "aa"),
        ("--until", "1h", "aa"), ("-f", "aa"), ("nn",), ("-f", "--tail", "2", "aa"),
    ):  # fmt: skip
        ours, theirs = cli("logs", *words), docker.run("logs", *words)
        assert (ours.status, ours.out) == (theirs.status, theirs.out), words
        assert ours.err == theirs.err or ours.status, words
    for words in (
        ("--log-driver", "nosuch"),
        ("--log-opt", "x=y", "--log-driver", "json-file"),
        ("--log-driver", "none", "--log-opt", "a=b"),
    ):
        statuses = [
            engine("run", "--net", "none", *words, image, "true").status
            for engine, image in ((cli, busybox), (docker.run, "base"))
        ]
        assert statuses == [125, 125], words
    for engine in (cli, docker.run):
        engine("rm", "aa", "nn")
