"""Lambda functions that return bytes: JSON that they have written themselves.

Lambda's Python runtime passes bytes on unchanged (awslambdaric, LambdaMarshaller.marshal_response); the emulator's
worker cannot write them.
"""

import base64
from collections.abc import Callable
from typing import Any

from ministack.core import lambda_runtime

from emulator_extension.upstream import Json, extends

WRITES = 'json.dumps({"status": "ok", "result": result})'
WITH_BYTES = (
    'json.dumps({"status": "ok", "bytes": __import__("base64").b64encode(result).decode()}'
    ' if isinstance(result, bytes) else {"status": "ok", "result": result})'
)

if lambda_runtime._PYTHON_WORKER_SCRIPT.count(WRITES) != 1:
    raise RuntimeError("the emulator's worker for functions is not the known one")
lambda_runtime._PYTHON_WORKER_SCRIPT = lambda_runtime._PYTHON_WORKER_SCRIPT.replace(WRITES, WITH_BYTES)


@extends(lambda_runtime.Worker, "invoke")
def invoke(worker: Any, original: Callable[..., Json], *arguments: Any, **named: Any) -> Json:
    """The answer's `result` is bytes again."""
    answer = original(worker, *arguments, **named)
    if "bytes" in answer:
        answer["result"] = base64.b64decode(answer.pop("bytes"))
    return answer
