"""Everything that people run and that is not deployed.

    command_line/      the command `metrics`: one module for each subcommand, and the output that they share
    validate/          all problems of a request, with suggestions
    describe/          an expression as a formula, in words, and as a tree
    formulas/          formulas that authors type
    cost/              the requests, seconds and dollars that a run will need
    runs/              runs that the command line computes, and the forms in which it shows them
    definition_tests/  unit tests of metrics that authors write in YAML or JSON
    published/         published versions of a metric, faults in them, and dead letters
    importing/         observations of your own, from a file to a dataset
    buckets/           a folder, the demo data or an overlay in memory, used in place of the deployed bucket
    page/              the HTML page that shows runs
    local_cloud/       `make run`: the worker in the Lambda emulator, with S3, SNS and SQS on one machine
    contracts/         the JSON Schemas in docs/contracts, generated from the worker's models
    __main__.py        `python -m metrics_tools`: the command `metrics`
    console.py         the output and the exit codes of the commands
    ecb.py             the demo dataset: the exchange rates of the European Central Bank
    file_contents.py   the requests and expressions in a file, in standard input or in an argument
    formatting.py      numbers, times, durations and sizes as text
    part_files.py      part files and dataset manifests in the layout of production
    process_exit.py    the end of a process that used the bucket
    pruning.py         the deletion of versions and snapshots that nothing refers to
    request_files.py   the requests in files, such as those of events/

All of them may import `metrics_worker`, which imports none of them.
"""
