"""Go's text/template as docker's --format uses it: parse once, fill in many times.

>>> Template('{{range $i, $word := .}}{{if $i}}, {{end}}{{upper $word}}{{end}}').fill(["a", "b"])
'A, B'
"""

from __future__ import annotations

from tuidock.cli.templates.evaluator import Evaluator
from tuidock.cli.templates.functions import FUNCTIONS, HEADER_FUNCTIONS
from tuidock.cli.templates.parser import TemplateError, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Template", "TemplateError"]


class Template:
    def __init__(self, text: str) -> None:
        """Raises TemplateError."""
        self._parsed = parse(text, FUNCTIONS)

    def fill(self, value: Any, *, strict: bool = False, header: bool = False) -> str:
        """The text for a value.

        strict: a key that a map has not is an error, and not <no value>.  header: the value is a table's titles, which
        docker's functions leave alone.  Raises TemplateError.
        """
        return Evaluator(self._parsed, HEADER_FUNCTIONS if header else FUNCTIONS, strict=strict).run(value)
