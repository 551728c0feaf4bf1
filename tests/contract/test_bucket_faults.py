"""`S3Bucket` handles faults of the network and of the server correctly.

Each call goes through a proxy to the S3 server of the conformance tests. The proxy rejects the call before
the call takes effect, drops the response afterwards, or responds with an error.
"""

from functools import partial
from hashlib import md5

import pytest

from metrics_worker.errors import AccessDenied, ObjectTaken, StoreUnavailable
from metrics_worker.s3.bucket import WHOLE_BYTES, StoredObject
from metrics_worker.s3.s3_bucket import CONDITIONAL_TRIES, S3Bucket
from tests.faulty_proxy import CUT, LOST, PASS, REFUSED, in_turn, status, status_after

ONCE = {
    "500": status(500),
    "503": status(503),
    "429": status(429),
    "409": status(409),
    "412": status(412),
    "400": status(400),
    "refused": REFUSED,
    "lost": LOST,
    "500 after its effect": status_after(500),
    "503 after its effect": status_after(503),
    "409 after its effect": status_after(409),
    "412 after its effect": status_after(412),
}
"""Faults after which a conditional write of the only writer must be recognised as successful."""

each_fault_once = pytest.mark.parametrize(
    "fault", ONCE.values(), ids=[name.replace(" ", "-") for name in ONCE]
)


def methods(proxy):
    return "".join(call.method[0] for call in proxy.calls)


@each_fault_once
def test_a_create_succeeds_despite_one_fault(proxy, faulty, place, fault):
    proxy.decide = in_turn(fault)
    etag = faulty.create(place + "x", b"mine")
    proxy.forget()
    found = faulty.get(place + "x")
    assert (bytes(found.body), found.etag) == (b"mine", etag)


def test_reading_an_object_with_an_etag_costs_a_second_request_if_it_has_changed(proxy, faulty, place):
    etag = faulty.create(place + "x", b"old").strip('"')
    for body, requests in ((b"old", "G"), (b"new", "GG")):
        faulty.swap(place + "x", body, etag=faulty.get(place + "x").etag)
        proxy.forget()
        found: list[StoredObject] = []
        faulty.get_many([place + "x"], found.append, {place + "x": etag})
        assert [bytes(one.body) for one in found] == [body]
        assert methods(proxy) == requests
        assert [call.headers.get("if-match") for call in proxy.calls] == [f'"{etag}"', None][: len(requests)]


@each_fault_once
def test_a_swap_succeeds_despite_one_fault(proxy, faulty, place, fault):
    old = faulty.create(place + "x", b"old")
    proxy.decide = in_turn(fault)
    etag = faulty.swap(place + "x", b"mine", etag=old)
    proxy.forget()
    found = faulty.get(place + "x")
    assert (bytes(found.body), found.etag) == (b"mine", etag)


@each_fault_once
def test_a_create_with_a_fault_never_replaces_the_object_of_another_writer(proxy, faulty, place, fault):
    faulty.create(place + "x", b"another's")
    proxy.decide = in_turn(fault)
    with pytest.raises(ObjectTaken, match=place + "x"):
        faulty.create(place + "x", b"mine")
    assert bytes(faulty.get(place + "x").body) == b"another's"


@each_fault_once
def test_a_swap_with_a_fault_never_replaces_the_object_of_another_writer(proxy, faulty, place, fault):
    old = faulty.create(place + "x", b"old")
    faulty.swap(place + "x", b"another's", etag=old)
    proxy.decide = in_turn(fault)
    with pytest.raises(ObjectTaken, match=place + "x"):
        faulty.swap(place + "x", b"mine", etag=old)
    assert bytes(faulty.get(place + "x").body) == b"another's"


def test_a_lost_response_is_settled_by_reading_the_object(proxy, faulty, place):
    proxy.decide = in_turn(LOST)
    faulty.create(place + "x", b"mine")
    assert methods(proxy) == "PPG", "the second PUT finds the object of the first and recognises its write id"
    puts = [call.headers["x-amz-meta-write-id"] for call in proxy.calls if call.method == "PUT"]
    assert len(set(puts)) == 1


