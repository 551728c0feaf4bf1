"""Credentials from the container endpoint, which Lambda provides to a function with SnapStart.

Without SnapStart, the credentials are environment variables, which the S3 client reads. A SnapStart snapshot
would outlive such credentials. Therefore Lambda sets the URL of an endpoint and a token for it. The S3 client
supports this endpoint only with a token in a file, which Lambda does not write.
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
"""A function that returns credentials. The S3 client calls it whenever its credentials have expired."""


def container_credentials() -> Credentials | None:
    """Return a function that gets credentials from the endpoint; None if there is no such endpoint."""
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
