import { Link } from "wouter";
import type { Post } from "../api/client";
import { marked } from "../charts/model";
import { ago, compact, language, moment } from "../state/format";

const NETWORKS: Record<string, { sign: string; name: string }> = {
  bluesky: { sign: "🦋", name: "Bluesky" },
  mastodon: { sign: "🐘", name: "Mastodon" },
  reddit: { sign: "👽", name: "Reddit" },
  x: { sign: "𝕏", name: "X" },
  meetup: { sign: "🤝", name: "Meetup" },
  csv: { sign: "▤", name: "CSV" },
};

interface PostCardProps {
  post: Post;
  now: number;
  ruleNames: ReadonlyMap<number, string>;
  isNew?: boolean;
}

export function PostCard({ post, now, ruleNames, isNew = false }: PostCardProps) {
  const network = NETWORKS[post.source] ?? { sign: "•", name: post.source };
  const { shown, handle } = nameOf(post);
  return (
    <li className={isNew ? "post new" : "post"} data-key={`${post.source}/${post.id}`}>
      <div className="who">
        <b>
          <bdi>{shown}</bdi>
        </b>
        {handle && (
          <span className="handle">
            <bdi>{handle}</bdi>
          </span>
        )}
        <time dateTime={post.event_time} title={moment(post.event_time)}>
          {ago(post.event_time, now)}
        </time>
      </div>
      {post.title && (
        <p className="title" dir="auto">
          <Marked post={post} field="title" />
        </p>
      )}
      {post.text && (
        <p className="text" dir="auto">
          <Marked post={post} field="text" />
        </p>
      )}
      <div className="meta">
        <span>
          <span aria-hidden="true">{network.sign}</span> {network.name}
        </span>
        {post.kind !== "post" && <span>{post.kind}</span>}
        {post.channel && <bdi>{post.channel}</bdi>}
        {post.lang && <span title={post.lang}>{language(post.lang)}</span>}
        {post.country && <span>{post.country}</span>}
        {post.edited_at && <span title={moment(post.edited_at)}>edited</span>}
        <Copies post={post} />
        <Counters post={post} />
        {post.rules.map((id) => (
          <Link key={id} className="chip rule" href={`/?rule=${id}`}>
            {ruleNames.get(id) ?? `rule ${id}`}
          </Link>
        ))}
        {safe(post.permalink) && (
          <a href={safe(post.permalink)!} target="_blank" rel="noopener noreferrer nofollow">
            original<span className="visually-hidden"> on {network.name} (opens a new tab)</span>
          </a>
        )}
      </div>
    </li>
  );
}

function nameOf(post: Post): { shown: string; handle: string } {
  const handle = post.author_handle ? `@${post.author_handle}` : "";
  if (post.author_name) return { shown: post.author_name, handle };
  if (handle) return { shown: handle, handle: "" };
  const id = post.author_id ?? "somebody";
  return { shown: id.length > 28 ? `${id.slice(0, 16)}…${id.slice(-6)}` : id, handle: "" };
}

function Marked({ post, field }: { post: Post; field: "text" | "title" }) {
  const spans = post.spans.filter((s) => s.field === field);
  return (
    <>
      {marked(post[field] ?? "", spans).map((part, i) =>
        part.found ? <mark key={i}>{part.text}</mark> : part.text,
      )}
    </>
  );
}

/** Whether others said the same: at once for the same text, for nearly the same a day later. */
function Copies({ post }: { post: Post }) {
  const { family } = post;
  if (family === null) {
    return post.copy ? <span title="An earlier post has the same text">copy</span> : null;
  }
  const alike = `${family.size} posts of that day have nearly the same text`;
  const { first } = family;
  if (first?.source === post.source && first.id === post.id) {
    const copies = family.size - 1;
    return (
      <span title={`${alike}; this is the first`}>
        {compact(copies)} {copies === 1 ? "copy" : "copies"}
      </span>
    );
  }
  return (
    <span title={first ? `${alike}; the first: ${first.source} ${first.id}` : alike}>
      one of {compact(family.size)} copies
    </span>
  );
}

function Counters({ post }: { post: Post }) {
  const all: [string, number | null, string][] = [
    ["↩", post.replies, "replies"],
    ["⟳", post.reposts, "reposts"],
    ["♥", post.likes, "likes"],
    ["↑", post.score, "score"],
  ];
  return (
    <>
      {all.map(
        ([sign, n, name]) =>
          n !== null &&
          n > 0 && (
            <span key={name} title={`${n} ${name}`}>
              <span aria-hidden="true">{sign}</span> {compact(n)}
              <span className="visually-hidden"> {name}</span>
            </span>
          ),
      )}
    </>
  );
}

/** Only web addresses become links, whatever a network sends. */
function safe(url: string | null): string | null {
  return url !== null && /^https?:\/\//i.test(url) ? url : null;
}
