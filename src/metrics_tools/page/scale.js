// The observations embedded in the page, functions that find them by time, and the paths of chart lines.
const page = JSON.parse(document.getElementById("numbers").textContent);
const grids = page.grids.map(({ start, unit, steps }) => {
  const times = new Float64Array(steps.length + 1);
  let at = start;
  times[0] = at / 1000;
  steps.forEach((step, i) => { at += step * unit; times[i + 1] = at / 1000; });
  return times;
});
const observed = page.series.map(({ grid, of, values }) => ({ times: grids[grid], values: Float64Array.from(values), of }));

// Return the index of the first of the ascending times that is not before the given time.
function firstFrom(times, time) {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < time) low = middle + 1; else high = middle;
  }
  return low;
}

// Return the index of the time that is nearest to the given time.
function nearest(times, time) {
  const after = Math.min(firstFrom(times, time), times.length - 1);
  return after > 0 && time - times[after - 1] <= times[after] - time ? after - 1 : after;
}

// Return the value of a series at exactly the given time; undefined if it has no observation then.
function valueAt({ times, values }, time) {
  const place = firstFrom(times, time);
  return times[place] === time ? values[place] : undefined;
}

// Return the first and the last index of the times in a view, [first, last]; first > last if there is none.
const within = (times, [from, to]) => [firstFrom(times, from), firstFrom(times, to + 1e-3) - 1];

// Return all times at which at least one of the lines has an observation, ascending.
function allTimes(lines) {
  const grids = [...new Set(lines.map((line) => line.times))];
  if (grids.length === 1) return grids[0];
  const whole = new Float64Array(grids.reduce((sum, times) => sum + times.length, 0));
  let at = 0;
  for (const times of grids) { whole.set(times, at); at += times.length; }
  whole.sort();
  return whole.filter((time, i) => i === 0 || time !== whole[i - 1]);
}

// Return the least and the greatest of the values with the given indices; [Infinity, -Infinity] if there are none.
function extent(values, [first, last]) {
  let [low, high] = [Infinity, -Infinity];
  for (let i = first; i <= last; i += 1) {
    if (values[i] < low) low = values[i];
    if (values[i] > high) high = values[i];
  }
  return [low, high];
}

// Return the value of each line that an index shows as 100, and a label that says which observations have these values.
// They are the observations at the first time in view from which all lines have observations. If the lines have no such
// time in common, each line has its own base: its first observation from then on, or its first observation in view.
function indexBases(lines, view) {
  const seen = lines.map(({ times }) => within(times, view));
  const present = lines.map((_, i) => i).filter((i) => seen[i][0] <= seen[i][1]);
  const start = Math.max(...present.map((i) => lines[i].times[seen[i][0]]));
  const after = lines.map(({ times }) => firstFrom(times, start));
  const overlap = present.length > 0 && present.every((i) => after[i] <= seen[i][1]);
  const places = overlap ? after : seen.map(([first]) => first);
  const bases = lines.map(({ values }, i) => values[Math.min(places[i], values.length - 1)]);
  if (!overlap) return [bases, "first value of each line in view = 100"];
  const isCommon = present.every((i) => lines[i].times[places[i]] === start);
  return [bases, isCommon ? `${moment(start)} = 100` : `first value of each line from ${moment(start)} = 100`];
}

function usualStep(times) {
  if (times.length < 2) return DAY;
  return times.slice(1).map((time, i) => time - times[i]).sort()[(times.length - 1) >> 1];
}

// Return the SVG path of a line: the first, last, least and greatest value of each column of pixels. The line is
// interrupted where there is no observation for a long time.
function linePath({ times, values, usual }, [from, to], x, y, gap) {
  const parts = [];
  const longest = Math.max(10 * usual, usual < DAY ? 0 : 31 * DAY, gap);
  let before = -Infinity;
  for (let first = from; first <= to;) {
    const column = Math.floor(x(times[first]));
    let [last, least, most] = [first, first, first];
    while (last < to && Math.floor(x(times[last + 1])) === column) {
      last += 1;
      if (values[last] < values[least]) least = last;
      if (values[last] > values[most]) most = last;
    }
    for (const i of [...new Set([first, least, most, last])].sort((a, b) => a - b)) {
      parts.push(`${times[i] - before > longest ? "M" : "L"}${x(times[i]).toFixed(1)} ${y(values[i]).toFixed(1)}`);
      before = times[i];
    }
    first = last + 1;
  }
  return `${parts.join("")}h.1`;
}
