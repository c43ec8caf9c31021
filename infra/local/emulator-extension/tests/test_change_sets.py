"""The table of properties that need a new resource."""

import json
from pathlib import Path
from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

TABLE: dict[str, dict[str, list[str]]] = json.loads(
    Path(__file__).parents[1].joinpath("emulator_extension/replacement.json").read_text()
)
KEYS = {"always": "createOnlyProperties", "conditionally": "conditionalCreateOnlyProperties"}


@pytest.mark.parametrize("kind", TABLE)
def test_it_is_that_of_the_schemas_that_aws_publishes(kind: str) -> None:
    """As cfn-lint carries them."""
    schema: Any = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    for column, key in KEYS.items():
        names = [place.removeprefix("/properties/") for place in schema.get(key, [])]
        assert TABLE[kind][column] == sorted(name for name in names if "/" not in name)
