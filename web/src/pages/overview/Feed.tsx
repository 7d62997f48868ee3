import { useEffect, useRef, useState } from "react";
import type { Post } from "../../api/client";
import { keyOf, merged, without } from "../../live/buffer";
import { useEvent, useNow } from "../../live/useLive";
import { number } from "../../state/format";
import type { View } from "../../state/url";
import { Failure, Panel, Skeleton } from "../../ui/Panel";
import { PostCard } from "../../ui/PostCard";
import { newest, useRuleNames } from "../queries";

const FIRST = 50;
const CALM_MS = 800;
/** More than so many at once do not fade in: everything would be fading all the time. */
const FADING = 3;

/** Newest posts as they come; stands still when asked, or while somebody reads further down. */
export function Feed({ view }: { view: View }) {
  const [posts, setPosts] = useState<Post[] | null>(null);
  const [problem, setProblem] = useState<unknown>(null);
  const [waiting, setWaiting] = useState<Post[]>([]);
  const [missed, setMissed] = useState(0);
  const [paused, setPaused] = useState(false);
  const seen = useRef(new Set<string>());
  const scroller = useRef<HTMLDivElement>(null);
  const names = useRuleNames();
  const now = useNow(5000);
  const fits = (post: Post) =>
    (view.rule === null || post.rules.includes(view.rule)) && (view.source === null || post.source === view.source);

  const load = () => {
    newest(view, FIRST).then(
      (page) => {
        seen.current = new Set(page.items.map(keyOf));
        setPosts(merged([], page.items));
        setWaiting([]);
        setMissed(0);
        setProblem(null);
      },
      (error: unknown) => setProblem(error),
    );
  };
  useEffect(load, [view.rule, view.source]);

  const arrived = useRef<Post[]>([]);
  const frame = useRef(0);
  const pouredAt = useRef(0);
  const fading = useRef<ReadonlySet<string>>(new Set());
  const still = () => paused || (scroller.current?.scrollTop ?? 0) > 60;
  const pour = () => {
    frame.current = 0;
    pouredAt.current = performance.now();
    const fresh = arrived.current;
    arrived.current = [];
    const known = fresh.filter((p) => seen.current.has(keyOf(p)));
    const unknown = fresh.filter((p) => !seen.current.has(keyOf(p)));
    if (still()) {
      setPosts((old) => old && merged(old, known));
      setWaiting((old) => merged(old, unknown));
    } else {
      for (const post of unknown) seen.current.add(keyOf(post));
      fading.current = new Set(unknown.length <= FADING ? unknown.map(keyOf) : []);
      setPosts((old) => merged(old ?? [], fresh));
    }
  };

  useEvent("posts", (event) => {
    const fresh = event.items.filter(fits);
    if (view.rule === null && view.source === null) setMissed((n) => (still() ? n + event.more : 0));
    if (fresh.length === 0) return;
    arrived.current.push(...fresh);
    const wait = Math.max(0, CALM_MS - (performance.now() - pouredAt.current));
    frame.current ||= setTimeout(() => requestAnimationFrame(pour), wait) as unknown as number;
  });
  useEvent("correction", ({ removed }) => {
    setPosts((old) => old && without(old, removed));
    setWaiting((old) => without(old, removed));
  });
  useEvent("reset", load);
  useEvent("lagged", load);

  const resume = () => {
    for (const post of waiting) seen.current.add(keyOf(post));
    setPosts((old) => merged(old ?? [], waiting));
    setWaiting([]);
    setMissed(0);
    setPaused(false);
    scroller.current?.scrollTo({ top: 0 });
  };

  const fresh = waiting.length + missed;
  return (
    <Panel
      title="Live posts"
      actions={
        <button
          type="button"
          className="button plain"
          aria-pressed={paused}
          onClick={() => (paused ? resume() : setPaused(true))}
        >
          {paused ? "Resume" : "Pause"}
        </button>
      }
    >
      {problem !== null && <Failure error={problem} retry={load} />}
      {posts === null && problem === null && <Skeleton height={640} />}
      {posts?.length === 0 && fresh === 0 && (
        <p className="empty">
          {view.rule === null
            ? "No posts yet. They appear here as they come in."
            : "No post matched this rule yet. The next one appears here within a second."}
        </p>
      )}
      <div className="feed-scroll" ref={scroller} tabIndex={0} role="region" aria-label="Newest posts">
        <ul className="feed">
          {fresh > 0 && (
            <li className="new-posts">
              <button type="button" className="button primary" onClick={resume}>
                {number(fresh)} new
              </button>
            </li>
          )}
          {posts?.map((post) => (
            <PostCard key={keyOf(post)} post={post} now={now} ruleNames={names} isNew={fading.current.has(keyOf(post))} />
          ))}
        </ul>
      </div>
    </Panel>
  );
}
