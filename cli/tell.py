"""Plain lines for people: no word of them is taken for markup, and none is broken where nobody reads it."""

from cli.console import out


def line(text: str = "", style: str = "") -> None:
    """Print a line. A terminal wraps it; a file gets it whole."""
    out.print(text, style=style or None, markup=False, highlight=False, soft_wrap=True)


def count(number: int, one: str, many: str = "") -> str:
    """A number and what is counted: "1 row", "4,822 rows"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
