"""JSON to values and back, without the 6 ms that `import json` costs (it brings `re` and `enum`).

The work is done by the same C scanner and encoder that `json` uses; where an interpreter has none (PyPy) it is `json`.
Only for the path of `run` and for the monitor; elsewhere import json.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

try:
    from _json import encode_basestring_ascii, make_encoder, make_scanner
except ImportError:  # pragma: no cover - not CPython
    import json as _json_module

    def loads(text: str | bytes) -> Any:
        """A JSON text to dicts, lists, strings and numbers.  Raises ValueError."""
        return _json_module.loads(text)

    def dumps(value: Any) -> str:
        """A value to compact JSON."""
        return _json_module.dumps(value, separators=(",", ":"))

else:

    class _Context:
        strict = True
        object_hook = None
        object_pairs_hook = None
        array_hook = None
        parse_float = float
        parse_int = int
        memo: dict[str, str] = {}

        @staticmethod
        def parse_constant(name: str) -> float:
            raise ValueError(f"{name} is not JSON")

    _scan = make_scanner(_Context)  # type: ignore[arg-type]  # it reads these attributes of anything

    def loads(text: str | bytes) -> Any:
        """A JSON text to dicts, lists, strings and numbers.  Raises ValueError."""
        if not isinstance(text, str):
            text = text.decode()
        text = text.strip(" \t\n\r")
        try:
            value, end = _scan(text, 0)
        except (StopIteration, SystemError):  # 3.13 finds no json.decoder to take its error class from
            import json

            json.loads(text)
            raise ValueError("not JSON") from None
        if end != len(text):
            raise ValueError(f"more than one JSON value: {text[end : end + 20]!r} follows")
        return value

    def _refuse(value: object) -> object:
        raise TypeError(f"{type(value).__name__} has no form in JSON")

    _encode = make_encoder(None, _refuse, encode_basestring_ascii, None, ":", ",", False, False, False)

    def dumps(value: Any) -> str:
        """A value to compact JSON."""
        return "".join(_encode(value, 0))
