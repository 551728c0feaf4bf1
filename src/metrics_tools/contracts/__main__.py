"""Write all schemas to docs/contracts/schemas/ and delete other JSON files in that folder."""

from pathlib import Path

from metrics_tools.contracts import schemas
from metrics_tools.contracts.schema import encode

FOLDER = Path(__file__).parents[3] / "docs" / "contracts" / "schemas"


def main() -> None:
    """Write each schema to its file, and delete the files of schemas that no longer exist."""
    written = {FOLDER / f"{name}.json": encode(schema) for name, schema in schemas().items()}
    FOLDER.mkdir(parents=True, exist_ok=True)
    for outdated in set(FOLDER.glob("*.json")) - set(written):
        outdated.unlink()
    for path, text in written.items():
        path.write_text(text, encoding="utf-8")
    print(f"{len(written)} schemas in {FOLDER}")


if __name__ == "__main__":
    main()
