"""A moto server with three permission rules of AWS that moto lacks. The module is run with `python -m`.

The server prints its port and runs until it is stopped. It enforces permissions after a POST to
/moto-api/reset-auth.

These rules are added; each one names the AWS document that defines it:

- A policy can allow sns:Publish for one topic. moto checks every SNS call against the resource "*", which
  matches no topic ARN. (Service Authorization Reference, "Actions, resources, and condition keys for Amazon
  SNS")
- ChangeMessageVisibilityBatch needs the permission sqs:ChangeMessageVisibility. moto requires a permission
  with the name of the batch call, which IAM does not have. (SQS Developer Guide, "Amazon SQS API
  permissions")
- GetObject of a missing key returns 404 if the caller has the permission to list the bucket, otherwise 403.
  moto always returns 404. (S3 API Reference, GetObject, "Permissions")
"""

import logging
import sys
import threading
from typing import Any
from unittest.mock import patch

from moto.iam.access_control import IAMRequestBase
from moto.s3.exceptions import MissingKey
from moto.s3.responses import S3Response
from moto.server import ThreadedMotoServer
from moto.sns.responses import SNSResponse

_permitted = IAMRequestBase.check_action_permitted
_get = S3Response._key_response_get


def _topic(self: Any) -> str:
    """Return the ARN of the topic of an SNS call; moto then checks the permission to publish for this ARN.

    Args:
        self: moto's `SNSResponse` for the call, of which this function becomes a method.
    """
    return self._get_param("TopicArn") or "*"


def _check_action_permitted(self: Any, resource: str) -> None:
    if self._service == "sqs":
        self._action = self._action.removesuffix("Batch")
    _permitted(self, resource)


def _key_response_get(self: Any, query: dict[str, Any], key_name: str) -> Any:
    try:
        return _get(self, query, key_name)
    except MissingKey:
        self.data["Action"] = "ListBucket"
        # Raises an error with status 403 if the caller may not list the bucket.
        self._authenticate_and_authorize_s3_action(bucket_name=self.bucket_name)
        raise


if __name__ == "__main__":
    with (
        patch.object(SNSResponse, "_determine_resource", _topic, create=True),
        patch.object(IAMRequestBase, "check_action_permitted", _check_action_permitted),
        patch.object(S3Response, "_key_response_get", _key_response_get),
    ):
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # not a line for each request
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        sys.stdout.write(f"{server.get_host_and_port()[1]}\n")
        sys.stdout.flush()
        threading.Event().wait()
