"""`import -c`: every instruction, with the answers that a Docker 20.10 gave to the same text."""

from __future__ import annotations

import io
import json
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dockerd import Docker
from tests.image.tars import member, tar
from tuidock.engine import Engine
from tuidock.errors import Refused, UsageError
from tuidock.image import config
from tuidock.image.config import changed, duration, exposed
from tuidock.image.words import expand

SHELL = ["/bin/sh", "-c"]
PORTS = ("53/udp", "80/tcp", "8000/tcp", "8001/tcp", "8002/tcp")
CHANGES: dict[str, dict[str, Any]] = {
    "CMD echo hi": {"Cmd": [*SHELL, "echo hi"]},
    'CMD ["a","b"]': {"Cmd": ["a", "b"]},
    "CMD ['a']": {"Cmd": [*SHELL, "['a']"]},
    "CMD": {"Cmd": SHELL},
    "cmd $A": {"Cmd": [*SHELL, "$A"]},
    "CMD x\nCMD y": {"Cmd": [*SHELL, "y"]},
    'ENTRYPOINT ["/x"]': {"Entrypoint": ["/x"]},
    "ENTRYPOINT /x y": {"Entrypoint": [*SHELL, "/x y"]},
    "ENTRYPOINT []": {},
    "ENTRYPOINT": {},
    "ENTRYPOINT a\nCMD b": {"Entrypoint": [*SHELL, "a"], "Cmd": [*SHELL, "b"]},
    "CMD b\nENTRYPOINT a": {"Entrypoint": [*SHELL, "a"], "Cmd": [*SHELL, "b"]},
    'ENV A=1 B="two words" C=$A': {"Env": ["A=1", "B=two words", "C="]},
    "ENV A 1 2": {"Env": ["A=1 2"]},
    "ENV PATH=/x:$PATH": {"Env": ["PATH=/x:"]},
    "ENV A=1\nENV B=$A": {"Env": ["A=1", "B=1"]},
    "ENV A=1 B=2\nENV A=3": {"Env": ["A=3", "B=2"]},
    "ENV A=\\$B": {"Env": ["A=$B"]},
    "ENV A='$B'": {"Env": ["A=$B"]},
    "ENV A=${B:-x} B=${B:+y}": {"Env": ["A=x", "B="]},
    "EXPOSE 80 53/udp 8000-8002": {"ExposedPorts": {port: {} for port in PORTS}},
    "EXPOSE 80/TCP": {"ExposedPorts": {"80/tcp": {}}},
    "EXPOSE 127.0.0.1:80:90": {"ExposedPorts": {"90/tcp": {}}},
    "LABEL a=b \"c d\"='e f'": {"Labels": {"a": "b", "c d": "e f"}},
    "LABEL a=1\nLABEL a=2 b=": {"Labels": {"a": "2", "b": ""}},
    "ONBUILD RUN x": {"OnBuild": ["RUN x"]},
    "ONBUILD RUN x\nONBUILD COPY a b": {"OnBuild": ["RUN x", "COPY a b"]},
    "USER 1000:1000": {"User": "1000:1000"},
    "USER $A": {},
    "ENV A=me\nUSER ${A}": {"Env": ["A=me"], "User": "me"},
    "VOLUME /a /b": {"Volumes": {"/a": {}, "/b": {}}},
    'VOLUME ["/a","/b c"]': {"Volumes": {"/a": {}, "/b c": {}}},
    "WORKDIR x": {"WorkingDir": "/x"},
    "WORKDIR /a\nWORKDIR b": {"WorkingDir": "/a/b"},
    "HEALTHCHECK NONE": {"Healthcheck": {"Test": ["NONE"]}},
    'HEALTHCHECK CMD ["x"]': {"Healthcheck": {"Test": ["CMD", "x"]}},
    "HEALTHCHECK --interval=5s --timeout=1m --retries=2 --start-period=1.5h CMD test -e /x": {
        "Healthcheck": {
            "Test": ["CMD-SHELL", "test -e /x"],
            "Interval": 5_000_000_000,
            "Timeout": 60_000_000_000,
            "StartPeriod": 5_400_000_000_000,
            "Retries": 2,
        }
    },
}
WRONG = (
    "EXPOSE x", "EXPOSE 70000", "EXPOSE 1-0", "EXPOSE", "LABEL a", "ENV =x", "ENV", "USER", 'WORKDIR ""', 'VOLUME ""',
    "VOLUME []", "VOLUME", 'CMD ["a", 1]', "ONBUILD", "ONBUILD ONBUILD RUN x", "ONBUILD FROM x", "ONBUILD MAINTAINER me",
    "HEALTHCHECK", "HEALTHCHECK FOO x", "HEALTHCHECK CMD", "HEALTHCHECK NONE x", "HEALTHCHECK --retries=-1 CMD x",
    "HEALTHCHECK --retries=0 CMD x", "EXPOSE ²", "EXPOSE " + "1" * 5000,
    "HEALTHCHECK --foo=1 CMD x", "HEALTHCHECK --interval=1us CMD x", "RUN x", "FROM x", "COPY a b", "ADD a b", "ARG a=b",
    'SHELL ["/bin/bash","-c"]', "MAINTAINER me", "FOO x", "HEALTHCHECK Å", "# only a comment", "", " ",
)  # fmt: skip


