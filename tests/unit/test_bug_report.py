"""What a report of a defect tells, and what it keeps to itself."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from producer.ops.bug_report import LINES, consumer, environment, hidden, local_logs, versions

ANSWERS = {
    "/healthz": (503, '{"healthy": false, "why": "no shard yet"}\n'),
    "/shards": (200, '{"shards": [{"shard": "shardId-0", "live": true}]}'),
    "/metrics": (200, '# HELP x\nx_total 3.0\ny_total 0.0\nz_bucket{le="1"} 2.0\nlag{shard="a"} 0.25\n'),
}


class Consumer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, text = ANSWERS[self.path]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Consumer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_health_shards_and_metrics_that_are_not_0_are_told(url: str) -> None:
    assert list(consumer(url)) == [
        '{"healthy": false, "why": "no shard yet"}',
        '{"shard": "shardId-0", "live": true}',
        "x_total 3.0",
        'lag{shard="a"} 0.25',
    ]


def test_variables_that_may_be_secrets_are_named_only() -> None:
    told = list(environment({"AWS_SECRET_ACCESS_KEY": "s3cr3t", "AWS_REGION": "eu-central-1", "PASSWORD": "hunter2"}))
    assert told == ["AWS_REGION=eu-central-1", "AWS_SECRET_ACCESS_KEY is set"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("AlertEmail=jo.do+x@example.co.uk", "AlertEmail=(mail)"),
        ("arn:aws:iam::123456789012:role/x", "arn:aws:iam::(account):role/x"),
        ("s3://s-123456789012-eu-central-1/readings", "s3://s-(account)-eu-central-1/readings"),
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/q", "https://sqs.eu-west-1.amazonaws.com/(account)/q"),
        ("shardId-000000000001 of 1764515662", "shardId-000000000001 of 1764515662"),
        ("key AKIAIOSFODNN7EXAMPLE of s3cr3t", "key (key) of (credential)"),
        ('"position": "49612345678901234567890.7", 1764515662123',) * 2,
    ],
)
def test_what_must_not_be_given_away_is_taken_out(text: str, shown: str) -> None:
    assert hidden(text, ["s3cr3t"]) == shown


def test_of_each_log_the_last_lines_are_told(tmp_path: Path) -> None:
    (tmp_path / "b.log").write_text("".join(f"line {number}\n" for number in range(LINES + 5)))
    (tmp_path / "a.log").write_bytes(b"\xff broken\n")
    told = list(local_logs(tmp_path))
    assert told[:3] == ["### a.log", "\N{REPLACEMENT CHARACTER} broken", "### b.log"]
    assert (told[3], told[-1], len(told)) == ("line 5", f"line {LINES + 4}", LINES + 3)


def test_versions_are_of_what_runs() -> None:
    told = "\n".join(versions())
    assert told.startswith("Python 3.")
    assert "amazon_kclpy 3." in told
