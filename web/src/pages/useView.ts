import { useMemo } from "react";
import { useLocation, useSearch } from "wouter";
import { parseView, printView, type View } from "../state/url";

/** The view that the URL names, and how to change it. */
export function useView(): [View, (change: Partial<View>, path?: string) => void] {
  const search = useSearch();
  const [path, go] = useLocation();
  const view = useMemo(() => parseView(search), [search]);
  return [view, (change, to = path) => go(to + printView({ ...view, ...change }))];
}
