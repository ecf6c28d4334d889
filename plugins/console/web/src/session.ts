// Who is logged in. Secrets of keys made here are kept too, in memory alone, for the playground.
import { call, whenSessionEnds } from "./api";
import { Watched } from "./store";
import type { Role, Session } from "./types";

/** The password of this login, when it is one that the gateway made up: it is to be changed first. In memory alone. */
export const madeUp = new Watched<string | null>(null);
const MADE_UP = /^[a-km-z2-9]{32}$/;

export function noteLogin(password: string): void {
  madeUp.set(MADE_UP.test(password) ? password : null);
}

/** Undefined while it is not known yet; null: nobody. */
export const session = new Watched<Session | null | undefined>(undefined);

export interface FreshKey {
  name: string;
  secret: string;
}
export const freshKeys = new Watched<FreshKey[]>([]);

const RANKS: Record<Role, number> = { user: 0, operator: 1, admin: 2 };

export function may(role: Role): boolean {
  const person = session.get()?.person;
  return person !== undefined && (RANKS[person.role] ?? 0) >= RANKS[role];
}

export function ended(): void {
  freshKeys.set([]);
  madeUp.set(null);
  session.set(null);
}
whenSessionEnds(() => {
  if (session.get()) ended();
});

export async function refreshSession(): Promise<void> {
  session.set(await call<Session>("GET", "/session"));
}

export async function logOut(): Promise<void> {
  await call("DELETE", "/session");
  ended();
}

export function keepFresh(name: string, secret: string): void {
  freshKeys.set([{ name, secret }, ...freshKeys.get().filter((key) => key.name !== name)]);
}
