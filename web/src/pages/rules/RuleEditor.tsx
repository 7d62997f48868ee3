import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState, type FormEvent } from "react";
import { api, bodyOf, type Rule, type RuleTestOut } from "../../api/client";
import { ProblemError } from "../../api/problems";
import { useNow } from "../../live/useLive";
import { number, rate } from "../../state/format";
import { Failure } from "../../ui/Panel";
import { PostCard } from "../../ui/PostCard";
import { useRuleNames } from "../queries";

interface RuleEditorProps {
  rule?: Rule;
  compact?: boolean;
  onSaved: (rule: Rule) => void;
  onCancel?: () => void;
}

type Verdict =
  | { kind: "empty" }
  | { kind: "checking" }
  | { kind: "wrong"; detail: string; hint: string; offset: number; length: number }
  | { kind: "good"; found: RuleTestOut | null }
  | { kind: "failed"; error: unknown };

const WAIT_MS = 250;

/** An expression, judged while it is typed: where it is wrong, or what it would have found. */
export function RuleEditor({ rule, compact = false, onSaved, onCancel }: RuleEditorProps) {
  const [name, setName] = useState(rule?.name ?? "");
  const [text, setText] = useState(rule?.text ?? "");
  const [saving, setSaving] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const verdict = useVerdict(text, compact ? 0 : 5);
  const client = useQueryClient();
  const id = rule?.id ?? "new";

  const save = async (event: FormEvent) => {
    event.preventDefault();
    setSaving(true);
    setProblem(null);
    try {
      const saved = rule
        ? await bodyOf(
            api.PATCH("/api/v1/rules/{rule}", {
              params: { path: { rule: rule.id }, header: { "if-match": `"${rule.version}"` } },
              body: { name, text },
            }),
          )
        : await bodyOf(api.POST("/api/v1/rules", { body: { name: name.trim() || text.slice(0, 60), text } }));
      await client.invalidateQueries({ queryKey: ["rules"] });
      if (!rule) {
        setName("");
        setText("");
      }
      onSaved(saved);
    } catch (error) {
      setProblem(error);
    } finally {
      setSaving(false);
    }
  };

  return (
    <form className="form" onSubmit={(e) => void save(e)}>
      <div className="field">
        <label htmlFor={`rule-text-${id}`}>What do you listen for?</label>
        <Expression id={`rule-text-${id}`} text={text} onText={setText} verdict={verdict} />
        <Judgement verdict={verdict} />
      </div>
      <div className="row">
        <input
          className="grow"
          aria-label="Name of the rule"
          placeholder="Name (optional)"
          maxLength={200}
          value={name}
          onInput={(e) => setName(e.currentTarget.value)}
        />
        <button type="submit" className="button primary" disabled={saving || verdict.kind !== "good"}>
          {saving ? "Saving …" : rule ? "Save version" : "Save rule"}
        </button>
        {onCancel && (
          <button type="button" className="button" onClick={onCancel}>
            Cancel
          </button>
        )}
      </div>
      {problem !== null && <Failure error={problem} />}
      {!compact && verdict.kind === "good" && verdict.found && <Samples found={verdict.found} />}
    </form>
  );
}

interface ExpressionProps {
  id: string;
  text: string;
  onText: (text: string) => void;
  verdict: Verdict;
}

function Expression({ id, text, onText, verdict }: ExpressionProps) {
  const points = [...text];
  const wrong = verdict.kind === "wrong" ? verdict : null;
  const from = wrong ? Math.min(wrong.offset, points.length) : points.length;
  const until = wrong ? Math.min(points.length, from + wrong.length) : points.length;
  const place = points.slice(from, until).join("");
  return (
    <div className="editor">
      <pre aria-hidden="true">
        {points.slice(0, from).join("")}
        {wrong && <mark>{place === "" ? " " : place}</mark>}
        {points.slice(until).join("")}{" "}
      </pre>
      <textarea
        id={id}
        value={text}
        rows={3}
        spellCheck={false}
        autoCapitalize="off"
        autoComplete="off"
        placeholder={'"night market" (music OR #music) -is:repost lang:en'}
        aria-invalid={wrong !== null}
        aria-describedby={`${id}-verdict`}
        onInput={(e) => onText(e.currentTarget.value)}
      />
    </div>
  );
}

function Judgement({ verdict }: { verdict: Verdict }) {
  switch (verdict.kind) {
    case "empty":
      return (
        <p className="verdict quiet">
          Words, "phrases", #tags, @names, OR, -not, (groups), and lang: from: domain: has: is: …
        </p>
      );
    case "checking":
      return <p className="verdict quiet">…</p>;
    case "failed":
      return <Failure error={verdict.error} />;
    case "wrong":
      return (
        <p className="verdict bad" role="status">
          <span aria-hidden="true">✕</span> {verdict.detail}
          {verdict.hint && <span className="quiet"> {verdict.hint}</span>}
        </p>
      );
    case "good":
      return (
        <p className="verdict good" role="status">
          <span aria-hidden="true">✓</span>{" "}
          {verdict.found
            ? `${verdict.found.complete ? "" : "at least "}${number(verdict.found.hits)} of ${number(verdict.found.posts)} stored posts, ${rate(verdict.found.rate_per_hour)} an hour`
            : "can be read; looking among the stored posts …"}
        </p>
      );
  }
}

function Samples({ found }: { found: RuleTestOut }) {
  const names = useRuleNames();
  const now = useNow(10_000);
  if (found.samples.length === 0) return <p className="quiet">Nothing stored matches; new posts may.</p>;
  return (
    <ul className="feed" aria-label="Newest stored posts it finds">
      {found.samples.map((post) => (
        <PostCard key={`${post.source} ${post.id}`} post={post} now={now} ruleNames={names} />
      ))}
    </ul>
  );
}

/** Ask for a judgement shortly after the last keystroke; only the newest answer counts. */
function useVerdict(text: string, samples: number): Verdict {
  const [verdict, set] = useState<Verdict>({ kind: "empty" });
  const asked = useRef(0);
  useEffect(() => {
    const mine = ++asked.current;
    const tell = (v: Verdict) => {
      if (asked.current === mine) set(v);
    };
    if (text.trim() === "") return tell({ kind: "empty" });
    const timer = setTimeout(() => void judge(text, samples, tell), WAIT_MS);
    return () => clearTimeout(timer);
  }, [text, samples]);
  return verdict;
}

async function judge(text: string, samples: number, tell: (v: Verdict) => void): Promise<void> {
  try {
    await bodyOf(api.POST("/api/v1/rules/validate", { body: { text } }));
    tell({ kind: "good", found: null });
    const found = await bodyOf(api.POST("/api/v1/rules/test", { body: { text, samples, variant: "all" } }));
    tell({ kind: "good", found });
  } catch (error) {
    const problem = ProblemError.of(error);
    const item = problem.errors[0];
    if (problem.code === "rule-syntax" && item) {
      tell({
        kind: "wrong",
        detail: item.detail,
        hint: item.hint ?? "",
        offset: item.offset ?? 0,
        length: item.length ?? 1,
      });
    } else {
      tell({ kind: "failed", error });
    }
  }
}
