import { Link } from "wouter";
import type { Top } from "../api/client";
import { compact, language, number } from "../state/format";
import { expressionOf, printView, type View } from "../state/url";

interface BarsProps {
  top: Top;
  view: View;
}

/** A ranked list: posts as bars, distinct authors beside them, the change of rank in words. */
export function Bars({ top, view }: BarsProps) {
  const most = Math.max(1, ...top.items.map((row) => row.posts));
  return (
    <ol className="bars">
      {top.items.map((row) => (
        <li key={row.value}>
          <span className="fill" style={{ width: `${(100 * row.posts) / most}%` }} />
          <Link
            href={`/posts${printView({ ...view, q: expressionOf(top.facet, row.value) })}`}
            title={`${number(row.posts)} posts by ${number(row.authors)} authors; find them`}
          >
            <span className="rank">{row.rank}</span>
            <bdi className="value">{shown(top.facet, row.value)}</bdi>
            <span className="authors">
              {compact(row.authors)}
              <span className="visually-hidden"> authors</span> ◦
            </span>
            <span>
              {compact(row.posts)}
              <span className="visually-hidden"> posts</span>
              <Change change={row.change} isNew={row.previous_rank === null} />
            </span>
          </Link>
        </li>
      ))}
    </ol>
  );
}

function Change({ change, isNew }: { change: number | null; isNew: boolean }) {
  const text = isNew ? "new" : !change ? "·" : change > 0 ? `▲${change}` : `▼${-change}`;
  const words = isNew ? "new" : !change ? "same rank" : change > 0 ? `up ${change}` : `down ${-change}`;
  return (
    <span className="change" title={words}>
      {" "}
      <span aria-hidden="true">{text}</span>
      <span className="visually-hidden">{words}</span>
    </span>
  );
}

function shown(facet: string, value: string): string {
  if (facet === "hashtag") return `#${value}`;
  if (facet === "mention") return `@${value}`;
  if (facet === "language") return language(value);
  return value;
}
