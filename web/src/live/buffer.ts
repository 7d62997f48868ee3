// The posts of the live feed: bounded, newest first, each key once, the greater version wins.

import type { Post } from "../api/client";

export const MOST = 100;

export const keyOf = (post: { source: string; id: string }): string => `${post.source}\n${post.id}`;

/** `old` with `fresh` in it: by event time, newest first, at most `MOST`. */
export function merged(old: readonly Post[], fresh: readonly Post[]): Post[] {
  const byKey = new Map(old.map((p) => [keyOf(p), p]));
  for (const post of fresh) {
    const known = byKey.get(keyOf(post));
    if (known === undefined || post.version >= known.version) byKey.set(keyOf(post), post);
  }
  return [...byKey.values()].sort(newestFirst).slice(0, MOST);
}

/** `old` without the posts of these keys. */
export function without(old: readonly Post[], gone: readonly { source: string; id: string }[]): Post[] {
  const keys = new Set(gone.map(keyOf));
  return old.filter((p) => !keys.has(keyOf(p)));
}

function newestFirst(a: Post, b: Post): number {
  return b.event_time.localeCompare(a.event_time) || keyOf(a).localeCompare(keyOf(b));
}
