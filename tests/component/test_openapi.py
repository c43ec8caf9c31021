"""The running query API against its OpenAPI document: requests that schemathesis makes up, in the client's role."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from hypothesis import settings
from requests import PreparedRequest
from requests.auth import AuthBase
from schemathesis.checks import positive_data_acceptance
from schemathesis.config import SchemathesisConfig

from infra.deploy.templates import INFRA
from tests.component.strict import Strict

CONFIG = SchemathesisConfig.from_dict({"generation": {"deterministic": True}})
DOCUMENT = json.loads((INFRA / "functions/api/openapi.json").read_text())
# Each request is signed below, whatever schemathesis does to its header; who is refused: test_local_permissions.py.
API = schemathesis.openapi.from_dict(
    {name: part for name, part in DOCUMENT.items() if name != "security"}, config=CONFIG
)
EXAMPLES = 30  # for each operation, beside what the document's own limits give


class Signed(AuthBase):
    """Signs each request as the session's caller."""

    def __init__(self, session: Any) -> None:
        self._signer = SigV4Auth(session.get_credentials().get_frozen_credentials(), "execute-api", session.region_name)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        made = AWSRequest(request.method, request.url, data=request.body)
        self._signer.add_auth(made)
        request.headers.update(dict(made.headers.items()))
        return request


@pytest.fixture(scope="module")
def caller(strict: Strict) -> dict[str, Any]:
    """Arguments of a call. The tables hold what answers must be right with."""
    row: dict[str, Any] = {
        "Value": {"N": "1.50"},
        "Measures": {"M": {"a": {"N": "1E-130"}}},
        "TimeSource": {"S": "arrival"},
    }
    fill(strict, "SensorTable", ({"Timestamp": {"S": f"2026-11-22T10:48:1{n}.123Z"}} | row for n in range(3)))
    fill(
        strict,
        "DevicesTable",
        ({"Bucket": {"N": str(n)}, "Timestamp": {"S": SEEN}, "Seen": {"S": SEEN}} for n in range(3)),
    )
    summary = {"M": {name: {"N": "1.50"} for name in ("Last", "Min", "Max", "Sum")} | {"Count": {"N": "1"}}}
    rollup: dict[str, Any] = {
        "Readings": {"N": "2"}, "First": {"S": SEEN}, "Last": {"S": SEEN}, "Value": summary,
        "Measures": {"M": {"a": summary}}, "LeftOut": {"N": "3"},
    }  # fmt: skip
    windows = (f"2026-11-22T10:4{n}:00Z/60/shardId-00000000000{shard}" for n in range(3) for shard in range(2))
    fill(strict, "RollupTable", ({"Window": {"S": window}} | rollup for window in windows))
    session = strict.emulator.session(strict.emulator.role(strict.names["ClientRoleArn"]))
    return {"base_url": strict.names["QueryUrl"], "auth": Signed(session), "verify": str(strict.emulator.ca_file)}


SEEN = "2026-11-22T10:48:16.123Z"


def fill(strict: Strict, table: str, rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        item = {"SensorId": {"S": "0"}} | row
        strict.client("dynamodb").put_item(TableName=strict.names[table], Item=item)


# What the document allows may still be refused: a page of another request, or a `to` before `from`.
@API.parametrize()
@settings(max_examples=EXAMPLES, deadline=None)
def test_every_answer_is_as_the_document_says(case: Any, caller: dict[str, Any]) -> None:
    case.call_and_validate(excluded_checks=[positive_data_acceptance], **caller)
