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