def test_a_conditional_write_sends_its_condition_in_a_header(proxy, faulty, place):
    etag = faulty.create(place + "x", b"1")
    faulty.swap(place + "x", b"2", etag=etag)
    create, swap = proxy.calls
    assert create.headers["if-none-match"] == "*"
    assert "if-match" not in create.headers
    assert swap.headers["if-match"] == etag
    assert "if-none-match" not in swap.headers


@pytest.mark.parametrize(
    ("write", "fault"),
    [("create", status(503)), ("create", status(409)), ("create", REFUSED), ("swap", status(409))],
    ids=["create-503", "create-409", "create-refused", "swap-409"],
)
def test_a_write_that_keeps_failing_is_given_up_after_a_few_tries(proxy, faulty, place, write, fault):
    etag = faulty.create(place + "x", b"old")
    proxy.forget()
    proxy.decide = lambda call: fault if call.method == "PUT" else PASS
    send = (
        partial(faulty.create, place + "new")
        if write == "create"
        else partial(faulty.swap, place + "x", etag=etag)
    )
    with pytest.raises(StoreUnavailable, match=f"after {CONDITIONAL_TRIES} tries$") as given_up:
        send(body=b"mine")
    assert (given_up.value.__cause__ is None) == (fault.answer == 409)
    assert len(proxy.calls) <= CONDITIONAL_TRIES * 6
    proxy.forget()
    assert faulty.find(place + "new") is None
    assert bytes(faulty.get(place + "x").body) == b"old"


def test_a_write_with_an_unknown_result_is_a_transient_error(proxy, faulty, place):
    proxy.decide = lambda call: LOST if call.method == "PUT" else status(503)
    with pytest.raises(StoreUnavailable, match=place + "x: PUT: "):
        faulty.create(place + "x", b"mine")
    proxy.forget()
    assert bytes(faulty.get(place + "x").body) == b"mine", (
        "the write took effect, and the next attempt will find it"
    )


def test_a_rejected_write_is_a_transient_error_if_the_object_cannot_be_read(proxy, faulty, place):
    faulty.create(place + "x", b"another's")
    proxy.decide = lambda call: PASS if call.method == "PUT" else status(503)
    with pytest.raises(StoreUnavailable, match=place + "x: GET: "):
        faulty.create(place + "x", b"mine")


def test_a_write_that_another_writer_replaced_meanwhile_counts_as_lost(proxy, faulty, on_s3, place):
    old = faulty.create(place + "x", b"old")
    sent = []

    def decide(call):
        if call.method != "PUT":
            return PASS
        sent.append(call)
        if len(sent) == 1:
            return LOST
        on_s3.swap(place + "x", b"another's", etag=on_s3.get(place + "x").etag)
        return PASS

    proxy.decide = decide
    with pytest.raises(ObjectTaken, match=place + "x"):
        faulty.swap(place + "x", b"mine", etag=old)


@pytest.mark.parametrize("write", ["create", "swap"])
def test_a_write_without_permission_is_not_retried(proxy, faulty, place, write):
    proxy.decide = in_turn(status(403))
    send = faulty.create if write == "create" else partial(faulty.swap, etag='"e"')
    with pytest.raises(AccessDenied, match=place + "x: PUT: access denied"):
        send(place + "x", b"mine")
    assert methods(proxy) == "P"


def _many(bucket, key):
    found: list[StoredObject] = []
    bucket.get_many([key], found.append)
    return bytes(found[0].body)


def _found(key: str) -> StoredObject:
    """Return the object that a bucket would find at a key if its content were `b"body"`, without the content.

    The ETag of a simple PUT is the MD5 hash of the content.
    """
    return StoredObject(key, memoryview(b""), 4, f'"{md5(b"body").hexdigest()}"')


