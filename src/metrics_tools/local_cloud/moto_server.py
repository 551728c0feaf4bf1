"""The local cloud's process: moto's server for S3, SNS and SQS on a free port of loopback.

Run as a script. It writes the port as the first line of its standard output and serves until it is ended.
moto works for some 2 ms at each request, on one core whatever the number of threads or connections (measured:
keeping connections alive, or not recording requests, changes nothing), so it has a process of its own.
"""

import logging
import os
import sys


def serve() -> None:
    """Serve until the process is ended."""
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - importing this module must not load moto
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server  # noqa: PLC0415 - as above

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # no line for each of thousands of requests
    application = DomainDispatcherApplication(create_backend_app)
    # The names of moto's types are not exported: it declares none for this function.
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler)
    os.environ["MOTO_PORT"] = str(server.port)  # it makes its URLs of this
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    serve()
