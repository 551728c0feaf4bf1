// Times are milliseconds since 1970, with a fraction where they are finer.
const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR, LAST = 8.64e15;
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

// The day, and the time of day where it is not midnight, UTC, exact to the microsecond.
function moment(time) {
  if (!(Math.abs(time) <= LAST)) return `${time} ms`;
  const whole = Math.floor(time), fine = Math.round((time - whole) * 1000);
  const [date, clock] = new Date(whole).toISOString().slice(0, -1).split("T");
  if (fine) return `${date} ${clock}${String(fine).padStart(3, "0")}`;
  if (clock === "00:00:00.000") return date;
  return `${date} ${clock.replace(/(:00)?\.000$/, "")}`;
}

// All digits of a value, so that it can be told from any other.
const exact = (value) => String(value).replaceAll("-", "\u2212");

// A round value beside an axis whose ticks are a step apart.
function rounded(value, step) {
  if (value === 0) return "0";
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const text = Math.abs(value) >= 1e7
    ? new Intl.NumberFormat("en", { notation: Math.abs(value) >= 1e15 ? "scientific" : "compact", maximumFractionDigits: 3 }).format(value)
    : decimals > 5 ? value.toExponential(Math.max(0, Math.floor(Math.log10(Math.abs(value))) + decimals))
    : value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  return text.replaceAll("-", "\u2212");
}

// The least of 1, 2 or 5 times a power of ten that is not less.
function niceStep(rough) {
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].find((nice) => nice * magnitude >= rough * (1 - 1e-9)) * magnitude;
}

// A frame around the lowest and the highest value, and round values in it, a step apart: [bottom, top, step].
// In what a float64 holds a difference may be too large, or nothing: then the frame is cut, or wider.
function valueRange(low, high, ticks) {
  if (!(low <= high)) return [0, 1, 0.5];
  [low, high] = [Math.max(low, -8e307), Math.min(high, 8e307)];
  if (high - low < 1e-290) [low, high] = [(low + high) / 2, (low + high) / 2];
  const least = Math.max(Math.abs(low), Math.abs(high)) * 1e-13;
  if (high - low <= least) { const margin = Math.abs(low) > 1e-280 ? Math.abs(low) / 2 : 1; [low, high] = [low - margin, high + margin]; }
  const margin = (high - low) * 0.04;
  return [low - margin, high + margin, niceStep((high - low) / ticks)];
}

// Round times in a view, with their labels: [time, label], at most so many.
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
