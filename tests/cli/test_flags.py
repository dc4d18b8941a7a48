"""Words to options: docker's ways of writing them, and what is said to the others."""

from __future__ import annotations

import pytest

from tuidock.cli import commands, help
from tuidock.cli.flags import Command, HelpAsked, Words, WrongArguments, WrongFlag, count, parse
from tuidock.cli.main import main
from tuidock.cli.run import COMMANDS, detach_keys, request
from tuidock.engine.options import CREATE, EXEC, LOGS, RUN, RUN_LATER
from tuidock.engine.requests import ExecRequest, LogRequest, RunRequest
from tuidock.errors import UsageError

RUN_COMMAND: Command = COMMANDS["run"]


def run(*words: str) -> Words:
    return parse(RUN_COMMAND, words)


@pytest.mark.parametrize(
    "words",
    [
        ("-e", "A=b"),
        ("-eA=b",),
        ("-e=A=b",),
        ("--env", "A=b"),
        ("--env=A=b",),
    ],
)
def test_every_way_to_write_a_value(words: tuple[str, ...]) -> None:
    assert run(*words, "image").many("env") == ("A=b",)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("-it",), (True, True)),
        (("-i", "-t"), (True, True)),
        (("-ti=false",), (False, True)),
        (("--interactive=true", "--tty=0"), (True, False)),
        (("--interactive", "--interactive=false"), (False, False)),
        ((), (False, False)),
    ],
)
def test_switches(words: tuple[str, ...], expected: tuple[bool, bool]) -> None:
    parsed = run(*words, "image")
    assert (parsed.flag("interactive"), parsed.flag("tty")) == expected
    assert parsed.arguments == ["image"]


def test_letters_may_end_with_one_that_takes_a_value() -> None:
    parsed = run("-ite", "A=b", "-dv/x:/y", "image")
    assert parsed.many("env") == ("A=b",)
    assert parsed.many("volume") == ("/x:/y",)
    assert parsed.flag("detach")


def test_options_stop_at_the_image() -> None:
    assert run("--rm", "image", "ls", "-l", "--all").arguments == ["image", "ls", "-l", "--all"]
    assert run("--", "--rm").arguments == ["--rm"]
    assert run("image", "--", "x").arguments == ["image", "--", "x"]


def test_elsewhere_options_may_follow_arguments() -> None:
    from tuidock.cli.container import COMMANDS as container

    parsed = parse(container["rm"], ["a", "-f", "b", "--", "-v"])
    assert parsed.arguments == ["a", "b", "-v"]
    assert parsed.flag("force")
    assert not parsed.flag("volumes")


def test_net_is_network() -> None:
    assert run("--net", "host", "image").many("network") == ("host",)
    assert run("--net=host", "image").many("network") == ("host",)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64m", 64 << 20), ("1g", 1 << 30), ("1.5g", 3 << 29), ("1024", 1024), ("10b", 10), ("1k", 1024), ("1KB", 1024),
        ("1KiB", 1024), ("2 m", 2 << 20), ("1t", 1 << 40), (".5k", 512),
    ],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert run("-m", text, "image")["memory"] == size


REFUSALS = [
    (("-m", "x"), """invalid argument "x" for "-m, --memory" flag: invalid size: 'x'"""),
    (("--memory=5x",), """invalid argument "5x" for "-m, --memory" flag: invalid suffix: 'x'"""),
    (("--memory=-5m",), """invalid argument "-5m" for "-m, --memory" flag: invalid size: '-5m'"""),
    (("--shm-size", "x"), """invalid argument "x" for "--shm-size" flag: invalid size: 'x'"""),
    (
        ("-i=foo",),
        'invalid argument "foo" for "-i, --interactive" flag: strconv.ParseBool: parsing "foo": invalid syntax',
    ),
    (("--cpus", "abc"), 'invalid argument "abc" for "--cpus" flag: failed to parse abc as a rational number'),
    (("--cpus", "0.0000000001"), 'invalid argument "0.0000000001" for "--cpus" flag: value is too precise'),
    (
        ("--pids-limit", "x"),
        'invalid argument "x" for "--pids-limit" flag: strconv.ParseInt: parsing "x": invalid syntax',
    ),
    (
        ("--stop-timeout", "99999999999999999999"),
        'invalid argument "99999999999999999999" for "--stop-timeout" flag:'
        ' strconv.ParseInt: parsing "99999999999999999999": value out of range',
    ),
    (("-a", "bad"), 'invalid argument "bad" for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR'),
    (("-e", ""), 'invalid argument "" for "-e, --env" flag: invalid environment variable: '),
    (("--name",), "flag needs an argument: --name"),
    (("-e",), "flag needs an argument: 'e' in -e"),
    (("-ie",), "flag needs an argument: 'e' in -e"),
    (("--bad",), "unknown flag: --bad"),
    (("-x",), "unknown shorthand flag: 'x' in -x"),
    (("-ixt",), "unknown shorthand flag: 'x' in -xt"),
    (("---rm",), "bad flag syntax: ---rm"),
    (("--=x",), "bad flag syntax: --=x"),
]
"""docker 28.2.2's own words."""


