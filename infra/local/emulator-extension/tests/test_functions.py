"""What functions return."""

import io
import zipfile

from conftest import Running


def test_a_function_may_return_bytes_of_json(aws: Running, name: str) -> None:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("f.py", "def handle(event, context):\n    return b'[1, 2.50]'\n")
    aws.client("lambda").create_function(
        FunctionName=name,
        Role="arn:aws:iam::000000000000:role/any",
        Runtime="python3.13",
        Handler="f.handle",
        Code={"ZipFile": code.getvalue()},
    )
    assert aws.client("lambda").invoke(FunctionName=name)["Payload"].read() == b"[1, 2.50]"
