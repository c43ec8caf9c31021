"""What the tests of the deployment commands share: a shell of their own, in which the commands run."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import boto3
import pytest

from infra.__main__ import main
from infra.local.emulator import Emulator

IMAGE = "sensorstream:local"
numbers = count(1)


@dataclass(frozen=True)
class Shell:
    """Runs `python -m infra` against the emulator, for a deployment named `stack`."""

    stack: str
    session: boto3.Session
    capsys: pytest.CaptureFixture[str]

    def run(self, command: str, *options: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        return self.run_alone(command, "--stack", self.stack, *options)

    def run_alone(self, command: str, *options: str) -> tuple[int, str, str]:
        """The same for a command that knows no deployment."""
        self.capsys.readouterr()
        try:
            code = main([command, *options])
        except SystemExit as end:  # of argparse
            code = int(str(end.code))
        out, err = self.capsys.readouterr()
        return code, out, err

    def deploy(self, *options: str) -> str:
        """What it said; it must succeed."""
        code, out, err = self.run("deploy", "--image", IMAGE, *options)
        assert code == 0, out + err
        return out

    def destroy(self, *options: str) -> str:
        """What it said; it must succeed. Without options its data goes, too."""
        code, out, err = self.run("destroy", "--yes", *(options or ("--delete-data", self.stack)))
        assert code == 0, out + err
        return out

    def outputs(self, suffix: str = "") -> dict[str, str]:
        """Of one of its stacks."""
        [found] = self.session.client("cloudformation").describe_stacks(StackName=self.stack + suffix)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}

    def parameters(self, suffix: str = "") -> dict[str, str]:
        """Of one of its stacks."""
        [found] = self.session.client("cloudformation").describe_stacks(StackName=self.stack + suffix)["Stacks"]
        return {p["ParameterKey"]: p["ParameterValue"] for p in found["Parameters"]}

    def stacks(self) -> set[str]:
        """Suffixes of its stacks."""
        found = self.session.client("cloudformation").describe_stacks()["Stacks"]
        names = [stack["StackName"] for stack in found]
        return {name.removeprefix(self.stack) for name in names if name.startswith(self.stack)}


@pytest.fixture
def shell(emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """A shell whose deployment is destroyed at the end, whatever is left of it."""
    monkeypatch.setenv("STACK", "of-somebody-else")  # no command looks at it
    for name, value in emulator.variables().items():
        monkeypatch.setenv(name, value)
    made = Shell(f"deploy-{next(numbers)}", emulator.session(), capsys)
    yield made
    made.destroy()
