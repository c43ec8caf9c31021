"""The real daemon lives on the credentials that the service renews, and logs the reason where there are none."""

import asyncio
import logging
from pathlib import Path

import pytest

from consumer.aws import credentials
from consumer.telemetry import log
from infra.local.emulator import Emulator
from tests.component.kcl_rig import Rig
from tests.component.misconfigured import base
from tests.component.test_credentials import configure, process, runs


async def test_the_daemon_works_on_renewed_credentials_and_through_their_absence(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A profile whose process gives credentials of six seconds, which no SDK but ours reads: Java's ends at once."""
    for name, value in (base(tmp_path) | configure(tmp_path, process(tmp_path, 6))).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(credentials, "RETRY_PAUSE", 0.5)
    caplog.set_level(logging.INFO)
    for name in log._LOGGED_ELSEWHERE:
        monkeypatch.setattr(logging.getLogger(name), "level", logging.CRITICAL)

    def said() -> str:
        return "\n".join(f"{record.getMessage()} {vars(record)}" for record in list(caplog.records))

    async def until_said(text: str) -> None:
        while text not in said():  # noqa: ASYNC110
            await asyncio.sleep(0.2)

    async with Rig(emulator.endpoint, tmp_path / "run", "renewed") as rig:
        await rig.create_stream(1)
        await rig.prepare()
        await rig.daemon.start()
        await rig.put(b"one")
        await rig.until(lambda: len(rig.got) == 1)
        first = runs(tmp_path)
        while runs(tmp_path) < first + 3:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        await rig.put(b"two")
        await rig.until(lambda: len(rig.got) == 2)
        (tmp_path / "broken").touch()
        await until_said("Failed to load credentials")  # the daemon's own words
        assert "the vault is closed" in said(), "ours say why"
        (tmp_path / "broken").unlink()
        await until_said("AWS credentials are renewed again")
        await rig.put(b"three")
        await rig.until(lambda: len(rig.got) == 3)
    assert "planted" not in said()
