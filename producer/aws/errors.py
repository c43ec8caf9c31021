"""What goes wrong through no fault of this program: one clear line for a person, exit code 2."""

from consumer.aws.errors import AWS_ERRORS, NOT_AWS, explain, explain_if_aws

__all__ = ["AWS_ERRORS", "NOT_AWS", "UserError", "explain", "explain_if_aws"]


class UserError(Exception):
    """A mistake or an obstacle that the person at the terminal can fix; its text says how."""
