"""Write each JSON Schema to docs/contracts/schemas/, after deleting all JSON files in that folder."""

from pathlib import Path

from metrics_tools.contracts import schemas
from metrics_tools.contracts.schema import encode

FOLDER = Path(__file__).parents[3] / "docs" / "contracts" / "schemas"

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for outdated in FOLDER.glob("*.json"):
        outdated.unlink()
    for name, schema in schemas().items():
        (FOLDER / f"{name}.json").write_text(encode(schema), encoding="utf-8")
    print(f"{len(schemas())} schemas in {FOLDER}")