def _listed(bucket, key):
    listed = bucket.list(key.rpartition("/")[0] + "/")
    return b"body" if key in {found.key for found in listed} else b""


READS = {
    "get": lambda bucket, key: bytes(bucket.get(key).body),
    "get_ranges": lambda bucket, key: bytes(bucket.get_ranges(_found(key), [(0, 4)])[0]),
    "get_many": _many,
    "list": _listed,
}


each_read = pytest.mark.parametrize("read", READS.values(), ids=READS)


@each_read
@pytest.mark.parametrize(
    "fault",
    [status(500), status(429), LOST],
    ids=["500", "429", "lost"],
)
def test_a_read_is_retried_after_a_fault(proxy, faulty, place, read, fault):
    faulty.create(place + "x", b"body")
    proxy.forget()
    proxy.decide = in_turn(fault, fault)
    assert read(faulty, place + "x") == b"body"
    assert methods(proxy) == "GGG"


each_get = pytest.mark.parametrize(
    "read", [READS[name] for name in ("get", "get_ranges", "get_many")], ids=["get", "get_ranges", "get_many"]
)


@each_get
def test_a_read_whose_response_is_cut_off_is_retried_once(proxy, faulty, place, read):
    faulty.create(place + "x", b"body")
    proxy.forget()
    proxy.decide = in_turn(CUT)
    assert read(faulty, place + "x") == b"body"
    assert methods(proxy) == "GG"


@each_get
def test_a_read_whose_response_is_cut_off_twice_is_given_up(proxy, faulty, place, read):
    faulty.create(place + "x", b"body")
    proxy.decide = lambda _: CUT
    with pytest.raises(StoreUnavailable, match=place):
        read(faulty, place + "x")


@each_read
@pytest.mark.parametrize(
    "fault",
    [status(503), status(409), status(412), status(400)],
    ids=["503", "409", "412", "400"],
)
def test_a_read_that_keeps_failing_is_a_transient_error(proxy, faulty, place, read, fault):
    faulty.create(place + "x", b"body")
    proxy.forget()
    proxy.decide = lambda _: fault
    with pytest.raises(
        StoreUnavailable, match=f"{place}.*: (GET|LIST): S3 failed or did not answer$"
    ) as given_up:
        read(faulty, place + "x")
    assert len(proxy.calls) <= 5, "more requests would only prolong a SlowDown"
    assert given_up.value.__cause__ is not None, "the response of S3 is kept for the log"


@each_read
def test_a_read_without_permission_is_not_retried(proxy, faulty, place, read):
    proxy.decide = lambda _: status(403)
    with pytest.raises(AccessDenied, match=f"{place}.*: (GET|LIST): access denied$"):
        read(faulty, place + "x")
    assert methods(proxy) == "G"


def test_an_empty_object_is_read_although_s3_rejects_a_range_of_it(proxy, faulty, place):
    faulty.create(place + "empty", b"")
    proxy.forget()
    proxy.decide = in_turn(status(416))
    assert _many(faulty, place + "empty") == b""
    assert methods(proxy) == "GH"


def test_a_part_file_is_read_by_one_request_for_its_end(proxy, faulty, place):
    faulty.create(place + "x", b"body")
    proxy.forget()
    assert _many(faulty, place + "x") == b"body"
    (call,) = proxy.calls
    assert call.headers["range"] == f"bytes=-{WHOLE_BYTES}"


def test_error_messages_contain_no_address_and_no_response_of_s3(proxy, faulty, place):
    proxy.decide = lambda _: status(503)
    with pytest.raises(StoreUnavailable) as raised:
        faulty.get(place + "x")
    assert "127.0.0.1" not in str(raised.value)
    assert "Fault503" not in str(raised.value)


def test_a_missing_bucket_is_not_mistaken_for_a_missing_object(s3):
    missing = S3Bucket.connect("no-such-bucket", region="us-east-1", endpoint_url=s3)
    with pytest.raises(StoreUnavailable, match="there is no such bucket"):
        missing.find("metrics/m/runs/r.ok")
