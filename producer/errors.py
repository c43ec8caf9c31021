"""What goes wrong through no fault of this program: one clear line for a person, exit code 2."""

from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)


class UserError(Exception):
    """A mistake or an obstacle that the person at the terminal can mend; its text says how."""


# What a command may meet on its way to AWS; everything else is a defect and keeps its traceback.
AWS_ERRORS = (
    ClientError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)


def explain(error: Exception) -> str:
    """One line for any of `AWS_ERRORS`, with the way out where it is known."""
    match error:
        case NoCredentialsError() | PartialCredentialsError():
            return "no AWS credentials; for the local stack: source .local/env"
        case NoRegionError():
            return "no region; set AWS_REGION, or for the local stack: source .local/env"
        case EndpointConnectionError():
            return f"{error}; is the local stack up (make up)?"
        case ClientError():
            details = error.response["Error"]
            return f"{error.operation_name}: {details.get('Code', '?')}: {details.get('Message', '')}".strip()
        case _:
            return " ".join(str(error).split())
