"""The same for several names: docker does it for all of them at once, tells of each, and fails if one did."""

from __future__ import annotations

import sys

from tuidock.cli.main import message
from tuidock.errors import TuidockError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

AT_ONCE = 16


def each(names: Sequence[str], act: Callable[[str], object], *, results: bool = False) -> int:
    """Call `act` for every name and print the name, or what `act` returned with `results`, in the order of the names.

    Returns 0, or 1 if one of them raised a TuidockError, which is told.
    """
    status = 0
    for name, result in zip(names, _results(names, act), strict=True):
        if isinstance(result, TuidockError):
            sys.stdout.flush()
            sys.stderr.write(message(result))
            status = 1
        else:
            print(result if results else name)
    return status


def _results(names: Sequence[str], act: Callable[[str], object]) -> Iterator[object]:
    def tried(name: str) -> object:
        try:
            return act(name)
        except TuidockError as error:
            return error

    if len(names) == 1:
        yield tried(names[0])
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(tried, names)
