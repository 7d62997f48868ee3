import { createContext, useContext, useEffect, useRef, useState } from "react";
import type { Events, Stream } from "./stream";

export const StreamContext = createContext<Stream | null>(null);

export function useStream(): Stream {
  const stream = useContext(StreamContext);
  if (stream === null) throw new Error("no stream above this component");
  return stream;
}

/** Call `handler` with every event of a kind while the component is there. */
export function useEvent<K extends keyof Events>(kind: K, handler: (data: Events[K]) => void): void {
  const stream = useStream();
  const newest = useRef(handler);
  newest.current = handler;
  useEffect(() => stream.on(kind, (data) => newest.current(data)), [stream, kind]);
}

/** Draw again whenever the state of the connection changed. */
export function useLiveState(): Stream {
  const stream = useStream();
  const [, draw] = useState(0);
  useEffect(() => stream.watch(() => draw((n) => n + 1)), [stream]);
  return stream;
}

/** The time, each `every` milliseconds. */
export function useNow(every: number): number {
  const [now, set] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => set(Date.now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}

/** A function that calls `act` at most once in `wait` ms, and surely after the last call. */
export function useThrottled(act: () => void, wait: number): () => void {
  const newest = useRef(act);
  newest.current = act;
  const timer = useRef<number | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  return () => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      if (!document.hidden) newest.current();
    }, wait) as unknown as number;
  };
}
