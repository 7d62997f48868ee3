import type { ReactNode } from "react";
import { ProblemError } from "../api/problems";

/** What every panel's content must be one of; a panel cannot forget a state. */
export interface Loadable<T> {
  data: T | undefined;
  error: unknown;
  isFetching: boolean;
  refetch: () => void;
}

interface PanelProps {
  title: string;
  note?: ReactNode;
  actions?: ReactNode;
  busy?: boolean;
  className?: string;
  children: ReactNode;
}

export function Panel({ title, note, actions, busy = false, className = "", children }: PanelProps) {
  return (
    <section className={`panel ${className}`} aria-busy={busy} aria-label={title}>
      <header>
        <h2>{title}</h2>
        {note !== undefined && <span className="note">{note}</span>}
        {actions}
      </header>
      <div className="body">{children}</div>
    </section>
  );
}

interface LoadedProps<T> {
  of: Loadable<T>;
  height: number;
  empty?: (data: T) => ReactNode | null;
  children: (data: T) => ReactNode;
}

/** First load, failure, emptiness or content; a refresh keeps what is shown. */
export function Loaded<T>({ of, height, empty, children }: LoadedProps<T>) {
  if (of.data === undefined) {
    if (of.error) return <Failure error={of.error} retry={of.refetch} />;
    return <Skeleton height={height} />;
  }
  const nothing = empty?.(of.data) ?? null;
  return (
    <>
      {of.error ? <Failure error={of.error} retry={of.refetch} stale /> : null}
      {nothing !== null ? <div className="empty">{nothing}</div> : children(of.data)}
    </>
  );
}

export function Skeleton({ height }: { height: number }) {
  return (
    <div>
      <span className="visually-hidden">Loading</span>
      <div className="skeleton" ref={(el) => void (el && (el.style.height = `${height}px`))} />
    </div>
  );
}

interface FailureProps {
  error: unknown;
  retry?: () => void;
  stale?: boolean;
}

export function Failure({ error, retry, stale = false }: FailureProps) {
  const problem = ProblemError.of(error);
  return (
    <div className="problem" role="alert">
      <strong>{problem.title}</strong>
      <span>{problem.detail}</span>
      {stale && <span className="quiet">What is shown is the last that was known.</span>}
      <span className="row">
        {retry && (
          <button type="button" className="button" onClick={retry}>
            Try again
          </button>
        )}
        {problem.instance && <code className="quiet small">{problem.instance}</code>}
      </span>
    </div>
  );
}
