"""Every signature is the one that botocore's signer makes of the same request."""

import datetime
from unittest import mock
from urllib.parse import urlsplit

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import HTTPClientError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consumer.aws.credentials import Keys
from consumer.aws.errors import explain
from consumer.aws.signature import Signature

HEADERS = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.BatchWriteItem"}
LETTERS = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
URLS = st.sampled_from(
    [
        "https://dynamodb.eu-central-1.amazonaws.com",
        "https://dynamodb.eu-central-1.amazonaws.com:443",
        "https://vpce-1-2.dynamodb.us-east-1.vpce.amazonaws.com/",
        "http://localhost:4566",
        "http://LOCALHOST:80",
        "https://127.0.0.1:443/base",
        "http://[::1]:8000",
        "https://[fd00::1]",
        "https://proxy.example/a~b/c-d_e.f",
    ]
)


def request(
    url: str, body: bytes, keys: Keys, region: str = "eu-central-1", at: float = 0
) -> tuple[str, dict[str, str], bytes]:
    """Request line, headers and body as we send them."""
    sent = Signature(url, "dynamodb", region, HEADERS, keys, at).request(body)
    head, _, rest = sent.partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    return line, dict(each.split(": ", 1) for each in lines), rest


def botocores(url: str, body: bytes, keys: Keys, region: str, at: float) -> dict[str, str]:
    moment = datetime.datetime.fromtimestamp(int(at), datetime.UTC).replace(tzinfo=None)
    asked = AWSRequest("POST", url, dict(HEADERS), body)
    with mock.patch.object(auth, "get_current_datetime", return_value=moment):
        auth.SigV4Auth(Credentials(keys.access_key, keys.secret_key, keys.token), "dynamodb", region).add_auth(asked)
    return {name.lower(): value for name, value in asked.headers.items()}


@settings(max_examples=3000)
@given(
    URLS,
    st.binary(max_size=300),
    st.builds(
        Keys,
        st.text(LETTERS, min_size=1, max_size=30),
        st.text(min_size=1),
        st.none() | st.text(LETTERS, min_size=1),
        st.none(),
    ),
    st.sampled_from(["eu-central-1", "us-gov-west-1", "cn-north-1"]),
    st.floats(0, 4e9),
)
@example("http://localhost:4566", b"", Keys("AKID", "secret", "t" * 2000, None), "eu-central-1", 1_767_268_799.999)
def test_a_signature_is_botocores(url: str, body: bytes, keys: Keys, region: str, at: float) -> None:
    line, headers, rest = request(url, body, keys, region, at)
    expected = botocores(url, body, keys, region, at)
    assert headers["authorization"] == expected["authorization"]
    assert headers.get("x-amz-security-token") == expected.get("x-amz-security-token")
    assert headers["x-amz-date"] == expected["x-amz-date"]
    assert line == f"POST {urlsplit(url).path or '/'} HTTP/1.1"
    assert (rest, headers["content-length"]) == (body, str(len(body)))


def test_one_signature_signs_many_bodies() -> None:
    url, keys = "http://localhost:4566", Keys("AKID", "secret", None, None)
    signature = Signature(url, "dynamodb", "eu-central-1", HEADERS, keys, 5)
    for body in (b"1", b"2", b"1"):
        assert botocores(url, body, keys, "eu-central-1", 5)["authorization"].encode() in signature.request(body)


@pytest.mark.parametrize("token", ["line\r\nx-injected: 1", "line\nbreak", "ä", "\x00"])
def test_a_token_cannot_add_headers_and_is_not_shown(token: str) -> None:
    for keys in (Keys("AKID", "secret", token, None), Keys(token, "secret", None, None)):
        with pytest.raises(HTTPClientError) as raised:
            Signature("http://localhost", "dynamodb", "eu-central-1", HEADERS, keys, 0)
        assert "an AWS key or token holds a character that is not allowed in a header" in explain(raised.value)
