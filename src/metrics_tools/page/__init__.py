"""A self-contained HTML page that shows runs. It works from a file, in any browser, without a network.

    shown.py       the values that the page shows of a run; the caller fills them in
    document.py    `page()`: the whole page, made from the templates
    page.html      the template of the page: its head and its overview of all runs
    run.html       the card of one run: chart, error, facts and collapsible sections
    tree.html      the expression as a tree, with the observation counts of each node
    waterfall.*    the timeline of a run's stages, requests and events
    numbers.py     the observations as exact and compact JSON, for the chart
    page.css       the style, for desktop, phone and print, in a light and a dark theme
    page.js        the start of the scripts below
    format.js      times and values as text
    axis.js        the ticks of linear, logarithmic and time axes
    scale.js       the embedded observations, and the numbers that a scale derives from them
    chart.js       the chart of a run: its state and its drawing
    controls.js    the buttons and the legend of a chart
    gestures.js    pointer, wheel and keyboard on a chart
    link.js        the state of a chart in the hash of the address
    tables.js      tables of observations and requests
    theme.js       the choice between the light and the dark theme

The templates write all text as HTML; the scripts only draw charts and tables from the embedded numbers, so
that the page is readable without scripts. All text from requests is escaped. The page's content security
policy allows only the page's own script, and no network access.
"""

from metrics_tools.page.document import page
from metrics_tools.page.shown import ShownEvent, ShownRun, Source

__all__ = ["ShownEvent", "ShownRun", "Source", "page"]
