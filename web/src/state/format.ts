// Numbers and times for people; the zone is theirs.

const plain = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const languages = new Intl.DisplayNames(["en"], { type: "language" });

export const number = (n: number): string => plain.format(n);
export const compact = (n: number): string => (n < 10_000 ? plain.format(n) : short.format(n));
export const rate = (n: number): string => (n >= 100 ? plain.format(Math.round(n)) : n.toFixed(1));
export const moment = (iso: string): string => full.format(new Date(iso));

export function ago(iso: string, now: number): string {
  return span(Math.max(0, (now - Date.parse(iso)) / 1000));
}

/** The same in a sentence: "just now", "3 min ago". */
export function past(seconds: number): string {
  return seconds < 1 ? "just now" : `${span(seconds)} ago`;
}

export function span(seconds: number): string {
  if (seconds < 1) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

export function bytes(n: number): string {
  return n < 1e9 ? `${(n / 1e6).toFixed(1)} MB` : `${(n / 1e9).toFixed(2)} GB`;
}

export function language(tag: string): string {
  try {
    return languages.of(tag) ?? tag;
  } catch {
    return tag; // not a language tag
  }
}
