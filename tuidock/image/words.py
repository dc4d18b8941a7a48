"""Quotes, escapes and variables in an instruction's words, as the Dockerfile reference has them ("Environment replacement").

Not a shell's rules, though close to them: no splitting, no globbing, and a variable nobody has set is empty.
Source: moby/buildkit, frontend/dockerfile/shell/lex.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuidock.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
NAME = NAME_FIRST | frozenset("0123456789")


def expand(word: str, variables: Mapping[str, str]) -> str:
    r"""One word with its quotes taken off and its variables put in.  Raises UsageError.

    >>> expand('"$HOME"/${x:-a}\\ b', {"HOME": "/root"})
    '/root/a b'
    """
    return _Words(word, variables).until("")


class _Words:
    def __init__(self, text: str, variables: Mapping[str, str]) -> None:
        self.text = text
        self.at = 0
        self.variables = variables

    def until(self, end: str) -> str:
        """What stands before the letter `end`, which is consumed; an empty `end` is that of the text."""
        parts: list[str] = []
        while self.at < len(self.text):
            letter = self._take()
            if letter == end:
                return "".join(parts)
            if letter == "'":
                parts.append(self._literal())
            elif letter == '"':
                parts.append(self._quoted())
            elif letter == "\\":
                parts.append(self._take())
            elif letter == "$":
                parts.append(self._variable())
            else:
                parts.append(letter)
        if end:
            raise self._wrong(f"{end} is missing")
        return "".join(parts)

    def _take(self) -> str:
        self.at += 1
        return self.text[self.at - 1 : self.at]

    def _literal(self) -> str:
        end = self.text.find("'", self.at)
        if end < 0:
            raise self._wrong("a quote is not closed")
        start, self.at = self.at, end + 1
        return self.text[start:end]

    def _quoted(self) -> str:
        parts: list[str] = []
        while self.at < len(self.text):
            letter = self._take()
            if letter == '"':
                return "".join(parts)
            if letter == "$":
                parts.append(self._variable())
            elif letter == "\\" and self.text[self.at : self.at + 1] in ('"', "$", "\\"):
                parts.append(self._take())
            else:
                parts.append(letter)
        raise self._wrong("a quote is not closed")

    def _name(self) -> str:
        start = self.at
        if self.text[start : start + 1].isdigit():
            self.at += 1
        elif self.text[start : start + 1] in NAME_FIRST:
            while self.text[self.at : self.at + 1] in NAME:
                self.at += 1
        return self.text[start : self.at]

    def _variable(self) -> str:
        if self.text[self.at : self.at + 1] != "{":
            name = self._name()
            return self.variables.get(name, "") if name else "$"
        self.at += 1
        name = self._name()
        if not name:
            raise self._wrong("${ without a name")
        value = self.variables.get(name)
        operator = self._take()
        if operator == "}":
            return value or ""
        if operator == ":":
            value = value or None
            operator = self._take()
        if operator not in ("-", "+", "?") or not operator:
            raise self._wrong(f"${{{name}{operator} is not supported")
        word = self.until("}")
        if operator == "-":
            return word if value is None else value
        if operator == "+":
            return "" if value is None else word
        if value is None:
            raise UsageError(f"{name}: {word or 'is not set'}", f"it is asked for by {self.text!r}")
        return value

    def _wrong(self, why: str) -> UsageError:
        return UsageError(f"{self.text!r}: {why}", "quotes and braces come in pairs; a single $ is written \\$")
