"""The functions of templates: text/template's own (funcs.go) and docker's (docker/cli templates/templates.go)."""

from __future__ import annotations

import json
from urllib.parse import quote_plus

from tuidock.cli.templates.printing import shown, sprint, sprintf, sprintln
from tuidock.cli.templates.values import (
    ANY,
    INT,
    NIL,
    STRING,
    STRINGS,
    Function,
    Nil,
    NilMap,
    NilSlice,
    Row,
    Struct,
    truth,
    type_name,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Fault(Exception):
    """A function refuses its arguments; the evaluator says which one and where."""


def accepts(kind: str, value: Any) -> bool:
    """Whether a value may be given for a parameter."""
    if kind == STRING:
        return isinstance(value, str)
    if kind == INT:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == STRINGS:
        return isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value)
    return True


# comparing


def _basic(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float, str)):
        return type(value).__name__
    return ""


def equal(first: Any, *others: Any) -> bool:
    """Whether the first equals any of the others."""
    if not others:
        raise Fault("missing argument for comparison")
    if isinstance(first, (dict, list, tuple)):
        raise Fault(f"non-comparable type {shown(first)}: {type_name(first)}")
    for other in others:
        if isinstance(other, (dict, list, tuple)):
            raise Fault(f"non-comparable type {shown(other)}: {type_name(other)}")
        if _basic(first) != _basic(other) and _basic(first) and _basic(other):
            raise Fault("incompatible types for comparison")
        if _basic(first) == _basic(other) and (first == other or not _basic(first)):
            return True
    return False


def less(first: Any, other: Any) -> bool:
    if _basic(first) in ("", "bool"):
        raise Fault("invalid type for comparison")
    if _basic(first) != _basic(other):
        raise Fault("incompatible types for comparison" if _basic(other) else "invalid type for comparison")
    return bool(first < other)


# looking into


def length(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogateescape"))
    if isinstance(value, (dict, list, tuple)) and not isinstance(value, Struct):
        return len(value)
    if value is NIL:
        raise Fault("len of nil pointer")
    if value is None:
        raise Fault("reflect: call of reflect.Value.Type on zero Value")
    raise Fault(f"len of type {type_name(value)}")


def index(value: Any, *keys: Any) -> Any:
    """value[k1][k2]…; a missing key of a map gives the map's zero value."""
    if value is None:
        raise Fault("index of untyped nil")
    for key in keys:
        if value is NIL or value is None:
            raise Fault("index of nil pointer")
        if isinstance(value, dict) and not isinstance(value, Struct):
            if not isinstance(key, str):
                raise Fault(f"value has type {type_name(key)}; should be string")
            zero = "" if type_name(value) == "map[string]string" else None
            value = value.get(key, zero)
        elif isinstance(value, (list, tuple, str)):
            content = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
            value = content[_place(key, len(content) - 1)]
        else:
            raise Fault(f"can't index item of type {type_name(value)}")
    return value


def _place(key: Any, last: int) -> int:
    if key is None:
        raise Fault("cannot index slice/array with nil")
    if isinstance(key, bool) or not isinstance(key, int):
        raise Fault(f"cannot index slice/array with type {type_name(key)}")
    if not 0 <= key <= last:
        raise Fault(f"index out of range: {key}")
    return key


def slice_(value: Any, *bounds: Any) -> Any:
    if value is None:
        raise Fault("slice of untyped nil")
    if len(bounds) > 3:
        raise Fault(f"too many slice indexes: {len(bounds)}")
    if not isinstance(value, (str, list, tuple)):
        raise Fault(f"can't slice item of type {type_name(value)}")
    if isinstance(value, str) and len(bounds) == 3:
        raise Fault("cannot 3-index slice a string")
    content = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    places = [_place(bound, len(content)) for bound in bounds]
    start, end = [*places, *(0, len(content))[len(places[:2]) :]][:2]
    if start > end:
        raise Fault(f"invalid slice index: {start} > {end}")
    part = content[start:end]
    return part.decode("utf-8", "surrogateescape") if isinstance(part, bytes) else part


def call(function: Any, *arguments: Any) -> Any:
    if function is None:
        raise Fault("call of nil")
    if not isinstance(function, Function):
        raise Fault(f"non-function {shown(function)} of type {type_name(function)}")
    return function.call(*arguments)


# text


def html(*values: Any) -> str:
    text = _joined(values)
    for character, entity in (("&", "&amp;"), ("'", "&#39;"), ('"', "&#34;"), ("<", "&lt;"), (">", "&gt;"), ("\0", "\ufffd")):
        text = text.replace(character, entity)
    return text


_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}


