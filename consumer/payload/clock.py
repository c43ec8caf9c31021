"""Pure: a reading's time by its contract: within bounds around the arrival of its record, or the arrival itself."""

from collections.abc import Callable
from datetime import tzinfo
from typing import Any, Final

from consumer.payload.contract import Contract, ContractError
from consumer.payload.reading import Found
from consumer.payload.times import END_MS, FIRST_MS, time, zone
from consumer.payload.values import Bad

ARRIVED: Final = object()
"""The time of a contract with `$arrival`."""

Clock = Callable[[Any, Found], int | None]
"""(time as sent, its record) -> ms since the epoch; None for the record's arrival, which is then known and valid."""


def clock(contract: Contract) -> Clock:
    """Compiles the time of a contract: zone, bounds, and what replaces an invalid time. Raises ContractError."""
    local = _zone(contract)
    ahead, past, at_time = contract.max_future_seconds * 1000, contract.max_past_seconds, contract.time
    lenient = contract.bad_time == "arrival"

    def tell(given: Any, found: Found) -> int | None:
        arrival = found.arrival
        if given is not ARRIVED:
            try:
                time_ms = given if type(given) is int and FIRST_MS <= given < END_MS else time(given, at_time, local)
                if arrival is not None:
                    if time_ms - arrival > ahead:
                        raise Bad("time-in-future", f"{at_time} is {(time_ms - arrival) // 1000} s after the arrival")
                    if past is not None and arrival - time_ms > past * 1000:
                        raise Bad("time-in-past", f"{at_time} is {(arrival - time_ms) // 1000} s before the arrival")
            except Bad:
                if not lenient:
                    raise
            else:
                return time_ms
        if arrival is None or not FIRST_MS <= arrival < END_MS:
            raise Bad("bad-time", "the record's arrival is not known, and the time is to be taken from it")
        return None

    return tell


def _zone(contract: Contract) -> tzinfo | None:
    try:
        return zone(contract.time_zone) if contract.time_zone is not None else None
    except ValueError as error:
        raise ContractError(str(error), ("time_zone",)) from None
