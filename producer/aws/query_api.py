"""The query API of a stack over HTTP, signed with the credentials of a session: docs/query.md."""

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

import boto3
import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import NoCredentialsError
from botocore.httpsession import URLLib3Session

from producer.aws.errors import UserError

AGAIN = (429, 500, 502, 503, 504)
"""Answers after which the same request may succeed."""
PAUSES = (0.2, 1.0)  # seconds before the second and the third attempt


class Refused(UserError):
    """The API's answer is no; its HTTP status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(f"the query API answers {status}: {why}")
        self.status = status


class QueryApi:
    """Requests to `url`, as the session's caller."""

    def __init__(self, session: boto3.Session, url: str) -> None:
        profile = session.profile_name if session.profile_name != "default" else None
        # Botocore reads the authority from AWS_CA_BUNDLE or the profile, for its own clients only.
        bundle = botocore.session.Session(profile=profile).get_config_variable("ca_bundle")
        self._http = URLLib3Session(verify=bundle or True)
        self._session = session
        self._url = url

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        """The answer of a path such as /readings; numbers with a point are Decimals.

        A list is a repeated parameter, None is none, and `from_` is called `from`. Raises Refused with what the API
        says when it does.
        """
        given = {name.rstrip("_"): value for name, value in parameters.items() if value is not None}
        query = urlencode(given, doseq=True, quote_via=quote)
        for pause in (*PAUSES, None):
            answer = self._http.send(self._signed(f"{self._url}{path}?{query}"))
            if answer.status_code not in AGAIN or pause is None:
                break
            time.sleep(pause)
        document = _document(answer.content)
        if answer.status_code == 200:
            return document
        said = document.get("detail") or document.get("message") or document.get("Message") or "no reason"
        raise Refused(answer.status_code, said)

    def pages(self, path: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """The answer, and those of the pages behind it."""
        while True:
            answer = self.get(path, **parameters)
            yield answer
            if "next" not in answer:
                return
            parameters["page"] = answer["next"]

    def _signed(self, url: str) -> Any:
        credentials = self._session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        request = AWSRequest("GET", url)
        SigV4Auth(credentials.get_frozen_credentials(), "execute-api", self._session.region_name).add_auth(request)
        return request.prepare()


def _document(body: bytes) -> dict[str, Any]:
    """A JSON object; empty for what is none."""
    try:
        found = json.loads(body, parse_float=Decimal)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
