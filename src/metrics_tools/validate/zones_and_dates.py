"""Suggestions for time zones and dates that are not written as the grammar requires."""

import re
from datetime import datetime
from difflib import get_close_matches

from metrics_worker.time_zones import is_zone, zone_names

_ABBREVIATIONS = {
    "ART": "America/Argentina/Buenos_Aires",
    "BRT": "America/Sao_Paulo",
    "EST EDT ET EASTERN": "America/New_York",
    "CST CDT CT CENTRAL": "America/Chicago",
    "PST PDT PT PACIFIC": "America/Los_Angeles",
    "BST": "Europe/London",
    "CEST": "Europe/Berlin",
    "JST": "Asia/Tokyo",
    "Z": "UTC",
}
_ZONES = {short: zone for names, zone in _ABBREVIATIONS.items() for short in names.split()}
"""For abbreviations of time zones, the zone of the largest city that uses them."""
_OFFSET = re.compile(r"(?:UTC|GMT)?\s*([+-])0?(\d{1,2})(?::?00)?", re.IGNORECASE)
_FORMATS = ("%Y%m%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%Y-%m", "%YM%m", "%Y", "%d %B %Y", "%d %b %Y")
_LIKE = 0.75
"""The smallest ratio of difflib at which the names of two time zones are similar."""


def zone_hint(name: str) -> str | None:
    """Return a suggestion for a name that is not an IANA time zone; None if no time zone is similar."""
    if (offset := _OFFSET.fullmatch(name.strip())) is not None:
        sign = "-" if offset[1] == "+" else "+"  # In Etc, + is west of Greenwich.
        zone = f"Etc/GMT{sign}{offset[2]}"
        text = "an offset has no daylight saving time: give the zone of a place"
        return f"{text}, or `{zone}` for this offset" if is_zone(zone) else text
    wanted = re.sub(r"[\s_]+", "_", name.strip())
    meant = _ZONES.get(wanted.upper()) or _zone_like(wanted.casefold())
    return meant and f"did you mean `{meant}`?"


def _zone_like(wanted: str) -> str | None:
    """Return the IANA time zone whose name or city is similar to a text; None if there is none.

    Args:
        wanted: the text in lower case. A zone or a city with exactly this name is preferred.
    """
    zones = {zone.casefold(): zone for zone in sorted(zone_names())}
    same = [zone for low, zone in zones.items() if low == wanted or low.rpartition("/")[2] == wanted]
    if same:
        return max(same, key=len)
    cities = {low.rpartition("/")[2]: zone for low, zone in zones.items()}
    for names in (zones, cities):
        if found := get_close_matches(wanted, names, n=1, cutoff=_LIKE):
            return names[found[0]]
    return None


def abbreviated_zone_hint(name: str) -> str | None:
    """Return a suggestion for a zone like `EST`, which has a fixed offset and no daylight saving time.

    The result is None for a zone that is named after a place.
    """
    zone = _ZONES.get(name)
    return zone and f"`{name}` has no daylight saving time; `{zone}` has the rules of the place"


def date_hint(text: str) -> str | None:
    """Return a suggestion for a date in another common form; None if its meaning is not certain.

    For a month or a year, the suggestion is its first day.
    """
    for form in _FORMATS:
        try:
            return f"write {datetime.strptime(text.strip(), form):%Y-%m-%d}"  # noqa: DTZ007 - only a date
        except ValueError:
            continue
    try:
        return f"write {datetime.fromisoformat(text.strip()):%Y-%m-%d}"
    except ValueError:
        return None
