"""Tokens to nodes: Go's text/template/parse/parse.go, rule by rule, with its words for what is wrong."""

from __future__ import annotations

from tuidock.cli.templates import nodes
from tuidock.cli.templates.lexer import Lexer, Token
from tuidock.cli.templates.literals import number, unquote
from tuidock.engine.quantities import quote
from tuidock.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from tuidock.cli.templates.nodes import Node

OPERANDS = ("bool", "char", "dot", "field", "identifier", "number", "nil", "raw", "string", "variable", "(")
NOT_CALLABLE = (nodes.Literal, nodes.Dot)


class TemplateError(UsageError):
    """A template that cannot be parsed, or not be filled in."""

    exit_status = 1


class Parsed:
    """A template and those that it defines; the main one has the empty name."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.templates: dict[str, tuple[Node, ...]] = {}


def parse(text: str, functions: Collection[str]) -> Parsed:
    """functions: the names that may be called.  Raises TemplateError."""
    parser = _Parser(text, functions)
    try:
        parser.parse()
    except RecursionError:
        raise TemplateError("template: :1: too deeply nested") from None
    return parser.parsed


class _Parser:
    def __init__(self, text: str, functions: Collection[str]) -> None:
        self.parsed = Parsed(text)
        self.functions = functions
        self.tokens = list(Lexer(text).tokens())
        self.at = 0
        self.variables = ["$"]
        self.loops = 0
        self.action_line = 0

    # tokens

    @property
    def peek(self) -> Token:
        return self.tokens[min(self.at, len(self.tokens) - 1)]

    def next(self) -> Token:
        token = self.peek
        self.at += 1
        return token

    def peek_word(self) -> Token:
        """The next one that is no space; spaces before it are passed over."""
        while self.peek.kind == "space":
            self.at += 1
        return self.peek

    def next_word(self) -> Token:
        token = self.peek_word()
        self.at += 1
        return token

    def expect(self, kinds: tuple[str, ...], context: str) -> Token:
        token = self.next_word()
        if token.kind not in kinds:
            raise self.unexpected(token, context)
        return token

    def wrong(self, message: str) -> TemplateError:
        line = self.tokens[min(max(self.at - 1, 0), len(self.tokens) - 1)].line
        return TemplateError(f"template: :{line}: {message}")

    def unexpected(self, token: Token, context: str) -> TemplateError:
        if token.kind != "error":
            return self.wrong(f"unexpected {token} in {context}")
        started = ""
        if self.action_line and self.action_line != token.line:
            started = f" started at :{self.action_line}" if token.text.endswith(" action") else ""
            started = started or f" in action started at :{self.action_line}"
        return TemplateError(f"template: :{token.line}: {token}{started}")

    # lists of nodes

    def parse(self) -> None:
        root: list[Node] = []
        while self.peek.kind != "eof":
            if self.peek.kind == "left":
                mark = self.at
                self.next()
                if self.next_word().kind == "define":
                    self.definition()
                    continue
                self.at = mark
            node = self.text_or_action()
            if isinstance(node, nodes.Ending):
                raise self.wrong(f"unexpected {node}")
            root.append(node)
        self.add("", tuple(root))

    def add(self, name: str, body: tuple[Node, ...]) -> None:
        """An empty definition (`block` makes them) gives way to another; two full ones are a mistake."""
        known = self.parsed.templates.get(name, ())
        if not _empty(known) and not _empty(body):
            raise self.wrong(f"template: multiple definition of template {quote(name)}")
        if name not in self.parsed.templates or _empty(known):
            self.parsed.templates[name] = body

    def definition(self) -> None:
        name = unquote(self.expect(("string", "raw"), "define clause").text)
        self.expect(("right",), "define clause")
        outer, self.variables, loops, self.loops = self.variables, ["$"], self.loops, 0
        body, end = self.body()
        if end.kind != "end":
            raise self.wrong(f"unexpected {end} in define clause")
        self.variables, self.loops = outer, loops
        self.add(name, body)

    def body(self) -> tuple[tuple[Node, ...], nodes.Ending]:
        """Nodes up to an {{end}} or {{else}}."""
        found: list[Node] = []
        while self.peek_word().kind != "eof":
            node = self.text_or_action()
            if isinstance(node, nodes.Ending):
                return tuple(found), node
            found.append(node)
        raise self.wrong("unexpected EOF")

    def text_or_action(self) -> Node:
        token = self.next_word()
        if token.kind == "text":
            return nodes.Text(token.position, token.text)
        if token.kind == "left":
            self.action_line = token.line
            node = self.action()
            self.action_line = 0
            return node
        raise self.unexpected(token, "input")

    def action(self) -> Node:
        token = self.next_word()
        if token.kind in ("if", "with", "range"):
            return self.branch(token)
        if token.kind in ("break", "continue"):
            return self.leave(token)
        if token.kind == "else":
            following = self.peek_word()
            if following.kind not in ("if", "with"):
                self.expect(("right",), "else")
            return nodes.Ending(token.position, "else")
        if token.kind == "end":
            self.expect(("right",), "end")
            return nodes.Ending(token.position, "end")
        if token.kind == "template":
            return self.use()
        if token.kind == "block":
            return self.block(token)
        self.at -= 1
        token = self.peek
        return nodes.Action(token.position, self.pipeline("command", "right"))

    def branch(self, token: Token) -> Node:
        scope = len(self.variables)
        pipe = self.pipeline(token.kind, "right")
        self.loops += token.kind == "range"
        body, end = self.body()
        self.loops -= token.kind == "range"
        otherwise: tuple[Node, ...] = ()
        if end.kind == "else":
            if token.kind in ("if", "with") and self.peek.kind == token.kind:  # one {{end}} serves both
                otherwise = (self.branch(self.next()),)
            else:
                otherwise, end = self.body()
                if end.kind != "end":
                    raise self.wrong(f"expected end; found {end}")
        del self.variables[scope:]
        return nodes.Branch(token.position, token.kind, pipe, body, otherwise)

    def leave(self, token: Token) -> Node:
        following = self.next_word()
        if following.kind != "right":
            raise self.unexpected(following, f"{{{{{token.kind}}}}}")
        if not self.loops:
            raise self.wrong(f"{{{{{token.kind}}}}} outside {{{{range}}}}")
        return nodes.Leave(token.position, token.kind)

    def use(self) -> Node:
        token = self.expect(("string", "raw"), "template clause")
        pipe = None
        if self.next_word().kind != "right":
            self.at -= 1
            pipe = self.pipeline("template clause", "right")
        return nodes.Use(token.position, unquote(token.text), pipe)

    def block(self, token: Token) -> Node:
        name = unquote(self.expect(("string", "raw"), "block clause").text)
        pipe = self.pipeline("block clause", "right")
        outer, self.variables, loops, self.loops = self.variables, ["$"], self.loops, 0
        body, end = self.body()
        if end.kind != "end":
            raise self.wrong(f"unexpected {end} in block clause")
        self.variables, self.loops = outer, loops
        self.add(name, body)
        return nodes.Use(token.position, name, pipe)

    # pipelines

    def pipeline(self, context: str, end: str) -> nodes.Pipe:
        position = self.peek_word().position
        declares, assigns = self.declarations(context)
        calls: list[nodes.Call] = []
        while (token := self.next_word()).kind != end:
            if token.kind not in OPERANDS:
                raise self.unexpected(token, context)
            self.at -= 1
            calls.append(self.call())
        if not calls:
            raise self.wrong(f"missing value for {context}")
        for stage, call in enumerate(calls[1:], 2):
            if isinstance(call.words[0], NOT_CALLABLE):
                raise self.wrong(f"non executable command in pipeline stage {stage}")
        return nodes.Pipe(position, tuple(declares), assigns, tuple(calls))

    def declarations(self, context: str) -> tuple[list[nodes.Variable], bool]:
        """`$x :=`, `$x =`, and for range `$i, $x :=`."""
        declares: list[nodes.Variable] = []
        while self.peek_word().kind == "variable":
            mark = self.at
            token = self.next()
            following = self.peek_word()
            if following.kind in ("assign", "declare"):
                self.next()
                declares.append(self.declare(token))
                return declares, following.kind == "assign"
            if following.kind != ",":
                self.at = mark
                break
            self.next()
            declares.append(self.declare(token))
            if context != "range" or len(declares) > 1:
                raise self.wrong(f"too many declarations in {context}")
            if self.peek_word().kind not in ("variable", "right", ")"):
                raise self.wrong("range can only initialize variables")
        return declares, False

    def declare(self, token: Token) -> nodes.Variable:
        self.variables.append(token.text)
        return nodes.Variable(token.position, token.text)

    def call(self) -> nodes.Call:
        position = self.peek_word().position
        words: list[Node] = []
        while True:
            self.peek_word()
            operand = self.operand()
            if operand is not None:
                words.append(operand)
            token = self.next()
            if token.kind == "space":
                continue
            if token.kind in ("right", ")"):
                self.at -= 1
            elif token.kind != "pipe":
                raise self.unexpected(token, "operand")
            break
        if not words:
            raise self.wrong("empty command")
        return nodes.Call(position, tuple(words))

    def operand(self) -> Node | None:
        node = self.term()
        if node is None or self.peek.kind != "field":
            return node
        position = self.peek.position
        names: list[str] = []
        while self.peek.kind == "field":
            names.append(self.next().text[1:])
        if isinstance(node, nodes.Field):
            return nodes.Field(position, (*node.names, *names))
        if isinstance(node, nodes.Variable):
            return nodes.Variable(position, node.name, (*node.names, *names))
        if isinstance(node, NOT_CALLABLE):
            raise self.wrong(f"unexpected . after term {quote(str(node))}")
        return nodes.Chain(position, node, tuple(names))

    def term(self) -> Node | None:
        token = self.next_word()
        position, text = token.position, token.text
        if token.kind == "identifier":
            if text not in self.functions:
                raise self.wrong(f"function {quote(text)} not defined")
            return nodes.Function(position, text)
        if token.kind == "dot":
            return nodes.Dot(position)
        if token.kind == "nil":
            return nodes.Literal(position, None, "nil")
        if token.kind == "variable":
            if text not in self.variables:
                raise self.wrong(f"undefined variable {quote(text)}")
            return nodes.Variable(position, text)
        if token.kind == "field":
            return nodes.Field(position, (text[1:],))
        if token.kind == "bool":
            return nodes.Literal(position, text == "true", text)
        if token.kind == "(":
            return self.pipeline("parenthesized pipeline", ")")
        if token.kind in ("number", "char", "string", "raw"):
            try:
                value = unquote(text) if token.kind in ("string", "raw") else number(text)
            except ValueError as error:
                raise self.wrong(str(error)) from None
            return nodes.Literal(position, value, text)
        self.at -= 1
        return None


def _empty(body: tuple[Node, ...]) -> bool:
    return all(isinstance(node, nodes.Text) and not node.text.strip() for node in body)
