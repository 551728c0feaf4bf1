// Tables of observations and requests. They are created when a reader opens them and show 50 rows at a time.
const ROWS = 50;

function paged(content, { caption, head, count, row, steps, more = [] }) {
  let first = 0;
  const words = element("caption"), body = element("tbody");
  const cells = head.map(([name, isNumber]) => element("th", { scope: "col", textContent: name, className: isNumber ? "num" : "" }));
  const table = element("table", {}, words, element("thead", {}, element("tr", {}, ...cells)), body);
  const frame = element("div", { className: "frame", tabIndex: 0, role: "group", ariaLabel: caption }, table);
  const step = (text, by) => element("button", { type: "button", textContent: text, onclick: () => show(first + by) });
  const [back, on] = [step(steps[0], -ROWS), step(steps[1], ROWS)];
  function show(from) {
    first = from;
    const end = Math.min(first + ROWS, count);
    words.textContent = count ? `${caption}: ${(first + 1).toLocaleString("en")} to ${end.toLocaleString("en")} of ${count.toLocaleString("en")}` : `${caption}: none`;
    body.replaceChildren(...Array.from({ length: end - first }, (_, i) => element("tr", {}, ...row(first + i).map((text, k) =>
      k ? element("td", { textContent: text, className: head[k][1] ? "num" : "" }) : element("th", { scope: "row", textContent: text })))));
    [back.disabled, on.disabled] = [first === 0, end === count];
  }
  show(0);
  content.replaceChildren(frame, element("div", { className: "tools" }, back, on, ...more));
}

// Show the table of the observations in view, the newest first.
function showObservations(content, chart) {
  const shown = chart.all, times = shown.length > chart.lines.length ? allTimes(shown) : chart.times;
  const [first, last] = within(times, chart.view);
  const text = (value) => value === undefined ? "" : exact(value);
  const save = element("button", { type: "button", textContent: "Save all as CSV", onclick: () => {
    const lines = Array.from(times, (time) => [moment(time), ...shown.map((line) => valueAt(line, time) ?? "")].join(","));
    const quoted = (name) => /[",\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name;
    const blob = new Blob([["time", ...shown.map(({ name }) => quoted(name))].join(","), "\n", lines.join("\n"), "\n"], { type: "text/csv" });
    const link = element("a", { href: URL.createObjectURL(blob), download: `${chart.code}.csv` });
    link.click();
    URL.revokeObjectURL(link.href);
  } });
  paged(content, {
    caption: "Observations in view", steps: ["Newer", "Older"], head: [["Time", false], ...shown.map(({ name }) => [name, true])], count: Math.max(last - first + 1, 0),
    row: (i) => [moment(times[last - i]), ...shown.map((line) => text(valueAt(line, times[last - i])))], more: [save],
  });
}

// Show the table of all requests of a run, in the order of their start.
function showRequests(content, rows) {
  const requests = rows.flat().sort((a, b) => a[2] - b[2]);
  paged(content, {
    caption: "Requests", steps: ["Earlier", "Later"], count: requests.length,
    head: [["Start, ms", false], ["Duration, ms", true], ["Operation", false], ["Bytes", true], ["Key", false], ["Problem", false]],
    row: (i) => { const [operation, key, start, length, bytes, problem] = requests[i];
      return [start.toFixed(1), length.toFixed(1), operation, bytes.toLocaleString("en"), key, problem]; },
  });
}

// Show the details of the request under the pointer.
function showHoveredRequest(svg, rows) {
  const [run, place] = svg.dataset.row.split("-").map(Number), row = rows[run][place];
  const details = svg.closest(".waterfall").querySelector(".hovered");
  const end = Number(svg.dataset.total);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), deep = Math.max(...row.map((one) => one[6])) + 1;
    const at = (event.clientX - box.left) / box.width * end, lane = Math.floor((event.clientY - box.top) / box.height * deep);
    const far = ([, , start, length, , , its]) => Math.max(start - at, at - start - length, 0) + (its === lane ? 0 : end);
    const [operation, key, start, length, bytes, problem] = row.reduce((a, b) => (far(b) < far(a) ? b : a));
    details.textContent = `${operation} ${key}: at ${start.toFixed(0)} ms, ${length.toFixed(1)} ms, ${bytes.toLocaleString("en")} bytes${problem && `, ${problem}`}`;
  });
}
