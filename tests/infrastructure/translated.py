"""Print the whole stack as SAM translates it, for `make scan`.

The scanner checks the translated template, because template.yaml lacks some properties of the resources that
SAM creates: functions, event source mappings and the layer.
"""

import json
import sys

from tests.infrastructure.stack import Stack

TOPIC = "arn:aws:sns:eu-west-1:111122223333:"


def whole_stack() -> Stack:
    """Return the stack with all of its resources: its parameters make every condition true."""
    return Stack(
        RequestTopicArn=f"{TOPIC}requests.fifo",
        AlarmTopicArn=f"{TOPIC}alarms",
        TicketTopicArn=f"{TOPIC}tickets",
        KmsKeyArn="arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        SubnetIds="subnet-0a,subnet-0b",
        SecurityGroupIds="sg-0a",
        PermissionsBoundaryArn="arn:aws:iam::111122223333:policy/boundary",
    )


if __name__ == "__main__":
    resources = {
        name: {key: value for key, value in resource.items() if key != "Condition"}
        for name, resource in whole_stack().resources.items()
    }
    document = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}
    sys.stdout.write(json.dumps(document, indent=2))
