"""Fixtures: the stack with the default parameters of the template, and some of its parts."""

import pytest

from tests.infrastructure.stack import Properties, Stack


@pytest.fixture(scope="session")
def stack() -> Stack:
    return Stack()


@pytest.fixture(scope="session")
def function(stack: Stack) -> Properties:
    return stack.properties("MetricsWorkerFunction", "AWS::Lambda::Function")


@pytest.fixture(scope="session")
def mapping(stack: Stack) -> Properties:
    return stack.properties("MetricsWorkerFunctionRequests", "AWS::Lambda::EventSourceMapping")


@pytest.fixture(scope="session")
def variables(function: Properties) -> Properties:
    variables: Properties = function["Environment"]["Variables"]
    return variables
