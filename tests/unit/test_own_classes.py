"""The class of ours that orders records in the daemon, against the KCL's own of the same name."""

import subprocess
from pathlib import Path

import pytest

from consumer.kcl.daemon_config import OWN_CLASSES, jars
from tests.unit.test_polling import compiler


@pytest.mark.skipif(compiler() != "17", reason="needs the compiler that made the classes, javac 17")
def test_numbers_are_ordered_as_the_kcl_orders_them(tmp_path: Path) -> None:
    subprocess.run(["javac", "-d", str(tmp_path), str(Path(__file__).parent / "Numbers.java")], check=True)
    [theirs] = jars().glob("amazon-kinesis-client-[0-9]*.jar")
    command = ["java", "-cp", str(tmp_path), "Numbers", str(OWN_CLASSES), str(theirs)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 100_000, done.stdout[:2000]
