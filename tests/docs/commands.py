"""A table of the commands that the documentation shows in its `sh` blocks.

For each command, the table has the test that runs it, or the reason why no test runs it.
"""

_LOCAL_RUN = "tests/functional/test_local_run.py::test_requests_are_computed_and_printed"
_FIVE_MINUTES = "tests/docs/test_five_minutes.py"
_REDRIVE = "tests/docs/test_reference.py::test_documented_options_of_redrive_exist"
_SERVED = "tests/functional/test_local_serve.py::test_a_request_is_sent_and_followed_to_its_outcome"
_CONTRACTS = "tests/docs/test_contracts_page.py"

RUN_BY = {
    "make run": _LOCAL_RUN,
    "make run EVENT=events/momentum.json": _LOCAL_RUN,
    "make run EVENT=my.json": f"{_FIVE_MINUTES}::test_a_run_prints_the_output_on_the_page",
    ".venv/bin/python look.py": (f"{_FIVE_MINUTES}::test_the_reading_program_prints_the_output_on_the_page"),
    **dict.fromkeys(
        (
            ".venv/bin/metrics validate my.json",
            ".venv/bin/metrics explain my.json --demo",
            ".venv/bin/metrics run my.json --demo",
        ),
        f"{_FIVE_MINUTES}::test_the_command_line_prints_the_output_on_the_page",
    ),
    "metrics redrive --bucket BUCKET --queue-url URL KEY KEY": _REDRIVE,
    "metrics redrive --bucket my-bucket --list": _REDRIVE,
    "metrics redrive --bucket my-bucket --queue-url https://… KEY KEY": _REDRIVE,
    "pip install check-jsonschema==0.39.0": (
        f"{_CONTRACTS}::test_the_page_installs_the_version_that_the_tests_use"
    ),
    **{
        f"check-jsonschema --schemafile schemas/{name}.json examples/{name}.json": (
            f"{_CONTRACTS}::test_a_check_accepts_a_valid_document_and_rejects_an_invalid_one"
        )
        for name in ("metric_run_requested", "dataset_manifest", "metric_run_completed.success.v1")
    },
    "source out/env": _SERVED,
    "metrics send events/run.json --wait": _SERVED,
    "metrics history fx.usd_per_brl --bucket $AWS_S3_BUCKET": (
        "tests/docs/test_trying_metrics.py::test_the_commands_print_the_output_on_the_page"
    ),
}

NOT_RUN = {
    "make test": "this test is a part of it; another test checks that CI runs it",
    "make deploy": "needs an AWS account; the template is translated and checked in tests/infrastructure",
}
