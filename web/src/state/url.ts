// What is looked at lives in the URL: one parser and one printer, so that a reload or a copied
// link shows the same view.

export const RANGES = { "15m": 900, "1h": 3600, "6h": 21600, "24h": 86400, "7d": 604800 } as const;
export type Range = keyof typeof RANGES;

export interface View {
  range: Range;
  rule: number | null;
  source: string | null;
  q: string;
  /** Which posts count: all, or those that are no copies. */
  variant: "all" | "once";
}

export const START: View = { range: "1h", rule: null, source: null, q: "", variant: "all" };

export function parseView(search: string): View {
  const given = new URLSearchParams(search);
  const range = given.get("r") ?? "";
  const rule = Number(given.get("rule"));
  return {
    range: range in RANGES ? (range as Range) : START.range,
    rule: Number.isSafeInteger(rule) && rule > 0 ? rule : null,
    source: given.get("src") || null,
    q: given.get("q") ?? "",
    variant: given.get("variant") === "once" ? "once" : "all",
  };
}

export function printView(view: View): string {
  const out = new URLSearchParams();
  if (view.range !== START.range) out.set("r", view.range);
  if (view.rule !== null) out.set("rule", String(view.rule));
  if (view.source !== null) out.set("src", view.source);
  if (view.q !== "") out.set("q", view.q);
  if (view.variant !== START.variant) out.set("variant", view.variant);
  const text = out.toString();
  return text === "" ? "" : `?${text}`;
}

/** The expression that finds the posts behind one row of a top list. */
export function expressionOf(facet: string, value: string): string {
  switch (facet) {
    case "hashtag":
      return `#${value}`;
    case "mention":
      return `@${value}`;
    case "domain":
      return `domain:${quoted(value)}`;
    case "language":
      return `lang:${quoted(value)}`;
    case "country":
      return `country:${quoted(value)}`;
    case "author":
      return `from:${quoted(value)}`;
    case "channel":
      return `channel:${quoted(value)}`;
    default:
      return quoted(value);
  }
}

function quoted(value: string): string {
  return /^[\p{L}\p{N}\p{M}_.-]+$/u.test(value) && !/^(or|and|not)$/i.test(value)
    ? value
    : `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
