"""A consumer beside the local stack, with only the files that are written for it: compose.yaml without containers."""

import os
import subprocess
import sys
from pathlib import Path

from infra.local import elsewhere
from infra.local.emulator import free_port
from infra.local.process import ROOT, Child
from infra.local.stack import LocalStack, Options, health
from tests.system.conftest import wait_for


def test_it_consumes_in_its_tasks_role(tmp_path: Path) -> None:
    port = free_port()
    options = Options("elsewhere", free_port(), free_port(), port, {"ShardCount": "1"}, consumer=False)
    with LocalStack(options, print) as stack:
        file = elsewhere.write(stack.emulator, stack.outputs["TaskDefinitionArn"], tmp_path / "consumer")
        # What the image has by itself, and what is a port of the container's own there.
        own = f"RUN_DIR={tmp_path} TMPDIR={tmp_path} HTTP_HOST=127.0.0.1 HTTP_PORT={port}"
        command = ["bash", "-c", f"source {file}; export {own}; exec {sys.executable} -m consumer"]
        consumer = Child("the consumer", command, {"PATH": os.environ["PATH"]}, tmp_path / "consumer.log")
        try:
            consumer.wait_until(lambda: health(f"http://127.0.0.1:{port}")[0], 180)
            publish = [sys.executable, "-m", "producer", "publish", "greenhouse-7", "41.5", "41.7"]
            subprocess.run(publish, cwd=ROOT, env=os.environ | stack.as_role("client"), check=True, timeout=60)
            dynamodb, table = stack.emulator.session().client("dynamodb"), stack.outputs["SensorTable"]
            wait_for(lambda: dynamodb.scan(TableName=table)["Count"] == 2, "both rows")
        finally:
            assert consumer.stop(120) == 0
