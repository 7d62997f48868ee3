import { networkName } from "../../ui/networks";
import { RANGES, type Range, type View } from "../../state/url";
import { useCounts, useRules } from "../queries";

interface ViewBarProps {
  view: View;
  change: (change: Partial<View>) => void;
}

/** Range, rule, source and how copies count: the same bar, the same URL keys, on every reading page. */
export function ViewBar({ view, change }: ViewBarProps) {
  const rules = useRules().data?.items ?? [];
  const sources = Object.keys(useCounts().data?.by_source ?? {}).filter((s) => s !== "earshot");
  return (
    <div className="row">
      <select
        aria-label="Rule"
        value={view.rule ?? ""}
        onChange={(e) => change({ rule: Number(e.currentTarget.value) || null })}
      >
        <option value="">All posts</option>
        {rules.map((rule) => (
          <option key={rule.id} value={rule.id}>
            {rule.name}
          </option>
        ))}
      </select>
      <select
        aria-label="Source"
        value={view.source ?? ""}
        onChange={(e) => change({ source: e.currentTarget.value || null })}
      >
        <option value="">All sources</option>
        {sources.map((source) => (
          <option key={source} value={source}>
            {networkName(source)}
          </option>
        ))}
      </select>
      <select
        aria-label="Copies"
        title="A copy has the same text as an earlier post"
        value={view.variant}
        onChange={(e) => change({ variant: e.currentTarget.value === "once" ? "once" : "all" })}
      >
        <option value="all">Count copies</option>
        <option value="once">Count once</option>
      </select>
      <div className="segments" role="group" aria-label="Range">
        {(Object.keys(RANGES) as Range[]).map((range) => (
          <button
            key={range}
            type="button"
            aria-pressed={view.range === range}
            onClick={() => change({ range })}
          >
            {range}
          </button>
        ))}
      </div>
    </div>
  );
}
