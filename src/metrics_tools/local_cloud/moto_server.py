"""The process of the local cloud: moto's server for S3, SNS and SQS. Run it as a script.

The server listens on a free port, writes the number of the port as the first line of standard output, and
runs until it is stopped. moto needs some 2 ms of one core for each request, even with several threads, so
moto runs in a separate process.
"""

import logging
import sys
import threading


def serve(host: str = "127.0.0.1") -> None:
    """Start the server on an address of this machine, print its port, and wait until the process ends."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - importing this module must not load moto

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # werkzeug logs a line for each request otherwise
    server = ThreadedMotoServer(host, 0, verbose=False)
    server.start()
    print(server.get_host_and_port()[1], flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    serve(sys.argv[1])
