"""The templates, as the documents describe them."""

from pathlib import Path
from typing import Any

from infra.deploy.templates import read

INFRA = Path(__file__).resolve().parents[1]
TEMPLATES = {
    "data.yaml": "STACK, the data stack",
    "network.yaml": "STACK-network",
    "service.yaml": "STACK-service",
    "deployer.yaml": "the deployer's permissions, made once by an administrator",
}
PLACES = {
    "arn:${AWS::Partition}:": "",
    "${AWS::Region}:${AWS::AccountId}:": "",
    ":${AWS::AccountId}:": ":",
    "${AWS::StackName}": "STACK",
    "${DataStack}": "STACK",
    "${AWS::AccountId}": "this account",
    "AWS::AccountId": "this account",
    ".Arn}": "}",
    "${!": "${",
}

Document = dict[str, Any]


def templates() -> dict[str, Document]:
    """The templates by file name."""
    return {name: read(INFRA / name) for name in TEMPLATES}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def cell(text: Any) -> str:
    """Text as a table's cell."""
    return " ".join(str(text).split()).replace("|", "\\|")


def plain(value: Any) -> str:
    """What a template's value names, for people: `AlertTopic` for its ARN, STACK for the deployment's name."""
    if isinstance(value, dict):
        ((function, argument),) = value.items()
        if function == "Fn::If":
            return f"{plain(argument[1])} (if {argument[0]})"
        if function == "Fn::Sub" and isinstance(argument, list):
            return plain(argument[0])
        if function == "Fn::GetAtt":
            return str(argument[0] if isinstance(argument, list) else argument.partition(".")[0])
        return plain(argument)
    text = str(value)
    for found, shown in PLACES.items():
        text = text.replace(found, shown)
    return text
