// Problem details (RFC 9457) as errors that a person can act on.

export interface ErrorItem {
  pointer: string;
  code: string;
  detail: string;
  hint?: string;
  offset?: number | null;
  length?: number | null;
}

export class ProblemError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly code: string = "",
    readonly instance: string = "",
    readonly errors: ErrorItem[] = [],
  ) {
    super(detail);
  }

  static async from(response: Response): Promise<ProblemError> {
    let body: Partial<ProblemError> = {};
    try {
      body = (await response.json()) as Partial<ProblemError>;
    } catch {
      // not a problem document: a proxy's page, perhaps; the status has to do
    }
    return new ProblemError(
      response.status,
      body.title ?? `The server answered ${response.status}`,
      body.detail ?? "Try again; if it stays so, look at the server's log.",
      body.code ?? "",
      body.instance ?? "",
      body.errors ?? [],
    );
  }

  static of(error: unknown): ProblemError {
    if (error instanceof ProblemError) return error;
    return new ProblemError(
      0,
      "Earshot does not answer",
      "Is it still running? The page tries again by itself.",
      "unreachable",
    );
  }
}
