"""The process of the local cloud: moto's server for S3, SNS and SQS. Run it as a script.

The server listens on a free port, which it writes as the first line of standard output, and runs until it is
stopped. moto needs some 2 ms of one core for each request, however many threads it has, so it runs in a
process of its own.
"""

import logging
import sys
import threading


def serve(host: str = "127.0.0.1") -> None:
    """Serve on an address of this machine until the process is stopped."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - importing this module must not load moto

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # werkzeug logs a line for each request otherwise
    server = ThreadedMotoServer(host, 0, verbose=False)
    server.start()
    print(server.get_host_and_port()[1], flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    serve(sys.argv[1])
