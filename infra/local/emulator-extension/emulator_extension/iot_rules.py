"""IoT rules: the action `kinesis`, payloads that are not JSON, bounded function calls, and roles in force.

The emulator skips a `kinesis` action silently. It starts one thread per message for a function and drops throttled
calls; here a few threads work on a queue, as the service's asynchronous invocation does, and failures go
through the function's retries to its failure destination.
"""

import contextvars
import json
import re
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

from ministack.core import lambda_runtime
from ministack.core.responses import request_scope
from ministack.services import iot, kinesis, lambda_svc

from emulator_extension.roles import require, require_policy
from emulator_extension.upstream import Json, extends, replaces

SERVICE = "iot.amazonaws.com"
_TEMPLATE = re.compile(r"\$\{([^}]*)\}")
_SQL_NUMBERS = Context(prec=34, Emax=999, Emin=-999)
_calls = ThreadPoolExecutor(4, thread_name_prefix="rule-function")


@dataclass(frozen=True, slots=True)
class Published:
    """The message that the running rule was called for."""

    topic: str
    payload: bytes
    client_id: str | None


_published: contextvars.ContextVar[Published] = contextvars.ContextVar("published")


# 50 ms of waiting for log lines after each call of a function that wrote none; a late line joins the next call's.
lambda_runtime.Worker._drain_stderr_bounded = lambda_runtime.Worker._drain_stderr
iot._RULE_ACTION_RESOURCE_KEYS["kinesis"] = ("streamName",)


@extends(iot, "_rule_message")
def message(original: Callable[[bytes], Any], payload: bytes) -> Any:
    """The payload as JSON, or as text when it is too deep or has a number too long: not JSON for a rule."""
    try:
        return original(payload)
    except (RecursionError, ValueError):
        return (payload or b"").decode("utf-8")


@extends(iot, "_rule_event")
def event(
    original: Callable[..., Any], sql: str, topic: str, payload: bytes, client_id: str | None = None, **decoded: Any
) -> Any:
    """What the rule's SQL selects; the payload itself where the SQL cannot be applied to it."""
    projected = original(sql, topic, payload, client_id, **decoded)
    return payload if projected is iot._MISSING else projected


@extends(iot, "_run_rule_actions")
async def run(
    original: Callable[..., Coroutine[Any, Any, None]],
    account: str,
    region: str,
    rule: Any,
    payload: bytes,
    topic: str = "",
    client_id: str | None = None,
) -> None:
    """All actions of a rule for one message, which they find in `_published`."""
    token = _published.set(Published(topic, payload or b"", client_id))
    try:
        await original(account, region, rule, payload, topic, client_id)
    finally:
        _published.reset(token)


@extends(iot, "_dispatch_rule_action")
async def dispatch(
    original: Callable[..., Coroutine[Any, Any, None]], account: str, region: str, rule: str, action: Json, event: Any
) -> None:
    """One action, if its role may; what it raises goes to the rule's error action."""
    authorize(account, region, rule, action)
    if "kinesis" in action:
        put(account, region, action["kinesis"], event, _published.get())
    else:
        await original(account, region, rule, action, event)


def authorize(account: str, region: str, rule: str, action: Json) -> None:
    """Refused unless the action's role, or the function's policy, allows it."""
    if "kinesis" in action:
        spec, needed = action["kinesis"], "kinesis:PutRecord"
        arn = f"arn:aws:kinesis:{region}:{account}:stream/{spec.get('streamName')}"
    elif "sqs" in action:
        spec, needed = action["sqs"], "sqs:SendMessage"
        arn = f"arn:aws:sqs:{region}:{account}:{spec.get('queueUrl', '').rpartition('/')[2]}"
    elif "lambda" in action:
        source = f"arn:aws:iot:{region}:{account}:rule/{rule}"
        return require_policy(action["lambda"].get("functionArn") or "", "lambda:InvokeFunction", SERVICE, source)
    else:
        return None
    return require(spec.get("roleArn") or "", SERVICE, needed, arn)


def put(account: str, region: str, action: Json, event: Any, published: Published) -> None:
    """Put one record; LookupError when there is no key or no stream."""
    key = partition_key(action.get("partitionKey") or "", published)
    if not key:
        raise LookupError(f"the partition key {action.get('partitionKey')!r} is empty")
    arn = f"arn:aws:kinesis:{region}:{account}:stream/{action.get('streamName')}"
    with request_scope(account, region):
        if not kinesis.put_record_internal(arn, key, record_data(event, published.payload)):
            raise LookupError(f"{arn} is not there")


def partition_key(template: str, published: Published) -> str:
    """Fill in `${expression}` as the rule's SQL would; what is undefined becomes the empty text."""

    def value(found: re.Match[str]) -> str:
        message = iot._rule_message(published.payload)
        result = iot._eval_select_expr(found[1], published.topic, published.payload, message, published.client_id)
        return "" if result is iot._MISSING or result is None else str(result)

    return _TEMPLATE.sub(value, template)


def record_data(event: Any, payload: bytes) -> bytes:
    """What the rule puts: JSON rewritten without white space, as the service does; anything else unchanged.

    The emulator's SQL computes in floats. Where the rule has selected the whole payload, its numbers are taken from
    there: the service keeps 34 digits (AWS IoT's developer guide, "Data types").
    """
    if isinstance(event, str | bytes):
        return payload
    try:
        if event == iot._rule_message(payload):
            event = json.loads(payload, parse_float=_decimal, parse_int=_decimal)
        return _written(event).encode()
    except (ArithmeticError, RecursionError, ValueError):  # NaN, infinities, lone surrogates: not JSON for the service
        return payload


def _decimal(text: str) -> Decimal:
    """Rounded to the digits that the service keeps."""
    return _SQL_NUMBERS.create_decimal(text)


def _written(value: Any) -> str:
    """Compact JSON; IoT SQL of 2016-03-23 writes 10.0 as 10."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_written(key)}:{_written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, Decimal):
        whole = value == value.to_integral_value() and value.adjusted() < _SQL_NUMBERS.prec
        return str(int(value)) if whole else str(value)
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


@replaces(iot, "_dispatch_rule_to_lambda")
def call(account: str, region: str, function_arn: str, event: Any) -> None:
    """Queue an asynchronous invocation; LookupError when there is no such function."""
    function, config, _ = lambda_svc._get_func_record_for_ref_in_scope(function_arn, account_id=account, region=region)
    if not function or not config:
        raise LookupError(f"{function_arn} is not there")
    lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(function, config), event)


@extends(lambda_svc, "invoke_async_with_retry")
def enqueue(original: Callable[[Json, Any], None], record: Json, event: Any) -> None:
    """Queue an asynchronous invocation, of whomever; one that fails is repeated as the emulator does."""

    def invoke() -> None:
        if lambda_svc._execute_function_with_config_scope(record, event).get("error"):
            original(record, event)

    _calls.submit(invoke)


@extends(lambda_svc, "_route_async_failure")
def failed(original: Callable[..., None], target_arn: str, function: str, *rest: Any) -> None:
    """A failure destination is reached in the function's role."""
    role = lambda_svc._functions[function]["config"]["Role"]
    require(role, "lambda.amazonaws.com", "sqs:SendMessage", target_arn)
    original(target_arn, function, *rest)
