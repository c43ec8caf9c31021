"""HTTP APIs of API Gateway: an address that clients can reach, and the function's permission for the API.

The emulator names a host below localhost, which resolvers need not know and its certificate does not cover; and it
calls any function, whatever the function's policy says.
"""

import json
import os
from collections.abc import Callable
from typing import Any

from ministack.services import apigateway, lambda_svc

from emulator_extension.cloudformation import Create, Made, Update, handles
from emulator_extension.roles import Refused, require_policy
from emulator_extension.upstream import Json, Response, extends

API = "AWS::ApiGatewayV2::Api"
SERVICE = "apigateway.amazonaws.com"


@handles(API, "create")
def make_api(original: Create, logical_id: str, props: Json, stack: str) -> Made:
    """With an address that can be reached."""
    return _reachable(original(logical_id, props, stack))


@handles(API, "update")
def update_api(original: Update, api: str, old: Json, new: Json, stack: str, logical_id: str | None = None) -> Made:
    """The same."""
    return _reachable(original(api, old, new, stack, logical_id))  # type: ignore[call-arg]


def _reachable(made: Made) -> Made:
    """The address by path that the emulator knows beside the one by host."""
    api, attributes = made
    scheme = apigateway._apis[api]["apiEndpoint"].partition("://")[0]
    address = f"{scheme}://{os.environ['BIND_HOST']}:{os.environ['GATEWAY_PORT']}/_aws/execute-api/{api}"
    apigateway._apis[api]["apiEndpoint"] = address
    return api, attributes | {"ApiEndpoint": address}


@extends(apigateway, "_invoke_lambda_proxy")
async def call_function(original: Callable[..., Any], integration: Json, *request: Any, **named: Any) -> Response:
    """API Gateway's own answer where the function's policy does not let the API's route call it."""
    api, stage, _, _, _, _, _, route, *_ = request
    account, region = named["owner_account_id"], named["owner_region"]
    reference = apigateway._extract_lambda_ref_from_integration_uri(integration["integrationUri"])
    _, config, _ = lambda_svc._get_func_record_for_ref_in_scope(reference, account_id=account, region=region)
    try:
        if config:
            source = f"arn:aws:execute-api:{region}:{account}:{api}/{stage}/{route.replace(' ', '')}"
            require_policy(config["FunctionArn"], "lambda:InvokeFunction", SERVICE, source)
    except Refused:
        return 500, {"Content-Type": "application/json"}, json.dumps({"message": "Internal Server Error"}).encode()
    answered: Response = await original(integration, *request, **named)
    return answered
