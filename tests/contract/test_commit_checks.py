"""The commit publishes no version whose data differs in S3 from the data that was computed.

S3's answer to the PUT contains the ETag, which is the MD5 of the stored bytes unless the bucket encrypts them
with a KMS key. The commit compares the ETag with the MD5 of the data, and reads the data back if they differ.
Each call goes through a proxy to the S3 server of the conformance tests.
"""

from collections.abc import Callable
from dataclasses import replace
from http.client import HTTPResponse

import numpy as np
import pytest

from metrics_worker.errors import ManifestValidationError
from metrics_worker.publication.commit import Draft, commit
from metrics_worker.publication.records import Keys
from metrics_worker.request import Run
from metrics_worker.s3.s3_bucket import S3Bucket
from metrics_worker.series import Series
from tests.builders import NOW
from tests.contract.test_bucket_faults import each_fault_once
from tests.faulty_proxy import PASS, REFUSED, Call, Fault, FaultyProxy, in_turn

SERIES = Series(np.arange(50, dtype=np.int64), np.linspace(0.0, 1.0, 50))
RUN = Run("run-1", "m", v1=False, requested_at=NOW, event={})


def publish(bucket: S3Bucket, place: str) -> str:
    """Publish a version of the metric `m` below the prefix `place`, and return the key of its data file."""
    keys = Keys(f"{place}metrics/m/")
    draft = Draft(RUN, keys, SERIES, {"series_code": "A"}, [], "snappy")
    return keys.data(commit(bucket, draft, lambda: NOW, lambda: None).marker.version_ts)


def is_data(call: Call) -> bool:
    return call.target.endswith("/data/metrics.parquet")


def calls_of_data(proxy: FaultyProxy) -> list[str]:
    return [call.method for call in proxy.calls if is_data(call)]


def damaged(call: Call) -> Call:
    """Return a changed call, with one bit flipped, if it is a PUT of a data file; otherwise the same call."""
    if not (call.method == "PUT" and is_data(call)):
        return call
    body = bytearray(call.body)
    body[40] ^= 1
    return replace(call, body=bytes(body))


@pytest.fixture
def forward_with(proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return `forward_with(of_call, etag=…)`, which makes the proxy change the calls that it forwards.

    `of_call` is a function that takes a call and returns the call to forward in its place. `etag`, if it is
    given, replaces the ETag of each response.
    """

    def change(of_call: Callable[[Call], Call], etag: str | None = None) -> None:
        forward = proxy.forward

        def changed(call: Call) -> tuple[HTTPResponse, bytes]:
            answer, body = forward(of_call(call))
            if etag is not None and "ETag" in answer.headers:
                answer.headers.replace_header("ETag", etag)
            return answer, body

        monkeypatch.setattr(proxy, "forward", changed)

    return change


def test_data_is_not_read_back_if_the_etag_of_the_put_is_its_md5(proxy, faulty, place):
    publish(faulty, place)
    assert calls_of_data(proxy) == ["PUT"]


def test_data_is_read_back_if_the_etag_is_not_its_md5(proxy, faulty, place, forward_with):
    forward_with(lambda call: call, etag='"0123456789abcdef0123456789abcdef"')
    publish(faulty, place)
    assert calls_of_data(proxy) == ["PUT", "GET"]


@each_fault_once
def test_data_is_whole_after_a_fault_of_its_put(proxy, faulty, place, on_s3, fault):
    proxy.decide = in_turn(fault)
    key = publish(faulty, place)
    written = {call.body for call in proxy.calls if call.method == "PUT" and is_data(call)}
    assert written == {bytes(on_s3.get(key).body)}


@pytest.mark.parametrize("etag", [None, '"0123456789abcdef0123456789abcdef"'])
def test_data_that_is_damaged_on_its_way_to_s3_is_never_published(proxy, faulty, place, forward_with, etag):
    forward_with(damaged, etag)
    with pytest.raises(ManifestValidationError, match=r"metrics\.parquet: .* bytes read back are not"):
        publish(faulty, place)
    assert calls_of_data(proxy) == ["PUT", "GET"]
    assert not [call for call in proxy.calls if call.method == "PUT" and not is_data(call)]


def test_damaged_data_whose_answer_is_lost_is_never_published(proxy, faulty, place):
    """Damage the first PUT of the data file and lose its response, so that the worker sends the PUT again.

    S3 refuses the second PUT, because the object exists. The commit must not trust the damaged object,
    although the object has the run's own write id.
    """

    def damage_and_lose(call: Call) -> Fault:
        if calls_of_data(proxy) != ["PUT"]:
            return PASS
        proxy.forward(damaged(call))
        return REFUSED

    proxy.decide = damage_and_lose
    with pytest.raises(ManifestValidationError, match="bytes read back are not"):
        publish(faulty, place)
