"""`metrics`, the command line for authors of metrics, which is not deployed.

    app.py               the group of all commands, which imports the module of a command when it is called
    commands/            a module for each command
    options.py           the arguments and options that several commands share
    validation.py        the validation of the requests in files, and the printing of their problems
    published_metric.py  the location of published versions, for `history`, `doctor` and `rollback`
    aws.py               the AWS clients of `send` and `redrive`, and the errors of AWS

Scripts depend on the JSON that the commands print with `--json`: fields may be added, but not removed.
"""
