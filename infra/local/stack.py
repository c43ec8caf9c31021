"""Everything on one machine: the emulator, the deployed templates, and the consumer as the task that they describe.

`LocalStack` is a context manager: entered, all of it runs; left, nothing of it does.
"""

import json
import os
import shlex
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import boto3

from infra.deploy.cloudformation import DeployError, Event
from infra.local import elsewhere
from infra.local.console import Console
from infra.local.deployer import IMAGE, deploy_as_account, deploy_as_deployer
from infra.local.emulator import HOST, Emulator, require_free
from infra.local.identity import (
    PEOPLE,
    as_person,
    as_task,
    person_session,
    settings_of,
    task_session,
    write_profiles,
)
from infra.local.options import Options
from infra.local.process import LOCAL, ROOT, Child, LocalError, Running

CONSUMER_SECONDS = 180.0  # the KCL's cold start, with a wide margin
STOP_SECONDS = 30.0


class LocalStack(Running):
    """`say` gets a line at each step. After `start()`: `outputs`, `env` (the variables of .local/env), `emulator`."""

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        self.options = options
        self.outputs: dict[str, str] = {}
        self.env: dict[str, str] = {}
        self.emulator = Emulator(
            options.aws_port, options.mqtt_port, log=LOCAL / "log/emulator.log", enforce_iam=options.enforce
        )
        self.consumer: Child | None = None
        self.console: Console | None = None
        self._run_dir = tempfile.mkdtemp(prefix="sensorstream-run-")
        self._inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self._say = say

    @property
    def consumer_url(self) -> str:
        return f"http://{HOST}:{self.options.http_port}"

    def start(self) -> None:
        """Returns when readings can be sent and are consumed; after a LocalError call stop() all the same."""
        elsewhere.forget(LOCAL / "consumer")  # what another run may have left
        if self.options.consumer:
            require_free(self.options.http_port, "HTTP_PORT")
        self.emulator.start()
        self._say(f"emulator ready: {self.emulator.endpoint}")
        try:
            deploy = deploy_as_deployer if self.options.enforce else deploy_as_account
            self.outputs = deploy(self.emulator, self.options.name, self.options.parameters, self._say_failure)
        except DeployError as error:
            raise LocalError(f"{error} (log: {LOCAL / 'log/emulator.log'})") from error
        self._write_env()
        self._say(f"stack deployed: {self.options.name}")
        if self.options.console:
            self.console = Console(self._inherited | self.as_role("operator"))
        if self.options.consumer:
            self._run_consumer()
        elif self.options.enforce:  # one that is started elsewhere finds what it needs
            elsewhere.write(self.emulator, self.outputs["TaskDefinitionArn"], LOCAL / "consumer")
        if self.console:  # it can be opened while the KCL starts
            self.console.wait()
            self._say(f"console: {self.console.address}")
        if self.consumer:
            self._wait_for(self.consumer)

    def _contracts(self) -> dict[str, str]:
        """How the consumer reads payloads, for the commands that must do as it does."""
        task = settings_of(self.emulator, self.outputs["TaskDefinitionArn"])
        return {name: task[name] for name in ("READING_CONTRACTS", "PAYLOAD_DECODER") if name in task}

    def _say_failure(self, event: Event) -> None:
        if event.status.endswith("_FAILED"):
            self._say(f"{event.resource} {event.status}: {event.reason}")

    def _write_env(self) -> None:
        """.local/env, .local/iot-ca.pem, and an empty folder for devices: the emulator has none of an earlier run.

        It is not the producer's own, .local/devices: that may hold the only keys of devices in the cloud.
        """
        ca, devices = LOCAL / "iot-ca.pem", LOCAL / "emulated-devices"
        shutil.rmtree(devices, ignore_errors=True)
        devices.mkdir(parents=True)
        ca.write_text(self.emulator.ca())
        write_profiles(self.emulator, profiles_file(), self.outputs)
        self.env = self.emulator.variables() | {
            "AWS_CONFIG_FILE": str(profiles_file()),
            "STACK_NAME": self.options.name,
            "IMAGE": IMAGE,
            "STREAM_NAME": self.outputs["StreamName"],
            "SENSOR_TABLE": self.outputs["SensorTable"],
            "ARCHIVE_BUCKET": self.outputs["ArchiveBucket"],
            "ALERT_TOPIC_ARN": self.outputs["AlertTopicArn"],
            "CONSUMER_URL": self.consumer_url,
            "QUERY_URL": self.outputs["QueryUrl"],
            "IOT_ENDPOINT": self.outputs["IotEndpoint"],
            "IOT_CA_FILE": str(ca),
            "DEVICES_DIR": str(devices),
            **self._contracts(),
        }
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in self.env.items()]
        env_file().write_text("".join(lines))

    def as_role(self, role: str) -> dict[str, str]:
        """Environment of a process that is a `client`, `operator` or `deployer`, or the `simulator` if there is one."""
        names = {name: value for name, value in self.env.items() if not name.startswith("AWS_")}
        if role == "simulator":
            return names | as_task(self.emulator, f"{self.options.name}-simulator")
        return names | as_person(self.emulator, profiles_file(), role)

    def session_as(self, role: str) -> boto3.Session:
        """The same for this process."""
        if role == "simulator":
            return task_session(self.emulator, f"{self.options.name}-simulator")
        return person_session(self.emulator, self.outputs[PEOPLE[role]])

    def start_consumer(self) -> None:
        """Returns when the consumer calls itself healthy: it reads its shards, or knows that it has none."""
        self._wait_for(self._run_consumer())

    def _run_consumer(self) -> Child:
        task = settings_of(self.emulator, self.outputs["TaskDefinitionArn"])
        command = [str(ROOT / ".venv/bin/python"), "-m", "consumer"]
        env = {**self._inherited, **task, **self._here(), **self.options.consumer_settings}
        self.consumer = Child("the consumer", command, env, LOCAL / "log/consumer.log")
        return self.consumer

    def _wait_for(self, consumer: Child) -> None:
        reported = ""

        def ready() -> bool:
            nonlocal reported
            healthy, why = health(self.consumer_url)
            if not healthy and why != reported:
                reported = why
                self._say(f"waiting for the consumer: {why}")
            return healthy

        consumer.wait_until(ready, CONSUMER_SECONDS)
        self._say(f"consumer ready: {self.consumer_url}")

    def _here(self) -> dict[str, str]:
        """Settings of the consumer that cannot be what they are in a container of the cloud."""
        return {
            "WORKER_ID": "local",  # in the cloud it is the host name of the task
            "RUN_DIR": self._run_dir,
            "TMPDIR": self._run_dir,
            "HTTP_HOST": HOST,  # this machine only
            "HTTP_PORT": str(self.options.http_port),
            "FAST_START": "true",  # someone waits at the terminal
            "SHUTDOWN_SECONDS": str(int(STOP_SECONDS) - 5),
        }

    def failure(self) -> str | None:
        """Why the stack does not run any more; None while it does."""
        if self.emulator.exit_code() is not None:
            return f"the emulator ended with code {self.emulator.exit_code()}; see {LOCAL / 'log/emulator.log'}"
        if self.consumer and self.consumer.exit_code() is not None:
            return f"the consumer ended with code {self.consumer.exit_code()}; see {self.consumer.log}"
        return None

    def stop_consumer(self) -> int:
        """SIGTERM, and SIGKILL if that does not end it; returns the exit code, 0 also where none runs."""
        if self.consumer is None:
            return 0
        code = self.consumer.stop(STOP_SECONDS)
        self._say("consumer stopped" if code == 0 else f"consumer ended with code {code}; see {self.consumer.log}")
        self.consumer = None
        return code

    def stop(self) -> None:
        """Ends the consumer gracefully, then the emulator; harmless at any time, and again."""
        try:
            if self.console:
                self.console.stop()
            self.stop_consumer()
        finally:
            env_file().unlink(missing_ok=True)
            elsewhere.forget(LOCAL / "consumer")
            shutil.rmtree(self._run_dir, ignore_errors=True)
            self.emulator.stop()


def env_file() -> Path:
    """The variables of the running stack, for `source`."""
    return LOCAL / "env"


def profiles_file() -> Path:
    """The AWS configuration with a profile for each role that people assume."""
    return LOCAL / "aws-config"


def health(url: str) -> tuple[bool, str]:
    """Whether the consumer calls itself healthy, and if not, why."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=2) as answer:  # noqa: S310 - own address
            return _health(answer.read())
    except urllib.error.HTTPError as error:
        return _health(error.read())
    except OSError:
        return False, "waiting for the service"


def _health(body: bytes) -> tuple[bool, str]:
    try:
        document = json.loads(body)
        return bool(document["healthy"]), "" if document["healthy"] else str(document["why"])
    except (ValueError, KeyError, TypeError):
        return False, "not healthy yet"
