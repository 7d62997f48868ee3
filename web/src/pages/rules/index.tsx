import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link } from "wouter";
import { api, bodyOf, type Rule } from "../../api/client";
import { useNow } from "../../live/useLive";
import { number, past } from "../../state/format";
import { Failure, Loaded, Panel } from "../../ui/Panel";
import { useRules } from "../queries";
import { RuleEditor } from "./RuleEditor";

export function Rules() {
  const rules = useRules();
  const [editing, edit] = useState<Rule | null>(null);
  useEffect(() => {
    document.title = "Rules · Earshot";
  }, []);
  return (
    <>
      <div className="page-head">
        <h1>Rules</h1>
      </div>
      <div className="two">
        <Panel title={editing ? `Change “${editing.name}”` : "New rule"}>
          <RuleEditor
            key={editing ? `${editing.id}.${editing.version}` : "new"}
            rule={editing ?? undefined}
            onSaved={() => edit(null)}
            onCancel={editing ? () => edit(null) : undefined}
          />
        </Panel>
        <Panel title="Rules" busy={rules.isFetching} note={rules.data ? number(rules.data.total) : ""}>
          <Loaded
            of={rules}
            height={320}
            empty={(page) =>
              page.items.length === 0
                ? "No rule yet. Every post is collected all the same; a rule picks out what you care for."
                : null
            }
          >
            {(page) => (
              <ul className="cards">
                {page.items.map((rule) => (
                  <RuleCard key={rule.id} rule={rule} onEdit={() => edit(rule)} />
                ))}
              </ul>
            )}
          </Loaded>
        </Panel>
      </div>
    </>
  );
}

function RuleCard({ rule, onEdit }: { rule: Rule; onEdit: () => void }) {
  const client = useQueryClient();
  const now = useNow(10_000);
  const [sure, ask] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const remove = async () => {
    try {
      await bodyOf(api.DELETE("/api/v1/rules/{rule}", { params: { path: { rule: rule.id } } }));
      await client.invalidateQueries({ queryKey: ["rules"] });
    } catch (error) {
      setProblem(error);
    }
  };
  return (
    <li className="card">
      <div className="row">
        <h3>{rule.name}</h3>
        <span className="quiet small">
          {number(rule.hits.matched)} posts
          {rule.last_hit ? `, newest ${past((now - Date.parse(rule.last_hit)) / 1000)}` : ""}
        </span>
      </div>
      <p className="expression" dir="auto">
        {rule.text}
      </p>
      <div className="row">
        <Link className="button" href={`/?rule=${rule.id}`}>
          Watch
        </Link>
        <Link className="button" href={`/posts?rule=${rule.id}`}>
          Posts
        </Link>
        <button type="button" className="button" onClick={onEdit}>
          Change
        </button>
        {sure ? (
          <>
            <button type="button" className="button danger" onClick={() => void remove()}>
              End it; what it found stays
            </button>
            <button type="button" className="button plain" onClick={() => ask(false)}>
              Keep
            </button>
          </>
        ) : (
          <button type="button" className="button plain danger" onClick={() => ask(true)}>
            Delete
          </button>
        )}
        <span className="quiet small">version {rule.version}</span>
      </div>
      {problem !== null && <Failure error={problem} />}
    </li>
  );
}
