import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { api, bodyOf, type Post } from "../../api/client";
import { ProblemError } from "../../api/problems";
import { keyOf } from "../../live/buffer";
import { useEvent, useNow } from "../../live/useLive";
import { number } from "../../state/format";
import { RANGES, type View } from "../../state/url";
import { Failure, Panel, Skeleton } from "../../ui/Panel";
import { PostCard } from "../../ui/PostCard";
import { ViewBar } from "../overview/ViewBar";
import { useRuleNames } from "../queries";
import { useView } from "../useView";

const PAGE = 50;

export function Posts() {
  const [view, change] = useView();
  const [typed, type] = useState(view.q);
  const names = useRuleNames();
  const now = useNow(10_000);
  const client = useQueryClient();
  const query = usePosts(view);
  useEffect(() => type(view.q), [view.q]);
  useEffect(() => {
    document.title = "Posts · Earshot";
  }, []);
  const [gone, setGone] = useState<ReadonlySet<string>>(new Set());
  useEvent("correction", ({ removed, changed }) => {
    if (removed.length > 0) setGone((old) => new Set([...old, ...removed.map(keyOf)]));
    if (changed.length > 0) void client.invalidateQueries({ queryKey: ["posts"] });
  });

  const pages = query.data?.pages ?? [];
  const posts = pages.flatMap((page) => page.items).filter((p) => !gone.has(keyOf(p)));
  const total = pages[0]?.total;
  const complete = pages.at(-1)?.complete ?? true;
  return (
    <>
      <div className="page-head">
        <h1>Posts</h1>
        <span className="spacer" />
        <ViewBar view={view} change={change} />
      </div>
      <form
        className="row"
        role="search"
        onSubmit={(e) => {
          e.preventDefault();
          change({ q: typed.trim() });
        }}
      >
        <input
          className="grow"
          type="search"
          aria-label="Expression"
          placeholder={'Find: "night market" lang:en has:links'}
          value={typed}
          onInput={(e) => type(e.currentTarget.value)}
        />
        <button className="button primary" type="submit">
          Search
        </button>
        <Export view={view} />
      </form>
      <Panel
        title="Found"
        busy={query.isFetching}
        note={total == null ? "" : `${number(total)} posts`}
      >
        {query.error ? <SearchFailure error={query.error} retry={() => void query.refetch()} /> : null}
        {query.data === undefined && !query.error && <Skeleton height={640} />}
        {query.data !== undefined && posts.length === 0 && (
          <div className="empty">
            <p>No stored post in the last {view.range} matches.</p>
            {view.q !== "" && (
              <button type="button" className="button" onClick={() => change({ q: "" })}>
                Clear the search
              </button>
            )}
            {view.range !== "7d" && (
              <button type="button" className="button" onClick={() => change({ range: "7d" })}>
                Look at 7 days
              </button>
            )}
          </div>
        )}
        <ul className="feed">
          {posts.map((post: Post) => (
            <PostCard key={keyOf(post)} post={post} now={now} ruleNames={names} />
          ))}
        </ul>
        {!complete && <p className="quiet">The search was cut after its time budget; go on to see more.</p>}
        {query.hasNextPage && (
          <p>
            <button
              type="button"
              className="button"
              disabled={query.isFetchingNextPage}
              onClick={() => void query.fetchNextPage()}
            >
              {query.isFetchingNextPage ? "Loading …" : "Older posts"}
            </button>
          </p>
        )}
      </Panel>
    </>
  );
}

function usePosts(view: View) {
  return useInfiniteQuery({
    queryKey: ["posts", view],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam }) =>
      bodyOf(
        api.GET("/api/v1/posts", {
          params: {
            query: {
              ...filters(view),
              limit: PAGE,
              ...(pageParam === null ? { count: "exact" as const } : { cursor: pageParam }),
            },
          },
        }),
      ),
    getNextPageParam: (last) => last.next,
    staleTime: 30_000,
  });
}

function filters(view: View) {
  return {
    ...(view.q ? { q: view.q } : {}),
    ...(view.rule ? { rule: [view.rule] } : {}),
    ...(view.source ? { source: [view.source] } : {}),
    variant: view.variant,
    since: dayStable(Date.now() - RANGES[view.range] * 1000),
  };
}

/** To the minute: a cursor belongs to its filters, which must not change while one pages. */
function dayStable(ms: number): string {
  return new Date(Math.floor(ms / 60_000) * 60_000).toISOString();
}

function SearchFailure({ error, retry }: { error: unknown; retry: () => void }) {
  const problem = ProblemError.of(error);
  const item = problem.errors[0];
  if (problem.code !== "rule-syntax" || item === undefined) return <Failure error={error} retry={retry} />;
  return (
    <div className="problem" role="alert">
      <strong>The expression cannot be read</strong>
      <span>
        At character {(item.offset ?? 0) + 1}: {item.detail}
      </span>
      {item.hint && <span className="quiet">{item.hint}</span>}
    </div>
  );
}

function Export({ view }: { view: View }) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filters(view))) {
    for (const one of [value].flat()) query.append(name, String(one));
  }
  const href = (format: string) => `/api/v1/export?format=${format}&${query}`;
  return (
    <details className="menu">
      <summary className="button">Export</summary>
      <div className="menu-list">
        {["csv", "jsonl", "parquet", "ids"].map((format) => (
          <a key={format} className="button plain" href={href(format)} download>
            {format === "ids" ? "ids only" : format.toUpperCase()}
          </a>
        ))}
      </div>
    </details>
  );
}
