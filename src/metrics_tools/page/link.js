// The state of a chart in the hash of the page's address, so that a reader can link to a view. An example:
// #metric=fx.cross&from=2008-01-01&to=2009-12-31&scale=values&log=1&hide=ECB_USD_EUR_D
const WRITE_AFTER = 250, TIME = /^[+-]?\d{4,6}-\d\d-\d\d(T[\d:.]+)?$/;

// Return the parts of a chart's state that differ from the state in which the page shows the chart at first. The times
// of the view are rounded, by less than the width of a pixel.
function stateOf(chart) {
  const state = new URLSearchParams({ metric: chart.key }), [from, to] = chart.view;
  const unit = [DAY, HOUR, MINUTE, 1000].find((one) => to - from > 10_000 * one) ?? 1;
  const text = (time) => moment(Math.round(time / unit) * unit).replace(" ", "T");
  if (to - from < (chart.whole[1] - chart.whole[0]) * (1 - 1e-9)) { state.set("from", text(from)); state.set("to", text(to)); }
  if (chart.scale !== chart.firstScale) state.set("scale", chart.scale);
  if (chart.log) state.set("log", "1");
  for (const { name } of chart.lines.filter((line) => line.isHidden)) state.append("hide", name);
  return state.toString();
}

// Show the state of a hash. Parts that are missing or damaged have no effect: the chart has its first state in them.
function restore(chart, state) {
  const time = (name, other) => {
    const text = state.get(name) ?? "", found = TIME.test(text) ? Date.parse(text.includes("T") ? `${text}Z` : text) : NaN;
    return Number.isNaN(found) ? other : found;
  };
  const [from, to] = [time("from", chart.whole[0]), time("to", chart.whole[1])], scale = state.get("scale"), hidden = state.getAll("hide");
  for (const line of chart.lines) line.isHidden = hidden.includes(line.name);
  [chart.scale, chart.log] = [chart.scales.includes(scale) ? scale : chart.firstScale, state.get("log") === "1"];
  chart.cursor = chart.times.length - 1; // the zoom moves the cursor to the last observation in view
  chart.zoom(...(from < to ? [from, to] : chart.whole));
}

// Write the state of the chart that the reader changed last into the hash, and show the state of a hash that the reader
// opens. Charts of the same metric are numbered. A hash without a known metric, such as #run-0, has no effect.
function linkViews(charts) {
  const known = new Map(), counts = new Map();
  let writing = 0;
  for (const chart of charts) {
    const count = (counts.get(chart.code) ?? 0) + 1;
    counts.set(chart.code, count);
    chart.key = count === 1 ? chart.code : `${chart.code}:${count}`;
    known.set(chart.key, chart);
    chart.state = stateOf(chart);
    chart.changed.push(() => {
      const state = stateOf(chart);
      if (state === chart.state) return;
      chart.state = state;
      clearTimeout(writing);
      // Browsers limit the number of changes of the address in a time, and a zoom is many changes.
      writing = setTimeout(() => {
        try { history.replaceState(null, "", `#${state}`); } catch { /* a page in a frame may have no address */ }
      }, WRITE_AFTER);
    });
  }
  const read = () => {
    const state = new URLSearchParams(location.hash.slice(1)), chart = known.get(state.get("metric"));
    if (!chart) return;
    restore(chart, state);
    clearTimeout(writing);
    chart.figure.closest("article").scrollIntoView({ behavior: "instant" });
  };
  addEventListener("hashchange", read);
  read();
}
