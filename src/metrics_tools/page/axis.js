// The axes of a panel. A value axis has `share`, the function from a value to its position (0 at the bottom of the axis,
// 1 at its top), `ticks`, each as [value, label], and `step`, the difference between two of its ticks.

// Return the least number of the form 1, 2 or 5 times a power of ten that is at least `rough`.
function niceStep(rough) {
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].find((nice) => nice * magnitude >= rough * (1 - 1e-9)) * magnitude;
}

// Return the range of an axis and the step between its ticks: [bottom, top, step]. The range has a margin around the
// lowest and the highest value. It is cut if the difference of the values exceeds float64, and widened if it is zero.
function valueRange(low, high, ticks) {
  if (!(low <= high)) return [0, 1, 0.5];
  [low, high] = [Math.max(low, -8e307), Math.min(high, 8e307)];
  if (high - low < 1e-290) [low, high] = [(low + high) / 2, (low + high) / 2];
  const least = Math.max(Math.abs(low), Math.abs(high)) * 1e-13;
  if (high - low <= least) { const margin = Math.abs(low) > 1e-280 ? Math.abs(low) / 2 : 1; [low, high] = [low - margin, high + margin]; }
  const margin = (high - low) * 0.04;
  return [low - margin, high + margin, niceStep((high - low) / ticks)];
}

function linearAxis(low, high, most) {
  const [bottom, peak, step] = valueRange(low, high, most), ticks = [];
  for (let i = Math.ceil(bottom / step); i <= Math.floor(peak / step); i += 1) ticks.push([i * step, rounded(i * step, step)]);
  return { share: (value) => (value - bottom) / (peak - bottom), ticks, step };
}

// Return a logarithmic axis for positive values. Its ticks are 1, 2 and 5 times powers of ten, or only powers of ten if
// the range is wide; if all values are within one power of ten, the ticks are those of a linear axis.
function logAxis(low, high, most) {
  const linear = linearAxis(low, high, most);
  if (!(low <= high)) return linear;
  const [from, to] = [Math.log10(low), Math.log10(high)], margin = to - from > 1e-9 ? (to - from) * 0.04 : 0.1;
  const bottom = from - margin, span = to - from + 2 * margin;
  // A value that is not positive can be next to the view; its place is far below the axis.
  const share = (value) => (Math.log10(Math.max(value, 0)) - bottom) / span;
  const isOnAxis = ([value]) => share(value) >= 0 && share(value) <= 1;
  if (to - from < 1) return { ...linear, share, ticks: linear.ticks.filter(isOnAxis) };
  const stride = Math.ceil(span / most), ticks = [];
  for (let power = Math.floor(bottom / stride) * stride; power <= bottom + span; power += stride) {
    for (const digit of span < most / 2 ? [1, 2, 5] : [1]) ticks.push([digit * 10 ** power, 10 ** power]);
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
