import createClient from "openapi-fetch";
import type { components, paths } from "./schema.gen";
import { ProblemError } from "./problems";

export type Schemas = components["schemas"];
export type Post = Schemas["Post"];
export type Rule = Schemas["Rule"];
export type Gap = Schemas["Gap"];
export type SeriesSet = Schemas["SeriesSet"];
export type Top = Schemas["Top"];
export type SourceState = Schemas["SourceState"];
export type RuleTestOut = Schemas["RuleTestOut"];

export const api = createClient<paths>({ baseUrl: "/" });

api.use({
  async onResponse({ response }) {
    if (response.ok) return undefined;
    if (response.status === 401) signIn();
    throw await ProblemError.from(response);
  },
});

/** Leave for the sign-in page, and come back to where we are. */
export function signIn(): void {
  const here = location.pathname + location.search;
  location.assign(`/sign-in?next=${encodeURIComponent(here)}`);
}

/** The body of an answer; every failure was thrown before. */
export async function bodyOf<T>(call: Promise<{ data?: T }>): Promise<T> {
  const { data } = await call;
  return data as T;
}
