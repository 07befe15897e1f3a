// What is said to people, in words: how many, how much, when.
export const counted = (number, word, several = word + "s") => `${number} ${number === 1 ? word : several}`;

const DAY = 86_400_000;
const long = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const short = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
export const when = (time) => long.format(new Date(time));
export const clock = (time) => (Math.abs(Date.now() - new Date(time)) < DAY ? short.format(new Date(time)) : when(time));

// So many seconds: "5 s", "3 min", "2 h", "4 d".
export function lasting(seconds) {
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  return `${seconds} s`;
}

// How long ago, seen from `now` (milliseconds).
export function ago(text, now) {
  const seconds = Math.max(0, Math.round((now - Date.parse(text ?? "")) / 1000));
  return Number.isFinite(seconds) ? lasting(seconds) : "";
}

// Three digits of a number, at most.
export const digits = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1).replace(/\.0$/, "") : value.toFixed(2).replace(/\.?0+$/, ""));

const UNITS = ["B", "kB", "MB", "GB", "TB"];
export function bytes(value) {
  let place = 0;
  while (value >= 1000 && place < UNITS.length - 1) { value /= 1000; place++; }
  return `${digits(value)} ${UNITS[place]}`;
}
