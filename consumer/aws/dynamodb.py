"""Operations of DynamoDB without botocore, whose request costs 12 times as much CPU: most of what a reading cost.

Endpoint, region, credentials, trusted certificates and proxies are those that botocore finds, and failures are its
exceptions with its codes, so that retries, metrics and explanations are those of every other request.
See docs/decisions/0024-rows-without-botocore.md.
"""

import time
import zlib
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec
from botocore.exceptions import ChecksumError, ClientError

from consumer.aws import codes
from consumer.aws.connections import Connections
from consumer.aws.credentials import Credentials
from consumer.aws.errors import NotUnderstood
from consumer.aws.http1 import Answer
from consumer.aws.signature import Signature

_CLOCK: Final = codes.CLOCK_SKEW | {"InvalidSignatureException"}
"""Codes of a refusal for the time of the signature; DynamoDB says the latter, also for wrong keys."""


class Operation:
    """Sends bodies of one operation, such as BatchWriteItem, to one endpoint, by its own kept connections."""

    def __init__(self, name: str, url: str, region: str, credentials: Credentials, ca_bundle: str | None) -> None:
        self._name = name
        self._headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"DynamoDB_20120810.{name}"}
        self.url, self._region = url, region
        self._credentials = credentials
        self._connections = Connections(url, ca_bundle)
        self._second = 0
        self._ahead = 0.0  # seconds that the service's clock is ahead of this machine's
        self._signature: Signature | None = None

    async def send(self, body: bytes) -> bytes:
        """Sends one request, once; returns the answer's body, whose checksum was right.

        Raises ClientError for a refusal; BotoCoreError without an answer or with one that cannot be relied on: the
        request may have been executed or not.
        """
        now = time.time() + self._ahead
        signature = self._signature
        if signature is None or int(now) != self._second:
            keys = await self._credentials.keys()
            signature = Signature(self.url, "dynamodb", self._region, self._headers, keys, now)
            self._signature, self._second = signature, int(now)
        answer = await self._connections.exchange(signature.request(body))
        _check(answer)
        if answer.status != 200:
            raise self._refusal(answer)
        return answer.body

    async def close(self) -> None:
        await self._connections.close()

    def _refusal(self, answer: Answer) -> Exception:
        if answer.status < 300:
            return NotUnderstood(operation=self._name, what=f"status {answer.status}")
        error = _error(answer, self._name)
        if codes.code(error) in _CLOCK:
            self._set_clock(answer.headers.get("date", ""))
        return error

    def _set_clock(self, date: str) -> None:
        try:
            self._ahead = parsedate_to_datetime(date).timestamp() - time.time()
        except (ValueError, OverflowError):
            return  # the answer does not say when it was sent
        self._signature = None


def _check(answer: Answer) -> None:
    """Raises ChecksumError; an answer without a checksum (from a proxy, or another DynamoDB) passes."""
    said, counted = answer.headers.get("x-amz-crc32"), str(zlib.crc32(answer.body))
    if said is not None and said.strip() != counted:
        raise ChecksumError(checksum_type="crc32", expected_checksum=said, actual_checksum=counted)


def _error(answer: Answer, operation: str) -> ClientError:
    """As botocore makes it: its code is DynamoDB's, or the status where something else has answered; `Item` is the one
    that did not meet a condition."""
    try:
        said: Any = msgspec.json.decode(answer.body)
    except ValueError:
        said = None
    said = said if isinstance(said, dict) else {}
    name = str(said.get("__type", "")).partition(":")[0].rpartition("#")[2] or str(answer.status)
    message = str(said.get("message") or said.get("Message") or "")
    metadata = {"HTTPStatusCode": answer.status, "RequestId": answer.headers.get("x-amzn-requestid", "")}
    response: Any = {"Error": {"Code": name, "Message": message}, "ResponseMetadata": metadata}
    if "Item" in said:
        response["Item"] = said["Item"]
    return ClientError(response, operation)
