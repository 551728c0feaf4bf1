"""The names of time zones, and the release of the time zone database, which is the same on every machine."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import tzdata

from metrics_worker.time_zones import is_zone, zone_file

SOURCE = Path(__file__).parents[2] / "src"


@pytest.mark.parametrize(
    "name", ["UTC", "Europe/Madrid", "America/Argentina/Buenos_Aires", "Etc/GMT+3", "Asia/Calcutta"]
)
def test_names_of_the_database_are_zones(name):
    assert is_zone(name)
    assert zone_file(name).startswith(b"TZif")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "utc",
        "Europe",
        "Europe/",
        "Europe/Paris ",
        "europe/paris",
        "/etc/localtime",
        "../zones",
        ".",
        "+01:00",
        "Europe/../UTC",
        "Europe/Paris\0",
        "Mars/Olympus",
        "a" * 10_000,
        "zone.tab",
        "__init__.py",
        "ARS",
    ],
)
def test_other_names_and_paths_are_no_zones(name):
    assert not is_zone(name)
    with pytest.raises(ValueError, match="no time zone"):
        zone_file(name)


def test_the_database_of_the_machine_is_not_used(tmp_path):
    """Create a time zone database with a wrong offset of Buenos Aires, which the worker must not use."""
    folder = tmp_path / "America/Argentina"
    folder.mkdir(parents=True)
    (folder / "Buenos_Aires").write_bytes(zone_file("Asia/Tokyo"))
    code = """
import numpy as np, zoneinfo
from metrics_worker.civil_dates import civil_dates
name = "America/Argentina/Buenos_Aires"
print(zoneinfo.ZoneInfo(name).key, zoneinfo.TZPATH[0], civil_dates(np.array([1767595500000000]), name)[0])
"""
    environment = os.environ | {
        "PYTHONTZPATH": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(SOURCE), *sys.path]),
    }
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["America/Argentina/Buenos_Aires", str(tmp_path), "2026-01-05"]


def test_the_version_of_the_package_is_that_of_the_database():
    year, number = version("tzdata").split(".")[:2]
    letter = "abcdefghijklmnopqrstuvwxyz"[int(number) - 1]
    assert year + letter == tzdata.IANA_VERSION
