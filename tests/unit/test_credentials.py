"""What a chain of credentials may do that the real ones of the component tests do not."""

from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError

from consumer.aws.credentials import Credentials, Endpoint


class Session:
    """Finds nothing."""

    def set_config_variable(self, name: str, value: str) -> None:
        assert (name, value) == ("region", "eu-central-1")

    async def get_credentials(self) -> None:
        return None


async def test_a_chain_without_credentials_is_reported_as_the_sdk_does() -> None:
    session: Any = Session()
    with pytest.raises(NoCredentialsError):
        await Credentials.find(session, "eu-central-1")


async def test_an_endpoint_that_never_started_can_be_stopped() -> None:
    await Endpoint(Credentials(object())).stop()
