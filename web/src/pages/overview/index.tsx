import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { total } from "../../charts/model";
import { Bars } from "../../charts/Bars";
import { TimeSeries } from "../../charts/TimeSeries";
import { useEvent, useLiveState, useNow, useThrottled } from "../../live/useLive";
import { compact, number, rate, span } from "../../state/format";
import { Loaded, Panel } from "../../ui/Panel";
import { RuleEditor } from "../rules/RuleEditor";
import { useRules, useSeries, useSources, useSystem, useTop, windowOf } from "../queries";
import { useView } from "../useView";
import { Feed } from "./Feed";
import { ViewBar } from "./ViewBar";
import { networkName } from "../../ui/networks";

export function Overview() {
  const [view, change] = useView();
  const client = useQueryClient();
  const refresh = useThrottled(() => {
    void client.invalidateQueries({ queryKey: ["series"] });
    void client.invalidateQueries({ queryKey: ["top"] });
  }, 2000);
  useEvent("windows", refresh);
  useEvent("correction", refresh);
  useEvent("gap", refresh);
  useEvent("reset", () => void client.invalidateQueries());
  useEffect(() => {
    document.title = "Overview · Earshot";
  }, []);

  return (
    <>
      <div className="page-head">
        <h1>Overview</h1>
        <span className="spacer" />
        <ViewBar view={view} change={change} />
      </div>
      <div className="overview">
        <DemoBanner />
        <TroubleBanner />
        <Figures />
        <Volume />
        <div className="feed-column">
          <Feed view={view} />
        </div>
        <div className="tops">
          <TopPanel facet="hashtag" title="Hashtags" />
          <TopPanel facet="word" title="Words" />
          <TopPanel facet="domain" title="Linked sites" />
          <TopPanel facet="mention" title="Mentions" />
          <TopPanel facet="language" title="Languages" />
          <QuickRule />
        </div>
      </div>
    </>
  );
}

/** Says what keeps posts from being worked off, or taken in; nothing is lost meanwhile. */
function TroubleBanner() {
  const engine = useSystem().data?.engine;
  const held = (useSources().data?.items ?? []).filter((s) => s.state === "held");
  if (engine && !engine.running)
    return (
      <p className="banner" role="status">
        <strong>The engine does not run.</strong> What was collected waits in the log and is not lost.
      </p>
    );
  if (engine?.trouble)
    return (
      <p className="banner" role="status">
        <strong>The engine waits and tries again.</strong> {engine.trouble}. What was collected is not lost.
      </p>
    );
  if (held.length === 0) return null;
  return (
    <p className="banner" role="status">
      <strong>Collecting is held.</strong> {held.map((s) => `${s.connection}: ${s.detail}`).join("; ")}
    </p>
  );
}

function DemoBanner() {
  const sources = useSources().data?.items ?? [];
  const demo = sources.some((s) => s.source === "demo" && s.state !== "stopped");
  if (!demo) return null;
  return (
    <p className="banner">
      <strong>Demo world.</strong> Invented people and posts, so that there is something to see without a network.
    </p>
  );
}

function Figures() {
  const [view] = useView();
  const stream = useLiveState();
  const now = useNow(1000);
  const series = useSeries(view, view.source ? undefined : "source").data;
  const rules = useRules().data;
  const system = useSystem().data;
  const posts = series ? (total(series.series.flatMap((s) => s.values)) ?? 0) : null;
  const matched = rules?.items.reduce((n, r) => n + r.hits.matched, 0);
  const tick = stream.lastTick;
  const age = tick?.event_age_seconds;
  return (
    <dl className="figures">
      <div className="figure">
        <dt>Posts in view</dt>
        <dd>{posts === null ? "–" : compact(posts)}</dd>
        <dd>{view.rule ? "of the chosen rule" : "all that was collected"}</dd>
      </div>
      <div className="figure">
        <dt>Records a second</dt>
        <dd>{tick?.posts_per_second == null ? "–" : rate(tick.posts_per_second)}</dd>
        <dd>{tick?.lag_records ? `${number(tick.lag_records)} still to work off` : "nothing waits"}</dd>
      </div>
      <div className="figure">
        <dt>Newest record</dt>
        <dd>{age == null ? "–" : span(age + (now - stream.lastEventAt) / 1000)}</dd>
        <dd>since it was received</dd>
      </div>
      <div className="figure">
        <dt>Rules</dt>
        <dd>{rules ? number(rules.total) : "–"}</dd>
        <dd>{matched === undefined ? "" : `${compact(matched)} posts matched so far`}</dd>
      </div>
      <div className="figure">
        <dt>Kept</dt>
        <dd>{system ? `${(system.store_bytes / 1e6).toFixed(0)} MB` : "–"}</dd>
        <dd>
          {system
            ? `${system.keep.posts === "all" ? "all posts" : "matching posts"}, ${system.keep.days} days or ${system.keep.gigabytes} GB`
            : ""}
        </dd>
      </div>
    </dl>
  );
}

function Volume() {
  const [view] = useView();
  const series = useSeries(view, view.source ? undefined : "source");
  const set = series.data;
  const names = set?.series.map((s) => (s.source === "*" ? "all sources" : networkName(s.source))) ?? [];
  return (
    <Panel
      className="wide"
      title="Posts over time"
      busy={series.isFetching}
      note={set ? `each ${span(set.step)}` : ""}
    >
      <Loaded
        of={series}
        height={258}
        empty={(s) =>
          s.series.length === 0
            ? "Nothing was counted in this span yet. The first minute appears a second after its first post."
            : null
        }
      >
        {(s) => (
          <>
            <TimeSeries set={s} names={names} />
            <p className="legend">
              {names.map((name, i) => (
                <span key={name} ref={(el) => el?.style.setProperty("--swatch", `var(--cat-${(i % 5) + 1})`)}>
                  {name}
                </span>
              ))}
              {s.gaps.length > 0 && <span className="hatched">posts may be missing ({s.gaps.length} gaps)</span>}
              {s.partial && <em>dashed: still open</em>}
            </p>
          </>
        )}
      </Loaded>
    </Panel>
  );
}

const SPANS = { "5m": "last 5 min", "60m": "last 60 min", "1d": "today (UTC)" };

function TopPanel({ facet, title }: { facet: string; title: string }) {
  const [view] = useView();
  const top = useTop(facet, view);
  return (
    <Panel title={title} busy={top.isFetching} note={SPANS[windowOf(view)]}>
      <Loaded
        of={top}
        height={290}
        empty={(t) => (t.items.length === 0 ? `No ${title.toLowerCase()} in this window.` : null)}
      >
        {(t) => <Bars top={t} view={view} />}
      </Loaded>
    </Panel>
  );
}

function QuickRule() {
  const [, change] = useView();
  return (
    <Panel title="New rule">
      <RuleEditor compact onSaved={(rule) => change({ rule: rule.id }, "/")} />
    </Panel>
  );
}

