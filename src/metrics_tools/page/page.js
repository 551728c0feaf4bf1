// Create all charts, show the view of the address, keep the phone's screen free of long formulas, and fill the tables in collapsible sections when a reader opens them.
{
  const made = new Map();
  for (const figure of document.querySelectorAll("figure.chart")) {
    const chart = new Chart(figure);
    listen(chart);
    made.set(figure, chart);
  }
  for (const fold of document.querySelectorAll("details.lazy")) {
    const content = fold.querySelector(".content"), chart = made.get(fold.closest("figure"));
    const run = fold.closest("article").id.replace("run-", "");
    const show = () => { if (fold.open) { if (chart) showObservations(content, chart); else showRequests(content, page.runs[run].requests); } };
    fold.addEventListener("toggle", show);
    if (chart) chart.changed.push(show);
  }
  linkViews([...made.values()]);
  if (matchMedia("(max-width: 40rem)").matches) for (const formula of document.querySelectorAll("details.formula")) formula.open = false;
  const rows = page.runs.map(({ requests }) => requests);
  for (const svg of document.querySelectorAll("svg.lanes")) showHoveredRequest(svg, rows);
}
