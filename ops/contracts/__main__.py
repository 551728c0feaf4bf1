"""Write the schemas to docs/contracts/schemas/, and take away what is none of them."""

from pathlib import Path

from ops.contracts import schemas
from ops.contracts.schema import encode

FOLDER = Path(__file__).parents[2] / "docs" / "contracts" / "schemas"


def main() -> None:
    """Write them all."""
    written = {FOLDER / f"{name}.json": encode(schema) for name, schema in schemas().items()}
    FOLDER.mkdir(parents=True, exist_ok=True)
    for gone in set(FOLDER.glob("*.json")) - set(written):
        gone.unlink()
    for path, text in written.items():
        path.write_text(text, encoding="utf-8")
    print(f"{len(written)} schemas in {FOLDER}")


if __name__ == "__main__":
    main()
