import { describe, expect, it } from "vitest";
import type { SeriesSet } from "../api/client";
import { chartData, marked, total } from "./model";

const set = (values: (number | null)[], partial: boolean): SeriesSet =>
  ({ t: values.map((_, i) => i * 60), series: [{ key: "all", rule: 0, source: "*", values }], step: 60, partial, gaps: [] }) as unknown as SeriesSet;

describe("the columns of a chart", () => {
  it("draw the open bucket apart, joined to the last closed one", () => {
    expect(chartData(set([1, 2, 3], true))).toEqual([
      [0, 60, 120],
      [1, 2, null],
      [null, 2, 3],
    ]);
  });

  it("have no open part when all is closed", () => {
    expect(chartData(set([1, 2], false))).toEqual([
      [0, 60],
      [1, 2],
      [null, null],
    ]);
  });

  it("keep what is unknown unknown", () => {
    expect(chartData(set([1, null, 3], false))[1]).toEqual([1, null, 3]);
    expect(total([null, null])).toBeNull();
    expect(total([1, null, 2])).toBe(3);
  });
});

describe("marked text", () => {
  it("counts code points, as the API does", () => {
    expect(marked("😀 night market", [{ offset: 2, length: 5 }])).toEqual([
      { text: "😀 ", found: false },
      { text: "night", found: true },
      { text: " market", found: false },
    ]);
  });

  it("survives spans that overlap or leave the text", () => {
    const parts = marked("abc", [{ offset: 1, length: 9 }, { offset: 0, length: 2 }]);
    expect(parts.map((p) => p.text).join("")).toBe("abc");
    expect(parts.every((p) => p.found)).toBe(true);
  });
});
