// Who is logged in. Secrets of keys made here are kept too, in memory alone, for the playground.
import { ApiError, call, showTo, whenRefused } from "./api";
import { forget, kept } from "./kept";
import { Watched } from "./store";
import type { Role, Session } from "./types";

/** The password of this login, when it is one that the gateway made up: it is to be changed first. In memory alone. */
export const madeUp = kept<string | null>(null, "session");
const MADE_UP = /^[a-km-z2-9]{32}$/;

export function noteLogin(password: string): void {
  madeUp.set(MADE_UP.test(password) ? password : null);
}

/** Undefined while it is not known yet; null: nobody. */
export const session = new Watched<Session | null | undefined>(undefined);

/** Who has taken the place of another person here, by logging in from another tab. */
export const instead = new Watched<string | null>(null);

export interface FreshKey {
  name: string;
  secret: string;
}
export const freshKeys = kept<readonly FreshKey[]>([], "session");

const RANKS: Record<Role, number> = { user: 0, operator: 1, admin: 2 };

export function may(role: Role): boolean {
  const person = session.get()?.person;
  return person !== undefined && (RANKS[person.role] ?? 0) >= RANKS[role];
}

export function ended(): void {
  forget("session");
  showTo(null);
  session.set(null);
}

/** Who was logged in last, here. */
let last: number | null = null;

function begun(found: Session): void {
  const { id, name } = found.person;
  const before = session.get()?.person.id;
  const isInstead = before !== undefined && before !== id;
  if (isInstead) ended();
  if (last !== id) forget("person");
  last = id;
  showTo(id);
  session.set(found);
  if (isInstead) instead.set(name);
}

export async function refreshSession(): Promise<void> {
  // Whoever it is: not only the one for whom this page was made.
  begun(await call<Session>("GET", "/session", undefined, undefined, null));
}

let looking: Promise<void> | null = null;

/** Looks whether it is still the same person who is logged in: all tabs of a browser share that. */
export function lookAgain(): Promise<void> {
  looking ??= refreshSession()
    .catch((error: unknown) => {
      if (error instanceof ApiError && error.status === 401) ended();
    })
    .finally(() => (looking = null));
  return looking;
}

whenRefused(() => {
  if (session.get()) void lookAgain();
});

export async function logOut(): Promise<void> {
  await call("DELETE", "/session");
  ended();
}

export function keepFresh(name: string, secret: string): void {
  freshKeys.set([{ name, secret }, ...freshKeys.get().filter((key) => key.name !== name)]);
}
