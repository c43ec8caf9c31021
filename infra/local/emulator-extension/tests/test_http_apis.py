"""HTTP APIs of API Gateway: clients reach them, and they call a function only as its policy allows."""

import json
import ssl
import urllib.error
import urllib.request
from typing import Any

import pytest
from conftest import Running, make_role
from test_cloudformation import deploy

CODE = "def handle(event, context):\n    return {'statusCode': 200, 'body': event['rawPath']}\n"

LOGS = {"Effect": "Allow", "Action": "logs:PutLogEvents", "Resource": "*"}


def resources(role_arn: str, source: str | None, about: str = "first") -> dict[str, Any]:
    """A function that answers the path, its API, and the permission for `source` below the API, if any."""
    function: dict[str, Any] = {"Runtime": "python3.13", "Handler": "index.handle", "Code": {"ZipFile": CODE}}
    api = {"Ref": "Api"}
    integration = {"ApiId": api, "IntegrationType": "AWS_PROXY", "PayloadFormatVersion": "2.0"}
    made: dict[str, Any] = {
        "Function": {"Type": "AWS::Lambda::Function", "Properties": function | {"Role": role_arn}},
        "Api": {
            "Type": "AWS::ApiGatewayV2::Api",
            "Properties": {"Name": "door", "ProtocolType": "HTTP", "Description": about},
        },
        "Integration": {
            "Type": "AWS::ApiGatewayV2::Integration",
            "Properties": integration | {"IntegrationUri": {"Fn::GetAtt": ["Function", "Arn"]}},
        },
        "Route": {
            "Type": "AWS::ApiGatewayV2::Route",
            "Properties": {
                "ApiId": api,
                "RouteKey": "$default",
                "Target": {"Fn::Sub": "integrations/${Integration}"},
            },
        },
        "Stage": {
            "Type": "AWS::ApiGatewayV2::Stage",
            "Properties": {"ApiId": api, "StageName": "$default", "AutoDeploy": True},
        },
        "Url": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Type": "String", "Value": {"Fn::GetAtt": ["Api", "ApiEndpoint"]}},
        },
    }
    if source:
        made["Permission"] = {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": {"Ref": "Function"},
                "Principal": "apigateway.amazonaws.com",
                "SourceArn": {"Fn::Sub": f"arn:aws:execute-api:${{AWS::Region}}:${{AWS::AccountId}}:${{Api}}{source}"},
            },
        }
    return made


def address(aws: Running, stack: str) -> str:
    """The API's, as a template hands it on."""
    found = aws.client("cloudformation").describe_stack_resource(StackName=stack, LogicalResourceId="Url")
    name = found["StackResourceDetail"]["PhysicalResourceId"]
    return str(aws.client("ssm").get_parameter(Name=name)["Parameter"]["Value"])


def asked(aws: Running, url: str) -> tuple[int, str]:
    """Status and body."""
    trust = ssl.create_default_context(cafile=str(aws.ca)) if aws.ca else None
    try:
        with urllib.request.urlopen(url, timeout=60, context=trust) as answer:  # noqa: S310 - the emulator's
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_an_api_is_reached_at_the_emulators_own_address_and_keeps_it(strict: Running, name: str) -> None:
    arn = make_role(strict, name, "lambda.amazonaws.com", LOGS)
    deploy(strict, name, resources(arn, "/*/$default"))
    url = address(strict, name)
    assert url.startswith(f"{strict.endpoint}/_aws/execute-api/")
    assert asked(strict, f"{url}/some/path") == (200, "/some/path")
    deploy(strict, name, resources(arn, "/*/$default", "second"), change=True)
    assert address(strict, name) == url
    assert asked(strict, f"{url}/some/path") == (200, "/some/path")


@pytest.mark.parametrize("source", [None, "x/*/$default", "/*/other"])
def test_a_function_that_does_not_allow_the_apis_route_is_not_called(
    strict: Running, name: str, source: str | None
) -> None:
    deploy(strict, name, resources(make_role(strict, name, "lambda.amazonaws.com", LOGS), source))
    status, body = asked(strict, f"{address(strict, name)}/some/path")
    assert (status, json.loads(body)) == (500, {"message": "Internal Server Error"})
