"""Pure: the form of reading contracts in JSON. docs/contracts.md describes them; readers.py compiles them."""

import re
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

Path = Annotated[str, Meta(min_length=1, max_length=500, title="path")]
Seconds = Annotated[int, Meta(ge=0, le=10**10)]
Paths = (
    Annotated[dict[Annotated[str, Meta(min_length=1)], Path], Meta(max_length=200)]
    | Annotated[list[Path], Meta(max_length=200)]
)
"""Bounded in number and length, so that a row stays below DynamoDB's 400 KB."""
MAX_NAME: Final = 255  # bytes
Levels = Annotated[list[Path], Meta(min_length=1, max_length=4)]
Encoding = Literal["json", "cbor", "msgpack"]
Ready = Literal["generation-2", "generation-1", "senml"]
DAY: Final = 86_400


class Contract(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The paths of device, time and numbers in the messages of a fleet: docs/contracts.md."""

    device: Annotated[
        Path,
        Meta(
            description="A path, `$partitionKey`, or a template of them such as `{model}-{id}`. "
            "A whole number becomes text."
        ),
    ]
    time: Annotated[Path, Meta(description="A path, or `$arrival`: when the record came into the stream.")]
    value: (
        Annotated[Path, Meta(description="A path to the number that becomes the row's `Value`. Required in a message.")]
        | None
    ) = None
    measures: Annotated[
        Paths,
        Meta(
            description="Further numbers of the same row, in its map `Measures`: names to paths, or a list of paths "
            "that are the names, too."
        ),
    ] = {}
    sensors: Annotated[
        Paths,
        Meta(
            description="Numbers that become rows of their own, with the `SensorId` `device/name`. "
            "Written as `measures`."
        ),
    ] = {}
    each: (
        Annotated[
            Path | Levels,
            Meta(
                description="A path to the list of readings in a message; all other paths are those of one reading. "
                'Of nested lists a path for each level: `["devices", "readings"]`.'
            ),
        ]
        | None
    ) = None
    time_zone: (
        Annotated[
            str,
            Meta(
                description="Of times that name no zone: an IANA name such as `Europe/Berlin`. "
                "Without it such a time is rejected."
            ),
        ]
        | None
    ) = None
    bad_time: Annotated[
        Literal["reject", "arrival"],
        Meta(
            description="`arrival`: a time that is missing, invalid or out of bounds is replaced by the record's "
            "arrival."
        ),
    ] = "reject"
    max_future_seconds: Annotated[
        Seconds, Meta(description="A time further ahead of the arrival is rejected (`time-in-future`).")
    ] = DAY
    max_past_seconds: (
        Annotated[Seconds, Meta(description="A time further before the arrival is rejected (`time-in-past`).")] | None
    ) = None
    encoding: (
        Annotated[
            Encoding,
            Meta(description="The contract reads no messages in others. Without it: as their first bytes tell."),
        ]
        | None
    ) = None
    name: Annotated[
        str,
        Meta(
            max_length=60,
            pattern="^[A-Za-z0-9._-]*$",
            description="In metrics and reports; without it `contract-<n>`.",
        ),
    ] = ""


Entry = Contract | Ready
Setting = Annotated[list[Entry], Meta(min_length=1, max_length=100)]
"""READING_CONTRACTS: the first contract whose required paths are in a message reads it."""

GENERATION_2: Final = Contract(name="generation-2", device="name", time="timeStampEpoch", value="humidity")
GENERATION_1: Final = Contract(name="generation-1", device="sensorid", time="timestamp", value="value")
READY: Final = {"generation-2": GENERATION_2, "generation-1": GENERATION_1}
DEFAULT_SETTING: Final[tuple[Entry, ...]] = ("generation-2", "generation-1")

_PLACE = re.compile(r"(?P<what>.*) - at `\$(?P<steps>[^`]*)`", re.DOTALL)


def called_value(contract: Contract) -> str:
    """What the value of a contract is called (`Reading.field`)."""
    return "" if contract.value in (None, "value") and not contract.measures else contract.value or ""


class ContractError(ValueError):
    """An invalid setting. `where` are the keys and indexes of the value, or `offset` is the byte in the text."""

    def __init__(self, what: str, where: tuple[str | int, ...] = (), offset: int | None = None) -> None:
        place = "".join(f"[{step}]" if type(step) is int else f".{step}" for step in where)
        super().__init__(f"{place.removeprefix('.')}: {what}" if place else what)
        self.what = what
        self.where = where
        self.offset = offset


def parse(text: bytes) -> list[Entry]:
    """The setting's JSON. Raises ContractError."""
    try:
        return msgspec.json.decode(text, type=Setting)
    except msgspec.ValidationError as error:
        raise _told(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        at = re.search(r"\(byte ([0-9]+)\)", str(error))
        raise ContractError(str(error), offset=int(at[1]) if at else len(text.rstrip())) from None


def _told(error: str) -> ContractError:
    found = _PLACE.fullmatch(error)
    steps = re.findall(r"\[([0-9]+|\.\.\.)\]|\.([^.\[]+)", found["steps"]) if found else []
    where: list[Any] = [int(index) if index.isdigit() else key or "*" for index, key in steps]
    return ContractError(found["what"] if found else error, tuple(where))


def schema() -> dict[str, Any]:
    """The setting's JSON Schema, for editors."""
    return msgspec.json.schema(Setting)
