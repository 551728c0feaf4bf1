// The chart of a run: a panel with the metric, below it a panel with its inputs, and one time axis for both.
// The values at the cursor are shown above the panels.
const DRAWN = 8, AXIS = 24, GAP = 34;
const PERIODS = [["1 year", 365.25], ["5 years", 5 * 365.25], ["10 years", 10 * 365.25]];
const SCALES = { values: "actual values", index: "100 at the start of the view", own: "each over its own range" };
let charts = 0;

function element(name, fields = {}, ...content) {
  const made = Object.assign(document.createElement(name), fields);
  made.append(...content);
  return made;
}

class Chart {
  constructor(figure) {
    const run = page.runs[figure.dataset.run], find = (selector) => figure.querySelector(selector);
    const inputs = run.inputs.map(([name, place], i) => ({ name, colour: `--c${i % DRAWN}`, ...observed[place] }));
    const metric = run.metric === null ? [] : [{ name: run.code, colour: "--line", isMetric: true, ...observed[run.metric] }];
    this.all = [...metric, ...inputs];
    this.panels = [metric, inputs.slice(0, DRAWN)].filter((lines) => lines.length);
    this.lines = this.panels.flat();
    for (const line of this.lines) line.usual = usualStep(line.times);
    this.times = allTimes(this.lines);
    [this.figure, this.plot, this.code, this.unit, this.id] = [figure, find(".plot"), run.code, run.unit, `chart${charts++}`];
    const [first, last] = [this.times[0], this.times.at(-1)];
    this.whole = first < last ? [first, last] : [first - DAY, last + DAY];
    this.view = this.whole;
    this.cursor = this.times.length - 1;
    this.scale = this.usualScale(this.panels.at(-1));
    this.changed = [];
    this.makeTools(find);
    this.makeReading(find);
    this.plot.setAttribute("aria-valuemax", this.times.length - 1);
    new ResizeObserver(() => { if (this.plot.clientWidth !== this.width) this.draw(); }).observe(this.plot);
    this.draw();
    this.read(this.cursor);
  }

