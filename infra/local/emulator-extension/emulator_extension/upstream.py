"""The emulator's names that this package relies on, all of them, and how one of them is replaced.

The emulator declares no interface for extensions: every name here is an internal one, so the version is pinned, and at
start each name must be there.
"""

import functools
from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

FITS = "1.5.33"
NAMES = {
    "ministack.app": "app AUTH main _authenticate_only _port_is_bindable",
    "ministack.core.iam_actions": "access_denied_response extract_iam_action extract_resource_arn request_tag_context",
    "ministack.core.iam_evaluator": (
        "enforce EvalContext evaluate evaluate_resource_policy is_root_access_key parse_policy_document "
        "request_caller_arn _gather_role_policies _resource_policy _service_principal_matches "
        "_trust_principal_matches"
    ),
    "ministack.core.lambda_runtime": (
        "Worker._drain_stderr Worker._drain_stderr_bounded Worker.invoke _PYTHON_WORKER_SCRIPT"
    ),
    "ministack.core.responses": (
        "error_response_json get_account_id get_region json_response new_uuid request_scope StreamingResponse"
    ),
    "ministack.core.router": "extract_access_key_id",
    "ministack.services.apigateway": "_apis _extract_lambda_ref_from_integration_uri _invoke_lambda_proxy",
    "ministack.services.athena": "_create_named_query _delete_named_query",
    "ministack.services.cloudformation": "_change_sets",
    "ministack.services.cloudformation.changesets": "_evaluate_conditions _resolve_props_for_diff",
    "ministack.services.cloudformation.engine": "_resolve_refs",
    "ministack.services.cloudformation.handlers": "_evaluate_conditions",
    "ministack.services.cloudformation.provisioners": (
        "get_account_id get_region _cw_metric_alarm_record _pascal_to_camel _REPLACING_PROPERTIES _RESOURCE_HANDLERS"
    ),
    "ministack.services.cloudformation.stacks": "_evaluate_conditions _property_recreation",
    "ministack.services.dynamodb": "_tables",
    "ministack.services.ecs": "_services _task_defs",
    "ministack.services.iam": "_roles.get_scoped",
    "ministack.services.iot": (
        "_describe_endpoint _dispatch_rule_action _dispatch_rule_to_lambda _eval_select_expr _MISSING "
        "_mtls_logger _mtls_loop _mtls_port _mtls_server _mtls_start_locked _MtlsAcceptor "
        "_RULE_ACTION_RESOURCE_KEYS _rule_event _rule_message _run_rule_actions _WSSession._evaluates_policies "
        "sign_leaf_certificate"
    ),
    "ministack.services.kinesis": (
        "MAX_HASH_KEY put_record_internal SUBSCRIPTION_SECONDS _cbor_response _compute_hash_ranges "
        "_consumer_from_arn _consumers _deregister_consumer _describe_stream_summary _eventstream_message "
        "_expire_iterators _expire_records _get_records _list_shards _max_shard_index _merge_shards "
        "_next_sequence_number _register_consumer _resolve_stream _resolve_stream_by_arn _route_to_shard "
        "_sequence_counter _sequence_lock _shard_iterators _shard_out _split_shard _start_position _streams "
        "_subscribe_to_shard _SUBSCRIPTION_TAKEOVER_SECONDS _subscriptions _update_shard_count"
    ),
    "ministack.services.lambda_svc": (
        "function_policy_for_arn invoke_async_with_retry _execute_function_with_config_scope "
        "_execution_record_for_config _functions _get_func_record_for_ref_in_scope _route_async_failure"
    ),
    "ministack.services.sts": "register_session",
}
"""By module; a test compares them with what the package uses."""
Json = dict[str, Any]
Response = tuple[int, dict[str, str], Any]
"""Status, headers and body, as the emulator's services answer."""
App = Callable[[Json, Any, Any], Awaitable[None]]
"""An ASGI application."""
F = TypeVar("F", bound=Callable[..., Any])


def misfit() -> str | None:
    """Why the emulator of this environment cannot be extended, in one line; None when it can."""
    try:
        found = version("ministack")
    except PackageNotFoundError:
        found = "none"
    if found != FITS:
        return f"ministack {FITS} is needed, found {found}"
    for path, names in NAMES.items():
        module = import_module(path)
        for name in names.split():
            try:
                functools.reduce(getattr, name.split("."), module)
            except AttributeError:
                return f"this extension fits ministack {FITS}; {path}.{name} is missing in it"
    return None


def replaces(owner: Any, name: str) -> Callable[[F], F]:
    """Decorates what is called instead of the emulator's function."""

    def decorate(function: F) -> F:
        setattr(owner, name, function)
        return function

    return decorate


def extends(owner: Any, name: str) -> Callable[[F], F]:
    """The same for what needs the emulator's own function, its first argument (in a class the second, after self)."""

    def decorate(function: F) -> F:
        bind: Any = functools.partialmethod if isinstance(owner, type) else functools.partial
        setattr(owner, name, bind(function, getattr(owner, name)))
        return function

    return decorate


async def answer(send: Any, status: int, content_type: bytes, body: bytes) -> None:
    """A whole ASGI response."""
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
