// Handle the pointer, the wheel and the keyboard on a chart.
function listen(chart) {
  const { plot } = chart, pointers = new Map();
  let drag = null;

  const select = (from, to) => {
    const box = plot.querySelector(".selection");
    box.setAttribute("x", Math.min(from, to));
    box.setAttribute("width", Math.abs(to - from));
  };
  const place = (event) => Math.max(event.clientX - plot.getBoundingClientRect().left, chart.left);

  plot.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, event.clientX);
    if (event.pointerType === "mouse" && event.button === 0) drag = { from: place(event), time: chart.timeAt(event.clientX) };
    if (event.pointerType !== "mouse") chart.readAt(chart.timeAt(event.clientX));
    plot.setPointerCapture(event.pointerId);
  });
  plot.addEventListener("pointermove", (event) => {
    if (pointers.size === 2 && pointers.has(event.pointerId)) {
      // With two fingers, zoom so that each finger stays on its time.
      const before = [...pointers.values()].map((x) => chart.timeAt(x));
      pointers.set(event.pointerId, event.clientX);
      const after = [...pointers.values()].map((x) => chart.timeAt(x));
      if (Math.abs(after[0] - after[1]) > 0) {
        const factor = (before[1] - before[0]) / (after[1] - after[0]);
        const [from, to] = chart.view;
        if (factor > 0) chart.zoom(before[0] - (after[0] - from) * factor, before[0] + (to - after[0]) * factor);
      }
      return;
    }
    if (pointers.has(event.pointerId)) pointers.set(event.pointerId, event.clientX);
    if (drag && Math.abs(place(event) - drag.from) > 4) select(drag.from, place(event));
    chart.readAt(chart.timeAt(event.clientX));
  });
  const end = (event) => {
    pointers.delete(event.pointerId);
    if (!drag) return;
    const far = Math.abs(place(event) - drag.from) > 4, times = [drag.time, chart.timeAt(event.clientX)].sort((a, b) => a - b);
    drag = null;
    select(0, 0);
    if (far && event.type === "pointerup") chart.zoom(Math.max(times[0], chart.view[0]), Math.min(times[1], chart.view[1]));
  };
  plot.addEventListener("pointerup", end);
  plot.addEventListener("pointercancel", end);
  plot.addEventListener("dblclick", () => chart.reset());

  // Without Ctrl, the wheel scrolls the page, unless the chart has the focus.
  plot.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== plot) return;
    event.preventDefault();
    const [from, to] = chart.view;
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const by = event.deltaX / chart.width * (to - from);
      chart.zoom(from + by, to + by);
    } else {
      chart.zoomBy(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 200))), chart.timeAt(event.clientX));
    }
  }, { passive: false });

  plot.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const [first, last] = within(chart.times, chart.view), leap = Math.max(1, Math.round((last - first) / 10));
    const at = chart.cursor, move = { ArrowRight: at + 1, ArrowUp: at + 1, ArrowLeft: at - 1, ArrowDown: at - 1,
      PageUp: at + leap, PageDown: at - leap, Home: first, End: last }[event.key];
    if (move !== undefined) chart.read(move);
    else if (event.key === "+" || event.key === "=") chart.zoomBy(0.5);
    else if (event.key === "-") chart.zoomBy(2);
    else if (event.key === "0" || event.key === "Escape") chart.reset();
    else return;
    event.preventDefault();
  });
}
