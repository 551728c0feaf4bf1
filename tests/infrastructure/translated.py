"""Prints the stack as CloudFormation gets it, with all its resources, for `make scan`.

SAM makes the functions, event source mappings and the layer of it, which a check of the template alone
doesn't see in full.
"""

import json
import sys

from tests.infrastructure.stack import Stack

TOPIC = "arn:aws:sns:eu-west-1:111122223333:"


def whole_stack() -> Stack:
    """With every condition's resources in it."""
    return Stack(RequestTopicArn=f"{TOPIC}requests.fifo", AlarmTopicArn=f"{TOPIC}alarms")


if __name__ == "__main__":
    resources = {
        name: {key: value for key, value in resource.items() if key != "Condition"}
        for name, resource in whole_stack().resources.items()
    }
    document = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}
    sys.stdout.write(json.dumps(document, indent=2))
