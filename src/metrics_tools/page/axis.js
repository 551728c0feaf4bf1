// The axes of a panel. A value axis has `share`, the function from a value to its position (0 at the bottom of the axis,
// 1 at its top), `ticks`, each as [value, label], and `step`, the difference between two of its ticks.

// Return the least number of the form 1, 2 or 5 times a power of ten that is at least `rough`.
function niceStep(rough) {
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].find((nice) => nice * magnitude >= rough * (1 - 1e-9)) * magnitude;
}

// Return the range of an axis and the step between its ticks: [bottom, top, step]. The range has a margin around the
// lowest and the highest value, within the limits of float64. It is widened if the difference of the values is zero.
// Differences are computed with half of each value, because the difference of two float64 numbers can be infinite.
function valueRange(low, high, ticks) {
  if (!(low <= high)) return [0, 1, 0.5];
  const limited = (value) => Math.min(Math.max(value, -Number.MAX_VALUE), Number.MAX_VALUE);
  if (high / 2 - low / 2 < 1e-290) low = high = low / 2 + high / 2;
  if (high / 2 - low / 2 <= Math.max(Math.abs(low), Math.abs(high)) * 5e-14) {
    const margin = Math.abs(low) > 1e-280 ? Math.abs(low) / 2 : 1;
    [low, high] = [limited(low - margin), limited(high + margin)];
  }
  const half = high / 2 - low / 2, margin = half * 0.08;
  return [limited(low - margin), limited(high + margin), niceStep(half / ticks * 2)];
}

function linearAxis(low, high, most) {
  const [bottom, peak, step] = valueRange(low, high, most), ticks = [];
  for (let i = Math.ceil(bottom / step); i <= Math.floor(peak / step); i += 1) ticks.push([i * step, rounded(i * step, step)]);
  return { share: (value) => (value / 2 - bottom / 2) / (peak / 2 - bottom / 2), ticks, step };
}

// Return a logarithmic axis for positive values. Its ticks are 1, 2 and 5 times powers of ten, or only powers of ten if
// the range is wide; if all values are within one power of ten, the ticks are those of a linear axis, if it has any.
function logAxis(low, high, most) {
  const linear = linearAxis(low, high, most);
  if (!(low <= high)) return linear;
  const [from, to] = [Math.log10(low), Math.log10(high)], margin = to - from > 1e-9 ? (to - from) * 0.04 : 0.1;
  const bottom = from - margin, span = to - from + 2 * margin;
  // A value that is not positive can be next to the view; its place is far below the axis.
  const share = (value) => (Math.log10(Math.max(value, 0)) - bottom) / span;
  const isOnAxis = ([value]) => share(value) >= 0 && share(value) <= 1;
  const few = to - from < 1 ? linear.ticks.filter(isOnAxis) : [];
  if (few.length) return { ...linear, share, ticks: few };
  const stride = Math.ceil(span / most), ticks = [];
  for (let power = Math.floor(bottom / stride) * stride; power <= bottom + span; power += stride) {
    for (const digit of span < most / 2 ? [1, 2, 5] : [1]) {
      // A product of powers would be 0 near the smallest number; a number from text is exact.
      ticks.push([Number(`${digit}e${power}`), Math.max(10 ** power, Number.MIN_VALUE)]);
    }
  }
  return { ...linear, share, ticks: ticks.filter(isOnAxis).map(([value, step]) => [value, rounded(value, step)]) };
}

// An axis without labels for values that are already shares of a range.
const SHARE_AXIS = { share: (value) => value, ticks: [[0, ""], [0.5, ""], [1, ""]], step: 0.5 };

// Return ticks at round times between two limits, each as [time, label]; at most about `most` of them.
function timeTicks(from, to, most) {
  const steps = [1, 5, 15, 30].map((n) => n * MINUTE).concat([1, 3, 6, 12].map((n) => n * HOUR), [1, 2, 7, 14].map((n) => n * DAY));
  const step = steps.find((one) => (to - from) / one <= most);
  const ticks = [];
  if (step) {
    const monday = step >= 7 * DAY ? 4 * DAY : 0;
    for (let at = Math.ceil((from - monday) / step) * step + monday; at <= to; at += step) {
      const date = new Date(at), clock = date.toISOString().slice(11, 16);
      const day = `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`;
      ticks.push([at, at % DAY ? clock : ticks.length ? day : `${day} ${date.getUTCFullYear()}`]);
    }
    return ticks;
  }
  const [first, last] = [from, to].map((time) => { const date = new Date(time); return date.getUTCFullYear() * 12 + date.getUTCMonth(); });
  let months = [1, 3, 6, 12, 24, 60, 120].find((one) => (last - first) / one <= most) ?? 120;
  while ((last - first) / months > most) months *= 2;
  for (let month = Math.ceil(first / months) * months; month <= last; month += months) {
    const at = Date.UTC(Math.floor(month / 12), month % 12, 1);
    if (at < from || at > to) continue;
    const year = String(Math.floor(month / 12));
    ticks.push([at, month % 12 ? MONTHS[month % 12] + (months < 12 && ticks.length === 0 ? ` ${year}` : "") : year]);
  }
  return ticks;
}
