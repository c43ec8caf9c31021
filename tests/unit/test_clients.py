"""The endpoint of the request that writes rows is the one that botocore resolves."""

import pytest

from consumer.aws.clients import Clients
from consumer.settings import Settings

NEEDED = {"STREAM_NAME": "s", "SENSOR_TABLE": "rows", "ARCHIVE_BUCKET": "bucket", "CLOUDWATCH_NAMESPACE": "off"}


@pytest.mark.parametrize(
    ("region", "variables", "url"),
    [
        ("eu-central-1", {}, "https://dynamodb.eu-central-1.amazonaws.com/"),
        ("cn-north-1", {}, "https://dynamodb.cn-north-1.amazonaws.com.cn/"),
        ("us-east-1", {"AWS_USE_FIPS_ENDPOINT": "true"}, "https://dynamodb-fips.us-east-1.amazonaws.com/"),
        ("us-gov-west-1", {"AWS_USE_FIPS_ENDPOINT": "true"}, "https://dynamodb.us-gov-west-1.amazonaws.com/"),
        ("eu-west-1", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "https://dynamodb.eu-west-1.api.aws/"),
        ("eu-west-1", {"AWS_ACCOUNT_ID": "123456789012"}, "https://123456789012.ddb.eu-west-1.amazonaws.com/"),
        ("eu-west-1", {"AWS_ENDPOINT_URL": "http://localhost:4566"}, "http://localhost:4566/"),
        ("eu-west-1", {"AWS_ENDPOINT_URL_DYNAMODB": "https://[::1]:8000/rows"}, "https://[::1]:8000/rows"),
    ],
)
async def test_rows_go_where_botocore_would_send_them(
    monkeypatch: pytest.MonkeyPatch, region: str, variables: dict[str, str], url: str
) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret"}
    for name, value in (keys | variables).items():
        monkeypatch.setenv(name, value)
    async with Clients(Settings.load(NEEDED | {"AWS_REGION": region} | variables)) as clients:
        assert clients.batch_write.url == url
