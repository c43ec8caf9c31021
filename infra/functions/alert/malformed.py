"""What cannot be read is reported, and does not keep the rest."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

MALFORMED = (ArithmeticError, LookupError, TypeError, ValueError)
"""What comes of a row that is not as it was written; not what DynamoDB refuses."""
Report = Callable[[str], None]
T = TypeVar("T")


def readable(rows: Iterable[dict[str, Any]], read: Callable[[dict[str, Any]], T], report: Report) -> Iterator[T]:
    """The rows as `read` gives them, without those that it cannot read."""
    for row in rows:
        try:
            value = read(row)
        except MALFORMED as error:
            report(f"row {row}: {error!r}"[:500])
        else:
            yield value
