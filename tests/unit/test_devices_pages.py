"""The cookbook, docs/devices/: each page's contract gives the page's rows, and a deployment takes its parameters."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import jmespath
import pytest

from consumer.payload.contract import parse
from consumer.payload.contracts import Contracts
from consumer.payload.decode import decode
from consumer.payload.reading import Decoded
from consumer.settings import Settings
from consumer.sinks.alert_condition import Condition
from infra.deploy.parameters import MAX_LENGTH, assignments, require_valid
from infra.local import cookbook
from infra.local.cookbook import FOLDER, Page, pages
from producer.fleet.topics import device_levels, patterns

INDEX = (FOLDER / "README.md").read_text()
ARRIVAL = cookbook.ARRIVAL * 1000
TIME = ARRIVAL - 2000
LATER = TIME + 1000
ALERTS = {"AlertField", "AlertWhen", "AlertThreshold", "AlertSource"}
REQUIRED = {"STREAM_NAME": "s", "SENSOR_TABLE": "table", "ARCHIVE_BUCKET": "bucket", "AWS_REGION": "xx-north-1"}
Row = list[Any]


PAGES = pages()
each_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)


def read(page: Page, payload: str | bytes, key: str, arrival: int = ARRIVAL) -> Decoded:
    data = payload.encode() if isinstance(payload, str) else payload
    return decode(data, Contracts(parse(page.contract.encode())), key, arrival)


def stated(text: str) -> list[Row]:
    """The rows of a page's block."""
    return [shown(*row) for row in json.loads(text, parse_float=Decimal, parse_int=Decimal)]


def shown(device: str, time_ms: int, value: Decimal | None, measures: Mapping[str, Decimal] | None) -> Row:
    numbers = {name: str(number) for name, number in measures.items()} if measures else None
    return [device, int(time_ms), None if value is None else str(value), numbers]


def rows(decoded: Decoded) -> list[Row]:
    return [shown(one.device, one.time_ms, one.value, one.measures) for one in decoded.readings]


def test_the_index_names_each_page_and_no_other() -> None:
    assert len(PAGES) == 12
    assert set(re.findall(r"\]\(([a-z0-9-]+)\.md\)", INDEX)) == PAGES.keys()


@each_page
def test_the_contract_gives_the_rows_of_the_page(page: Page) -> None:
    assert page.examples
    for each in page.examples:
        decoded = read(page, each.payload, each.names[0])
        assert decoded.rejects == []
        assert rows(decoded) == stated(each.rows)


