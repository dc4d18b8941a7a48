"""Values as Go's fmt prints them: Print, Println and Printf with their verbs, flags and complaints.  pkg.go.dev/fmt."""

from __future__ import annotations

from tuidock.cli.templates.values import NIL, Function, Struct, type_name
from tuidock.engine.quantities import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

TOO_WIDE = 1_000_000
"""fmt's own limit of widths and precisions."""
SHORTEST_EXPONENT = 6
"""From this power of ten on, %v and %g write an exponent.  strconv ftoa.go."""


def shown(value: Any) -> str:
    """%v: [a b], map[k:v] with sorted keys, {field field}."""
    if value is None or value is NIL:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value, "g", None, "")
    if isinstance(value, Struct):
        return "{" + " ".join(shown(part) for part in value.values() if not isinstance(part, Function)) + "}"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{shown(value[key])}" for key in sorted(value, key=str)) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(map(shown, value)) + "]"
    return str(value)


def sprint(values: Sequence[Any]) -> str:
    """fmt.Sprint: a space between two that are no strings."""
    text = ""
    for place, value in enumerate(values):
        if place and not isinstance(value, str) and not isinstance(values[place - 1], str):
            text += " "
        text += shown(value)
    return text


def sprintln(values: Sequence[Any]) -> str:
    return " ".join(map(shown, values)) + "\n"


class _Verb:
    """A verb with its flags."""

    def __init__(self) -> None:
        self.flags = ""
        self.width: int | None = None
        self.precision: int | None = None
        self.letter = ""


class _Printf:
    def __init__(self, form: str, values: Sequence[Any]) -> None:
        self.form = form
        self.values = values
        self.at = 0
        self.used = 0
        self.reordered = False
        self.good = True
        """whether the argument that was asked for by number is there"""

    def text(self) -> str:
        parts: list[str] = []
        while self.at < len(self.form):
            percent = self.form.find("%", self.at)
            if percent < 0:
                parts.append(self.form[self.at :])
                break
            parts.append(self.form[self.at : percent])
            self.at = percent + 1
            parts.append(self.one())
        if not self.reordered and self.used < len(self.values):
            extra = ", ".join(f"{type_name(value)}={shown(value)}" for value in self.values[self.used :])
            parts.append(f"%!(EXTRA {extra})")
        return "".join(parts)

    def one(self) -> str:
        verb, said = _Verb(), ""
        self.good = True
        while self.peek and self.peek in "+-# 0":
            verb.flags += self.peek
            self.at += 1
        self.index()
        if self.peek == "*":
            verb.width, bad = self.star()
            if bad:
                said += "%!(BADWIDTH)"
            if verb.width is not None and verb.width < 0:
                verb.width, verb.flags = -verb.width, verb.flags + "-"
        else:
            verb.width = self.digits()
        if self.peek == ".":
            self.at += 1
            self.index()
            if self.peek == "*":
                verb.precision, bad = self.star()
                if bad or (verb.precision or 0) < 0:
                    verb.precision = None
                    said += "%!(BADPREC)"
            else:
                verb.precision = self.digits() or 0
        self.index()
        if not self.peek:
            return f"{said}%!(NOVERB)"
        verb.letter = self.peek
        self.at += 1
        if verb.letter == "%":
            return f"{said}%"
        if not self.good:
            return f"{said}%!{verb.letter}(BADINDEX)"
        if self.used >= len(self.values):
            return f"{said}%!{verb.letter}(MISSING)"
        self.used += 1
        return said + format_value(verb, self.values[self.used - 1])

    @property
    def peek(self) -> str:
        return self.form[self.at : self.at + 1]

    def digits(self) -> int | None:
        start = self.at
        while self.peek and self.peek in "0123456789":
            self.at += 1
        if start == self.at:
            return None
        number = int(self.form[start : min(self.at, start + 9)])
        return number if number <= TOO_WIDE else None

    def star(self) -> tuple[int | None, bool]:
        self.at += 1
        if self.used >= len(self.values) or not self.good:
            return None, True
        value = self.values[self.used]
        self.used += 1
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > TOO_WIDE:
            return None, True
        return value, False

    def index(self) -> None:
        """[2]: the argument by its number."""
        if self.peek != "[":
            return
        self.reordered = True
        end = self.form.find("]", self.at)
        inner = self.form[self.at + 1 : end] if end > 0 else ""
        self.at = end + 1 if end > 0 else self.at + 1
        if inner.isascii() and inner.isdigit() and len(inner) < 9 and 1 <= int(inner) <= len(self.values):
            self.used = int(inner) - 1
        else:
            self.good = False


