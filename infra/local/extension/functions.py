"""Functions that return bytes: JSON written by themselves.

Lambda's Python runtime hands bytes on as they are (awslambdaric, LambdaMarshaller.marshal_response); the emulator's
worker would fail to write them.
"""

import base64
from typing import Any

from ministack.core import lambda_runtime

_WRITES = 'json.dumps({"status": "ok", "result": result})'
_WITH_BYTES = (
    'json.dumps({"status": "ok", "bytes": __import__("base64").b64encode(result).decode()}'
    ' if isinstance(result, bytes) else {"status": "ok", "result": result})'
)


def install() -> None:
    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    if script.count(_WRITES) != 1:
        raise RuntimeError("the emulator's worker for functions is not the known one")
    lambda_runtime._PYTHON_WORKER_SCRIPT = script.replace(_WRITES, _WITH_BYTES)
    original = lambda_runtime.Worker.invoke

    def invoke(self: Any, *arguments: Any, **named: Any) -> Any:
        answer = original(self, *arguments, **named)
        if "bytes" in answer:
            answer["result"] = base64.b64decode(answer.pop("bytes"))
        return answer

    lambda_runtime.Worker.invoke = invoke
