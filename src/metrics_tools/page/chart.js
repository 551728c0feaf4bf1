// The chart of a run: a panel with the metric, below it a panel with its inputs, and one time axis for both.
// The legend above the panels shows the values at the cursor.
const DRAWN = 8, AXIS = 24, GAP = 34;
const SCALES = { values: "actual values", index: "100 at a common start", own: "each over its own range" };
const NOTHING = "no observation in view";
let charts = 0;

class Chart {
  constructor(figure) {
    const run = page.runs[figure.dataset.run], find = (selector) => figure.querySelector(selector);
    const inputs = run.inputs.map(([name, place], i) => ({ name, colour: `--c${i % DRAWN}`, ...observed[place] }));
    const metric = run.metric === null ? [] : [{ name: run.code, colour: "--line", isMetric: true, ...observed[run.metric] }];
    this.all = [...metric, ...inputs];
    this.panels = [metric, inputs.slice(0, DRAWN)].filter((lines) => lines.length);
    this.lines = this.panels.flat();
    for (const line of this.lines) [line.usual, line.isHidden] = [usualStep(line.times), false];
    this.times = allTimes(this.lines);
    [this.figure, this.plot, this.code, this.unit, this.id] = [figure, find(".plot"), run.code, run.unit, `chart${charts++}`];
    const [first, last] = [this.times[0], this.times.at(-1)];
    this.whole = first < last ? [first, last] : [first - DAY, last + DAY];
    this.view = this.whole;
    this.cursor = this.times.length - 1;
    [this.scales, this.firstScale] = this.possibleScales(inputs.slice(0, DRAWN));
    // `log` is the choice of the reader. `noLog` is the reason why the view cannot have a log scale, or empty.
    [this.scale, this.log, this.noLog] = [this.firstScale, false, ""];
    this.changed = [];
    makePeriods(this, find);
    makeScales(this, find);
    this.showTexts = makeLegend(this, find);
    this.plot.setAttribute("aria-valuemax", this.times.length - 1);
    new ResizeObserver(() => { if (this.plot.clientWidth !== this.width) this.draw(); }).observe(this.plot);
    this.draw();
    this.read(this.cursor);
  }

  // Return the scales that the inputs can have, and the default one: their values if these have similar ranges,
  // otherwise a scale on which the course of each input can be seen.
  possibleScales(inputs) {
    if (inputs.length < 2) return [["values"], "values"];
    const ends = inputs.map(({ values }) => extent(values, [0, values.length - 1]));
    const low = Math.min(...ends.map(([least]) => least)), high = Math.max(...ends.map(([, most]) => most));
    const narrowest = Math.min(...ends.map(([least, most]) => most - least).filter(Boolean), high - low);
    const areSimilar = (high - low) / (narrowest || 1) < 6;
    return low > 0 ? [["values", "index", "own"], areSimilar ? "values" : "index"] : [["values", "own"], areSimilar ? "values" : "own"];
  }

  get isCursorInView() {
    const time = this.times[this.cursor];
    return time >= this.view[0] - 1e-3 && time <= this.view[1] + 1e-3;
  }

  get isLog() { return this.log && this.noLog === ""; }

  set(fields) {
    Object.assign(this, fields);
    this.draw();
  }

