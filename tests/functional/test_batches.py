"""Batches through the real handler: what is done, what comes back."""

from tests.builders import put_a_and_b, record, request


def test_a_run_ends_in_a_version_that_its_completed_event_names(cloud, invoke):
    put_a_and_b(cloud.store)

    assert invoke(record(request())) == {"batchItemFailures": []}

    (completed,) = cloud.sns.completed
    assert completed["status"] == "SUCCESS"
    assert completed["rowCount"] == 10
    manifest = cloud.read_json(completed["outputManifest"])
    table = cloud.read_table(manifest["outputs"]["data_prefix"] + manifest["outputs"]["files"][0])
    assert table["value"].to_pylist() == [n / 2 for n in range(1, 11)]
    assert cloud.read_json("metrics/ratio.a_to_b/current/manifest.json") == manifest
