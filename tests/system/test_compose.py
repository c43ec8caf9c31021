"""compose.yaml without containers: the commands of its services that are ours, as processes in one network, each with
nothing but its own environment and the folder that they share."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from infra.local.emulator import free_port
from infra.local.live import ask
from infra.local.process import ROOT, Child
from infra.local.stack import health
from tests.system.conftest import wait_for
from tests.system.console import asked

SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
EMULATOR, PRODUCT = ROOT / ".local-aws", ROOT / ".venv"


class Composed:
    """The services of one run: what is a folder of a container is one in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folders = {"/state": folder / "state", "/run/sensorstream": folder / "run", "/usr/local": EMULATOR}
        for made in ("state", "run"):
            (folder / made).mkdir()

    @contextmanager
    def service(self, name: str, environment: Path, *more: str, **own: str) -> Iterator[Child]:
        """Runs its command with the Python of an environment. `more` words end it, `own` variables are the image's, or
        ports that are the container's own there."""
        *program, last = [self._here(word) for word in SERVICES[name]["command"]]
        if program[:1] == ["bash"]:
            set_own = "".join(f"export {variable}={value}; " for variable, value in own.items())
            command = [*program, " ".join([last.replace("exec ", f"{set_own}exec "), *more])]
        else:
            command = [*program, last, *more]
        given = {variable: self._here(value) for variable, value in SERVICES[name].get("environment", {}).items()}
        path = f"{environment}/bin:/usr/bin:/bin"
        child = Child(name, command, {"PATH": path, **given}, self._folder / f"{name}.log")
        try:
            yield child
        finally:
            assert child.stop(120) == 0, child.log.read_text()

    def _here(self, text: str) -> str:
        for container, here in self._folders.items():
            text = text.replace(container, str(here))
        return text


def test_devices_publish_the_consumer_consumes_and_the_console_prints_its_address(tmp_path: Path) -> None:
    composed = Composed(tmp_path)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    ports = [f"AWS_PORT={free_port()}", f"MQTT_PORT={free_port()}", f"HTTP_PORT={port}"]
    run = {"RUN_DIR": str(tmp_path / "run"), "TMPDIR": str(tmp_path / "run")}
    with composed.service("aws", EMULATOR, *ports) as stack:
        stack.wait_until((tmp_path / "state/consumer/env").exists, 60)
        with composed.service("consumer", PRODUCT, **run, HTTP_HOST="127.0.0.1", HTTP_PORT=str(port)) as consumer:
            consumer.wait_until(lambda: health(url)[0], 180)
            console = composed.service("console", PRODUCT, "--port", str(free_port()))
            with composed.service("devices", PRODUCT), console as running:
                running.wait_until(lambda: "token=" in running.log.read_text(), 60)
                with asked(running.log.read_text(), "/api/about") as about:
                    assert json.load(about)["role"] == "operator"

                def rows() -> float:
                    found = ask(url)
                    return found.counters["rows_written"] if found else 0

                wait_for(lambda: rows() >= 20, "rows")
