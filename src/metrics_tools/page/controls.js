// The controls of a chart: the buttons above it, and its legend, which also shows the values at the cursor.
const PERIODS = [["1 year", 365.25], ["5 years", 5 * 365.25], ["10 years", 10 * 365.25]];

function element(name, fields = {}, ...content) {
  const made = Object.assign(document.createElement(name), fields);
  made.append(...content);
  return made;
}

function button(text, action, label) {
  const made = element("button", { type: "button", textContent: text, onclick: action });
  if (label) { made.ariaLabel = label; made.title = label; }
  return made;
}

// Create the buttons of the periods and of the zoom, and the text with the period in view.
function makePeriods(chart, find) {
  const { whole } = chart, span = whole[1] - whole[0];
  const periods = [...PERIODS.filter(([, days]) => days * DAY < span), ["All", span / DAY]].map(([name, days]) =>
    [days, button(name, () => chart.zoom(whole[1] - days * DAY, whole[1]))]);
  const inView = element("output", { className: "soft" });
  find(".periods").append(...periods.map(([, made]) => made));
  find(".zoom").append(button("\u2212", () => chart.zoomBy(2), "Zoom out"), button("+", () => chart.zoomBy(0.5), "Zoom in"), inView);
  chart.changed.push(() => {
    const [from, to] = chart.view;
    inView.textContent = chart.view.map((time) => moment(Math.round(time / 1000) * 1000).slice(0, 10)).join(" to ");
    for (const [days, made] of periods) made.ariaPressed = String(Math.abs((to - from) / DAY - days) < 0.01 && to === whole[1]);
  });
}

// Create the choice of the scale of the inputs, and the button of the log scale with the reason if it is disabled.
function makeScales(chart, find) {
  const choice = find(".scale select"), reason = element("span", { className: "soft" });
  const log = button("Log scale", () => chart.set({ log: !chart.isLog }));
  choice.append(...chart.scales.map((name) => element("option", { value: name, textContent: SCALES[name] })));
  choice.onchange = () => chart.set({ scale: choice.value });
  find(".scale").hidden = chart.scales.length < 2;
  find(".log").append(log, reason);
  chart.changed.push(() => {
    choice.value = chart.scale;
    [log.ariaPressed, log.disabled, reason.textContent] = [String(chart.isLog), chart.noLog !== "", chart.noLog];
  });
}

// Create the legend, in which a click on the name of a line hides or shows the line. Return the function that shows a
// time and the texts of the lines then: for each line, its value and its position on the axis if this is different.
function makeLegend(chart, find) {
  const entries = chart.lines.map((line) => {
    const swatch = element("i", { className: "swatch" }), value = element("b"), onAxis = element("span", { className: "soft" });
    swatch.style.background = `var(${line.colour})`;
    const some = line.of > line.values.length ? ` (${line.values.length.toLocaleString("en")} of ${line.of.toLocaleString("en")} observations)` : "";
    const name = element("button", { type: "button", role: "switch", title: "Hide or show this line", onclick: () => {
      line.isHidden = !line.isHidden;
      chart.draw();
    } }, swatch, element("span", { className: "name", textContent: line.name + some }));
    chart.changed.push(() => { name.ariaChecked = String(!line.isHidden); });
    const unit = line.isMetric && chart.unit ? [" ", element("span", { className: "soft", textContent: chart.unit })] : [];
    return { value, onAxis, entry: element("li", { className: line.isMetric ? "is-metric" : "" }, name, " ", value, ...unit, " ", onAxis) };
  });
  const more = chart.all.length - chart.lines.length;
  find(".reading ul").append(...entries.map(({ entry }) => entry));
  if (more) find(".reading ul").append(element("li", { className: "soft", textContent: `and ${more} more inputs, in the table` }));
  return (time, texts) => {
    find(".reading time").textContent = time;
    entries.forEach(({ value, onAxis }, i) => { [value.textContent, onAxis.textContent] = texts[i]; });
  };
}
