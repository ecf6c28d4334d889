// What outlives a page, in this tab's memory alone. All of it is somebody's: whoever is signed in after them finds none of it.
import { Watched } from "./store";
import type { PriceFile } from "./types";

/** How long it is kept: as long as the session it was made in, or until somebody else signs in. Secrets go with the session. */
type Span = "session" | "person";

const all: { span: Span; forget: () => void }[] = [];

export function kept<T>(first: T, span: Span): Watched<T> {
  const watched = new Watched(first);
  all.push({ span, forget: () => watched.set(first) });
  return watched;
}

export function forget(span: Span): void {
  for (const one of all) if (one.span === span) one.forget();
}

/** A text of the price file that is not saved yet, and the version that it was made of. */
export type Draft = Pick<PriceFile, "text" | "version">;
export const draft = kept<Draft | null>(null, "person");
