"""One HTML page of runs, for people: no network, no library, any browser, from a file.

    shown.py       what is shown of a run: plain values, made by whoever ran it
    document.py    `write()`: the page, its head, its overview
    run.py         one run: chart, error, facts, and what folds out
    tree.py        the expression with each node's counts
    waterfall.py   requests and stages in time
    numbers.py     the observations, exact and compact, for the chart
    sparkline.py   a small line without axes
    *.css, *.js    how it looks; theme, chart, table, waterfall

Everything that can be read is HTML made here; the scripts draw charts and tables from the numbers, and a page
without them still says all the rest. Texts of requests are escaped, and the page's policy lets no script run
but its own and nothing be fetched.
"""

from explain.page.document import write
from explain.page.shown import ShownEvent, ShownRun, Source

__all__ = ["ShownEvent", "ShownRun", "Source", "write"]
