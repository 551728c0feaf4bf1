"""Credentials from the container endpoint, which Lambda provides to a function with SnapStart.

Without SnapStart, the credentials are environment variables, which the S3 client reads. A SnapStart snapshot
can be used after such credentials have expired. Therefore Lambda sets two other environment variables: the
URL of an endpoint that returns credentials, and the token for requests to the endpoint. This module is
needed because the S3 client can read that token only from a file, and Lambda writes no such file.
"""

import json
import os
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from obstore.store import S3Credential

TIMEOUT_SECONDS = 5

type Credentials = Callable[[], S3Credential]
"""A function that returns credentials. The S3 client calls it again when the credentials have expired."""


def container_credentials() -> Credentials | None:
    """Return a function that requests credentials from Lambda's container endpoint.

    Return None if the environment contains access keys or names no endpoint.
    """
    url = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
    if "AWS_ACCESS_KEY_ID" in os.environ or not url or not token:
        return None

    def request_credentials() -> "S3Credential":
        from urllib.request import Request, urlopen  # noqa: PLC0415 - only with SnapStart

        request = Request(url, headers={"Authorization": token})  # noqa: S310 - Lambda's own, on this host
        with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - as above
            given = json.load(answer)
        return {
            "access_key_id": given["AccessKeyId"],
            "secret_access_key": given["SecretAccessKey"],
            "token": given["Token"],
            "expires_at": datetime.fromisoformat(given["Expiration"]),
        }

    return request_credentials
