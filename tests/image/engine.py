"""Containers by docker or podman, which both understand these words; restricted as the service's template restricts."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RESTRICTED = (
    *("--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges"),
    *("--network", "host"),  # where the local stack is
    *("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"),  # an engine within a container may not raise them
)


def find() -> list[str]:
    """The engine's command: docker where its daemon answers, else podman."""
    if shutil.which("docker") and _run(["docker", "info"]).returncode == 0:
        return ["docker"]
    assert shutil.which("podman"), "neither a docker engine nor podman is here; make image-test installs podman"
    return ["podman"]


class Image:
    """One image of the engine's store."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.engine = find()
        # podman would give a read-only container folders in memory, and ask systemd to run the health check.
        own = ["--read-only-tmpfs=false", "--no-healthcheck"] if self.engine == ["podman"] else []
        self._run = [*self.engine, "run", *RESTRICTED, *own]
        done = _run([*self.engine, "image", "inspect", name])
        assert done.returncode == 0, f"no image {name}; make image builds it"
        self.facts: dict[str, Any] = json.loads(done.stdout)[0]

    @property
    def health_check(self) -> list[str]:
        """The command that the image itself says it is healthy by."""
        healthcheck = self.facts["Config"].get("Healthcheck") or self.facts["Healthcheck"]  # docker's place, podman's
        kind, *command = healthcheck["Test"]
        assert kind == "CMD"
        return [str(word) for word in command]

    def output(self, *command: str, user: str | None = None) -> str:
        """What a command prints in a container of its own."""
        as_user = ["--user", user] if user else []
        done = _run([*self._run, "--rm", *as_user, self.name, *command])
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, environ: Mapping[str, str], read: Path, command: Sequence[str] = ()) -> "Container":
        """A container in the background that sees the folder `read` under its own path."""
        variables = [word for name, value in environ.items() for word in ("--env", f"{name}={value}")]
        done = _run([*self._run, "--detach", *variables, "--volume", f"{read}:{read}:ro", self.name, *command])
        assert done.returncode == 0, done.stderr
        return Container(self.engine, done.stdout.strip())


class Container:
    """One that was started."""

    def __init__(self, engine: list[str], name: str) -> None:
        self._engine, self._name = engine, name

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """A command inside it."""
        return _run([*self._engine, "exec", self._name, *command])

    def python(self, program: str) -> str:
        done = self.run("python", "-c", program)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def running(self) -> bool:
        return self._inspect("{{.State.Running}}") == "true"

    def stop(self, seconds: int) -> int:
        """SIGTERM; returns the exit code, 137 when SIGKILL was needed after these seconds."""
        done = _run([*self._engine, "stop", "--time", str(seconds), self._name])
        assert done.returncode == 0, done.stderr
        return self.exit_code()

    def wait(self, seconds: float) -> int:
        """The exit code, once it has ended."""
        subprocess.run([*self._engine, "wait", self._name], capture_output=True, timeout=seconds, check=True)
        return self.exit_code()

    def exit_code(self) -> int:
        return int(self._inspect("{{.State.ExitCode}}"))

    def output(self) -> str:
        return _run([*self._engine, "logs", self._name]).stdout

    def log(self) -> str:
        """Its end, of both streams."""
        done = _run([*self._engine, "logs", "--tail", "30", self._name])
        return done.stdout + done.stderr

    def remove(self) -> None:
        _run([*self._engine, "rm", "--force", "--volumes", self._name])

    def _inspect(self, template: str) -> str:
        return _run([*self._engine, "inspect", "--format", template, self._name]).stdout.strip()


def _run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
