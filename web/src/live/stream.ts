// One connection to the server's change feed, shared by everything on the page.

import type { Schemas } from "../api/client";

export type LiveState = "connecting" | "live" | "reconnecting";

export interface Events {
  hello: Schemas["StreamHello"];
  posts: Schemas["StreamPosts"];
  correction: Schemas["StreamCorrection"];
  windows: Schemas["StreamWindows"];
  gap: Schemas["StreamGap"];
  rules: Schemas["StreamRules"];
  lagged: Schemas["StreamLagged"];
  reset: Schemas["StreamReset"];
  tick: Schemas["StreamTick"];
}

type Kind = keyof Events;
type Handler<K extends Kind> = (data: Events[K]) => void;

const KINDS: Kind[] = ["hello", "posts", "correction", "windows", "gap", "rules", "lagged", "reset", "tick"];
const SILENCE_MS = 25_000;
const BACKOFF_MS = [1000, 2000, 4000, 8000, 15000, 30000];

export class Stream {
  state: LiveState = "connecting";
  lastEventAt = Date.now();
  lastTick: Events["tick"] | null = null;
  build: string | null = null;

  private source: EventSource | null = null;
  private topics = "";
  private after: string | null = null;
  private tries = 0;
  private timer: number | undefined;
  private readonly handlers = new Map<Kind, Set<Handler<never>>>();
  private readonly watchers = new Set<() => void>();
  private readonly watchdog: number;

  constructor(private readonly onSignedOut: () => void) {
    this.watchdog = setInterval(() => this.lookForSilence(), 5000) as unknown as number;
  }

  /** Follow these topics; the same again changes nothing. */
  follow(topics: string[]): void {
    const wanted = [...topics].sort().join(",");
    if (wanted === this.topics) return;
    this.topics = wanted;
    this.connect();
  }

  on<K extends Kind>(kind: K, handler: Handler<K>): () => void {
    const all = this.handlers.get(kind) ?? new Set();
    all.add(handler as Handler<never>);
    this.handlers.set(kind, all);
    return () => all.delete(handler as Handler<never>);
  }

  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  close(): void {
    clearInterval(this.watchdog);
    clearTimeout(this.timer);
    this.source?.close();
  }

  private connect(): void {
    this.source?.close();
    clearTimeout(this.timer);
    const query = new URLSearchParams({ topics: this.topics });
    if (this.after !== null) query.set("after", this.after);
    const source = new EventSource(`/api/v1/stream?${query}`);
    this.source = source;
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => this.take(kind, event as MessageEvent<string>));
    }
    source.onerror = () => this.retry();
  }

  private take(kind: Kind, event: MessageEvent<string>): void {
    this.lastEventAt = Date.now();
    this.tries = 0;
    if (event.lastEventId) this.after = event.lastEventId;
    const data = JSON.parse(event.data) as never;
    if (kind === "hello") this.build = (data as Events["hello"]).build;
    if (kind === "reset") this.after = null;
    if (kind === "tick") this.lastTick = data;
    this.set("live");
    if (kind === "tick" || kind === "hello") this.tell();
    for (const handler of this.handlers.get(kind) ?? []) handler(data);
  }

  private retry(): void {
    // The browser would retry by itself, but neither with back-off nor after an error status.
    this.source?.close();
    this.source = null;
    this.set("reconnecting");
    clearTimeout(this.timer);
    const wait = BACKOFF_MS[Math.min(this.tries, BACKOFF_MS.length - 1)]!;
    this.tries += 1;
    this.timer = setTimeout(() => void this.again(), wait * (0.75 + Math.random() / 2)) as unknown as number;
  }

  private async again(): Promise<void> {
    try {
      const me = await fetch("/api/v1/me", { headers: { accept: "application/json" } });
      if (me.status === 401) return this.onSignedOut();
    } catch {
      // the server is away: the next try will tell
    }
    this.connect();
  }

  private lookForSilence(): void {
    if (this.source !== null && Date.now() - this.lastEventAt > SILENCE_MS) this.retry();
    else this.tell();
  }

  private set(state: LiveState): void {
    if (state === this.state) return;
    this.state = state;
    this.tell();
  }

  private tell(): void {
    for (const watcher of this.watchers) watcher();
  }
}
