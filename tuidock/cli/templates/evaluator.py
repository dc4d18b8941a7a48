"""A parsed template filled in: Go's text/template/exec.go, with its words for what is wrong."""

from __future__ import annotations

from tuidock.cli.templates import nodes
from tuidock.cli.templates.functions import Fault, accepts
from tuidock.cli.templates.parser import Parsed, TemplateError
from tuidock.cli.templates.printing import shown
from tuidock.cli.templates.values import NIL, Function, Nil, Struct, truth, type_name
from tuidock.engine.quantities import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from tuidock.cli.templates.nodes import Node

MISSING = object()
"""No last argument comes from the pipeline."""


class _Leave(Exception):
    """break or continue."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Evaluator:
    def __init__(self, parsed: Parsed, functions: Mapping[str, Function], *, strict: bool) -> None:
        """strict: a key that a map has not is an error (Go's option missingkey=error)."""
        self.parsed = parsed
        self.functions = functions
        self.strict = strict
        self.out: list[str] = []
        self.variables: list[tuple[str, Any]] = []
        self.name = ""
        self.node: Node | None = None

    def run(self, value: Any) -> str:
        """Raises TemplateError."""
        try:
            self.template("", value)
        except RecursionError:
            raise TemplateError("template: exceeded maximum template depth") from None
        return "".join(self.out)

    def wrong(self, message: str, node: Node | None = None) -> TemplateError:
        node = node or self.node
        if node is None:
            return TemplateError(f"template: {self.name}: {message}")
        before = self.parsed.text[: node.position]
        column = node.position - (before.rfind("\n") + 1)
        line = before.count("\n") + 1
        return TemplateError(f"template: :{line}:{column}: executing {quote(self.name)} at <{node}>: {message}")

    # nodes

    def template(self, name: str, value: Any) -> None:
        outer = self.variables, self.name
        self.variables, self.name = [("$", value)], name
        self.walk(value, self.parsed.templates[name])
        self.variables, self.name = outer

    def walk(self, dot: Any, body: Iterable[Node]) -> None:
        for node in body:
            if isinstance(node, nodes.Text):
                self.out.append(node.text)
            elif isinstance(node, nodes.Action):
                self.node = node
                value = self.pipe(dot, node.pipe)
                if not node.pipe.declares:
                    self.out.append("<no value>" if value is None else shown(value))
            elif isinstance(node, nodes.Branch):
                scope = len(self.variables)
                self.branch(dot, node)
                del self.variables[scope:]
            elif isinstance(node, nodes.Leave):
                raise _Leave(node.kind)
            elif isinstance(node, nodes.Use):
                self.use(dot, node)

    def use(self, dot: Any, node: nodes.Use) -> None:
        self.node = node
        if node.name not in self.parsed.templates:
            raise self.wrong(f"template {quote(node.name)} not defined")
        self.template(node.name, self.pipe(dot, node.pipe) if node.pipe else None)

    def branch(self, dot: Any, node: nodes.Branch) -> None:
        scope = len(self.variables)
        value = self.pipe(dot, node.pipe, range_=node.kind == "range")
        if node.kind == "range":
            self.range(dot, node, value, scope)
        elif truth(value):
            self.walk(value if node.kind == "with" else dot, node.body)
        else:
            self.walk(dot, node.otherwise)

    def range(self, dot: Any, node: nodes.Branch, value: Any, scope: int) -> None:
        pairs = self.pairs(value, node)
        if not pairs:
            self.walk(dot, node.otherwise)
            return
        for key, element in pairs:
            del self.variables[scope:]
            declared = node.pipe.declares
            held = (element,) if len(declared) == 1 else (key, element)
            for variable, part in zip(declared, held, strict=False):
                if node.pipe.assigns:
                    self.assign(variable.name, part)
                else:
                    self.variables.append((variable.name, part))
            inner = len(self.variables)
            try:
                self.walk(element, node.body)
            except _Leave as leave:
                if leave.kind == "break":
                    break
            finally:
                del self.variables[inner:]

    def pairs(self, value: Any, node: nodes.Branch) -> Iterable[tuple[Any, Any]]:
        """What a range goes over: (key, element).  False as a condition if that is nothing."""
        if value is None or value is NIL:
            return ()
        if isinstance(value, dict) and not isinstance(value, Struct):
            return [(key, value[key]) for key in sorted(value, key=str)]
        if isinstance(value, (list, tuple)):
            return list(enumerate(value))
        if isinstance(value, int) and not isinstance(value, bool):
            if len(node.pipe.declares) > 1:
                raise self.wrong(f"can't use {shown(value)} to iterate over more than one variable")
            return ((number, number) for number in range(value)) if value > 0 else ()
        raise self.wrong(f"range can't iterate over {shown(value)}")

    # pipelines

    def pipe(self, dot: Any, pipe: nodes.Pipe, *, range_: bool = False) -> Any:
        self.node = pipe
        value: Any = MISSING
        for call in pipe.calls:
            value = self.call(dot, call, value)
        if not range_:  # its variables are set anew in each round
            for variable in pipe.declares:
                if pipe.assigns:
                    self.assign(variable.name, value)
                else:
                    self.variables.append((variable.name, value))
        return value

    def assign(self, name: str, value: Any) -> None:
        for place in range(len(self.variables) - 1, -1, -1):
            if self.variables[place][0] == name:
                self.variables[place] = (name, value)
                return
        raise self.wrong(f"undefined variable: {name}")

    def variable(self, name: str) -> Any:
        for known, value in reversed(self.variables):
            if known == name:
                return value
        raise self.wrong(f"undefined variable: {name}")

    def call(self, dot: Any, call: nodes.Call, final: Any) -> Any:
        first, arguments = call.words[0], call.words[1:]
        self.node = first
        if isinstance(first, nodes.Function):
            return self.function(dot, first, arguments, final, call)
        if isinstance(first, (nodes.Field, nodes.Chain)) or (isinstance(first, nodes.Variable) and first.names):
            return self.fields(dot, first, arguments, final)
        if arguments or final is not MISSING:
            raise self.wrong(f"can't give argument to non-function {first}")
        if isinstance(first, nodes.Literal) and first.value is None:
            raise self.wrong("nil is not a command")
        return self.argument(dot, first)

    def argument(self, dot: Any, node: Node) -> Any:
        """The value of one operand."""
        self.node = node
        if isinstance(node, nodes.Dot):
            return dot
        if isinstance(node, nodes.Literal):
            return node.value
        if isinstance(node, nodes.Pipe):
            return self.pipe(dot, node)
        if isinstance(node, nodes.Function):
            return self.function(dot, node, (), MISSING, node)
        return self.fields(dot, node, (), MISSING)

    def fields(self, dot: Any, node: Node, arguments: tuple[Node, ...], final: Any) -> Any:
        """.A.B, $x.A.B or (…).A.B; the last one may be a method that takes arguments."""
        self.node = node  # a base in parentheses leaves its own there, which messages then quote, as Go's do
        if isinstance(node, nodes.Field):
            value, names = dot, node.names
        elif isinstance(node, nodes.Variable):
            value, names = self.variable(node.name), node.names
        elif isinstance(node, nodes.Chain):
            if isinstance(node.base, nodes.Literal) and node.base.value is None:
                raise self.wrong(f"indirection through explicit nil in {node}")
            value, names = self.argument(dot, node.base), node.names
        else:
            raise self.wrong(f"can't evaluate {node}")
        for name in names[:-1]:
            value = self.field(value, name, node, dot, (), MISSING)
        return self.field(value, names[-1], node, dot, arguments, final) if names else value

    def field(self, value: Any, name: str, node: Node, dot: Any, arguments: tuple[Node, ...], final: Any) -> Any:
        if value is None:
            if self.strict:
                raise self.wrong(f"nil pointer evaluating interface {{}}.{name}")
            return None
        if isinstance(value, Nil):
            raise self.wrong(f"nil pointer evaluating *{name}.{name}")
        if isinstance(value, dict):
            found = value.get(name, MISSING)
            if isinstance(found, Function):
                return self.invoke(dot, node, found, name, arguments, final, node)
            given = bool(arguments) or final is not MISSING
            if isinstance(value, Struct):
                if found is MISSING:
                    raise self.wrong(f"can't evaluate field {name} in type {value.type_name}")
                if given:
                    raise self.wrong(f"{name} has arguments but cannot be invoked as function")
                return found
            if given:
                raise self.wrong(f"{name} is not a method but has arguments")
            if found is MISSING and self.strict:
                raise self.wrong(f"map has no entry for key {quote(name)}")
            return None if found is MISSING else found
        kind = "interface {}" if self.strict else type_name(value)
        raise self.wrong(f"can't evaluate field {name} in type {kind}")

    # functions

    def function(self, dot: Any, node: nodes.Function, words: tuple[Node, ...], final: Any, whole: Node) -> Any:
        """whole: the call with its arguments, as a refusal quotes it."""
        return self.invoke(dot, node, self.functions[node.name], node.name, words, final, whole)

    def invoke(
        self, dot: Any, node: Node, function: Function, name: str, arguments: tuple[Node, ...], final: Any, whole: Node
    ) -> Any:
        given = len(arguments) + (final is not MISSING)
        self.count(function, name, given)
        if name in ("and", "or") and isinstance(node, nodes.Function):
            value: Any = None
            for argument in arguments:
                value = self.argument(dot, argument)
                if truth(value) == (name == "or"):
                    return value
            return value if final is MISSING else final
        kinds = [*function.parameters, *[function.rest] * (given - len(function.parameters))]
        values = []
        for argument, kind in zip(arguments, kinds, strict=False):
            values.append(self.checked(self.argument(dot, argument), kind, argument))
        self.node = node
        if final is not MISSING:
            values.append(self.checked(final, kinds[-1], node))
        try:
            return function.call(*values)
        except Fault as error:
            raise self.wrong(f"error calling {name}: {error}", whole) from None

    def count(self, function: Function, name: str, given: int) -> None:
        wanted = len(function.parameters)
        if given < wanted and function.rest:
            raise self.wrong(f"wrong number of args for {name}: want at least {wanted} got {given}")
        if given != wanted and not function.rest:
            raise self.wrong(f"wrong number of args for {name}: want {wanted} got {given}")

    def checked(self, value: Any, kind: str, node: Node) -> Any:
        if accepts(kind, value):
            return value
        if isinstance(node, nodes.Literal) and value is None:
            raise self.wrong(f"cannot assign nil to {kind}", node)
        if isinstance(node, nodes.Literal):
            if kind == "[]string":
                raise self.wrong(f"can't handle {node} for arg of type {kind}", node)
            raise self.wrong(f"expected {'integer' if kind == 'int' else kind}; found {node}", node)
        raise self.wrong(f"wrong type for value; expected {kind}; got {self.type_of(value)}", node)

    def type_of(self, value: Any) -> str:
        """`strict` is for JSON that nobody knows the types of: docker keeps its numbers as they were written."""
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return "json.Number" if self.strict and is_number else type_name(value)