def sprintf(form: str, values: Sequence[Any]) -> str:
    return _Printf(form, values).text()


def format_value(verb: _Verb, value: Any) -> str:
    """One value by one verb; a list's or map's parts each by it."""
    if verb.letter == "T":
        return _pad(verb, type_name(value))
    if verb.letter == "v":
        return _pad(verb, _syntax(value) if "#" in verb.flags else _v(verb, value), number=_is_number(value))
    if value is None or value is NIL:
        return f"%!{verb.letter}(<nil>)"
    if isinstance(value, dict):
        if isinstance(value, Struct):
            return "{" + " ".join(format_value(verb, part) for part in value.values() if not isinstance(part, Function)) + "}"
        pairs = (f"{format_value(verb, key)}:{format_value(verb, value[key])}" for key in sorted(value, key=str))
        return f"map[{' '.join(pairs)}]"
    if isinstance(value, (list, tuple)):
        return f"[{' '.join(format_value(verb, part) for part in value)}]"
    for kind, letters in _LETTERS:
        if isinstance(value, kind):
            if verb.letter in letters:
                return letters[verb.letter](verb, value)
            break
    return f"%!{verb.letter}({type_name(value)}={shown(value)})"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _v(verb: _Verb, value: Any) -> str:
    if isinstance(value, float) and verb.precision is not None:
        return _float(value, "g", verb.precision, "")
    text = shown(value)
    return f"+{text}" if "+" in verb.flags and _is_number(value) and not text.startswith("-") else text


def _syntax(value: Any) -> str:
    """%#v: as Go's source would have it."""
    if value is None or value is NIL:
        return "<nil>"
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, Struct):
        return f"{type_name(value).lstrip('*')}{{{', '.join(f'{key}:{_syntax(part)}' for key, part in value.items())}}}"
    if isinstance(value, dict):
        pairs = ", ".join(f"{quote(str(key))}:{_syntax(value[key])}" for key in sorted(value, key=str))
        return f"{type_name(value)}{{{pairs}}}"
    if isinstance(value, (list, tuple)):
        return f"{type_name(value)}{{{', '.join(map(_syntax, value))}}}"
    return shown(value)


def _pad(verb: _Verb, text: str, *, number: bool = False) -> str:
    if verb.width is None:
        return text
    if "-" in verb.flags:
        return text.ljust(verb.width)
    if "0" in verb.flags and number:
        sign = text[:1] if text[:1] in ("+", "-", " ") else ""
        return sign + text[len(sign) :].rjust(verb.width - len(sign), "0")
    return text.rjust(verb.width, "0" if "0" in verb.flags else " ")


def _sign(verb: _Verb, negative: bool) -> str:
    return "-" if negative else "+" if "+" in verb.flags else " " if " " in verb.flags else ""


def _integer(verb: _Verb, value: int, form: str, prefix: str) -> str:
    digits = format(abs(value), form)
    if verb.precision is not None:
        digits = "" if verb.precision == 0 and value == 0 else digits.rjust(verb.precision, "0")
    prefix = prefix if "#" in verb.flags or (form == "o" and verb.letter == "O") else ""
    return _pad(verb, _sign(verb, value < 0) + prefix + digits, number=verb.precision is None)


