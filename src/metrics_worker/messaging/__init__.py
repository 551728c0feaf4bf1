"""Messages to the control plane over SNS, and the visibility of the request messages in SQS."""
