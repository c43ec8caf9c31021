"""What can be chosen for a demo: variables of make's command line, which are the simulator's options."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import click

from infra.deploy.cloudformation import InputError
from infra.deploy.parameters import assignments
from producer.aws.errors import UserError
from producer.fleet.options import SIMULATOR, chosen_workload
from producer.fleet.simulate import Workload

OWN = {"ShardCount": "SHARDS", "SimulatorDevices": "DEVICES"}
"""Parameters that the demo sets itself."""
SHARDS = click.Option(["--shards"], type=click.IntRange(1, 64), default=2)
DEFAULTS = {"devices": 50, "rate": 100, "malformed": 0.01, "duplicates": 0.005}
"""Where they are others than those of `simulate`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be chosen on the command line of make."""

    workload: Workload
    shards: int

    @classmethod
    def load(cls, given: Mapping[str, str]) -> "Settings":
        """SHARDS, and the options of `simulate` as variables: DEVICES, FOR, VIA and so on. InputError names the one
        that is wrong."""
        for name in assignments(given.get("PARAMS")).keys() & OWN:
            raise InputError(f"PARAMS: {name} follows from {OWN[name]}=..., which the demo takes instead")
        demo = click.Command("demo", params=[*SIMULATOR, SHARDS])
        variables = {option.opts[0].removeprefix("--").upper(): option.opts[0] for option in demo.params}
        words = [f"{option}={given[name]}" for name, option in variables.items() if given.get(name)]
        try:
            chosen = demo.make_context("demo", words, default_map=DEFAULTS).params
            workload = chosen_workload(chosen)
            workload.check()
        except click.BadParameter as error:
            [name] = [name for name, option in variables.items() if error.param and option in error.param.opts]
            raise InputError(f"{name}={given[name]} is refused: {error.message}") from None
        except UserError as error:
            raise InputError(str(error)) from None
        return cls(workload, chosen["shards"])

    def under(self, prefix: str) -> "Settings":
        """The same with devices of other names: the stack's simulator may make none but its own."""
        return replace(self, workload=replace(self.workload, prefix=prefix))
