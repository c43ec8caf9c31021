"""The first rows of the lease table: never waited for without a limit, and no reason not to start."""

import asyncio
import contextlib
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from consumer.aws import clients as module
from consumer.aws.clients import Clients, Unreachable
from tests.unit.fakes import error

OUTAGES = [error("ThrottlingException"), OSError("refused"), TimeoutError(), None]


@pytest.fixture
def prepare(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(module, "CREATE_SECONDS", 0.01)
    monkeypatch.setattr(module, "SEED_SECONDS", 0.01)

    async def run(tables: str, failure: Exception | None) -> None:
        async def fail(*_: object) -> None:
            if failure is None:
                await asyncio.Event().wait()
            assert failure
            raise failure

        monkeypatch.setattr(module, "create", fail)
        monkeypatch.setattr(module, "seed", fail)
        settings: Any = SimpleNamespace(
            lease_tables=tables, initial_position=None, stream_name="s", application_name="sensors", worker_id="me"
        )
        clients = Clients(settings)
        client: Any = SimpleNamespace(list_shards=None)
        clients.kinesis = clients.dynamodb = client
        monkeypatch.setattr(clients, "_create", lambda service: contextlib.nullcontext(client))
        await clients.prepare()

    return run


@pytest.mark.parametrize("failure", OUTAGES)
async def test_without_first_rows_the_service_starts_all_the_same(
    prepare: Any, failure: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        await prepare("existing", failure)
    assert "no first leases written" in caplog.text


@pytest.mark.parametrize("failure", OUTAGES)
async def test_a_table_that_has_to_be_made_and_cannot_is_one_line(prepare: Any, failure: Exception | None) -> None:
    with pytest.raises(Unreachable, match=r"APPLICATION_NAME: sensors: no lease table: .+"):
        await prepare("create", failure)
