"""Functions that the tests of batches share: they make records of runs and return the outcomes of a batch."""

from tests.builders import record, request

NOTHING_COMES_BACK: dict[str, list[dict[str, str]]] = {"batchItemFailures": []}


def run_of(metric: str, number: int = 1) -> dict[str, object]:
    """Return an SQS record with the request of a run that computes A / B.

    Args:
        metric: the metric code.
        number: distinguishes several runs of the metric: the run id and the message id are
            `{metric}-{number}`.
    """
    name = f"{metric}-{number}"
    return record(request(run_id=name, metric=metric), message_id=name)


def given_back(response: dict[str, list[dict[str, str]]]) -> list[str]:
    return [item["itemIdentifier"] for item in response["batchItemFailures"]]


def outcomes(cloud) -> dict[str, str]:
    return {event["runId"]: event["status"] for event in cloud.sns.completed}
