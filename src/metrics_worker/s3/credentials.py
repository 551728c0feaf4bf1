"""Credentials from the container endpoint, as Lambda gives them to a function under SnapStart.

Without SnapStart they are in the environment and the S3 client finds them there. A snapshot outlives such
credentials, so there Lambda names an endpoint and a token for it; the client knows that endpoint only with a
token in a file, which Lambda does not write.
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
"""What the S3 client asks for credentials, whenever those before have expired."""


def container_credentials() -> Credentials | None:
    """What asks the endpoint; None where there is none."""
    url = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
    if "AWS_ACCESS_KEY_ID" in os.environ or not url or not token:
        return None

    def ask() -> "S3Credential":
        from urllib.request import Request, urlopen  # noqa: PLC0415 - under SnapStart alone

        request = Request(url, headers={"Authorization": token})  # noqa: S310 - Lambda's own, on this host
        with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - as above
            given = json.load(answer)
        return {
            "access_key_id": given["AccessKeyId"],
            "secret_access_key": given["SecretAccessKey"],
            "token": given["Token"],
            "expires_at": datetime.fromisoformat(given["Expiration"]),
        }

    return ask