  // Show the times between two limits, which are moved into the range of the observations. A cursor outside the new view
  // moves to the nearest observation in it, so that the legend never shows a value that the chart does not.
  zoom(from, to) {
    const least = Math.min(4 * this.lines[0].usual, this.whole[1] - this.whole[0]);
    const span = Math.min(Math.max(to - from, least), this.whole[1] - this.whole[0]);
    const middle = (from + to) / 2;
    const start = Math.min(Math.max(middle - span / 2, this.whole[0]), this.whole[1] - span);
    this.view = [start, start + span];
    const [first, last] = within(this.times, this.view);
    if (!this.isCursorInView && first <= last) this.cursor = Math.min(Math.max(this.cursor, first), last);
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
    } else {
      this.showCursor();
    }
  }

  // Show the values at the cursor in the legend, for screen readers, and as dots on the lines. The cursor is outside the
  // view only if the view has no observation; then show no values.
  showCursor() {
    if (!this.isCursorInView) {
      this.showTexts(NOTHING, this.lines.map(() => ["none", ""]));
      this.plot.setAttribute("aria-valuetext", NOTHING);
      return;
    }
    const time = this.times[this.cursor], values = this.lines.map((line) => valueAt(line, time));
    const texts = this.lines.map((line, i) => line.isHidden ? ["hidden", ""]
      : values[i] === undefined ? ["none", ""] : [exact(values[i]), line.onAxis?.(values[i]) ?? ""]);
    const spoken = this.lines.map((line, i) => [line.name, ...texts[i]].filter(Boolean).join(" "));
    this.showTexts(moment(time), texts);
    this.plot.setAttribute("aria-valuenow", this.cursor);
    this.plot.setAttribute("aria-valuetext", `${moment(time)}: ${spoken.filter((_, i) => !this.lines[i].isHidden).join(", ")}`);
    if (!this.width) return;
    const x = this.x(time).toFixed(1);
    const dots = this.lines.map((line, i) => line.isHidden || values[i] === undefined ? ""
      : `<circle cx="${x}" cy="${line.y(values[i]).toFixed(1)}" r="3.5" style="fill:var(${line.colour})"/>`);
    this.plot.querySelector(".cursor").innerHTML = `<line x1="${x}" x2="${x}" y1="0" y2="${this.height - AXIS}"/>${dots.join("")}`;
  }

  // Find the indices and the extent of the observations in view, and whether a log scale can show them.
  findInView(lines) {
    for (const line of lines) {
      line.seen = within(line.times, this.view);
      line.extent = extent(line.values, line.seen);
    }
    const least = lines.find((line) => line.extent[0] <= 0);
    this.noLog = least ? `needs values above 0; ${least.name} reaches ${exact(Number(least.extent[0].toPrecision(3)))}`
      : this.scale === "own" && lines.some((line) => !line.isMetric) ? "not with each line over its own range" : "";
  }

  draw() {
    this.width = this.plot.clientWidth;
    if (!this.width) return;
    const narrow = this.width < 560, [from, to] = this.view;
    const panels = this.panels.map((lines) => lines.filter((line) => !line.isHidden)).filter((lines) => lines.length);
    this.findInView(panels.flat());
    this.left = narrow ? 46 : 58;
    const right = this.width - 8;
    this.x = (time) => this.left + (time - from) / (to - from) * (right - this.left);
    let top = panels[0]?.[0].isMetric ? 10 : GAP - 8;
    const drawn = panels.map((lines) => {
      const height = lines[0].isMetric || panels.length === 1 ? (narrow ? 170 : 230) : (narrow ? 110 : 140);
      const panel = this.drawPanel(lines, top, height, right);
      top += height + GAP;
      return panel;
    });
    this.height = top - (panels.length ? GAP : 0) + AXIS + 4;
    const ticks = timeTicks(from, to, (right - this.left) / 70).map(([time, label]) => {
      const x = this.x(time).toFixed(1);
      return `<line class="tick" x1="${x}" x2="${x}" y1="4" y2="${this.height - AXIS}"/><text x="${x}" y="${this.height - 7}" text-anchor="middle">${label}</text>`;
    });
    this.plot.innerHTML = `<svg width="${this.width}" height="${this.height}" aria-hidden="true"><clipPath id="${this.id}"><rect x="${this.left}" y="0" width="${right - this.left + 4}" height="${this.height}"/></clipPath>`
      + `<g>${ticks.join("")}</g>${drawn.join("")}<rect class="selection" y="4" height="${this.height - AXIS - 4}" width="0"/><g class="cursor"></g></svg>`;
    this.showCursor();
    for (const listener of this.changed) listener();
  }

  // Choose how a panel shows its lines. Each line gets `scaled`, the increasing function from a value to the number on the
  // axis, and `onAxis`, the text of this number if it is not the value itself. Return the axis and the caption.
  scalePanel(lines, ticks) {
    const { isMetric } = lines[0], scale = isMetric ? "values" : this.scale;
    const [bases, baseText] = scale === "index" ? indexBases(lines, this.view) : [];
    lines.forEach((line, i) => {
      const [low, high] = line.extent, range = high / 2 - low / 2;
      line.scaled = { values: (value) => value, index: (value) => value / bases[i] * 100,
        own: (value) => range > 0 ? (value / 2 - low / 2) / range : 0.5 }[scale];
    });
    const low = Math.min(...lines.map((line) => line.scaled(line.extent[0]))), high = Math.max(...lines.map((line) => line.scaled(line.extent[1])));
    const axis = scale === "own" ? SHARE_AXIS : (this.isLog ? logAxis : linearAxis)(low, high, ticks);
    for (const line of lines) {
      line.onAxis = { index: (value) => `(index ${rounded(line.scaled(value), axis.step / 10)})`,
        own: (value) => `(${rounded(line.scaled(value) * 100, 1)}% of range)` }[scale];
    }
    const words = ["Inputs", this.scales.length > 1 && (baseText ?? SCALES[scale]), this.isLog && "log scale"];
    return [axis, isMetric ? "" : words.filter(Boolean).join(", ")];
  }

  drawPanel(lines, top, height, right) {
    const [axis, caption] = this.scalePanel(lines, Math.max(height / 38, 5));
    const y = (number) => top + Math.min(Math.max(1 - axis.share(number), -9), 9) * height;
    const ticks = axis.ticks.map(([number, label]) => {
      const at = y(number).toFixed(1);
      return `<line class="${label === "0" ? "zero" : "tick"}" x1="${this.left}" x2="${right}" y1="${at}" y2="${at}"/>`
        + (label && `<text x="${this.left - 7}" y="${at}" dy=".35em" text-anchor="end">${label}</text>`);
    });
    const gap = 1.01 * (this.view[1] - this.view[0]) / (right - this.left);
    const paths = lines.map((line) => {
      line.y = (value) => y(line.scaled(value));
      const [first, last] = line.seen, about = [Math.max(first - 1, 0), Math.min(last + 1, line.times.length - 1)];
      const dots = last - first < 60 ? Array.from({ length: Math.max(last - first + 1, 0) }, (_, k) =>
        `<circle cx="${this.x(line.times[first + k]).toFixed(1)}" cy="${line.y(line.values[first + k]).toFixed(1)}" r="2"/>`) : [];
      return `<g style="--colour:var(${line.colour})"><path class="${line.isMetric ? "metric" : "input"}" d="${linePath(line, about, this.x, line.y, gap)}"/>${dots.join("")}</g>`;
    });
    const words = caption && `<text class="caption" x="${this.left}" y="${top - 12}">${caption}</text>`;
    return `<g class="panel">${ticks.join("")}${words}<g clip-path="url(#${this.id})">${paths.join("")}</g></g>`;
  }
}
