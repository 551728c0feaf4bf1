"""What to do about an error, in a line: by its wire code, or by its kind where it may pass."""

REMEDIES = {
    "INPUT_READ_ERROR": "Mend the dataset, its manifest or the request's catalog; the message names which.",
    "EXPRESSION_EVAL_ERROR": "Mend the expression at the path that is named: `metrics validate FILE`.",
    "OUTPUT_WRITE_ERROR": "Look at what you, or the function's role, may write at this place.",
    "MANIFEST_VALIDATION_ERROR": "Look at the object that is named: nothing was committed.",
    "CONFIG_ERROR": "Mend the field of the request, or the variable, that is named.",
    "INTERNAL_ERROR": "A defect of the worker: the traceback says where.",
    "StoreUnavailable": "It may pass: try again. If it lasts: bucket, region, AWS_ENDPOINT_URL, network.",
    "CommittedRunError": "The run is committed, but not all of it can be read: `metrics doctor` says more.",
    "UnanswerableError": "Mend the request: its type, runId or metricCode can't be used.",
}


def remedy(code: str) -> str:
    """What to do about an error of this code or kind."""
    return REMEDIES.get(code, "It may pass: try again.")
