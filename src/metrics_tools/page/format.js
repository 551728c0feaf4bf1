// Times are milliseconds since 1970 in UTC; a fraction holds the microseconds.
const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR, LAST = 8.64e15;
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

// Return a time as text, exact to the microsecond: the date, followed by the time of day unless it is midnight UTC.
function moment(time) {
  if (!(Math.abs(time) <= LAST)) return `${time} ms`;
  const whole = Math.floor(time), fine = Math.round((time - whole) * 1000);
  const [date, clock] = new Date(whole).toISOString().slice(0, -1).split("T");
  if (fine) return `${date} ${clock}${String(fine).padStart(3, "0")}`;
  if (clock === "00:00:00.000") return date;
  return `${date} ${clock.replace(/(:00)?\.000$/, "")}`;
}

// Return a value with all its digits, so that different values have different texts.
const exact = (value) => String(value).replaceAll("-", "\u2212");

// Return the label of a tick on an axis whose ticks are a step apart.
function rounded(value, step) {
  if (value === 0) return "0";
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const text = Math.abs(value) >= 1e7
    ? new Intl.NumberFormat("en", { notation: Math.abs(value) >= 1e15 ? "scientific" : "compact", maximumFractionDigits: 3 }).format(value)
    : decimals > 5 ? value.toExponential(Math.max(0, Math.floor(Math.log10(Math.abs(value))) + decimals))
    : value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  return text.replaceAll("-", "\u2212");
}

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
