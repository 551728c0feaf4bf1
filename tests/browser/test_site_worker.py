"""The search of the docs site, a web worker, also works in pages that are opened from the file system."""

import tomllib

from tests.docs.pages import ROOT, text_of

WORKER = "self.onmessage = ({ data }) => self.postMessage(`${data} is found`);"
PAGE = """<!doctype html><link rel="icon" href="data:,"><script src="{script}"></script><body><p></p><script>
const worker = new Worker("./worker.js");
worker.onmessage = ({{ data }}) => (document.querySelector("p").textContent += data);
worker.postMessage("mean");
document.querySelector("p").textContent = "The mean: ";
</script>"""


def test_a_page_in_a_folder_and_its_worker_exchange_messages(tmp_path, look):
    (polyfill,) = tomllib.loads(text_of("zensical.toml"))["project"]["extra"]["polyfills"]
    (tmp_path / "worker.js").write_text(WORKER, encoding="utf-8")
    page = tmp_path / "page.html"
    page.write_text(PAGE.format(script=(ROOT / "docs" / polyfill["path"]).as_uri()), encoding="utf-8")

    # The answer arrives after the text that the page sets after it sent the message.
    look(page).get_by_text("The mean: mean is found", exact=True).wait_for()
