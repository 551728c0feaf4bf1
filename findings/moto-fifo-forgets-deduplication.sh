#!/usr/bin/env bash
# moto 5.2.5: a FIFO queue accepts a MessageDeduplicationId again as soon as the first message is deleted.
#
# Input: a message is sent to a FIFO queue, received and deleted; a second message with another body and the same
# MessageDeduplicationId is sent one moment later.
#
# Behaviour: the second message is delivered. Amazon SQS accepts it (the call succeeds) and does not deliver it: the queue
# keeps the id for five minutes after the first message was sent, "even after the message is received and deleted"
# (SQS API reference, SendMessage, MessageDeduplicationId).
#
# Output seen:
#
#     received after the delete: ['second']
#
# Why it matters: a tool that sends a failed message back with its old deduplication id passes its tests with
# moto and loses the message in production, with no error on either side. Tests of redelivery need a model of the queue
# that keeps ids for five minutes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check boto3==1.44.5 botocore==1.44.8 'moto[sqs]==5.2.5'
export AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none AWS_DEFAULT_REGION=us-east-1
"$folder/venv/bin/python" - <<'PYTHON'
import boto3
from moto import mock_aws

with mock_aws():
    sqs = boto3.client("sqs")
    queue = sqs.create_queue(QueueName="requests.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]

    def send(body):
        sqs.send_message(
            QueueUrl=queue, MessageBody=body, MessageGroupId="metric", MessageDeduplicationId="run-1"
        )

    def receive():
        return sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])

    send("first")
    (first,) = receive()
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=first["ReceiptHandle"])
    send("second")
    bodies = [message["Body"] for message in receive()]
    print(f"received after the delete: {bodies}")
    assert bodies == ["second"], "moto now keeps deduplication ids after a delete, as SQS does"
PYTHON
echo "As described."
