"""--format: a listing's rows as a table, as JSON, or by a Go template.  docker/cli formatter/formatter.go."""

from __future__ import annotations

import sys

from tuidock.cli.output import table
from tuidock.cli.templates import Template, TemplateError
from tuidock.cli.templates.values import STRING, Function, Row, Struct
from tuidock.engine.options import TEXT, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

_KINDS = """\
Format output using a custom template:
'table': Print output in table format with column headers (default)
'table TEMPLATE': Print output in table format using the given Go template
'json': Print in JSON format
'TEMPLATE': Print output using the given Go template."""
FORMAT = Option("format", "", TEXT, _KINDS)
OBJECT_FORMAT = Option("format", "f", TEXT, _KINDS.replace(_KINDS[39 : _KINDS.index("'json'")], ""))
"""For what is one object and no listing."""
BAD_FORMAT = 64
"""Exit status of inspect for a template that cannot be parsed.  sysexits.h, EX_USAGE."""


class Listing:
    """How rows are shown.  titles: field to column title.  default: the template of the table."""

    def __init__(self, titles: Mapping[str, str], default: str, quiet: str = "{{.ID}}") -> None:
        self.titles = titles
        self.default = default
        self.quiet = quiet

    def text(self, rows: Iterable[Row], form: str, *, quiet: bool = False) -> str:
        """form: what --format got; empty is the default table.  Raises TemplateError."""
        form = form.strip()
        if form in ("", "table"):
            form = self.quiet if quiet else f"table {self.default}"
        tabular = form.startswith("table")
        if tabular:
            form = form.removeprefix("table").strip(" ")
        if form == "json":
            form = "{{json .}}"
        template = parsed(form.replace("\\t", "\t").replace("\\n", "\n"))
        lines = [filled(template, row) for row in rows]
        if not tabular:
            return "".join(f"{line}\n" for line in lines)
        titles: dict[str, Any] = {**self.titles, "Label": Function(label_title, STRING)}
        return table("".join(f"{line}\n" for line in (template.fill(titles, header=True), *lines)))

    def print(self, rows: Iterable[Row], form: str, *, quiet: bool = False) -> None:
        sys.stdout.write(self.text(rows, form, quiet=quiet))


def label_title(name: str) -> str:
    """The title of {{.Label "com.example.my-app"}}: my app."""
    return name.rpartition(".")[2].replace("-", " ").replace("_", " ")


def parsed(form: str) -> Template:
    """Raises TemplateError in docker's words."""
    try:
        return Template(form)
    except TemplateError as error:
        raise TemplateError(f"template parsing error: {error.message}", error.hint) from None


def filled(template: Template, value: Any) -> str:
    try:
        return template.fill(value)
    except TemplateError as error:
        raise TemplateError(f"template parsing error: {error.message}", error.hint) from None


def one(value: Struct, form: str) -> str:
    """An object that is not in a listing, by `json` or a template."""
    return filled(parsed("{{json .}}" if form == "json" else form), value) + "\n"


def row(kind: str, **fields: Any) -> Row:
    """A line of a listing; kind: docker's name of it, for messages.  Fields stand sorted, as in docker's JSON."""
    return Row(dict(sorted(fields.items())), f"*formatter.{kind}")


def label_method(labels: Mapping[str, str]) -> Function:
    """{{.Label "key"}}"""
    return Function(lambda key: labels.get(key, ""), STRING)


def label_list(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
