"""What `make bench` reports, and the parts of it that need no server."""

import json

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest

from tests.bench import report
from tests.bench.effort import spread
from tests.bench.http import Requests
from tests.bench.measure import summary
from tests.bench.recorded import deliveries, records
from tests.bench.sink import KEYS, signed
from tests.bench.stages import stage

NAMED = {
    "python_us": {"ours", "sample_like", "seed_like", "aiobotocore_plain"},
    "task_us": {"ours", "sample_like"},
    "ratios": {"python_vs_sample", "python_vs_seed", "task_vs_sample"},
    "latency_s": {"polling", "fanout"},
}
"""What others read of the last line of `make bench`."""
SINGLE = {"mb_per_extra_shard", "cpu_growth_1_to_128", "recovery_s", "drain_readings_s_per_core"}


def test_the_page_is_what_the_committed_result_gives() -> None:
    assert report.PAGE.read_text() == report.page(report.load()), "python -m tests.bench docs"


def test_the_committed_summary_follows_from_its_figures() -> None:
    found = report.load()
    made = summary(found)
    assert made == found["summary"]
    assert made.keys() >= NAMED.keys() | SINGLE
    assert all(made[name].keys() >= parts for name, parts in NAMED.items())
    assert all(each.keys() >= {"p50", "p99"} for each in made["latency_s"].values())


def test_the_recorded_input_is_the_same_every_time_and_parts_follow_each_other() -> None:
    first, again, second = (list(records(part, 50, 1_795_344_496_000)) for part in (0, 0, 1))
    assert first == again
    assert first[-1].sequence < second[0].sequence
    assert first[-1].arrival < second[0].arrival
    assert len({(each.data, each.sequence) for each in first + second}) == 100


def test_deliveries_hold_all_readings_in_records_of_the_asked_size() -> None:
    lines = deliveries(list(records(0, 95, 1_795_344_496_000, per_record=10)), 4)
    found = [json.loads(line)["records"] for line in lines]
    assert [len(each) for each in found] == [4, 4, 2]


@pytest.mark.parametrize(("service", "signer"), [("dynamodb", SigV4Auth), ("s3", S3SigV4Auth)])
def test_the_sink_takes_right_signatures_only(service: str, signer: type[SigV4Auth]) -> None:
    body = b'{"a":1}'
    request = AWSRequest("POST", "http://127.0.0.1:1/a%20b", {"Host": "127.0.0.1:1"}, body)
    signer(KEYS, service, "eu-central-1").add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert signed("POST", "/a%20b", headers, body)
    assert not signed("POST", "/a%20b", headers, b'{"a":2}')
    assert not signed("POST", "/other", headers, body)
    assert not signed("POST", "/a%20b", headers | {"authorization": ""}, body)


def test_requests_are_cut_wherever_their_bytes_are() -> None:
    got: list[tuple[bytes, bytes]] = []
    requests = Requests(lambda _: None, lambda head, low, body: got.append((head, body)))
    sent = b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\n\r\n"
    sent += (
        b"PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\nGET /d HTTP/1.1\r\n\r\n"
    )
    for byte in sent:
        requests.feed(bytes([byte]))
    assert [(head.split()[1], body) for head, body in got] == [
        (b"/a", b"abc"),
        (b"/b", b""),
        (b"/c", b"abc"),
        (b"/d", b""),
    ]


@pytest.mark.parametrize(
    ("innermost", "expected"),
    [
        ("write (consumer/archive/format.py:1)", "archive: line"),
        ("Body.write (consumer/archive/compression.py:1)", "archive: compression"),
        ("decode (consumer/payload/decode.py:1)", "decode by contract"),
        ("put (consumer/sinks/table.py:1)", "rows: body"),
        ("Conversation._read (consumer/kcl/protocol.py:1)", "protocol"),
        ("select (selectors.py:1)", "pipeline"),
    ],
)
def test_a_sample_counts_for_the_stage_of_its_innermost_known_frame(innermost: str, expected: str) -> None:
    assert stage(["main (x.py:1)", "Shard.run (consumer/pipeline/shard.py:1)", innermost]) == expected


def test_a_figure_has_its_median_and_its_spread() -> None:
    figure = spread([3.0, 1.0, 2.0])
    assert (figure["median"], figure["least"], figure["greatest"]) == (2.0, 1.0, 3.0)
    assert report.spread(figure) == "2.0 (1.0..3.0)"
