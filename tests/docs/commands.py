"""Every command in a `sh` block of the documentation: the test that runs it, or why none does."""

_LOCAL_RUN = "tests/functional/test_local_run.py::test_a_request_is_computed_and_shown"
_FIVE_MINUTES = "tests/docs/test_five_minutes.py"
_REDRIVE = "tests/docs/test_reference.py::test_the_options_of_redrive_are_its_own"

RUN_BY = {
    "make run": _LOCAL_RUN,
    "make run EVENT=events/momentum.json": _LOCAL_RUN,
    "make run EVENT=my.json": f"{_FIVE_MINUTES}::test_a_run_prints_what_the_page_shows",
    ".venv/bin/python look.py": (
        f"{_FIVE_MINUTES}::test_the_program_that_reads_the_result_prints_what_the_page_shows"
    ),
    'make redrive ARGS="--bucket my-bucket --list"': _REDRIVE,
    'make redrive ARGS="--bucket my-bucket --queue-url https://… KEY KEY"': _REDRIVE,
}

NOT_RUN = {
    "make test": "it runs this; .ci/run holds that CI does",
    "make deploy": "needs an AWS account; the template is translated and checked in tests/infrastructure",
}
