"""Everything that people run and that is not deployed.

    command_line/   the command `metrics`: one module for each subcommand, and the output that they share
    validate/       all problems of a request, with suggestions
    describe/       an expression as a formula, in words, and as a tree
    cost/           the requests, seconds and dollars that a run will need
    runs/           runs that the command line computes, and the forms in which it shows them
    published/      published versions of a metric, and faults in them
    buckets/        a folder, the demo data or an overlay in memory, used in place of the deployed bucket
    page/           the HTML page that shows runs
    formatting.py   numbers, times, durations, sizes and status events as text
    console.py      the output and the exit codes of the commands
    local_cloud/    `make run`: the worker in Lambda's runtime emulator, with S3, SNS and SQS on one machine
    operations/     tools for the operators of a deployment
    contracts/      the JSON Schemas in docs/contracts, generated from the worker's models

    request_files   the requests in files, such as those of events/
    ecb             the demo dataset: the exchange rates of the European Central Bank
    console         the output and the exit codes of the commands
    process_exit    the end of a process that used the bucket

All of them may import `metrics_worker`, which imports none of them.
"""
