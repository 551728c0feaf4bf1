"""`metrics run --html` writes an HTML page about the runs; tests/unit/test_page.py tests the page itself."""

from tests.builders import ratio, series


def test_a_successful_run_is_written_as_a_page(metrics, folder, ask, tmp_path):
    page = tmp_path / "page.html"
    done = metrics("run", ask(), "--folder", folder, "--html", page)
    assert done.exit_code == 0
    text = page.read_text()
    for expected in (
        "ratio.a_to_b",
        "SUCCESS",
        "Nothing was published.",
        "datasets/fx/versions/v1/manifest.json",
    ):
        assert expected in text


def test_a_failed_run_is_written_as_a_page(metrics, folder, ask, tmp_path):
    page = tmp_path / "page.html"
    asked = ask(ratio(series("A"), series("C")), inputs={"A": "fx", "C": "fx"})
    assert metrics("run", asked, "--folder", folder, "--html", page).exit_code == 1
    assert "Failed to read input series: C" in page.read_text()


def test_a_page_that_cannot_be_written_ends_the_command_with_the_reason(metrics, folder, ask, tmp_path):
    done = metrics("run", ask(), "--folder", folder, "--html", tmp_path / "no" / "page.html")
    assert done.exit_code == 2
    assert "page.html: No such file or directory" in done.stderr