  // Return the default scale of the inputs: their values if these have similar ranges, otherwise a scale on which the
  // course of each input can be seen.
  usualScale(lines) {
    if (lines.length < 2 || lines[0].isMetric) return "values";
    const ends = lines.map(({ values }) => [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))]);
    const low = Math.min(...ends.map(([least]) => least)), high = Math.max(...ends.map(([, most]) => most));
    const narrowest = Math.min(...ends.map(([least, most]) => most - least).filter(Boolean), high - low);
    if ((high - low) / (narrowest || 1) < 6) return "values";
    return low > 0 ? "index" : "own";
  }

  makeTools(find) {
    const span = this.whole[1] - this.whole[0];
    const button = (text, action, label) => {
      const made = element("button", { type: "button", textContent: text, onclick: action });
      if (label) { made.ariaLabel = label; made.title = label; }
      return made;
    };
    const periods = [...PERIODS.filter(([, days]) => days * DAY < span), ["All", span / DAY]];
    this.periods = periods.map(([name, days]) => {
      const made = button(name, () => this.zoom(this.whole[1] - days * DAY, this.whole[1]));
      made.days = days;
      return made;
    });
    find(".periods").append(...this.periods);
    this.inView = element("output", { className: "soft" });
    find(".zoom").append(button("\u2212", () => this.zoomBy(2), "Zoom out"), button("+", () => this.zoomBy(0.5), "Zoom in"), this.inView);
    const inputs = this.panels.at(-1);
    if (inputs.length < 2 || inputs[0].isMetric) return;
    const choice = find(".scale select"), positive = inputs.every(({ values }) => values.every((value) => value > 0));
    for (const [name, text] of Object.entries(SCALES)) {
      if (name !== "index" || positive) choice.append(element("option", { value: name, textContent: text, selected: name === this.scale }));
    }
    choice.onchange = () => { this.scale = choice.value; this.draw(); };
    find(".scale").hidden = false;
  }

  makeReading(find) {
    this.at = find(".reading time");
    this.readings = this.lines.map((line) => element("b"));
    const entries = this.lines.map((line, i) => {
      const swatch = element("i", { className: "swatch" });
      swatch.style.background = `var(${line.colour})`;
      const some = line.of > line.values.length ? ` (${line.values.length.toLocaleString("en")} of ${line.of.toLocaleString("en")} observations)` : "";
      const unit = line.isMetric && this.unit ? [" ", element("span", { className: "soft", textContent: this.unit })] : [];
      return element("li", {}, swatch, element("span", { textContent: line.name + some }), " ", this.readings[i], ...unit);
    });
    const more = this.all.length - this.lines.length;
    if (more) entries.push(element("li", { className: "soft", textContent: `and ${more} more inputs, in the table` }));
    find(".reading ul").append(...entries);
  }

  // Show the times between two limits, which are moved into the range of the observations.
  zoom(from, to) {
    const least = Math.min(4 * this.lines[0].usual, this.whole[1] - this.whole[0]);
    const span = Math.min(Math.max(to - from, least), this.whole[1] - this.whole[0]);
    const middle = (from + to) / 2;
    const start = Math.min(Math.max(middle - span / 2, this.whole[0]), this.whole[1] - span);
    this.view = [start, start + span];
    this.draw();
  }

  // Zoom by a factor around a time: by default that of the cursor, or the middle of the view if the cursor is outside.
  zoomBy(factor, about = this.times[this.cursor]) {
    const [from, to] = this.view, at = about >= from && about <= to ? about : (from + to) / 2;
    this.zoom(at - (at - from) * factor, at + (to - at) * factor);
  }

  reset() { this.zoom(...this.whole); }

  timeAt(clientX) {
    const box = this.plot.getBoundingClientRect();
    return this.view[0] + (clientX - box.left - this.left) / (this.width - this.left - 8) * (this.view[1] - this.view[0]);
  }

  // Move the cursor to the observation in view that is nearest to a time.
  readAt(time) {
    const [first, last] = within(this.times, this.view);
    if (first <= last) this.read(Math.min(Math.max(nearest(this.times, time), first), last));
  }

  read(place) {
    this.cursor = Math.min(Math.max(place, 0), this.times.length - 1);
    const time = this.times[this.cursor];
    if (time < this.view[0] || time > this.view[1]) {
      const half = (this.view[1] - this.view[0]) / 2;
      this.zoom(time - half, time + half);
    }
    const values = this.lines.map((line) => valueAt(line, time));
    this.at.textContent = moment(time);
    this.readings.forEach((reading, i) => { reading.textContent = values[i] === undefined ? "none" : exact(values[i]); });
    const text = this.lines.map((line, i) => `${line.name} ${values[i] === undefined ? "none" : exact(values[i])}`);
    this.plot.setAttribute("aria-valuenow", this.cursor);
    this.plot.setAttribute("aria-valuetext", `${moment(time)}: ${text.join(", ")}`);
    this.drawCursor(values);
  }

  drawCursor(values) {
    const x = this.x(this.times[this.cursor]).toFixed(1);
    const dots = this.lines.map((line, i) => values[i] === undefined ? "" : `<circle cx="${x}" cy="${line.y(values[i]).toFixed(1)}" r="3.5" style="fill:var(${line.colour})"/>`);
    this.plot.querySelector(".cursor").innerHTML = `<line x1="${x}" x2="${x}" y1="0" y2="${this.height - AXIS}"/>${dots.join("")}`;
  }

  // Return the function from a value of a line to the number that is drawn on the scale of its panel.
  onScale(line, lines) {
    if (line.isMetric || this.scale === "values") return (value) => value;
    if (this.scale === "own") {
      const [first, last] = within(line.times, this.view), part = line.values.slice(first, last + 1);
      const low = part.reduce((a, b) => Math.min(a, b), Infinity), high = part.reduce((a, b) => Math.max(a, b), -Infinity);
      return (value) => high / 2 > low / 2 ? (value / 2 - low / 2) / (high / 2 - low / 2) : 0.5;
    }
    const start = Math.max(...lines.map(({ times }) => times[within(times, this.view)[0]] ?? -Infinity));
    const base = line.values[Math.min(firstFrom(line.times, start), line.values.length - 1)];
    return (value) => value / base * 100;
  }

  draw() {
    this.width = this.plot.clientWidth;
    if (!this.width) return;
    const narrow = this.width < 560, [from, to] = this.view;
    this.left = narrow ? 46 : 58;
    const right = this.width - 8;
    this.x = (time) => this.left + (time - from) / (to - from) * (right - this.left);
    let top = this.panels[0][0].isMetric ? 10 : GAP - 8;
    const drawn = this.panels.map((lines) => {
      const height = lines[0].isMetric || this.panels.length === 1 ? (narrow ? 170 : 230) : (narrow ? 110 : 140);
      const panel = this.drawPanel(lines, top, height, right);
      top += height + GAP;
      return panel;
    });
    this.height = top - GAP + AXIS + 4;
    const ticks = timeTicks(from, to, (right - this.left) / 70).map(([time, label]) => {
      const x = this.x(time).toFixed(1);
      return `<line class="tick" x1="${x}" x2="${x}" y1="4" y2="${this.height - AXIS}"/><text x="${x}" y="${this.height - 7}" text-anchor="middle">${label}</text>`;
    });
    this.plot.innerHTML = `<svg width="${this.width}" height="${this.height}" aria-hidden="true"><clipPath id="${this.id}"><rect x="${this.left}" y="0" width="${right - this.left + 4}" height="${this.height}"/></clipPath>`
      + `<g>${ticks.join("")}</g>${drawn.join("")}<rect class="selection" y="4" height="${this.height - AXIS - 4}" width="0"/><g class="cursor"></g></svg>`;
    this.drawCursor(this.lines.map((line) => valueAt(line, this.times[this.cursor])));
    this.inView.textContent = `${moment(Math.round(from / 1000) * 1000).slice(0, 10)} to ${moment(Math.round(to / 1000) * 1000).slice(0, 10)}`;
    for (const period of this.periods) period.ariaPressed = String(Math.abs((to - from) / DAY - period.days) < 0.01 && to === this.whole[1]);
    for (const listener of this.changed) listener();
  }

  drawPanel(lines, top, height, right) {
    const scaled = lines.map((line) => this.onScale(line, lines));
    const seen = lines.map((line) => within(line.times, this.view));
    let [low, high] = [Infinity, -Infinity];
    lines.forEach((line, i) => {
      for (let at = seen[i][0]; at <= seen[i][1]; at += 1) {
        const value = scaled[i](line.values[at]);
        if (value < low) low = value;
        if (value > high) high = value;
      }
    });
    const isOwn = !lines[0].isMetric && this.scale === "own";
    const [bottom, peak, step] = isOwn ? [0, 1, 0.5] : valueRange(low, high, Math.max(height / 38, 5));
    const y = (value) => top + Math.min(Math.max((peak - value) / (peak - bottom), -9), 9) * height;
    const ticks = [];
    for (let i = Math.ceil(bottom / step); i <= Math.floor(peak / step); i += 1) {
      const value = i * step, at = y(value).toFixed(1);
      ticks.push(`<line class="${value === 0 && !isOwn ? "zero" : "tick"}" x1="${this.left}" x2="${right}" y1="${at}" y2="${at}"/>`
        + (isOwn ? "" : `<text x="${this.left - 7}" y="${at}" dy=".35em" text-anchor="end">${rounded(value, step)}</text>`));
    }
    const gap = 1.01 * (this.view[1] - this.view[0]) / (right - this.left);
    const paths = lines.map((line, i) => {
      line.y = (value) => y(scaled[i](value));
      const [first, last] = seen[i], about = [Math.max(first - 1, 0), Math.min(last + 1, line.times.length - 1)];
      const dots = last - first < 60 ? Array.from({ length: Math.max(last - first + 1, 0) }, (_, k) =>
        `<circle cx="${this.x(line.times[first + k]).toFixed(1)}" cy="${line.y(line.values[first + k]).toFixed(1)}" r="2"/>`) : [];
      return `<g style="--colour:var(${line.colour})"><path class="${line.isMetric ? "metric" : "input"}" d="${linePath(line, about, this.x, line.y, gap)}"/>${dots.join("")}</g>`;
    });
    const caption = lines[0].isMetric ? "" : `<text class="caption" x="${this.left}" y="${top - 12}">Inputs${lines.length > 1 ? `, ${SCALES[this.scale]}` : ""}</text>`;
    return `<g class="panel">${ticks.join("")}${caption}<g clip-path="url(#${this.id})">${paths.join("")}</g></g>`;
  }
}
