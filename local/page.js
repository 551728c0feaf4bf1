// The reading under the pointer: the nearest drawn observation, its date and value.
for (const plot of document.querySelectorAll(".plot")) {
  const [first, last, low, high, ...flat] = plot.dataset.points.split(",").map(Number);
  const [cursor, dot, reading] = [".cursor", ".dot", ".reading"].map((name) => plot.querySelector(name));
  const show = (on) => { cursor.hidden = dot.hidden = reading.hidden = !on; };
  plot.addEventListener("pointerleave", () => show(false));
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    const day = first + (event.clientX - box.left) / box.width * (last - first);
    let [from, to] = [0, flat.length / 2 - 1];
    while (to - from > 1) {
      const middle = (from + to) >> 1;
      if (flat[2 * middle] < day) from = middle; else to = middle;
    }
    const near = day - flat[2 * from] < flat[2 * to] - day ? from : to;
    const [time, value] = [flat[2 * near], flat[2 * near + 1]];
    const x = last > first ? (time - first) / (last - first) * 100 : 50;
    cursor.style.left = dot.style.left = `${x}%`;
    dot.style.top = `${(high - value) / (high - low) * 100}%`;
    reading.style.left = x < 50 ? `calc(${x}% + .6rem)` : "";
    reading.style.right = x < 50 ? "" : `calc(${100 - x}% + .6rem)`;
    reading.textContent = `${new Date(time * 86400000).toISOString().slice(0, 10)}  ${value}`;
    show(true);
  });
}
