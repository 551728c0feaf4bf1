// Each chart, and what folds out.
{
  const made = new Map();
  for (const figure of document.querySelectorAll("figure.chart")) {
    const chart = new Chart(figure);
    listen(chart);
    made.set(figure, chart);
  }
  for (const fold of document.querySelectorAll("details.lazy")) {
    const room = fold.querySelector(".room"), chart = made.get(fold.closest("figure"));
    const run = fold.closest("article").id.replace("run-", "");
    const show = () => { if (fold.open) { if (chart) showObservations(room, chart); else showRequests(room, page.runs[run].requests); } };
    fold.addEventListener("toggle", show);
    if (chart) chart.changed.push(show);
  }
  const rows = page.runs.map(({ requests }) => requests);
  for (const svg of document.querySelectorAll("svg.lanes")) tellRequests(svg, rows);
}