def _float(value: float, form: str, precision: int | None, sign: str) -> str:
    """strconv.FormatFloat: %e, %f with six digits, %g with as few as tell the number; %v is %g."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    if form in "gG" and precision is None:
        text = repr(float(value))
        exponent = int(f"{value:.17e}".partition("e")[2])
        if -5 < exponent < SHORTEST_EXPONENT:
            text = f"{value:.0f}" if float(value).is_integer() else _plain(text)
        else:
            text = _scientific(text)
        text = text.upper() if form == "G" else text
    else:
        text = f"{value:.{6 if precision is None else precision}{form}}"
    return text if text.startswith("-") else sign + text


def _plain(text: str) -> str:
    """repr()'s text without an exponent."""
    if "e" not in text:
        return text
    from decimal import Decimal

    return format(Decimal(text), "f")


def _scientific(text: str) -> str:
    """The shortest digits as d.ddde±dd."""
    from decimal import Decimal

    sign, digits, exponent = Decimal(text).normalize().as_tuple()
    power = len(digits) - 1 + int(exponent)
    tail = "".join(map(str, digits[1:]))
    return f"{'-' if sign else ''}{digits[0]}{f'.{tail}' if tail else ''}e{'-' if power < 0 else '+'}{abs(power):02d}"


def _float_verb(verb: _Verb, value: float) -> str:
    text = _float(value, verb.letter, verb.precision, _sign(verb, False))
    return _pad(verb, text, number=True)


def _string(verb: _Verb, value: str) -> str:
    return _pad(verb, value if verb.precision is None else value[: verb.precision])


def _quoted(verb: _Verb, value: str) -> str:
    value = value if verb.precision is None else value[: verb.precision]
    return _pad(verb, f"`{value}`" if "#" in verb.flags and "`" not in value else quote(value))


def _hex_string(verb: _Verb, value: str) -> str:
    digits = value.encode("utf-8", "surrogateescape")[: verb.precision].hex(*((" ",) if " " in verb.flags and value else ()))
    return _pad(verb, digits.upper() if verb.letter == "X" else digits)


def _character(verb: _Verb, value: int) -> str:
    return _pad(verb, chr(value) if 0 <= value <= 0x10FFFF and not 0xD800 <= value < 0xE000 else "\ufffd")


def _character_quoted(verb: _Verb, value: int) -> str:
    inner = quote(_character(_Verb(), value))[1:-1].replace('\\"', '"').replace("'", "\\'")
    return _pad(verb, f"'{inner}'")


def _unicode(verb: _Verb, value: int) -> str:
    return _pad(verb, f"U+{value:04X}")


def _truth(verb: _Verb, value: bool) -> str:
    return _pad(verb, shown(value))


_STRINGS: dict[str, Callable[[_Verb, Any], str]] = {"s": _string, "q": _quoted, "x": _hex_string, "X": _hex_string}
_INTEGERS: dict[str, Callable[[_Verb, Any], str]] = {
    "d": lambda verb, value: _integer(verb, value, "d", ""),
    "b": lambda verb, value: _integer(verb, value, "b", "0b"),
    "o": lambda verb, value: _integer(verb, value, "o", "0"),
    "O": lambda verb, value: _integer(verb, value, "o", "0o"),
    "x": lambda verb, value: _integer(verb, value, "x", "0x"),
    "X": lambda verb, value: _integer(verb, value, "X", "0X"),
    "c": _character,
    "q": _character_quoted,
    "U": _unicode,
}
_FLOATS: dict[str, Callable[[_Verb, Any], str]] = dict.fromkeys("eEfFgG", _float_verb)
_LETTERS: tuple[tuple[type, dict[str, Callable[[_Verb, Any], str]]], ...] = (
    (str, _STRINGS),
    (bool, {"t": _truth}),
    (int, _INTEGERS),
    (float, _FLOATS),
)
