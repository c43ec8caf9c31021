"""Faults in the files of a device are reported before anything is connected."""

from pathlib import Path

import pytest

from producer.aws.errors import UserError
from producer.fleet.credentials import Credentials
from producer.fleet.mqtt import MqttTransport


def test_damaged_files_of_a_device_are_named(tmp_path: Path) -> None:
    device = Credentials("q1", tmp_path)
    for path in (device.certificate, device.key, device.identity):
        path.write_text("damaged")
    with pytest.raises(UserError, match=f"device q1: certificate or key in {tmp_path} are damaged"):
        MqttTransport("127.0.0.1", 1, None, [device], str, lambda *_: None)
