// Pure shaping: columns of the API → columns of the chart.

import type { AlignedData } from "uplot";
import type { SeriesSet } from "../api/client";

/** Two columns a series: what is closed, and (from the last closed bucket on) what is open. */
export function chartData(set: SeriesSet): AlignedData {
  const open = set.partial ? set.t.length - 1 : set.t.length;
  const columns = set.series.flatMap((series) => [
    series.values.map((v, i) => (i < open ? v : null)),
    series.values.map((v, i) => (set.partial && i >= open - 1 ? v : null)),
  ]);
  return [set.t, ...columns] as AlignedData;
}

/** Sum of a series; null where nothing is known. */
export function total(values: readonly (number | null)[]): number | null {
  const known = values.filter((v): v is number => v !== null);
  return known.length === 0 ? null : known.reduce((a, b) => a + b, 0);
}

/** Text cut into what was found and what not; offsets count code points, as the API's do. */
export function marked(
  text: string,
  spans: readonly { offset: number; length: number }[],
): { text: string; found: boolean }[] {
  if (spans.length === 0) return [{ text, found: false }];
  const points = [...text];
  const parts: { text: string; found: boolean }[] = [];
  let at = 0;
  for (const { offset, length } of [...spans].sort((a, b) => a.offset - b.offset)) {
    const from = Math.max(at, offset);
    const until = Math.min(points.length, offset + length);
    if (until <= from) continue;
    if (from > at) parts.push({ text: points.slice(at, from).join(""), found: false });
    parts.push({ text: points.slice(from, until).join(""), found: true });
    at = until;
  }
  if (at < points.length) parts.push({ text: points.slice(at).join(""), found: false });
  return parts;
}
