"""The control plane gets an error if the output cannot be written or differs from the written bytes."""

import obstore
import pytest

from tests.builders import put_a_and_b, record, request
from tests.faulty_store import CURRENT, DATA, MANIFEST, MARKER, denied, raising


@pytest.mark.parametrize("pattern", [DATA, MANIFEST, MARKER])
def test_output_that_may_not_be_written_is_named_by_its_key(cloud, fails, faults, pattern):
    put_a_and_b(cloud.store)
    faults.before("PUT", pattern, denied, times=2)

    code, message = fails(request())

    refused = [key for operation, key in faults.calls if operation == "PUT"]
    assert code == "OUTPUT_WRITE_ERROR"
    assert any(message.startswith(f"{key}: ") for key in refused)


def test_a_run_returns_if_its_marker_may_not_be_read_since_it_may_be_committed(cloud, invoke, faults):
    put_a_and_b(cloud.store)
    faults.before("GET", MARKER, denied, times=4)

    assert invoke(record(request())) == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}

    assert cloud.sns.messages == []


def test_a_version_whose_data_differs_from_the_written_bytes_is_never_published(cloud, fails, faults):
    put_a_and_b(cloud.store)

    def damage():
        body = bytearray(cloud.read(key := faults.calls[-1][1]))
        body[40] ^= 1  # one bit of a value, so that the file can still be read
        obstore.put(cloud.store, key, bytes(body))

    faults.after("PUT", DATA, damage, times=2)

    code, message = fails(request())

    assert code == "MANIFEST_VALIDATION_ERROR"
    assert message.startswith("metrics/ratio.a_to_b/2026-10-30T12-00-00/data/metrics.parquet: ")
    assert faults.count("PUT", MANIFEST) == faults.count("PUT", MARKER) == faults.count("PUT", CURRENT) == 0


def test_a_version_whose_data_has_disappeared_is_never_published(cloud, fails, faults):
    put_a_and_b(cloud.store)
    faults.after("PUT", DATA, lambda: obstore.delete(cloud.store, faults.calls[-1][1]), times=2)

    code, message = fails(request())

    assert code == "MANIFEST_VALIDATION_ERROR"
    assert "data/metrics.parquet: " in message


def test_a_failure_of_s3_publishes_no_outcome(cloud, invoke, faults):
    put_a_and_b(cloud.store)
    for pattern in (DATA, MANIFEST, MARKER, CURRENT):
        cloud.sns.messages.clear()
        faults.clear()
        faults.before("PUT", pattern, raising(TimeoutError("timed out")), times=99)

        assert invoke(record(request())) == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}

        assert cloud.sns.completed == []
