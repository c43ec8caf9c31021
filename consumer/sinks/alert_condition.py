"""Pure: which readings raise an alert, and the event that the alert function is called with."""

from decimal import Decimal
from typing import Literal

import msgspec

from consumer.payload.reading import Reading


class Alert(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The event of one alert, for infra/functions/alert. Times in ms since the epoch, the value with every digit."""

    sensorstreamDevice: str
    sensorstreamTime: int
    sensorstreamValue: str
    sensorstreamArrival: int | None = None


class Condition(msgspec.Struct, frozen=True):
    """`field` is a measure, what a value is called (`Reading.field`), or `value` for the value of every reading."""

    field: str
    when: Literal["below", "above"]
    threshold: Decimal
    max_age: int
    """Seconds between a reading's time and its arrival; 0 for any."""

    def alert(self, reading: Reading, arrival: int | None) -> Alert | None:
        """The alert of a reading that arrived then (ms), None where it raises none.

        It depends on the record alone: a replay after a crash raises the same alerts.
        """
        value = (reading.measures or {}).get(self.field)
        if value is None and (self.field == "value" or reading.field in ("", self.field)):
            value = reading.value
        if value is None or not (value > self.threshold if self.when == "above" else value < self.threshold):
            return None
        if self.max_age and arrival is not None and arrival - reading.time_ms > self.max_age * 1000:
            return None
        return Alert(reading.device, reading.time_ms, str(value), arrival)