@pytest.mark.parametrize(("words", "message"), REFUSALS)
def test_refusals_are_dockers(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(WrongFlag) as refused:
        run(*words)
    assert refused.value.message == message
    assert refused.value.exit_status == 125


def test_a_slip_of_the_pen_gets_a_hint() -> None:
    with pytest.raises(WrongFlag) as refused:
        run("--memry", "1g", "image")
    assert refused.value.hint == "Did you mean --memory?"


@pytest.mark.parametrize("words", [("--gpus", "all"), ("--isolation=process",)])
def test_what_comes_later_is_named(words: tuple[str, ...]) -> None:
    with pytest.raises(WrongFlag, match="is not there yet"):
        run(*words, "image")


def test_nothing_that_is_there_is_said_to_come_later() -> None:
    assert not {option.name for option in RUN} & set(RUN_LATER.split())


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_may_stand_anywhere_among_the_options(word: str) -> None:
    from tuidock.cli.ps import COMMANDS as listing

    with pytest.raises(HelpAsked):
        parse(listing["ps"], ["-a", word])


@pytest.mark.parametrize(
    ("path", "given", "message"),
    [
        ("rename", ["a"], "'tuidock rename' requires 2 arguments"),
        ("ps", ["x"], "'tuidock ps' accepts no arguments"),
        ("rm", [], "'tuidock rm' requires at least 1 argument"),
        ("images", ["a", "b"], "'tuidock images' requires at most 1 argument"),
        ("exec", ["a"], "'tuidock exec' requires at least 2 arguments"),
    ],
)
def test_how_many_arguments(path: str, given: list[str], message: str) -> None:
    module = __import__(f"tuidock.cli.{commands.COMMANDS[path][0]}", fromlist=["COMMANDS"])
    words = parse(module.COMMANDS[path], given)
    words.path = path
    with pytest.raises(WrongArguments) as refused:
        count(module.COMMANDS[path], words)
    assert refused.value.message == message
    assert refused.value.exit_status == 1


# the request


def test_options_become_the_request() -> None:
    asked = request(
        run(
            "--name", "n", "--rm", "-it", "-w", "/w", "-u", "1:2", "-h", "host", "--cpus", "1.5", "-m", "1g", "--init",
            "--read-only", "--tmpfs", "/t", "-v", "/a:/b", "-v", "/c", "--cap-add", "ALL", "--cap-drop", "CHOWN",
            "--stop-timeout", "0", "--pids-limit", "-1", "--entrypoint", "e", "-l", "k", "-l", "a=b", "image", "c", "-d",
        )
    )  # fmt: skip
    assert asked == RunRequest(
        "image", ("c", "-d"), name="n", remove=True, interactive=True, tty=True, workdir="/w", user="1:2", hostname="host",
        cpus=1.5, memory=1 << 30, init=True, read_only=True, tmpfs=("/t",), volumes=("/a:/b", "/c"), cap_add=("ALL",),
        cap_drop=("CHOWN",), stop_timeout=0, pids_limit=-1, entrypoint=("e",), labels=("k=", "a=b"),
    )  # fmt: skip


def test_nothing_given_is_the_requests_own_defaults() -> None:
    assert request(run("image")) == RunRequest("image")
    assert request(run("--entrypoint", "", "image")).entrypoint == ()


@pytest.mark.parametrize(("options", "value"), [(CREATE, RunRequest), (EXEC, ExecRequest), (LOGS, LogRequest)])
def test_every_field_that_an_option_fills_is_there(options: tuple[object, ...], value: type[RunRequest]) -> None:
    fields = {option.field for option in options if option.field}  # type: ignore[attr-defined]
    assert fields <= set(value._fields) | {"detach"}


def test_the_environment(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """File order, then -e; no quotes and no `$` are read in a file; NAME alone is the caller's."""
    file = f"{tmp_path}/env"
    with open(file, "w") as out:
        out.write('\ufeff# comment\n\n  A=1\nB="q $HOME" \nMINE\nNONE\nC=\n')
    monkeypatch.setenv("MINE", "m")
    monkeypatch.delenv("NONE", raising=False)
    asked = request(run("-e", "A=2", "-e", "MINE", "-e", "NONE", "--env-file", file, "image"))
    assert asked.env == ("A=1", 'B="q $HOME" ', "MINE=m", "C=", "A=2", "MINE=m", "NONE")


@pytest.mark.parametrize(
    ("line", "message"),
    [("=x", "no variable name on line '=x'"), ("a b=c", "variable 'a b' contains whitespaces"), ("\\xff", "")],
)
def test_wrong_lines_of_an_env_file(tmp_path: object, line: str, message: str) -> None:
    file = f"{tmp_path}/env"
    with open(file, "wb") as out:
        out.write(b"OK=1\n" + line.encode().decode("unicode_escape").encode("latin-1") + b"\n")
    with pytest.raises(UsageError) as refused:
        request(run("--env-file", file, "image"))
    assert refused.value.message == f"invalid env file ({file}): {message or 'invalid utf8 bytes at line 2'}"


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(UsageError) as refused:
        request(run("--env-file", "/nosuch", "image"))
    assert refused.value.message == "open /nosuch: no such file or directory"


def test_options_that_contradict_each_other() -> None:
    with pytest.raises(UsageError, match="cannot specify both --attach and --detach") as refused:
        request(run("-a", "stdout", "image"), detach=True)
    assert refused.value.exit_status == 1


@pytest.mark.parametrize(
    ("text", "keys"), [("", b"\x10\x11"), ("a", b"a"), ("ctrl-a,b", b"\x01b"), ("ctrl-@,ctrl-[", b"\x00\x1b")]
)
def test_detach_keys(text: str, keys: bytes) -> None:
    assert detach_keys(text) == keys


@pytest.mark.parametrize("text", ["foo", "ctrl-A", "ctrl-1", "a,,b"])
def test_wrong_detach_keys(text: str) -> None:
    with pytest.raises(UsageError, match="invalid detach keys"):
        detach_keys(text)


# help and hints


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_every_command_is_there_and_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*name.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage:  tuidock {name}")
    assert commands.COMMANDS[name][1] in text


@pytest.mark.parametrize("group", commands.GROUPS)
def test_a_group_alone_shows_what_it_has(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([group]) == 0
    text = capsys.readouterr().out
    assert all(f"  {second} " in text for second in commands.GROUPS[group][1])


def test_each_name_in_a_group_is_a_command() -> None:
    for _, seconds in commands.GROUPS.values():
        assert set(seconds.values()) <= set(commands.COMMANDS)
    for group, seconds in commands.HIDDEN.items():
        assert set(seconds.values()) <= set(commands.GROUPS[group][1])


def test_aliases_are_listed_as_docker_lists_them() -> None:
    assert ", ".join(commands.paths("ps")) == "container ls, container list, container ps, ps"
    assert commands.paths("volume ls") == ["volume ls", "volume list"]


def test_the_help_of_run_is_made_of_the_declarations() -> None:
    text = help.text("run", RUN_COMMAND)
    assert "  -e, --env list " in text
    assert "Security Options:\n" in text
    assert all(f"--{option.name}" in text for option in RUN)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["rnu"], 1, "tuidock: unknown command: tuidock rnu\nDid you mean `tuidock run`?\n"),
        (["container", "foo"], 1, "tuidock: unknown command: tuidock container foo\n"),
        (["build", "."], 1, "tuidock build: not there yet\n"),
        (["image", "pull", "x"], 1, "tuidock image pull: not there yet\n"),
        (["swarm", "init"], 1, "tuidock swarm: not supported\n"),
        (["--bad"], 125, "unknown flag: --bad\n\nUsage:  tuidock [OPTIONS] COMMAND [ARG...]\n"),
        (["ps", "--bad"], 125, "unknown flag: --bad\n\nUsage:  tuidock ps [OPTIONS]\n\nRun 'tuidock ps --help' for more"),
        (["ps", "x"], 1, "tuidock: 'tuidock ps' accepts no arguments\n\nUsage:  tuidock ps [OPTIONS]\n\nRun"),
        (["help", "nosuch"], 1, "tuidock: unknown help topic: nosuch\n"),
        (["--run"], 1, "tuidock: 'tuidock run' requires at least 1 argument\n"),
        (["--run", "--bad"], 125, "unknown flag: --bad\n\nUsage:  tuidock run [OPTIONS] IMAGE"),
    ],
)
def test_what_is_said_to_wrong_words(words: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == status
    assert capsys.readouterr().err.startswith(said)


def test_help_of_a_command_in_two_ways(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "run"]) == 0
    first = capsys.readouterr().out
    assert main(["run", "--help"]) == 0
    assert capsys.readouterr().out == first


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("tuidock version ")
