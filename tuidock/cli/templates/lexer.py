"""A template's text to tokens: Go's text/template/parse/lex.go, with its words for what is wrong."""

from __future__ import annotations

from tuidock.engine.quantities import quote
from tuidock.oci.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LEFT, RIGHT, LEFT_COMMENT, RIGHT_COMMENT = "{{", "}}", "/*", "*/"
SPACES = " \t\r\n"
KEYWORDS = ("block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with")
DIGITS = "0123456789_"
HEXADECIMAL = "0123456789abcdefABCDEF_"


class Token(Value):
    """kind: a keyword stands for itself; others are text, left, right, space, pipe, assign, declare, variable, field,
    dot, identifier, bool, number, string, raw, char, `(`, `)`, `,` and the like, error, eof.
    """

    kind: str
    text: str
    position: int
    """in characters from the beginning"""
    line: int

    def __str__(self) -> str:
        """As messages show it."""
        if self.kind == "eof":
            return "EOF"
        if self.kind == "error":
            return self.text
        if self.kind in KEYWORDS:
            return f"<{self.text}>"
        return f"{quote(self.text[:10])}..." if len(self.text) > 10 else quote(self.text)


class _Wrong(Exception):
    """The text cannot be read on; becomes an error token."""


class Lexer:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.line = 1
        self.depth = 0
        """of parentheses"""

    def tokens(self) -> Iterator[Token]:
        """All tokens; the last one is an `eof` or an `error`."""
        start = 0
        try:
            while True:
                start = self.text.find(LEFT, self.position)
                if start < 0:
                    yield from self._text(len(self.text))
                    yield Token("eof", "", len(self.text), self.line)
                    return
                trimmed = self._trims_left(start)
                end = max(self.position, start)
                if trimmed:
                    end = self.position + len(self.text[self.position : start].rstrip(SPACES))
                yield from self._text(end)
                self._advance(start)
                begin = start + len(LEFT) + (2 if trimmed else 0)
                if self.text.startswith(LEFT_COMMENT, begin):
                    self._comment(begin)
                    continue
                yield self._token("left", start + len(LEFT))
                self._advance(begin)
                yield from self._action()
        except _Wrong as error:
            yield Token("error", str(error), self.position, self.line)

    def _token(self, kind: str, end: int) -> Token:
        token = Token(kind, self.text[self.position : end], self.position, self.line)
        self._advance(end)
        return token

    def _advance(self, end: int) -> None:
        self.line += self.text.count("\n", self.position, end)
        self.position = end

    def _text(self, end: int) -> Iterator[Token]:
        if end > self.position:
            yield self._token("text", end)

    def _trims_left(self, start: int) -> bool:
        """Whether the action that begins at `start` takes the white space before it away."""
        at = start + len(LEFT)
        return self.text[at : at + 1] == "-" and self.text[at + 1 : at + 2] in tuple(SPACES)

    def _trims_right(self, at: int) -> bool:
        return self.text[at : at + 1] in tuple(SPACES) and self.text.startswith(f"-{RIGHT}", at + 1)

    def _at_right(self, at: int) -> bool:
        return self.text.startswith(RIGHT, at) or self._trims_right(at)

    def _skip_white(self) -> None:
        rest = self.text[self.position :]
        self._advance(self.position + len(rest) - len(rest.lstrip(SPACES)))

    def _comment(self, begin: int) -> None:
        end = self.text.find(RIGHT_COMMENT, begin + len(LEFT_COMMENT))
        if end < 0:
            raise _Wrong("unclosed comment")
        self._advance(end + len(RIGHT_COMMENT))
        if not self._at_right(self.position):
            raise _Wrong("comment ends before closing delimiter")
        self._right()

    def _right(self) -> Token:
        trims = self._trims_right(self.position)
        if trims:
            self._advance(self.position + 2)
        token = self._token("right", self.position + len(RIGHT))
        if trims:
            self._skip_white()
        return token

    def _action(self) -> Iterator[Token]:
        """What stands between the delimiters, and the right one."""
        self.depth = 0
        while True:
            if self._at_right(self.position):
                if self.depth:
                    raise _Wrong("unclosed left paren")
                yield self._right()
                return
            yield self._inside(self.text[self.position : self.position + 1])

    def _inside(self, character: str) -> Token:
        at = self.position
        if not character:
            raise _Wrong("unclosed action")
        if character in SPACES:
            end = at
            while self.text[end : end + 1] in tuple(SPACES) and not self._trims_right(end):
                end += 1
            return self._token("space", end)
        if character == "=":
            return self._token("assign", at + 1)
        if character == ":":
            if self.text[at + 1 : at + 2] != "=":
                raise _Wrong("expected :=")
            return self._token("declare", at + 2)
        if character == "|":
            return self._token("pipe", at + 1)
        if character in "\"'":
            return self._quoted(character)
        if character == "`":
            end = self.text.find("`", at + 1)
            if end < 0:
                raise _Wrong("unterminated raw quoted string")
            return self._token("raw", end + 1)
        if character == "$" or (character == "." and at + 1 < len(self.text) and not self.text[at + 1].isdecimal()):
            return self._field(character)
        if character in "+-." or character in DIGITS[:-1]:
            return self._number()
        if character.isalnum() or character == "_":
            return self._identifier()
        if character == "(":
            self.depth += 1
            return self._token("(", at + 1)
        if character == ")":
            self.depth -= 1
            if self.depth < 0:
                raise _Wrong("unexpected right paren")
            return self._token(")", at + 1)
        if character.isascii() and character.isprintable():
            return self._token(character, at + 1)
        raise _Wrong(f"unrecognized character in action: {_unicode(character)}")

    def _quoted(self, mark: str) -> Token:
        end = self.position + 1
        while True:
            character = self.text[end : end + 1]
            if character in ("", "\n"):
                raise _Wrong("unterminated quoted string" if mark == '"' else "unterminated character constant")
            end += 2 if character == "\\" and self.text[end + 1 : end + 2] not in ("", "\n") else 1
            if character == mark:
                return self._token("string" if mark == '"' else "char", end)

    def _word_end(self, at: int) -> int:
        while (character := self.text[at : at + 1]) and (character.isalnum() or character == "_"):
            at += 1
        return at

    def _check_terminator(self, at: int) -> None:
        """What may follow a word: so that `.x-y` and `$a+1` are not read as something else."""
        character = self.text[at : at + 1]
        if character and character not in SPACES and character not in ".,|:()" and not self._at_right(at):
            raise _Wrong(f"bad character {_unicode(character)}")

    def _field(self, sign: str) -> Token:
        end = self._word_end(self.position + 1)
        self._check_terminator(end)
        if sign == "$":
            return self._token("variable", end)
        return self._token("field" if end > self.position + 1 else "dot", end)

    def _identifier(self) -> Token:
        end = self._word_end(self.position)
        self._check_terminator(end)
        word = self.text[self.position : end]
        kind = word if word in KEYWORDS else "bool" if word in ("true", "false") else "identifier"
        return self._token(kind, end)

    def _number(self) -> Token:
        end = self.position
        if self.text[end] in "+-":
            end += 1
        digits, exponent = DIGITS, "eE"
        base = self.text[end : end + 2].lower()
        if base in ("0x", "0o", "0b"):
            digits, exponent = (HEXADECIMAL, "pP") if base == "0x" else (DIGITS, "")
            end += 2
        end = self._run(end, digits)
        if self.text[end : end + 1] == ".":
            end = self._run(end + 1, digits)
        if self.text[end : end + 1] and self.text[end] in exponent:
            end += 1
            if self.text[end : end + 1] in ("+", "-"):
                end += 1
            end = self._run(end, DIGITS)
        if self.text[end : end + 1] == "i":  # a complex number; they are for mathematicians, not for templates
            end += 1
        following = self.text[end : end + 1]
        if following and (following.isalnum() or following == "_"):
            raise _Wrong(f"bad number syntax: {quote(self.text[self.position : end + 1])}")
        return self._token("number", end)

    def _run(self, at: int, allowed: str) -> int:
        while self.text[at : at + 1] and self.text[at] in allowed:
            at += 1
        return at


def _unicode(character: str) -> str:
    """Go's %#U: U+0023 '#'."""
    shown = f" '{character}'" if character.isprintable() else ""
    return f"U+{ord(character):04X}{shown}"
