"""A local run of the worker: S3, SNS and SQS on loopback, real exchange rates, Lambda's own runtime emulator.

`make run` is `python -m metrics_tools.local_cloud`.

    __main__.py        the command line
    run.py             the story of a local run
    samples.py         the requests of events/*.json
    template.py        what template.yaml says, so that the local cloud is made as the deployed one
    cloud.py           bucket, topics and queues on a moto server
    moto_server.py     the server's process
    ecb.py             the dataset: the European Central Bank's reference rates
    emulator.py        the worker in the Lambda Runtime Interface Emulator
    event_source.py    a stand-in for Lambda's event source mapping
    events_heard.py    the status events, as they arrive
    outcome.py         what a run left in S3, held against what it announced
    recomputed.py      the same metric in plain Python, straight from the ECB's file
    kept.py            out/s3: what was published, under the same keys
    worker_log.py      why the worker gave messages back, and each run's requests
    shown.py           a run as out/metrics.html shows it
    tell.py            what is told of a run on the terminal
    terminal.py        how it is printed
    sam_invoke.py      `make invoke`: the same cloud for Lambda's own image, which needs Docker
    direct.py          the worker without the emulator, where there is none
    errors.py          what ends a local run with a line
    ending.py          ends a process that used the bucket
    leash.py           lets no process outlive the run
"""
