"""The connection to a bucket on S3: address, credentials, timeouts and retries of the client."""

from datetime import timedelta
from typing import TYPE_CHECKING

from obstore.store import S3Store

from metrics_worker.s3.credentials import Credentials, container_credentials

if TYPE_CHECKING:
    from obstore.store import S3Config


def connect(
    name: str, *, region: str, endpoint_url: str | None, credentials: Credentials | None = None
) -> S3Store:
    """Return a client for a bucket on S3. This function makes no request.

    Args:
        name: the bucket's name.
        region: the bucket's AWS region.
        endpoint_url: the address of another server that speaks S3's protocol; None for S3 itself.
        credentials: a function that returns credentials; None for the credentials of the Lambda function or
            of the environment variables.
    """
    where: S3Config = {"region": region}
    if endpoint_url is not None:
        where["endpoint"] = endpoint_url
    elif "." not in name:  # AWS prefers host names with the bucket, but its certificate allows no dots in it
        where["virtual_hosted_style_request"] = True
    return S3Store(
        name,
        config=where,
        credential_provider=credentials or container_credentials(),
        client_options={
            "allow_http": endpoint_url is not None,
            "connect_timeout": timedelta(seconds=3),
            "timeout": timedelta(seconds=10),
        },
        retry_config={
            "max_retries": 4,
            "retry_timeout": timedelta(seconds=15),
            "backoff": {
                "init_backoff": timedelta(milliseconds=50),
                "max_backoff": timedelta(seconds=2),
                "base": 2,
            },
        },
    )
