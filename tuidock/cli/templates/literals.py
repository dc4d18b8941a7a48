"""Literals of Go: quoted strings, characters and numbers, to values.  strconv.Unquote and text/template's numbers."""

from __future__ import annotations

from tuidock.engine.quantities import quote

_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92}
_LENGTHS = {"x": 2, "u": 4, "U": 8}
INT_LIMIT = 1 << 63
SYNTAX = "invalid syntax"


def unquote(text: str) -> str:
    """`"a\\n"` or a raw string in backquotes to what it stands for.  Raises ValueError, as strconv.ErrSyntax says it."""
    if text[0] == "`":
        return text[1:-1].replace("\r", "")
    encoded = bytearray()
    rest = text[1:-1]
    while rest:
        if rest[0] != "\\":
            encoded += rest[0].encode("utf-8", "surrogateescape")
            rest = rest[1:]
            continue
        value, is_byte, rest = _escape(rest[1:], text[0])
        encoded += bytes((value,)) if is_byte else chr(value).encode("utf-8", "surrogatepass")
    return encoded.decode("utf-8", "surrogateescape")


def _escape(rest: str, mark: str) -> tuple[int, bool, str]:
    """What follows a backslash: (value, whether it is a byte and not a character, what comes after it)."""
    letter, rest = rest[:1], rest[1:]
    if letter in _ESCAPES:
        return _ESCAPES[letter], False, rest
    if letter and letter == mark:
        return ord(mark), False, rest
    if letter in _LENGTHS:
        digits, rest = rest[: _LENGTHS[letter]], rest[_LENGTHS[letter] :]
        if len(digits) == _LENGTHS[letter] and all(digit in "0123456789abcdefABCDEF" for digit in digits):
            value = int(digits, 16)
            if letter == "x" or (value <= 0x10FFFF and not 0xD800 <= value < 0xE000):
                return value, letter == "x", rest
    elif letter and letter in "01234567" and all(digit in "01234567" for digit in rest[:2]) and len(rest) >= 2:
        value = int(letter + rest[:2], 8)
        if value < 256:
            return value, True, rest[2:]
    raise ValueError(SYNTAX)


def number(text: str) -> int | float:
    """42, 0x2a, 0b11, 0o17, 017, 1_000, 1.5, 1e3, 'a'.  Raises ValueError in parse.go's words."""
    if text[0] == "'":
        return _character(text)
    digits = text.lstrip("+-")
    sign = -1 if text[0] == "-" else 1
    is_hex = digits[:2].lower() == "0x"
    try:
        if not any(mark in text for mark in (".pP" if is_hex else ".eE")):
            octal = len(digits) > 1 and digits[0] == "0" and digits[1] in "01234567_"
            value = sign * (int(digits[1:].lstrip("_"), 8) if octal else int(digits, 0))
            if not -INT_LIMIT <= value < INT_LIMIT:
                raise ValueError(f"integer overflow: {quote(text)}")
            return value
        return sign * (float.fromhex(digits.replace("_", "")) if is_hex else float(digits))
    except (ValueError, OverflowError) as error:
        if str(error).startswith("integer overflow"):
            raise
        raise ValueError(f"illegal number syntax: {quote(text)}") from None


def _character(text: str) -> int:
    inner = text[1:-1]
    wrong = ValueError(f"malformed character constant: {text}")
    if inner[:1] == "\\":
        try:
            value, _, rest = _escape(inner[1:], "'")
        except ValueError:
            raise wrong from None
        if rest:
            raise wrong
        return value
    if not inner:
        raise ValueError(SYNTAX)
    if len(inner) != 1:
        raise wrong
    return ord(inner)
