"""Frozen values that cost nothing to declare.

On the path of `run` a frozen dataclass would cost 13 ms for the first of a process (it imports `inspect`) and a
NamedTuple 6 ms (it imports `typing`), as much as half an interpreter.  A `Value` is read by the type checker as a frozen
dataclass and needs no import at all.  Elsewhere a dataclass is as good.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, dataclass_transform
else:

    def dataclass_transform(**_options: object) -> object:
        """What typing.dataclass_transform does at run time: nothing."""
        return lambda cls: cls


@dataclass_transform(frozen_default=True, eq_default=True)
class Value:
    """The base of a frozen value: fields are the annotated names, in order, with class attributes as defaults.

    >>> class Point(Value):
    ...     x: int
    ...     y: int = 0
    >>> Point(1), Point(1) == Point(1, y=0), Point(1).replace(y=2)
    (Point(x=1, y=0), True, Point(x=1, y=2))
    """

    _fields: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        own = tuple(name for name in cls.__annotations__ if not name.startswith("_") and name not in cls._fields)
        cls._fields = cls._fields + own

    def __init__(self, *values: Any, **named: Any) -> None:
        fields = self._fields
        mine = self.__dict__
        if len(values) > len(fields):
            raise TypeError(f"{type(self).__name__} takes {len(fields)} values, got {len(values)}")
        mine.update(zip(fields, values))  # noqa: B905 - fewer values than fields is the point
        for name, value in named.items():
            if name not in fields or name in mine:
                raise TypeError(f"{type(self).__name__} got {name!r} twice or unasked")
            mine[name] = value
        if len(mine) < len(fields):
            for name in fields:
                if name not in mine:
                    try:
                        mine[name] = getattr(type(self), name)
                    except AttributeError:
                        raise TypeError(f"{type(self).__name__} lacks {name!r}") from None

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} stays")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__dict__ == self.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *(self.__dict__[name] for name in self._fields)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={self.__dict__[name]!r}' for name in self._fields)})"

    def replace(self, **changes: Any) -> Self:
        """The same value with some fields changed."""
        return type(self)(**{**self.as_dict(), **changes})

    def as_dict(self) -> dict[str, Any]:
        """Field names to values, in order, one level deep."""
        return {name: self.__dict__[name] for name in self._fields}
