"""ENTRYPOINT, CMD, environment and the rest, merged as docker merges them."""

from __future__ import annotations

import pytest

from tuidock.engine.config import PATH, configure, environment
from tuidock.engine.requests import RunRequest
from tuidock.errors import UsageError

ID = "0123456789abcdef" * 4


def merged(image, **asked):
    return configure(image, RunRequest("x", **asked), ID)


@pytest.mark.parametrize(
    ("image", "asked", "entrypoint", "command"),
    [
        ({"Cmd": ["a"]}, {}, None, ["a"]),
        ({"Cmd": ["a"]}, {"command": ("b", "c")}, None, ["b", "c"]),
        ({"Entrypoint": ["e"], "Cmd": ["a"]}, {}, ["e"], ["a"]),
        ({"Entrypoint": ["e"], "Cmd": ["a"]}, {"command": ("b",)}, ["e"], ["b"]),
        ({"Entrypoint": ["e"], "Cmd": ["a"]}, {"entrypoint": ("f",)}, ["f"], []),  # the image's CMD goes with it
        ({"Entrypoint": ["e"], "Cmd": ["a"]}, {"entrypoint": (), "command": ("b",)}, None, ["b"]),
        ({"Cmd": ["/bin/sh", "-c", "python app.py"]}, {}, None, ["/bin/sh", "-c", "python app.py"]),
    ],
)
def test_the_process_is_entrypoint_and_command(image, asked, entrypoint, command):
    config = merged(image, **asked)
    assert (config["Entrypoint"], config["Cmd"]) == (entrypoint, command)


def test_an_image_without_a_command_needs_one():
    with pytest.raises(UsageError, match="no command specified"):
        merged({})
    with pytest.raises(UsageError, match="no command specified"):
        merged({"Entrypoint": ["e"], "Cmd": ["a"]}, entrypoint=())


def test_the_last_word_wins_at_the_first_place():
    assert environment(["A=1", "B=2"], ["A=3"], ["C=4", "B="]) == ["A=3", "B=", "C=4"]


def test_every_container_has_a_path_and_the_images_wins():
    assert merged({"Cmd": ["a"]})["Env"] == [f"PATH={PATH}"]
    assert merged({"Cmd": ["a"], "Env": ["PATH=/x", "N=1"]}, env=("N=2",))["Env"] == ["PATH=/x", "N=2"]


def test_the_hostname_is_the_short_id_and_labels_merge():
    config = merged({"Cmd": ["a"], "Labels": {"a": "1", "b": "2"}}, labels=("b=3", "c"))
    assert config["Hostname"] == ID[:12]
    assert config["Labels"] == {"a": "1", "b": "3", "c": ""}


def test_stdin_closes_with_the_one_that_was_attached():
    assert merged({"Cmd": ["a"]}, interactive=True)["StdinOnce"]
    assert not merged({"Cmd": ["a"]}, interactive=True, detach=True)["StdinOnce"]
