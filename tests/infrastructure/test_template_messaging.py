"""The queues, the topics and the policies in template.yaml have the right properties."""

import pytest

from tests.infrastructure.stack import SAMCONFIG, TEMPLATE, Stack, overrides

ARN = "arn:aws:sns:eu-west-1:111122223333:"
REQUEST_TOPIC = ARN + "metric-run-requests.fifo"
QUEUE_ARN = {"Fn::GetAtt": ["RequestQueue", "Arn"]}
EXISTING = {
    "StartedTopicArn": ARN + "started.fifo",
    "HeartbeatTopicArn": ARN + "heartbeat.fifo",
    "CompletedTopicArn": ARN + "completed",
}
TOPICS = {"StartedTopic": "STARTED", "HeartbeatTopic": "HEARTBEAT", "CompletedTopic": "COMPLETED"}


def test_the_request_queue_is_fifo_encrypted_and_delays_delivery(stack: Stack) -> None:
    queue = stack.properties("RequestQueue", "AWS::SQS::Queue")
    assert queue["QueueName"].endswith(".fifo")
    assert queue["FifoQueue"] is True
    assert queue["SqsManagedSseEnabled"] is True
    assert queue["DelaySeconds"] == "10"


@pytest.mark.parametrize(("given", "tries"), [({}, "5"), ({"MaxReceiveCount": 9}, "9")])
def test_a_request_goes_to_the_dead_letter_queue_after_the_maximum_of_receives(
    given: dict[str, int], tries: str
) -> None:
    assert Stack(**given).properties("RequestQueue", "AWS::SQS::Queue")["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]},
        "maxReceiveCount": tries,
    }


def test_the_dead_letter_queue_is_fifo_encrypted_and_keeps_messages_for_14_days(stack: Stack) -> None:
    queue = stack.properties("DeadLetterQueue", "AWS::SQS::Queue")
    assert queue["QueueName"].endswith(".fifo")
    assert queue["FifoQueue"] is True
    assert queue["SqsManagedSseEnabled"] is True
    assert queue["MessageRetentionPeriod"] == 14 * 86_400


@pytest.mark.parametrize("given", [{}, *map(overrides, sorted(SAMCONFIG.keys() - {"version"}))])
def test_the_visibility_timeout_is_six_times_the_timeout_of_the_function(given: dict[str, str]) -> None:
    stack = Stack(**given)
    hidden = stack.properties("RequestQueue", "AWS::SQS::Queue")["VisibilityTimeout"]
    timeout = stack.properties("MetricsWorkerFunction", "AWS::Lambda::Function")["Timeout"]
    assert int(hidden) >= 6 * int(timeout)


def test_a_deployment_with_a_shorter_visibility_timeout_is_rejected() -> None:
    timeouts = TEMPLATE["Parameters"]["Timeout"]["AllowedValues"]
    visibilities = TEMPLATE["Parameters"]["VisibilityTimeout"]["AllowedValues"]
    rules = {
        rule["RuleCondition"]["Fn::Equals"][1]: rule["Assertions"]
        for name, rule in TEMPLATE["Rules"].items()
        if name.startswith("VisibilityForTimeout")
    }
    assert set(rules) == set(map(str, timeouts))
    for timeout, ((assertion),) in rules.items():
        allowed, parameter = assertion["Assert"]["Fn::Contains"]
        assert parameter == {"Ref": "VisibilityTimeout"}
        assert allowed == [str(v) for v in visibilities if v >= 6 * int(timeout)]
    short = Stack(Timeout="900", VisibilityTimeout="3600")
    assert short.rejections() == ["VisibilityTimeout must be at least six times Timeout"]


def test_without_a_request_topic_there_is_no_subscription_and_no_queue_policy(stack: Stack) -> None:
    assert not stack.of_type("AWS::SNS::Subscription")
    assert not stack.of_type("AWS::SQS::QueuePolicy")


def test_the_queue_is_subscribed_to_the_request_topic_without_raw_delivery() -> None:
    stack = Stack(RequestTopicArn=REQUEST_TOPIC)
    assert stack.properties("RequestSubscription", "AWS::SNS::Subscription") == {
        "TopicArn": REQUEST_TOPIC,
        "Protocol": "sqs",
        "Endpoint": QUEUE_ARN,
        "RawMessageDelivery": False,
        "RedrivePolicy": {"deadLetterTargetArn": {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}},
    }


@pytest.mark.parametrize("queue", ["RequestQueue", "DeadLetterQueue"])
def test_only_the_request_topic_may_send_to_the_queues(queue: str) -> None:
    policy = Stack(RequestTopicArn=REQUEST_TOPIC).properties(f"{queue}Policy", "AWS::SQS::QueuePolicy")
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert policy["Queues"] == [{"Ref": queue}]
    assert statement["Principal"] == {"Service": "sns.amazonaws.com"}
    assert statement["Action"] == "sqs:SendMessage"
    assert statement["Resource"] == {"Fn::GetAtt": [queue, "Arn"]}
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": REQUEST_TOPIC}}


def test_the_stack_has_three_encrypted_fifo_topics(stack: Stack) -> None:
    topics = stack.of_type("AWS::SNS::Topic")
    assert set(topics) == set(TOPICS)
    for topic in topics.values():
        assert topic["FifoTopic"] is True
        assert topic["TopicName"].endswith(".fifo")
        assert topic["ContentBasedDeduplication"] is False
        assert topic["KmsMasterKeyId"] == "alias/aws/sns"


def test_given_topics_are_used_instead_of_new_ones() -> None:
    stack = Stack(**EXISTING)
    environment = stack.properties("MetricsWorkerFunction", "AWS::Lambda::Function")["Environment"][
        "Variables"
    ]
    assert not stack.of_type("AWS::SNS::Topic")
    for name, arn in EXISTING.items():
        event = TOPICS[name.removesuffix("Arn")]
        assert environment[f"AWS_SNS_METRIC_RUN_{event}_TOPIC_ARN"] == arn
        assert stack.outputs[name] == arn
    assert stack.permissions()["sns:Publish"] == list(EXISTING.values())


@pytest.mark.parametrize("given", EXISTING)
def test_each_topic_can_be_given_separately(given: str) -> None:
    stack = Stack(**{given: EXISTING[given]})
    assert set(stack.of_type("AWS::SNS::Topic")) == set(TOPICS) - {given.removesuffix("Arn")}