@pytest.fixture
def params(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The parameters of the page's deployment, with its contract in the file that it names."""
    [file] = re.findall(r"ReadingContracts=(\S+)", page.params)
    assert f"Save the contract as `{file}`" in page.text
    assert f"\n$ .venv/bin/sensorstream contract try --contract {file} " in page.text
    (tmp_path / file).write_text(page.contract)
    monkeypatch.chdir(tmp_path)
    return assignments(page.params)


@each_page
def test_deploy_takes_topic_contract_and_alert(page: Page, params: dict[str, str]) -> None:
    assert params.keys() >= ALERTS | {"TopicPattern"}
    require_valid(params)
    assert page.parameters == params
    assert len(params["ReadingContracts"]) <= MAX_LENGTH
    assert device_levels(params["TopicPattern"])
    assert all(len(pattern.levels) > 1 for pattern in patterns(params["TopicPattern"]))  # else it sees all devices


@each_page
def test_the_alert_looks_at_a_number_of_the_messages(page: Page, params: dict[str, str]) -> None:
    field = params["AlertField"]
    if params["AlertSource"] == "rule":
        messages = [json.loads(each.payload) for each in page.examples]
        assert any(isinstance(jmespath.search(field, message), int | float) for message in messages)
        for name in params.keys() & {"AlertDeviceField", "AlertTimeField"}:
            assert all(jmespath.search(params[name], message) for message in messages)
        return
    Settings.load(
        REQUIRED | {"READING_CONTRACTS": params["ReadingContracts"], "ALERT_FIELD": field, "ALERT_FUNCTION": "alert"}
    )
    conditions = [Condition(field, "above", Decimal(-(10**9)), 0), Condition(field, "below", Decimal(10**9), 0)]
    readings = [one for each in page.examples for one in read(page, each.payload, each.names[0]).readings]
    assert all(any(condition.alert(one, ARRIVAL) for one in readings) for condition in conditions)


@each_page
def test_a_page_is_short_and_within_its_lines(page: Page) -> None:
    assert len(page.text.splitlines()) <= 60
    assert max(map(len, page.text.splitlines())) <= 120


def case(page: str, name: str, payload: object, *wanted: Row, reasons: str = "", key: str = "d") -> Any:
    """A further message of a family: the rows it gives, and the reasons of what is rejected."""
    text = payload if isinstance(payload, str | bytes) else json.dumps(payload)
    return pytest.param(PAGES[page], text, key, [*wanted], reasons.split(), id=f"{page}: {name}")


def ttn(**uplink: object) -> dict[str, object]:
    ids = {"device_id": "n4", "application_ids": {"application_id": "beds"}}
    return {"end_device_ids": ids, "received_at": "2026-05-04T10:00:00.5Z", "uplink_message": uplink}


def lorawan(decoded: object, **radio: object) -> dict[str, object]:
    radio = {"DevEui": "e1", "Timestamp": "2026-05-04T10:00:00Z"} | radio
    return {"WirelessDeviceId": "w", "decoded": decoded, "WirelessMetadata": {"LoRaWAN": radio}}


def metric(**given: object) -> dict[str, object]:
    return {"name": "c", "tags": {"host": "h", "room": "r"}, "fields": {"t": 1.5}, "timestamp": TIME // 1000} | given


def shelly(ts: object, params: dict[str, object], method: str = "NotifyStatus") -> dict[str, object]:
    return {"src": "shelly-1", "dst": "shelly/d/events", "method": method, "params": {"ts": ts} | params}


def reported(state: object) -> dict[str, object]:
    return {"state": state, "version": 3, "timestamp": TIME // 1000}


SHAPES = [
    case("zigbee2mqtt", "no last_seen", {"humidity": 50.25}, ["d", ARRIVAL, None, {"humidity": "50.25"}]),
    case("zigbee2mqtt", "last_seen as epoch", {"t": 1, "last_seen": TIME}, ["d", TIME, None, {"t": "1"}]),
    case("zigbee2mqtt", "last_seen with a zone", {"t": 1, "last_seen": "2026-05-04T12:00:00+02:00"},
         ["d", TIME, None, {"t": "1"}]),
    case("zigbee2mqtt", "null and a string number", {"temperature": None, "battery": "100.00", "state": "ON"},
         ["d", ARRIVAL, None, {"battery": "100.00"}]),
    case("zigbee2mqtt", "an action alone", {"action": "single"}, reasons="missing-field"),
    case("zigbee2mqtt", "a single attribute", "21.5", reasons="not-an-object"),
    case("zigbee2mqtt", "availability of old releases", "online", reasons="not-json"),
    case("tasmota", "seconds for the time", {"Time": TIME // 1000, "DS18B20-1": {"Id": "0A1F", "Temperature": -3.5}},
         ["d/DS18B20-1", TIME, None, {"Temperature": "-3.5"}]),
    case("tasmota", "the answer to Status 10",
         {"StatusSNS": {"Time": "2026-05-04T12:00:00", "BME280": {"Temperature": 20, "Pressure": 1012.5}}},
         ["d/BME280", TIME, None, {"Temperature": "20", "Pressure": "1012.5"}]),
    case("tasmota", "a sensor without a value, a meter of two channels",
         {"Time": "2026-05-04T12:00:00", "SI7021": {"Temperature": None, "Humidity": "61.0"},
          "ENERGY": {"Power": [61, 4], "Voltage": 230}},
         ["d/SI7021", TIME, None, {"Humidity": "61.0"}], ["d/ENERGY", TIME, None, {"Voltage": "230"}]),
    case("tasmota", "a chip that does not answer costs itself",
         {"Time": "2026-05-04T12:00:00", "AM2301": {"Temperature": None}, "BH1750": {"Illuminance": 310}},
         ["d/BH1750", TIME, None, {"Illuminance": "310"}], reasons="missing-field"),
    case("tasmota", "an object within an object",
         {"Time": "2026-05-04T12:00:00", "ANALOG": {"CTEnergy": {"Power": 9}}, "DHT11": {"Humidity": 37.5}},
         ["d/DHT11", TIME, None, {"Humidity": "37.5"}], reasons="missing-field"),
    case("tasmota", "the clock is not set", {"Time": "1970-01-01T00:00:12", "AM2301": {"Temperature": 20}},
         reasons="time-out-of-range"),
    case("tasmota", "switches alone", {"Time": "2026-05-04T12:00:00", "Switch1": "ON"}, reasons="missing-field"),
    case("shelly", "only what changed", shelly(TIME / 1000, {"temperature:0": {"id": 0, "tC": 0}}),
         ["d", TIME, None, {"temperature": "0"}]),
    case("shelly", "no clock yet, a sensor that fails",
         shelly(None, {"humidity:0": {"id": 0, "rh": 40.5}, "temperature:0": {"id": 0, "tC": None}}),
         ["d", ARRIVAL, None, {"humidity": "40.5"}]),
    case("shelly", "a plug's notification",
         shelly(TIME // 1000, {"switch:0": {"id": 0, "apower": 12.5, "aenergy": {"total": 99.1}}}),
         ["d", TIME, None, {"power": "12.5", "energy": "99.1"}]),
    case("shelly", "status of a temperature", {"id": 0, "tC": "21.0", "tF": 69.8},
         ["d", ARRIVAL, None, {"temperature": "21.0"}]),
    case("shelly", "a button", shelly(1, {"events": [{"component": "input:0", "event": "single_push"}]}, "NotifyEvent"),
         reasons="missing-field"),
    case("esphome", "without clock", {"climate": {"temperature": 20.5}}, ["d/temperature", ARRIVAL, "20.5", None]),
    case("esphome", "before the clock is synchronized", {"at": 14, "soil": "30.5"}, ["d/soil", ARRIVAL, "30.5", None]),
    case("esphome", "all sensors without state", {"at": TIME, "climate": {"temperature": None}, "soil": None},
         reasons="missing-field"),
    case("esphome", "NaN of an own sketch", f'{{"at": {TIME}, "climate": {{"temperature": nan, "humidity": 41}}}}',
         ["d/humidity", TIME, "41", None]),
    case("esphome", "a bare state", "21.5", reasons="not-an-object"),
    case("esphome", "NAN of a bare state", "nan", reasons="not-json"),
    case("the-things-network", "null, string and switch of a formatter",
         ttn(decoded_payload={"moisture": None, "battery": "3.60", "leak": True, "status": "ok"}),
         ["n4", TIME + 500, None, {"battery": "3.60", "leak": "1"}]),
    case("the-things-network", "without count and port", ttn(decoded_payload={"moisture": 0}),
         ["n4", TIME + 500, None, {"moisture": "0"}]),
    case("the-things-network", "no formatter", ttn(frm_payload="AQ==", f_cnt=2), reasons="missing-field"),
    case("the-things-network", "the second version's form", {"app_id": "a", "dev_id": "n", "payload_fields": {"t": 1}},
         reasons="missing-field"),
    case("the-things-network", "a join", {"end_device_ids": {"device_id": "n"}, "received_at": "2026-05-04T10:00:00Z",
         "join_accept": {}}, reasons="missing-field"),
    case("aws-iot-lorawan", "no gateways, no battery", lorawan({"moisture": 7}), ["e1", TIME, "7", None]),
    case("aws-iot-lorawan", "several gateways, a string", lorawan({"moisture": "7.10", "battery": None},
         Gateways=[{"Rssi": -120}, {"Rssi": -88.5}]), ["e1", TIME, "7.10", {"rssi": "-88.5"}]),
    case("aws-iot-lorawan", "fractions of a second", lorawan({"moisture": 7}, Timestamp="2026-05-04T10:00:01.000Z"),
         ["e1", LATER, "7", None]),
    case("aws-iot-lorawan", "not decoded", {k: v for k, v in lorawan(0).items() if k != "decoded"},
         reasons="missing-field"),
    case("aws-iot-lorawan", "the decoder failed", lorawan({"moisture": None}), reasons="wrong-type"),
    case("rtl-433", "unix time as string, a hexadecimal id",
         {"time": f"{TIME // 1000}", "model": "Soil", "id": "e4b1", "moisture": 35, "temperature_C": None},
         ["Soil-e4b1", TIME, None, {"moisture": "35"}]),
    case("rtl-433", "microseconds", {"time": f"{TIME // 1000}.250317", "model": "Rain", "id": 9, "rain_mm": "12.70"},
         ["Rain-9", TIME + 250, None, {"rain_mm": "12.70"}]),
    case("rtl-433", "ISO with zone", {"time": "2026-05-04T12:00:00+0200", "model": "A", "id": 1, "humidity": 3},
         ["A-1", TIME, None, {"humidity": "3"}]),
    case("rtl-433", "no id, Fahrenheit", {"time": "2026-05-04 12:00:00", "model": "B", "channel": "C",
         "temperature_F": 71.2}, ["B-C", TIME, None, {"temperature_F": "71.2"}]),
    case("rtl-433", "a switch", {"time": "2026-05-04 12:00:00", "model": "Bell", "id": 5, "state": "on"},
         reasons="missing-field"),
    case("senml", "without time", [{"n": "humidity", "v": 40}], ["humidity", ARRIVAL, "40", None]),
    case("senml", "one record without array", {"bn": "u/", "bt": TIME // 1000, "n": "t", "v": 1.25},
         ["u/t", TIME, "1.25", None]),
    case("senml", "base value and a time before", [{"bn": "u/", "bt": TIME / 1000, "bv": 20, "n": "t", "v": 1.5},
         {"n": "t", "t": -1, "v": 2}], ["u/t", TIME, "21.5", None], ["u/t", TIME - 1000, "22", None]),
    case("senml", "null and a string cost their record",
         [{"bn": "u/", "bt": TIME // 1000}, {"n": "a", "v": None}, {"n": "b", "v": "2"}, {"n": "c", "v": 3}],
         ["u/c", TIME, "3", None], reasons="wrong-type wrong-type"),
    case("senml", "text alone", [{"bn": "u/", "n": "label", "vs": "x"}], reasons="missing-field"),
    case("esp32-seconds", "a sensor is missing, the other a string",
         {"deviceID": 42, "timeStamp": f"{TIME // 1000}", "data": {"soil": "41.50"}}, ["42", TIME, "41.50", None]),
    case("esp32-seconds", "the clock is not set", {"deviceID": "e", "timeStamp": 38, "data": {"soil": 1}},
         ["e", ARRIVAL, "1", None]),
    case("esp32-seconds", "milliseconds, a null", {"deviceID": "e", "timeStamp": LATER,
         "data": {"soil": 1, "temp_C": None, "bat_mV": 3700}}, ["e", LATER, "1", {"battery": "3700"}]),
    case("esp32-seconds", "nan as measure, NUL of the string",
         f'{{"deviceID":"e","timeStamp":{TIME // 1000},"data":{{"soil":2,"temp_C":nan}}}}\0', ["e", TIME, "2", None]),
    case("esp32-seconds", "nan as value", f'{{"deviceID":"e","timeStamp":{TIME // 1000},"data":{{"soil":nan}}}}',
         reasons="not-json"),
    case("esp32-seconds", "a decimal comma", {"deviceID": "e", "timeStamp": LATER, "data": {"soil": "41,5"}},
         reasons="wrong-type"),
    case("device-shadow", "one value changed", reported({"reported": {"moisture": 30}}),
         ["d", TIME, None, {"moisture": "30"}]),
    case("device-shadow", "a field removed by null, a string", reported({"reported": {"valve": None, "battery": "88"}}),
         ["d", TIME, None, {"battery": "88"}]),
    case("device-shadow", "with desired", reported({"desired": {"pump": True}, "reported": {"pump": False}}),
         ["d", TIME, None, {"pump": "0"}]),
    case("device-shadow", "desired alone", reported({"desired": {"pump": True}}), reasons="missing-field"),
    case("telegraf", "milliseconds, a text field", metric(timestamp=TIME, fields={"t": "20.50", "state": "ok"}),
         ["h/r", TIME, None, {"t": "20.50"}]),
    case("telegraf", "nanoseconds, null", metric(timestamp=TIME * 10**6 + 7, fields={"t": None, "h": 40}),
         ["h/r", TIME, None, {"h": "40"}]),
    case("telegraf", "a batch with a metric without tags", {"metrics": [metric(tags={}), metric()]},
         ["h/r", TIME, None, {"t": "1.5"}], reasons="missing-field"),
    case("telegraf", "several metrics, line by line",
         f"{json.dumps(metric())}\n{json.dumps(metric(timestamp=LATER))}\n",
         ["h/r", TIME, None, {"t": "1.5"}], ["h/r", LATER, None, {"t": "1.5"}]),
    case("telegraf", "line protocol", "climate,host=h t=1.5 1777888800000000000", reasons="not-json"),
    case("kinesis", "a built-in reading", {"name": "s", "humidity": 40, "timeStampEpoch": TIME},
         ["s", TIME, "40", None]),
    case("kinesis", "a sensor without value costs itself", {"gateway": "g", "readings": [
         {"sensor": "a", "at": TIME}, {"sensor": "b", "at": f"{TIME}", "humidity": "39.0"}]},
         ["g-b", TIME, "39.0", None], reasons="missing-field"),
    case("kinesis", "two envelopes in one record",
         '{"gateway":"g","readings":[{"sensor":1,"at":1777888800,"humidity":1}]}'
         '{"gateway":"h","readings":[{"sensor":1,"at":"2026-05-04T10:00:00Z","humidity":2,"temperature":null}]}',
         ["g-1", TIME, "1", None], ["h-1", TIME, "2", None]),
    case("kinesis", "null as value", {"gateway": "g", "readings": [{"sensor": 1, "at": TIME, "humidity": None}]},
         reasons="wrong-type"),
    case("kinesis", "no readings", {"gateway": "g", "readings": []}, reasons="empty"),
]  # fmt: skip


@pytest.mark.parametrize(("page", "payload", "key", "wanted", "reasons"), SHAPES)
def test_further_messages_of_the_family(
    page: Page, payload: str | bytes, key: str, wanted: list[Row], reasons: list[str]
) -> None:
    decoded = read(page, payload, key)
    assert (rows(decoded), [reject.reason for reject in decoded.rejects]) == (wanted, reasons)


@pytest.mark.parametrize(
    ("payload", "wanted", "reasons"),
    [
        ("21.5", [["greenhouse/d", ARRIVAL, "21.5", None]], []),
        ("-3", [["greenhouse/d", ARRIVAL, "-3", None]], []),
        ("nan", [], ["not-json"]),
        ("ON", [], ["not-json"]),
    ],
)
def test_bare_numbers_of_one_node(payload: str, wanted: list[Row], reasons: list[str]) -> None:
    [contract] = re.findall(r"`({[^`]*\"@\"})`", PAGES["esphome"].text)
    decoded = decode(payload.encode(), Contracts(parse(f"[{contract}]".encode())), "d", ARRIVAL)
    assert (rows(decoded), [reject.reason for reject in decoded.rejects]) == (wanted, reasons)


@pytest.mark.parametrize("last", ["tasmota", "zigbee2mqtt"])
def test_pages_may_be_combined_but_two_that_fit_nearly_every_object(last: str) -> None:
    names = [*sorted(PAGES.keys() - {"tasmota", "zigbee2mqtt"}), last]
    entries = [entry for name in names for entry in json.loads(PAGES[name].contract)]
    together = Contracts(parse(json.dumps(entries).encode()))
    for page in map(PAGES.__getitem__, names):
        for each in page.examples:
            assert rows(decode(each.payload.encode(), together, each.names[0], ARRIVAL)) == stated(each.rows), page.name
