// What pages ask the server for; one place for keys, so that live events know what to refresh.

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { api, bodyOf, type Post } from "../api/client";
import { useEvent } from "../live/useLive";
import { RANGES, type View } from "../state/url";

export function useRules() {
  const client = useQueryClient();
  useEvent("rules", () => void client.invalidateQueries({ queryKey: ["rules"] }));
  return useQuery({
    queryKey: ["rules"],
    queryFn: () => bodyOf(api.GET("/api/v1/rules", { params: { query: { limit: 200 } } })),
    refetchInterval: 15_000,
  });
}

export function useRuleNames(): ReadonlyMap<number, string> {
  const rules = useRules().data;
  return useMemo(() => new Map(rules?.items.map((r) => [r.id, r.name])), [rules]);
}

export function useSources() {
  return useQuery({
    queryKey: ["sources"],
    queryFn: () => bodyOf(api.GET("/api/v1/sources")),
    refetchInterval: 3_000,
  });
}

export function useSystem() {
  return useQuery({
    queryKey: ["system"],
    queryFn: () => bodyOf(api.GET("/api/v1/system")),
    refetchInterval: 5_000,
  });
}

export function useCounts() {
  return useQuery({
    queryKey: ["counts"],
    queryFn: () => bodyOf(api.GET("/api/v1/counts", { params: { query: {} } })),
    refetchInterval: 5_000,
  });
}

export function useGaps() {
  return useQuery({
    queryKey: ["gaps"],
    queryFn: () => bodyOf(api.GET("/api/v1/gaps", { params: { query: { limit: 50 } } })),
    refetchInterval: 15_000,
  });
}

export function useSeries(view: View, by: "source" | undefined) {
  return useQuery({
    queryKey: ["series", view.range, view.rule, view.source, view.variant, by],
    queryFn: () =>
      bodyOf(
        api.GET("/api/v1/windows", {
          params: {
            query: {
              since: since(view),
              rule: [view.rule ?? 0],
              variant: view.variant,
              ...(view.source ? { source: view.source } : {}),
              ...(by ? { by } : {}),
            },
          },
        }),
      ),
  });
}

const WINDOWS = { "15m": "5m", "1h": "60m", "6h": "60m", "24h": "1d", "7d": "1d" } as const;

/** The width that a top list shows for a range of the chart. */
export const windowOf = (view: View): "5m" | "60m" | "1d" => WINDOWS[view.range];

export function useTop(facet: string, view: View, limit = 10) {
  return useQuery({
    queryKey: ["top", facet, windowOf(view), view.rule, view.source, view.variant, limit],
    queryFn: () =>
      bodyOf(
        api.GET("/api/v1/top", {
          params: {
            query: {
              facet: facet as "hashtag",
              window: windowOf(view),
              rule: view.rule ?? 0,
              variant: view.variant,
              limit,
              ...(view.source ? { source: view.source } : {}),
            },
          },
        }),
      ),
  });
}

export function newest(view: View, limit: number): Promise<{ items: Post[]; as_of: string }> {
  return bodyOf(
    api.GET("/api/v1/posts", {
      params: {
        query: {
          limit,
          ...(view.rule ? { rule: [view.rule] } : {}),
          ...(view.source ? { source: [view.source] } : {}),
        },
      },
    }),
  );
}

function since(view: View): string {
  return new Date(Date.now() - RANGES[view.range] * 1000).toISOString();
}
