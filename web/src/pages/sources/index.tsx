import { useEffect } from "react";
import type { Schemas, SourceState } from "../../api/client";
import { bytes, moment, number, past, rate } from "../../state/format";
import { networkName } from "../../ui/networks";
import { Loaded, Panel } from "../../ui/Panel";
import { useCounts, useGaps, useSources, useSystem } from "../queries";

const GOOD = new Set(["live", "done"]);
const BAD = new Set(["waiting", "held", "failed", "stopped"]);
const CLASSES = [
  "consumed",
  "unique",
  "duplicate",
  "updates",
  "deletes",
  "interactions",
  "control",
  "quarantined",
  "matched",
  "stored",
  "copies",
  "reposts",
  "late",
] as const;

export function Sources() {
  useEffect(() => {
    document.title = "Sources · Earshot";
  }, []);
  return (
    <>
      <div className="page-head">
        <h1>Sources</h1>
      </div>
      <Connections />
      <Gaps />
      <Counted />
      <Machine />
    </>
  );
}

function Connections() {
  const sources = useSources();
  return (
    <Panel title="Connections">
      <Loaded
        of={sources}
        height={120}
        empty={(s) => (s.items.length === 0 ? "Nothing is collected yet: start with `earshot up`." : null)}
      >
        {(s) => (
          <ul className="cards">
            {s.items.map((source) => (
              <Connection key={source.connection} source={source} />
            ))}
          </ul>
        )}
      </Loaded>
    </Panel>
  );
}

function Connection({ source }: { source: SourceState }) {
  const mood = GOOD.has(source.state) ? "ok" : BAD.has(source.state) ? "bad" : "warn";
  return (
    <li className="card">
      <div className="row">
        <h3>{source.connection}</h3>
        <span className={`badge ${mood}`}>{source.state.replace("_", " ")}</span>
        <span className="quiet">{networkName(source.source)}</span>
      </div>
      <p className="quiet">
        {source.rate != null && `${rate(source.rate)} records a second. `}
        {source.records != null && `${number(source.records)} since it was started. `}
        {source.age_seconds != null && `The last one ${past(source.age_seconds)}. `}
      </p>
      {source.detail && <p>{source.detail}</p>}
    </li>
  );
}

function Gaps() {
  const gaps = useGaps();
  return (
    <Panel title="Gaps" note="Spans in which posts may have been lost">
      <Loaded
        of={gaps}
        height={80}
        empty={(g) => (g.items.length === 0 ? "None: as far as is known, collection is whole." : null)}
      >
        {(g) => (
          <div className="table-scroll">
            <table>
              <thead>
                <tr>
                  <th>From</th>
                  <th>Until</th>
                  <th>Connection</th>
                  <th>Reason</th>
                  <th>Detail</th>
                </tr>
              </thead>
              <tbody>
                {g.items.map((gap) => (
                  <tr key={`${gap.connection}${gap.since}${gap.reason}`}>
                    <td>{moment(gap.since)}</td>
                    <td>{moment(gap.until)}</td>
                    <td>{gap.connection}</td>
                    <td>{gap.reason.replace("_", " ")}</td>
                    <td>{gap.detail}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Loaded>
    </Panel>
  );
}

function Counted() {
  const counts = useCounts();
  return (
    <Panel title="Every record is accounted for" note="since the beginning">
      <Loaded of={counts} height={300}>
        {(c: Schemas["Counts"]) => {
          const sources = Object.entries(c.by_source);
          return (
            <div className="table-scroll">
              <table>
                <thead>
                  <tr>
                    <th>Class</th>
                    <th className="num">All</th>
                    {sources.map(([name]) => (
                      <th key={name} className="num">
                        {networkName(name)}
                      </th>
                    ))}
                  </tr>
                </thead>
                <tbody>
                  {CLASSES.map((name) => (
                    <tr key={name}>
                      <td>{name}</td>
                      <td className="num">{number(c[name])}</td>
                      {sources.map(([source, n]) => (
                        <td key={source} className="num">
                          {number(n[name])}
                        </td>
                      ))}
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          );
        }}
      </Loaded>
    </Panel>
  );
}

function engineState(engine: Schemas["Engine"]): string {
  if (!engine.running) return "down";
  return engine.trouble ? "held" : "runs";
}

function Machine() {
  const system = useSystem();
  return (
    <Panel title="Engine and storage">
      <Loaded of={system} height={120}>
        {(s) => (
          <dl className="figures">
            <Figure name="Engine" value={engineState(s.engine)} more={s.engine.trouble ?? `build ${s.build}`} />
            <Figure
              name="Worked off"
              value={number(s.engine.records ?? 0)}
              more={`records, ${number(s.engine.lag_records ?? 0)} waiting`}
            />
            <Figure name="Store" value={bytes(s.store_bytes)} more={`of ${s.keep.gigabytes} GB, ${s.keep.days} days`} />
            <Figure name="Log" value={bytes(s.log_bytes)} more={`records ${number(s.log_oldest)} to ${number(s.log_head)}`} />
            <Figure name="Memory of the engine" value={`${number(Math.round(s.engine.rss_mb ?? 0))} MB`} more="resident" />
          </dl>
        )}
      </Loaded>
    </Panel>
  );
}

function Figure({ name, value, more }: { name: string; value: string; more: string }) {
  return (
    <div className="figure">
      <dt>{name}</dt>
      <dd>{value}</dd>
      <dd>{more}</dd>
    </div>
  );
}
