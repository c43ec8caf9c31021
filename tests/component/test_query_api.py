"""The query API over HTTP, through the emulator's API Gateway."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

from infra.deploy.templates import INFRA
from producer.aws.errors import UserError
from producer.aws.query_api import QueryApi
from tests.conftest import Deployed

EXACT = ["41.10000000000000012345", "-9.9999999999999999999999999999999999999E+125", "1E-130", "7"]
ODD = 'a/b %2F&=+ü"\n'


def at(second: int) -> str:
    return f"2026-11-22T{10 + second // 3600}:{second // 60 % 60:02}:{second % 60:02}.000Z"


@pytest.fixture(scope="module")
def api(stack: Deployed) -> QueryApi:
    """With 100 rows of `series`, one every second: values 0, 0.1, ...; and an odd name, whose numbers are long."""
    dynamodb, outputs = stack.session.client("dynamodb"), stack.outputs
    put(dynamodb, outputs["SensorTable"], (row("series", at(n), f"{n / 10}") for n in range(100)))
    put(dynamodb, outputs["SensorTable"], (row(ODD, at(n), text) for n, text in enumerate(EXACT)))
    put(
        dynamodb,
        outputs["DevicesTable"],
        ({"Bucket": {"N": str(n % 16)}, "Seen": {"S": at(1)}} | row(f"listed-{n}", at(0), "1") for n in range(100)),
    )
    return QueryApi(stack.session, outputs["QueryUrl"])


def row(device: str, time: str, value: str) -> dict[str, Any]:
    measures = {"M": {"same.name": {"N": value}}}
    return {"SensorId": {"S": device}, "Timestamp": {"S": time}, "Value": {"N": value}, "Measures": measures}


def put(dynamodb: Any, table: str, rows: Iterable[dict[str, Any]]) -> None:
    for each in rows:
        dynamodb.put_item(TableName=table, Item=each)


def all_of(answers: Iterable[dict[str, Any]], name: str) -> list[Any]:
    return [each for answer in answers for each in answer[name]]


def test_readings_are_the_newest_first(api: QueryApi) -> None:
    answer = api.get("/readings", device="series", limit=2)
    assert answer["readings"] == [
        {"time": at(99), "value": Decimal("9.9"), "measures": {"same.name": Decimal("9.9")}},
        {"time": at(98), "value": Decimal("9.8"), "measures": {"same.name": Decimal("9.8")}},
    ]
    assert answer["device"] == "series"


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 7, 100])
def test_pages_hold_each_reading_of_the_range_once(api: QueryApi, order: str, limit: int) -> None:
    pages = list(api.pages("/readings", device="series", order=order, limit=limit, from_=at(10), to=at(31)))
    expected = [at(n) for n in range(10, 31)]
    assert [each["time"] for each in all_of(iter(pages), "readings")] == (
        expected[::-1] if order == "desc" else expected
    )
    assert max(len(page["readings"]) for page in pages) <= limit


def test_a_time_of_another_zone_and_between_milliseconds_is_understood(api: QueryApi) -> None:
    answer = api.get("/readings", device="series", from_="2026-11-22T11:00:10.9991+01:00", to=at(12))
    assert [each["time"] for each in answer["readings"]] == [at(11)]


def test_numbers_have_every_digit(api: QueryApi) -> None:
    answer = api.get("/readings", device=ODD, order="asc")
    assert [each["value"] for each in answer["readings"]] == [Decimal(text) for text in EXACT]
    assert [each["measures"]["same.name"] for each in answer["readings"]] == [Decimal(text) for text in EXACT]


def test_a_series_has_the_buckets_with_readings(api: QueryApi) -> None:
    answer = api.get("/series", device="series", from_=at(5), to=at(65), every="30s", measure="same.name")
    assert answer == {
        "device": "series",
        "everySeconds": 30,
        "buckets": [
            {"time": at(5), "count": 25, "min": Decimal("0.5"), "max": Decimal("2.9"), "mean": Decimal("1.7")},
            {"time": at(30), "count": 30, "min": 3, "max": Decimal("5.9"), "mean": Decimal("4.45")},
            {"time": at(60), "count": 5, "min": 6, "max": Decimal("6.4"), "mean": Decimal("6.2")},
        ],
    }
    assert api.get("/series", device="series", from_=at(5), to=at(65), every="30s", measure="other")["buckets"] == []


def test_a_series_may_be_asked_for_by_the_number_of_its_buckets(api: QueryApi) -> None:
    answer = api.get("/series", device="series", from_=at(0), to=at(100), buckets=3)
    assert [(each["time"], each["count"]) for each in answer["buckets"]] == [
        (at(0), 34), ("2026-11-22T10:00:33.334Z", 33), ("2026-11-22T10:01:06.668Z", 33)
    ]  # fmt: skip
    assert answer["everySeconds"] == Decimal("33.334")


def rollup(minute: int, shard: int, seconds: int = 60, **value: str) -> dict[str, Any]:
    value = {"Last": value["Max"]} | value
    numbers = {"M": {name: {"S" if len(text) > 40 else "N": text} for name, text in value.items()}}
    window = f"{at(60 * minute)[:19]}Z/{seconds}/shardId-{shard:012}"
    return {
        "SensorId": {"S": "rolled"},
        "Window": {"S": window},
        "Readings": {"N": value["Count"]},
        "First": {"S": at(60 * minute + shard)},
        "Last": {"S": at(60 * minute + 40 + shard)},
        "Value": numbers,
        "Measures": {"M": {"same.name": numbers}},
    }


LONG = f"1{'0' * 60}.5"
"""A sum of more digits than a number has."""


@pytest.fixture(scope="module")
def rolled(stack: Deployed, api: QueryApi) -> str:
    rows = [
        rollup(0, 0, Count="2", Min="1", Max="3", Sum="4"),
        rollup(0, 1, Count="1", Min="-5", Max="-5", Sum="-5"),  # the window's other shard
        rollup(1, 1, Count="4", Min="0.5", Max="9", Sum="20"),
        rollup(5, 1, Count="3", Min="1", Max="2", Sum=LONG),
        rollup(60, 1, seconds=300, Count="1", Min="7", Max="7", Sum="7"),
    ]
    sharded = [
        rollup(minute, shard, seconds, Count="1", Min="1", Max="1", Sum="1") | {"SensorId": {"S": "sharded"}}
        for minute, seconds, shards in ((0, 60, 9), (0, 600, 3), (1, 60, 30), (2, 60, 1))
        for shard in range(shards)
    ]
    wide = [
        rollup(0, shard, Count="1", Min=str(shard), Max=str(shard), Sum=str(shard))
        | {"SensorId": {"S": "wide"}, "Last": {"S": at(59 - shard)}}
        for shard in range(30)
    ]
    put(stack.session.client("dynamodb"), stack.outputs["RollupTable"], rows + sharded + wide)
    return "rolled"


@pytest.mark.parametrize("measure", [{}, {"measure": "same.name"}])
def test_a_series_of_rollups_is_that_of_their_readings(api: QueryApi, rolled: str, measure: dict[str, str]) -> None:
    span = {"device": rolled, "from_": at(0), "to": at(360), "source": "rollups"} | measure
    found = api.get("/series", every="1m", **span)["buckets"]
    assert found[:2] == [
        {"time": at(0), "count": 3, "min": -5, "max": 3, "mean": Decimal("-0." + "3" * 38)},
        {"time": at(60), "count": 4, "min": Decimal("0.5"), "max": 9, "mean": 5},
    ]
    assert (found[2]["count"], found[2]["mean"]) == (3, Decimal("3." + "3" * 37 + "E+59"))
    found = api.get("/series", every="5m", **span)["buckets"]
    assert [(each["time"], each["count"], each["max"]) for each in found] == [(at(0), 7, 9), (at(300), 3, 2)]
    assert api.get("/series", every="1m", **(span | {"from_": at(1), "to": at(60)}))["buckets"] == []
    assert api.get("/series", every="1m", **(span | {"from_": at(60), "to": "2026-11-22T10:01:00.001Z"}))["buckets"]


def test_rollups_of_all_shards_are_put_together(api: QueryApi, rolled: str) -> None:
    answer = api.get("/rollups", device=rolled, from_=at(0), to=at(60))
    number = {"last": -5, "min": -5, "max": 3, "mean": Decimal("-0." + "3" * 38), "sum": -1, "count": 3}
    assert answer == {
        "device": rolled,
        "rollups": [
            {
                "time": at(0), "seconds": 60, "readings": 3, "first": at(0), "last": at(41), "value": number,
                "measures": {"same.name": number},
            }
        ],
    }  # fmt: skip
    assert api.get("/rollups", device="nobody") == {"device": "nobody", "rollups": []}
    [newest] = api.get("/rollups", device=rolled, limit=1)["rollups"]
    assert (newest["time"], newest["seconds"]) == (at(3600), 300)
    assert api.get("/rollups", device=rolled, from_=at(1), to=at(60))["rollups"] == []
    assert str(
        api.get("/rollups", device=rolled, from_=at(300), limit=1, order="asc")["rollups"][0]["value"]["sum"]
    ) == str(Decimal(LONG))


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
def test_pages_hold_each_window_once_and_whole(api: QueryApi, rolled: str, order: str, limit: int) -> None:
    """Also those that begin together and have other lengths, and more rows of a window than are read at once."""
    pages = list(api.pages("/rollups", device="sharded", order=order, limit=limit))
    found = [(each["time"], each["seconds"], each["readings"]) for page in pages for each in page["rollups"]]
    assert sorted(found) == [(at(0), 60, 9), (at(0), 600, 3), (at(60), 60, 30), (at(120), 60, 1)]
    assert [time for time, *_ in found] == sorted((time for time, *_ in found), reverse=order == "desc")
    assert all(len(page["rollups"]) <= limit for page in pages)


def test_a_bucket_holds_whole_windows(call: "Caller", rolled: str) -> None:
    span = f"/series?device={rolled}&from={at(0)}&to={at(7200)}&source=rollups"
    for rest in ("every=90s", "every=1m", "buckets=2"):  # those of five minutes, too
        status, _, problem = call(f"{span}&{rest}")
        assert (status, problem["field"]) == (400, "every")
    assert call(f"{span}&every=5m")[0] == 200


@pytest.fixture(scope="module")
def long(stack: Deployed, api: QueryApi) -> str:
    """A device with more readings than a request reads: 5,200, one a second."""
    rows = [row("long", at(n), "1") for n in range(5_200)]
    table, dynamodb = stack.outputs["SensorTable"], stack.session.client("dynamodb")
    for n in range(0, len(rows), 25):
        requests: Any = [{"PutRequest": {"Item": each}} for each in rows[n : n + 25]]
        assert not dynamodb.batch_write_item(RequestItems={table: requests})["UnprocessedItems"]
    return "long"


def test_a_long_series_goes_on_with_whole_buckets(api: QueryApi, long: str) -> None:
    pages = list(api.pages("/series", device=long, from_=at(1), to=at(5_200), every="20m"))
    counts = [[each["count"] for each in page["buckets"]] for page in pages]
    assert counts == [[1_199, 1_200, 1_200, 1_200], [400]]


def test_a_bucket_of_more_readings_than_a_request_reads_is_refused(call: "Caller", long: str) -> None:
    span = f"device={long}&from={at(0)}&to=2026-11-23T00:00:00Z"
    for bucket, field in (("every=1d", "every"), ("buckets=2", "buckets")):
        status, _, problem = call(f"/series?{span}&{bucket}")
        assert (status, problem["field"]) == (400, field)


def test_the_latest_of_a_device_without_readings_is_that_of_its_newest_rollup(api: QueryApi, rolled: str) -> None:
    """Of all rows of the newest window, which more shards have than are read at first."""
    latest, wide = api.get("/latest", device=[rolled, "unknown", "wide"])["latest"]
    [newest] = api.get("/rollups", device=rolled, limit=1)["rollups"]
    assert latest == {"device": rolled, "time": newest["last"], "value": 7, "measures": {"same.name": 7}}
    assert wide == {"device": "wide", "time": at(59), "value": 0, "measures": {"same.name": 0}}


def test_the_latest_of_many_devices_is_in_the_order_of_the_request(api: QueryApi) -> None:
    answer = api.get("/latest", device=["unknown", ODD, "series", ODD])
    assert [(each["device"], each["time"]) for each in answer["latest"]] == [(ODD, at(3)), ("series", at(99))]


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_pages_hold_each_device_once(api: QueryApi, limit: int) -> None:
    pages = list(api.pages("/devices", limit=limit))
    found = all_of(pages, "devices")
    assert sorted(each["device"] for each in found) == sorted(f"listed-{n}" for n in range(100))
    assert found[0].items() >= {"device": "listed-0", "seen": at(1), "time": at(0), "value": 1}.items()
    assert max(len(page["devices"]) for page in pages) <= limit


def test_an_unknown_device_has_no_readings(api: QueryApi) -> None:
    assert api.get("/readings", device="nobody") == {"device": "nobody", "readings": []}
    assert api.get("/series", device="nobody", from_=at(0), to=at(1), every="1s")["buckets"] == []
    assert api.get("/latest", device="nobody") == {"latest": []}


def test_the_document_is_the_one_of_the_repository(api: QueryApi) -> None:
    assert api.get("/openapi.json") == json.loads((INFRA / "functions/api/openapi.json").read_text())


class Caller:
    """Any request, as it is."""

    def __init__(self, stack: Deployed) -> None:
        self._stack = stack

    def __call__(self, target: str, method: str = "GET", signed: bool = True) -> tuple[int, Mapping[str, str], Any]:
        request = AWSRequest(method, self._stack.outputs["QueryUrl"] + target)
        credentials = self._stack.session.get_credentials()
        assert credentials
        if signed:
            SigV4Auth(credentials, "execute-api", self._stack.session.region_name).add_auth(request)
        answer = URLLib3Session().send(request.prepare())
        return answer.status_code, answer.headers, json.loads(answer.content)


@pytest.fixture
def call(stack: Deployed) -> Caller:
    return Caller(stack)


DEVICE = "/readings?device=series"
RANGE = f"from={at(0)}&to={at(9)}"


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ("/readings", "device"),
        ("/readings?device=", "device"),
        ("/readings?device=" + "%C3%BC" * 1025, "device"),
        ("/readings?device=%FF", "query"),
        ("/readings?device", "query"),
        (f"{DEVICE}&device=other", "device"),
        (f"{DEVICE}&form={at(0)}", "form"),
        (f"{DEVICE}&from=yesterday", "from"),
        (f"{DEVICE}&from=2026-11-22T10:00:00", "from"),
        (f"{DEVICE}&from=2026-02-30T10:00:00Z", "from"),
        (f"{DEVICE}&from={at(9)}&to={at(9)}", "to"),
        (f"{DEVICE}&order=up", "order"),
        (f"{DEVICE}&limit=0", "limit"),
        (f"{DEVICE}&limit=1001", "limit"),
        (f"{DEVICE}&limit=%D9%A1", "limit"),
        (f"{DEVICE}&page=x", "page"),
        (f"{DEVICE}&page=%C3%BC", "page"),
        ("/series?device=series&every=1s", "from"),
        (f"/series?device=series&{RANGE}", "every"),
        (f"/series?device=series&{RANGE}&every=1s&buckets=2", "every"),
        (f"/series?device=series&{RANGE}&every=0s", "every"),
        (f"/series?device=series&{RANGE}&buckets=1001", "buckets"),
        (f"/series?device=series&{RANGE}&buckets=2&measure=", "measure"),
        ("/rollups?device=series&every=1m", "every"),
        ("/rollups?device=series&page=x", "page"),
        ("/latest", "device"),
        ("/latest?" + "&".join(f"device=d{n}" for n in range(51)), "device"),
        ("/devices?limit=x", "limit"),
        ("/devices?page=", "page"),
        ("/openapi.json?x=1", "x"),
    ],
)
def test_a_bad_parameter_is_named(call: Caller, target: str, field: str) -> None:
    status, headers, problem = call(target)
    assert (status, headers["content-type"]) == (400, "application/problem+json")
    assert problem.items() >= {"type": "about:blank", "title": "Bad Request", "status": 400, "field": field}.items()
    assert problem["detail"].startswith(field)


@pytest.mark.usefixtures("api")
def test_a_page_that_was_changed_or_is_of_another_request_is_refused(call: Caller) -> None:
    page = call(f"{DEVICE}&limit=5")[2]["next"]
    assert call(f"{DEVICE}&page={page}")[0] == 200
    changed = [page[:n] + ("A" if page[n] != "A" else "B") + page[n + 1 :] for n in range(len(page))]
    others = (f"/readings?device=other&page={page}", f"{DEVICE}&order=asc&page={page}", f"/devices?page={page}")
    for target in (*(f"{DEVICE}&page={each}" for each in (*changed, page + "A", page + "=", page[:-1])), *others):
        status, _, problem = call(target)
        assert (status, problem["field"]) == (400, "page"), target


def test_an_unknown_path_is_not_found_and_only_get_is_allowed(call: Caller) -> None:
    status, headers, problem = call("/reading?device=x")
    assert (status, headers["content-type"], problem["title"]) == (404, "application/problem+json", "Not Found")
    status, headers, problem = call("/devices", "POST")
    assert (status, headers["allow"], problem["title"]) == (405, "GET", "Method Not Allowed")


def test_a_request_that_is_not_signed_is_refused(call: Caller) -> None:
    assert call("/devices", signed=False)[0] == 403


def test_what_the_api_refuses_is_an_error_of_the_user(api: QueryApi) -> None:
    with pytest.raises(UserError, match="400: limit must be a whole number"):
        api.get("/devices", limit="x")
