"""What a template consists of once it is parsed.  str() of a node is its text, as messages quote it."""

from __future__ import annotations

from tuidock.engine.quantities import quote
from tuidock.oci.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Node(Value):
    position: int
    """in characters from the beginning of the template's text"""


class Text(Node):
    text: str


class Literal(Node):
    """A number, string or boolean; nil has the word `nil` and None."""

    value: Any
    word: str
    """as it was written"""

    def __str__(self) -> str:
        return self.word


class Dot(Node):
    def __str__(self) -> str:
        return "."


class Field(Node):
    """.A.B: of dot."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


class Variable(Node):
    """$x.A.B"""

    name: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.name, *self.names))


class Chain(Node):
    """(…).A.B"""

    base: Node
    names: tuple[str, ...]

    def __str__(self) -> str:
        base = f"({self.base})" if isinstance(self.base, Pipe) else str(self.base)
        return base + "".join(f".{name}" for name in self.names)


class Function(Node):
    name: str

    def __str__(self) -> str:
        return self.name


class Call(Node):
    """An operand and its arguments; the pipeline adds a last one."""

    words: tuple[Node, ...]

    def __str__(self) -> str:
        return " ".join(f"({word})" if isinstance(word, Pipe) else str(word) for word in self.words)


class Pipe(Node):
    declares: tuple[Variable, ...]
    assigns: bool
    """`=` and not `:=`"""
    calls: tuple[Call, ...]

    def __str__(self) -> str:
        names = ", ".join(map(str, self.declares))
        sign = f"{names} {'=' if self.assigns else ':='} " if names else ""
        return sign + " | ".join(map(str, self.calls))


class Action(Node):
    pipe: Pipe

    def __str__(self) -> str:
        return f"{{{{{self.pipe}}}}}"


class Branch(Node):
    """if, with or range."""

    kind: str
    pipe: Pipe
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


class Leave(Node):
    """break or continue."""

    kind: str


class Use(Node):
    """{{template "name" pipe}}"""

    name: str
    pipe: Pipe | None

    def __str__(self) -> str:
        return f"{{{{template {quote(self.name)}{f' {self.pipe}' if self.pipe else ''}}}}}"


class Ending(Node):
    """end or else: ends a list of nodes, and is in none."""

    kind: str

    def __str__(self) -> str:
        return f"{{{{{self.kind}}}}}"