def js(*values: Any) -> str:
    text = _joined(values)
    return "".join(_JS.get(c) or (c if c.isprintable() else f"\\u{ord(c):04X}") for c in text)


def urlquery(*values: Any) -> str:
    return quote_plus(_joined(values), safe="-_.~", errors="surrogateescape")


def _joined(values: tuple[Any, ...]) -> str:
    return values[0] if len(values) == 1 and isinstance(values[0], str) else sprint(values)


def to_json(value: Any) -> str:
    """Compact; a struct's fields in their order, a map's keys sorted."""
    text = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029" if isinstance(value, Row) else "\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def plain(value: Any) -> Any:
    """What JSON knows: without methods, nil as null."""
    if isinstance(value, (Nil, NilMap, NilSlice)):
        return None
    if isinstance(value, Struct):
        return {key: plain(part) for key, part in value.items() if not isinstance(part, Function)}
    if isinstance(value, dict):
        return {key: plain(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return value


def split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else list(text)


def title(text: str) -> str:
    """strings.Title: a capital at the beginning of each word, the rest as it is."""
    before = " "
    letters = []
    for letter in text:
        letters.append(letter.title() if not (before.isalnum() or before == "_") else letter)
        before = letter
    return "".join(letters)


def pad(text: str, before: int, after: int) -> str:
    if max(before, after) > 1_000_000:
        raise Fault("too much space to pad with")
    return f"{' ' * before}{text}{' ' * after}" if text else text


def truncate(text: str, length: int) -> str:
    if length < 0:
        raise Fault(f"runtime error: slice bounds out of range [:{length}]")
    return text if len(text) < length else text[:length]


def _negate(compare: Callable[..., bool], *arguments: Any) -> bool:
    return not compare(*arguments)


FUNCTIONS: dict[str, Function] = {
    "and": Function(lambda *values: values[-1], ANY, rest=ANY),  # it and `or` stop early: see the evaluator
    "or": Function(lambda *values: values[-1], ANY, rest=ANY),
    "not": Function(lambda value: not truth(value), ANY),
    "eq": Function(equal, ANY, rest=ANY),
    "ne": Function(lambda first, other: _negate(equal, first, other), ANY, ANY),
    "lt": Function(less, ANY, ANY),
    "le": Function(lambda first, other: less(first, other) or equal(first, other), ANY, ANY),
    "gt": Function(lambda first, other: not (less(first, other) or equal(first, other)), ANY, ANY),
    "ge": Function(lambda first, other: not less(first, other), ANY, ANY),
    "len": Function(length, ANY),
    "index": Function(index, ANY, rest=ANY),
    "slice": Function(slice_, ANY, rest=ANY),
    "call": Function(call, ANY, rest=ANY),
    "print": Function(lambda *values: sprint(values), rest=ANY),
    "printf": Function(lambda form, *values: sprintf(form, values), STRING, rest=ANY),
    "println": Function(lambda *values: sprintln(values), rest=ANY),
    "html": Function(html, rest=ANY),
    "js": Function(js, rest=ANY),
    "urlquery": Function(urlquery, rest=ANY),
    "json": Function(to_json, ANY),
    "split": Function(split, STRING, STRING),
    "join": Function(lambda words, separator: separator.join(words), STRINGS, STRING),
    "title": Function(title, STRING),
    "lower": Function(str.lower, STRING),
    "upper": Function(str.upper, STRING),
    "pad": Function(pad, STRING, INT, INT),
    "truncate": Function(truncate, STRING, INT),
}

HEADER_FUNCTIONS: dict[str, Function] = {
    **FUNCTIONS,
    **{
        name: Function(lambda value, *_: value, ANY, rest=ANY)
        for name in ("json", "split", "join", "title", "lower", "upper", "pad", "truncate")
    },
}
"""For the line of titles: docker's own functions leave a title as it is."""