def compact(inner: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in inner.items() if value not in (None, "")}


@pytest.mark.parametrize("change", CHANGES)
def test_changes(change: str) -> None:
    before = {"Env": None}
    assert compact(changed(before, [change])) == CHANGES[change]
    assert before == {"Env": None}, "the config that was handed in stays"


@pytest.mark.parametrize("change", WRONG)
def test_what_is_no_change(change: str) -> None:
    with pytest.raises(UsageError):
        changed({}, [change])


@pytest.mark.root
def test_docker_says_the_same(docker: Docker) -> None:
    """The two tables above, asked of the Docker that is installed."""
    rootfs = tar(member("x"))
    for change in (*CHANGES, *WRONG):
        words = [*docker.words, "import", "-c", change, "-"]
        asked = subprocess.run(words, input=rootfs, capture_output=True, timeout=60)
        if change in WRONG:
            assert asked.returncode == 1, change
            continue
        assert asked.returncode == 0, (change, asked.stderr)
        image = asked.stdout.decode().strip()
        assert compact(json.loads(docker("inspect", "-f", "{{json .Config}}", image))) == CHANGES[change], change
        docker("rmi", image)


def test_several_changes_follow_each_other() -> None:
    inner = changed({"Cmd": ["old"], "Labels": {"a": "1"}}, ["ENV A=/srv", "WORKDIR $A", 'ENTRYPOINT ["x"]', "LABEL b=$A"])
    assert compact(inner) == {
        "Env": ["A=/srv"], "WorkingDir": "/srv", "Entrypoint": ["x"], "Labels": {"a": "1", "b": "/srv"},
    }  # fmt: skip
    assert changed({"Cmd": ["old"]}, ["CMD new", "ENTRYPOINT x"])["Cmd"] == [*SHELL, "new"]


def test_the_signal_to_stop_with() -> None:
    """Docker has it for commit only; we for both."""
    assert changed({}, ["STOPSIGNAL SIGQUIT"]) == {"StopSignal": "SIGQUIT"}
    for word in ("FOO", "²", "9" * 5000, "RTMIN+²"):
        with pytest.raises(UsageError, match="invalid signal"):
            changed({}, [f"STOPSIGNAL {word}"])


def test_an_image_with_changes(engine: Engine) -> None:
    """All of them at once, as inspect shows them; a wrong one leaves no image."""
    changes = [change for change in CHANGES if "ENTRYPOINT" not in change]
    engine.images.import_(io.BytesIO(tar(member("x"))), "a", changes)
    shown = engine.images.inspect("a")["Config"]
    assert shown["ExposedPorts"].keys() == {*PORTS, "90/tcp"}
    assert shown["Volumes"].keys() == {"/a", "/b", "/b c"}
    assert shown["Healthcheck"]["Retries"] == 2
    for change in WRONG:
        with pytest.raises((UsageError, Refused)):
            engine.images.import_(io.BytesIO(tar(member("x"))), "b", [change])
    assert [one.repository for one in engine.images.list()] == ["a"]


def test_ports_and_durations() -> None:
    assert exposed("5-7/sctp") == ["5/sctp", "6/sctp", "7/sctp"]
    assert (duration("1h1m1s1ms"), duration("0s"), duration(".5s")) == (3_661_001_000_000, 0, 500_000_000)
    for text in ("", "5", "s", "1d", "-1s", "1us", "1.2.3s", "１s"):
        with pytest.raises(UsageError):
            duration(text)


@given(st.text(st.characters(codec="utf-8"), max_size=30), st.sampled_from([*config.CHANGES, "RUN", ""]))
def test_no_text_is_a_bug(text: str, name: str) -> None:
    try:
        changed({}, [f"{name} {text}"])
    except UsageError:
        pass


@given(st.text("ab$\\{}:-+?'\" ", max_size=20))
def test_no_word_is_a_bug(word: str) -> None:
    try:
        assert isinstance(expand(word, {"a": "1", "b": ""}), str)
    except UsageError:
        pass


@pytest.mark.parametrize(
    ("word", "expanded"),
    [
        ("$a", "1"), ("${a}x", "1x"), ("$ab", ""), ("'$a'", "$a"), ('"$a"', "1"), ("\\$a", "$a"), ('"\\$a"', "$a"),
        ("${c:-d}", "d"), ("${b-d}", ""), ("${b:-d}", "d"), ("${a:+d}", "d"), ("${b:+d}", ""), ("${c:-$a}", "1"),
        ("a'b'\"c\"d", "abcd"), ("$", "$"), ("a$", "a$"), ("${c:-${d:-e}}", "e"),
    ],
)  # fmt: skip
def test_variables(word: str, expanded: str) -> None:
    assert expand(word, {"a": "1", "b": ""}) == expanded


@pytest.mark.parametrize("word", ["'", '"', "${", "${a", "${}", "${a*b}", "${c:?}", "${a:"])
def test_words_that_do_not_end(word: str) -> None:
    with pytest.raises(UsageError):
        expand(word, {"a": "1"})
