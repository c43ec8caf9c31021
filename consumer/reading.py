"""Pure: what a device sent -> readings and rejects."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fields:
    """Where a payload keeps what, as paths into nested objects.

    Without device, value and time the two built-in contracts hold. `measures` are the further numeric
    fields to keep; the key of one is its dotted path.
    """

    device: tuple[str, ...] = ()
    value: tuple[str, ...] = ()
    time: tuple[str, ...] = ()
    measures: tuple[tuple[str, ...], ...] = ()


DEFAULT = Fields()
