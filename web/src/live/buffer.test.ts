import { describe, expect, it } from "vitest";
import type { Post } from "../api/client";
import { merged, MOST, without } from "./buffer";

const post = (id: string, event_time: string, version = 0, text = id): Post =>
  ({ source: "bluesky", id, event_time, version, text }) as Post;

const at = (second: number): string => new Date(1_700_000_000_000 + second * 1000).toISOString();

describe("the live buffer", () => {
  it("keeps each post once, newest first", () => {
    const posts = merged([post("a", at(1))], [post("b", at(2)), post("a", at(1))]);
    expect(posts.map((p) => p.id)).toEqual(["b", "a"]);
  });

  it("lets the greater version win, whatever the order of arrival", () => {
    const newer = post("a", at(1), 2, "edited");
    const older = post("a", at(1), 1, "first");
    expect(merged(merged([], [newer]), [older])[0]?.text).toBe("edited");
    expect(merged(merged([], [older]), [newer])[0]?.text).toBe("edited");
  });

  it("is bounded", () => {
    const many = Array.from({ length: 3 * MOST }, (_, i) => post(`p${i}`, at(i)));
    const posts = merged([], many);
    expect(posts).toHaveLength(MOST);
    expect(posts[0]?.id).toBe(`p${3 * MOST - 1}`);
  });

  it("forgets what was deleted", () => {
    expect(without([post("a", at(1)), post("b", at(2))], [{ source: "bluesky", id: "a" }]).map((p) => p.id)).toEqual(["b"]);
  });
});
