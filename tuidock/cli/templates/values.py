"""What templates work on: JSON's values, and a few of Go's that JSON cannot tell apart.

A dict is a Go map.  A `Struct` is a dict whose keys are fields of a Go struct: a wrong one is an error, and it prints as
`{a b c}`.  None is "no value at all"; `NIL` is a pointer to nothing, which prints as <nil>.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


ANY, STRING, INT, STRINGS = "any", "string", "int", "[]string"
"""Kinds of parameters."""


class Function:
    """A function or method, and what it takes.  parameters: a kind each; rest: the kind of any number more, or empty."""

    def __init__(self, call: Callable[..., Any], *parameters: str, rest: str = "") -> None:
        self.call = call
        self.parameters = parameters
        self.rest = rest


class Struct(dict[str, "Any"]):
    """A Go struct.  A `Function` among its values is a method: `{{.Label "key"}}`."""

    def __init__(self, fields: Mapping[str, Any], type_name: str = "struct") -> None:
        super().__init__(fields)
        self.type_name = type_name


class Row(Struct):
    """A line of a listing; docker's own marshalling of these escapes <, > and & in JSON."""


class Nil:
    """A nil pointer."""

    def __repr__(self) -> str:
        return "<nil>"


NIL = Nil()


class NilMap(dict[str, "Any"]):
    """A map that was never made: empty, and null in JSON."""


class NilSlice(list["Any"]):
    """A slice that was never made: empty, and null in JSON."""


def truth(value: Any) -> bool:
    """text/template's truth: not zero, not empty, not nil; a struct is always true."""
    if isinstance(value, Struct):
        return True
    return value is not NIL and bool(value)


def type_name(value: Any) -> str:
    """The Go type, as messages and %T name it."""
    if value is None or value is NIL:
        return "<nil>"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float64"
    if isinstance(value, str):
        return "string"
    if isinstance(value, Struct):
        return value.type_name
    if isinstance(value, dict):
        return "map[string]string" if _all_strings(value.values()) else "map[string]interface {}"
    if isinstance(value, (list, tuple)):
        return "[]string" if _all_strings(value) else "[]interface {}"
    return type(value).__name__


def _all_strings(values: Any) -> bool:
    """An empty one counts: labels and environments are strings, whether there are some or none."""
    return all(isinstance(value, str) for value in values)


MAPS = (
    "Annotations", "DriverOpts", "ExposedPorts", "Labels", "Namespaces", "Networks", "Options", "PortBindings", "Ports",
    "StorageOpt", "Sysctls", "Tmpfs", "Volumes",
)  # fmt: skip
"""Keys of docker's inspect objects whose value is a map, wherever they stand."""
MAPS_BELOW = {("LogConfig", "Config"), ("GraphDriver", "Data")}
POINTERS = (
    "Health", "Healthcheck", "IPAMConfig", "Init", "MemorySwappiness", "OomKillDisable", "PidsLimit", "StopTimeout",
)  # fmt: skip
"""Keys whose null is a nil pointer."""
MOUNT_FIELDS = ("Type", "Name", "Source", "Destination", "Driver", "Mode", "RW", "Propagation")
"""All of moby's container.MountPoint; in JSON the empty ones are left out."""


def typed(value: Any, key: str = "", above: str = "") -> Any:
    """JSON as the Go values that docker would have decoded it to."""
    if value is None:
        if key in POINTERS:
            return NIL
        return NilMap() if key in MAPS or (above, key) in MAPS_BELOW else NilSlice()
    if isinstance(value, dict):
        inner = {name: typed(part, name, key) for name, part in value.items()}
        return inner if key in MAPS or (above, key) in MAPS_BELOW else Struct(inner, f"*{key or 'struct'}")
    if isinstance(value, list):
        if key == "Mounts":
            value = [{field: mount.get(field, "") for field in MOUNT_FIELDS} for mount in value]
        return [typed(part, above=key) for part in value]
    return value
