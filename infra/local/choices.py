"""What can be chosen for a demo: variables of make's command line, which are the simulator's options."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import click

from infra.deploy.cloudformation import InputError
from infra.deploy.parameters import assignments
from infra.local import cookbook
from infra.local.cookbook import Page
from producer.aws.errors import UserError
from producer.fleet.condition import Condition
from producer.fleet.credentials import names
from producer.fleet.examples import ExampleFleet
from producer.fleet.options import SIMULATOR, chosen_workload
from producer.fleet.simulate import Workload, first_number

OWN = {"ShardCount": "SHARDS", "SimulatorDevices": "DEVICES"}
"""Parameters that the demo sets itself."""
SHARDS = click.Option(["--shards"], type=click.IntRange(1, 64), default=2)
DEFAULTS = {"devices": 50, "rate": 100, "malformed": 0.01, "duplicates": 0.005}
"""Where they are others than those of `simulate`."""
MOST_SIMULATED = 1000  # the template's bound; it is only about whether there is a simulator
OF_BUILT_IN = ("PROFILE", "SHAPE", "BATCH", "LATE", "DISORDER")
"""What only devices of the built-in contracts do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be chosen on the command line of make."""

    workload: Workload
    shards: int
    page: Page | None = None  # of the cookbook, whose devices are simulated

    @classmethod
    def load(cls, given: Mapping[str, str]) -> "Settings":
        """CONTRACT, SHARDS, and the options of `simulate` as variables: DEVICES, FOR, VIA and so on. InputError names
        the one that is wrong."""
        page = cookbook.page(given["CONTRACT"]) if given.get("CONTRACT") else None
        for name in assignments(given.get("PARAMS")).keys() & OWN:
            raise InputError(f"PARAMS: {name} follows from {OWN[name]}=..., which the demo takes instead")
        defaults = DEFAULTS | _defaults(page, given) if page else DEFAULTS
        demo = click.Command("demo", params=[*SIMULATOR, SHARDS])
        variables = {option.opts[0].removeprefix("--").upper(): option.opts[0] for option in demo.params}
        words = [f"{option}={given[name]}" for name, option in variables.items() if given.get(name)]
        try:
            chosen = demo.make_context("demo", words, default_map=defaults).params
            workload = chosen_workload(chosen)
            workload.check()
        except click.BadParameter as error:
            [name] = [name for name, option in variables.items() if error.param and option in error.param.opts]
            raise InputError(f"{name}={given[name]} is refused: {error.message}") from None
        except click.UsageError as error:
            raise InputError(error.message) from None
        except UserError as error:
            raise InputError(str(error)) from None
        return cls(workload, chosen["shards"], page)

    def parameters(self, chosen: Mapping[str, str]) -> dict[str, str]:
        """Those of the deployment: the page's, in place of them the chosen ones, and the demo's own."""
        own = {"ShardCount": str(self.shards)}
        if self.workload.via == "mqtt":
            own["SimulatorDevices"] = str(min(self.workload.devices, MOST_SIMULATED))
        return {**(self.page.parameters if self.page else {}), **chosen, **own}

    def fleet(self, condition: Condition) -> ExampleFleet | None:
        """The page's devices, under alerts of this condition; None without a page."""
        if not self.page:
            return None
        load = self.workload
        devices = names(load.prefix, load.devices)
        return ExampleFleet(devices, self.page.family, condition, load.mix, first_number=first_number(), seed=load.seed)

    def under(self, prefix: str) -> "Settings":
        """The same with devices of other names: the stack's simulator may make none but its own."""
        return replace(self, workload=replace(self.workload, prefix=prefix))


def _defaults(page: Page, given: Mapping[str, str]) -> dict[str, object]:
    """Those of a page's devices; InputError for what they do not do."""
    for name in OF_BUILT_IN:
        if given.get(name):
            raise InputError(f"{name} is of the built-in contracts and does not go with CONTRACT={given['CONTRACT']}")
    return {"rate": 50, "via": "kinesis" if page.into_stream else "mqtt"}  # many of them have clocks of seconds
