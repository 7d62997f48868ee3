import { describe, expect, it } from "vitest";
import { expressionOf, parseView, printView, RANGES, START, type Range, type View } from "./url";

const RULES = [null, 1, 12, 9007199254740991];
const SOURCES = [null, "bluesky", "x"];
const QUERIES = ["", "music", '"night market" (a OR b) -is:repost', "ü #タグ & = ?%"];

const VARIANTS = ["all", "once"] as const;

describe("a view", () => {
  const views: View[] = (Object.keys(RANGES) as Range[]).flatMap((range) =>
    RULES.flatMap((rule) =>
      SOURCES.flatMap((source) =>
        QUERIES.flatMap((q) => VARIANTS.map((variant) => ({ range, rule, source, q, variant }))),
      ),
    ),
  );

  it("comes back from its URL as it was", () => {
    for (const view of views) expect(parseView(printView(view))).toEqual(view);
  });

  it("is nothing in the URL at the start", () => {
    expect(printView(START)).toBe("");
  });

  it("falls back to the start where the URL makes no sense", () => {
    expect(parseView("?r=century&rule=-3&variant=twice")).toEqual(START);
  });
});

describe("the expression of a row", () => {
  it("uses the facet's operator", () => {
    expect(expressionOf("hashtag", "music")).toBe("#music");
    expect(expressionOf("domain", "news.example")).toBe("domain:news.example");
    expect(expressionOf("language", "en")).toBe("lang:en");
  });

  it("quotes what would be read as something else", () => {
    expect(expressionOf("word", "or")).toBe('"or"');
    expect(expressionOf("author", "did:plc:abc")).toBe('from:"did:plc:abc"');
  });
});
