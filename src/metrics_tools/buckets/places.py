"""The locations that the options --bucket, --folder and --demo select.

A location is a bucket from which a command reads, and to which some commands publish. The functions of this
module handle wrong options themselves: they print the error on standard error, and raise a `typer.Exit` that
ends the command with status 2.
"""

import os
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
from obstore.store import MemoryStore

from metrics_tools import ecb
from metrics_tools.buckets.folder import FolderBucket
from metrics_tools.console import impossible
from metrics_worker.s3.bucket import Bucket
from metrics_worker.s3.credentials import Credentials
from metrics_worker.s3.s3_bucket import S3Bucket

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class Place:
    """The location that a command works on.

    Attributes:
        bucket: the bucket, folder or overlay from which the command reads.
        label: the name of the location in the output of the command.
    """

    bucket: Bucket
    label: str


def open_place(
    bucket: str | None, folder: Path | None, *, demo: bool, files: Sequence[str | Path] = ()
) -> Place | None:
    """Return the location that the options select; None if none of the three options is given.

    If more than one of them is given, the command ends with an error.

    Args:
        bucket: the value of --bucket.
        folder: the value of --folder.
        demo: whether --demo is given.
        files: the files of the requests, or formulas. The demo data has only the currencies that occur in
            them; if there are none, `ecb.CURRENCIES`.
    """
    if sum((bucket is not None, folder is not None, demo)) > 1:
        raise impossible("Choose one of --bucket, --folder and --demo.")
    if bucket is not None:
        return bucket_place(bucket)
    if folder is not None:
        return folder_place(folder)
    return demo_place(currencies_in(files)) if demo else None


def bucket_place(name: str) -> Place:
    """Return the location of a bucket on S3, or on the server at AWS_ENDPOINT_URL.

    No request is made, so the bucket may not exist.
    """
    name = name.removeprefix("s3://").removesuffix("/")
    if not _BUCKET.fullmatch(name):
        raise impossible(f"{name!r} is not the name of a bucket: 3 to 63 of a-z, 0-9, '.' and '-'.")
    session = aws_session()
    connected = S3Bucket.connect(
        name,
        region=os.environ.get("AWS_REGION") or session.region_name or "us-east-1",
        endpoint_url=os.environ.get("AWS_ENDPOINT_URL") or None,
        credentials=_credentials(session),
    )
    return Place(connected, f"s3://{name}")


def _credentials(session: Any) -> Credentials:
    """Return the credentials of a boto3 session, which are those that the AWS CLI would use."""
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - half a second, and only buckets need it
    from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415 - as above: it imports boto3

    try:
        credentials = Boto3CredentialProvider(session)
        credentials()
    except ValueError:
        raise impossible(
            "No AWS credentials: set AWS_PROFILE, run `aws sso login`, or export AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY. Without a cloud: --folder, or --demo."
        ) from None
    except BotoCoreError as error:
        raise impossible(f"Your AWS credentials cannot be used: {error}") from error
    return credentials


def aws_session() -> Any:
    """Return a boto3 session for the profile and region in the environment variables."""
    import boto3  # noqa: PLC0415 - half a second, and only AWS needs it
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - as above

    try:
        return boto3.Session()
    except BotoCoreError as error:
        raise impossible(f"Your AWS configuration cannot be used: {error}") from error


def folder_place(folder: Path) -> Place:
    """Return the location of a folder that serves as a bucket."""
    if not folder.is_dir():
        hint = f"`metrics demo {folder}` creates one with the demo data."
        raise impossible(f"{folder}: there is no such folder. {hint}")
    return Place(FolderBucket(folder, ecb.BUCKET), str(folder))


def currencies_in(files: Sequence[str | Path]) -> Collection[str]:
    """Return the codes, such as USD, of the currencies whose ECB series occur in request files or formulas.

    Unreadable files are skipped. If a code is misspelled, the result also has `ecb.CURRENCIES`, so that the
    error can suggest one of them; if no currency is found, the result is `ecb.CURRENCIES`.
    """
    codes = set[str]()
    for file in files:
        text = str(file)  # a formula, if there is no such file
        with suppress(OSError, ValueError):  # the parser of the request reports the error later
            text = Path(file).read_text(encoding="utf-8")
        codes.update(re.findall(r"\bECB_\w+", text))
    named = {ecb.currency_of(code) for code in codes}
    known = {currency for currency in ecb.read_rates() if currency in named}
    return known if known and known == named else known.union(ecb.CURRENCIES)


def demo_place(currencies: Collection[str] = ecb.CURRENCIES) -> Place:
    """Return a location in memory with the demo data: the ECB's exchange rates of these currencies."""
    store = MemoryStore()
    ecb.write_dataset(lambda key, body: obstore.put(store, key, body), currencies)
    return Place(S3Bucket(store, ecb.BUCKET), "the demo data")


def metrics_prefix() -> str:
    """Return the key prefix of all metrics: the environment variable AWS_S3_METRICS_PREFIX, or `metrics/`."""
    return os.environ.get("AWS_S3_METRICS_PREFIX") or "metrics/"
