"""moto's server, with three of AWS's rules for permissions that moto lacks. Run as a module.

It prints its port and serves until it is ended (`local.moto_server`). Permissions are enforced as soon as it
is told so (POST /moto-api/reset-auth). What is added, each with where AWS says it:

- sns:Publish is allowed by topic. moto takes every call of SNS for one about "*", which matches no topic's
  ARN. (Service Authorization Reference, "Actions, resources, and condition keys for Amazon SNS")
- ChangeMessageVisibilityBatch needs the permission of ChangeMessageVisibility. moto wants one of its own
  name, which IAM does not know. (SQS Developer Guide, "Amazon SQS API permissions")
- GetObject of a missing key answers 404 to who may list the bucket, and 403 to others. In moto it is always
  404. (S3 API Reference, GetObject, "Permissions")
"""

from typing import Any
from unittest.mock import patch

from moto.iam.access_control import IAMRequestBase
from moto.s3.exceptions import MissingKey
from moto.s3.responses import S3Response
from moto.sns.responses import SNSResponse

from local.moto_server import serve

_permitted = IAMRequestBase.check_action_permitted
_get = S3Response._key_response_get


def _topic(self: Any) -> str:
    """What BaseResponse asks a service for, where it has it."""
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
        self._authenticate_and_authorize_s3_action(bucket_name=self.bucket_name)  # raises what is a 403
        raise


if __name__ == "__main__":
    with (
        patch.object(SNSResponse, "_determine_resource", _topic, create=True),
        patch.object(IAMRequestBase, "check_action_permitted", _check_action_permitted),
        patch.object(S3Response, "_key_response_get", _key_response_get),
    ):
        serve()
