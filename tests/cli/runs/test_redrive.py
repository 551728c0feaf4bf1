"""`metrics redrive` with a bucket and a queue on a moto server.

tests/functional/test_redrive.py tests it with the functions of the worker.
"""

from metrics_worker.publication.dead_letter import DeadLetter, dead_letter_key

LETTER = DeadLetter(
    message_id="message-1",
    outcome="FAILURE",
    why="gave up",
    run_id="run-1",
    metric_code="ratio.a_to_b",
    kept_at="2026-10-30T12:00:00Z",
    attributes={"MessageGroupId": "g", "SentTimestamp": "1793361597000"},
    body="{}",
)
KEY = dead_letter_key("metrics/", LETTER)


def test_the_dead_letters_of_a_bucket_are_listed_and_sent_to_a_queue(metrics, client, bucket):
    client("s3").put_object(Bucket=bucket, Key=KEY, Body=LETTER.encode())
    sqs = client("sqs")
    queue = sqs.create_queue(QueueName="again.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]

    listed = metrics("redrive", "--bucket", bucket, "--list")
    sent = metrics("redrive", "--bucket", bucket, "--queue-url", queue, KEY)

    assert (listed.exit_code, KEY in listed.stdout) == (0, True)
    assert (sent.exit_code, sent.stdout) == (0, f"sent back  {KEY}  ratio.a_to_b  run-1\n")
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert '"Message": "{}"' in message["Body"]


def test_a_missing_bucket_is_reported_in_one_line(metrics, client):  # noqa: ARG001
    done = metrics("redrive", "--bucket", "no-such-bucket", "--list")

    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("s3://no-such-bucket: ")
    assert "bucket" in line.partition(": ")[2]
