"""Go's templates: what docker fills in and refuses, and that nothing makes them fail in another way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cli.docker_templates import FILLED, IMAGE, REFUSED
from tuidock.cli.inspect import fill
from tuidock.cli.templates import Template, TemplateError
from tuidock.cli.templates.lexer import Lexer
from tuidock.cli.templates.printing import sprintf
from tuidock.cli.templates.values import STRING, Function, Row, Struct, typed


@pytest.mark.parametrize(("text", "expected"), FILLED)
def test_as_docker_fills_it_in(text: str, expected: str) -> None:
    assert fill(Template(text), IMAGE) == expected


@pytest.mark.parametrize(("text", "expected"), REFUSED)
def test_as_docker_refuses_it(text: str, expected: str) -> None:
    with pytest.raises(TemplateError) as refused:
        fill(Template(text), IMAGE)
    assert refused.value.message.removeprefix("template parsing error: ") == expected


CONTAINER: dict[str, Any] = {
    "Id": "d4bd8b26b5c7",
    "State": {"Status": "running", "Running": True, "Pid": 13209, "Error": "", "Health": None},
    "Mounts": [
        {"Type": "bind", "Source": "/home", "Destination": "/h", "Mode": "", "RW": True, "Propagation": "rprivate"},
    ],
    "HostConfig": {"Binds": ["/home:/h"], "CapAdd": None, "LogConfig": {"Type": "json-file", "Config": {}}},
    "Config": {"Env": ["A=1", "B=2"], "Labels": {"b": "2", "a": "1"}, "Volumes": None},
    "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "81/tcp": None}},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ .State.Pid }}", "13209"),
        ("{{.State}}", "{running true 13209  <nil>}"),
        ("{{.Mounts}}", "[{bind  /home /h   true rprivate}]"),
        ("{{range .Mounts}}{{.Source}}:{{.Destination}}{{end}}", "/home:/h"),
        ("{{.Config.Labels}}", "map[a:1 b:2]"),
        ("{{.Config.Labels.nope}}", "<no value>"),
        ('{{index .Config.Labels "nope"}}', ""),
        ("{{.HostConfig.CapAdd}} {{json .HostConfig.CapAdd}} {{len .HostConfig.CapAdd}}", "[] null 0"),
        ("{{.Config.Volumes}} {{json .Config.Volumes}}", "map[] null"),
        ("{{range .Config.Env}}{{println .}}{{end}}", "A=1\nB=2\n"),
        ("{{json .Config.Labels}}", '{"a":"1","b":"2"}'),
        ("{{json .State}}", '{"Status":"running","Running":true,"Pid":13209,"Error":"","Health":null}'),
        (
            "{{range $port, $bound := .NetworkSettings.Ports}}{{$port}} -> "
            "{{if $bound}}{{(index $bound 0).HostPort}}{{else}}nothing{{end}};{{end}}",
            "80/tcp -> 8080;81/tcp -> nothing;",
        ),
        ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
        ('{{with index .Config.Env 1}}{{slice . 2}}{{end}} {{printf "%08d" .State.Pid}}', "2 00013209"),
    ],
)
def test_of_a_container(text: str, expected: str) -> None:
    assert fill(Template(text), CONTAINER) == expected


def test_a_nil_pointer_is_followed_by_a_refusal_that_names_the_key() -> None:
    with pytest.raises(TemplateError, match=r"at <\.State\.Health\.Status>: nil pointer evaluating interface"):
        fill(Template("{{.State.Health.Status}}"), CONTAINER)


def test_rows_escape_what_html_would_read() -> None:
    """docker's listings do, its inspect does not."""
    assert Template("{{json .}}").fill(Row({"Tag": "<none>"})) == '{"Tag":"\\u003cnone\\u003e"}'
    assert Template("{{json .}}").fill(Struct({"Tag": "<none>"})) == '{"Tag":"<none>"}'


def test_a_method_takes_arguments() -> None:
    row = Row({"Label": Function({"a": "1"}.get, STRING)}, "*formatter.ContainerContext")
    assert Template('{{.Label "a"}} {{"a" | .Label}}').fill(row) == "1 1"


def test_a_wrong_field_of_a_row_names_its_type() -> None:
    with pytest.raises(TemplateError, match=r"can't evaluate field Foo in type \*formatter\.ContainerContext"):
        Template("{{.Foo}}").fill(Row({}, "*formatter.ContainerContext"))


def test_titles_are_left_alone_by_dockers_functions() -> None:
    assert Template("{{upper .Names}} {{json .Names}} {{truncate .Names 1}}").fill({"Names": "Names"}, header=True) == (
        "Names Names Names"
    )


def test_variables_belong_to_their_block() -> None:
    text = '{{$x := "out"}}{{range .}}{{$x := .}}{{$x}}{{end}}{{$x}}{{range .}}{{$x = .}}{{end}}{{$x}}'
    assert Template(text).fill(["a", "b"]) == "aboutb"


def test_an_endless_template_is_refused() -> None:
    with pytest.raises(TemplateError, match="exceeded maximum template depth"):
        Template('{{define "x"}}{{template "x"}}{{end}}{{template "x"}}').fill({})


WORDS = (
    "{{ }} {{- -}} ( ) | . $ $x := = , .State .Pid .Config.Env if else end range with define template block break continue",
    'nil true 1 -1 1.5 0x1f "a" "%d" `r` \'c\' eq and or not len index slice print printf json join upper /* */ text \n',
)
PIECES = st.lists(st.sampled_from(" ".join(WORDS).split(" "))).map(" ".join)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(), PIECES, PIECES.map(lambda text: f"{{{{{text}}}}}")))
def test_no_text_fails_in_another_way_than_a_refusal(text: str) -> None:
    message = "template: "
    try:
        Template(text).fill(typed(CONTAINER))
    except TemplateError as error:
        message = error.message
    assert message.startswith("template: ")


@given(st.text())
def test_tokens_cover_the_text_up_to_an_error(text: str) -> None:
    tokens = list(Lexer(text).tokens())
    assert tokens[-1].kind in ("eof", "error")
    assert all(text[token.position :].startswith(token.text) for token in tokens[:-1])


@given(st.text(alphabet="%0123456789.*[]+-# vTtdboxXcqUeEfFgGsz"), st.lists(st.one_of(st.integers(), st.text(), st.floats())))
def test_printf_takes_any_form_and_any_values(form: str, values: list[Any]) -> None:
    assert isinstance(sprintf(form, values), str)
