// The console's API: JSON in, JSON out, errors as {"error":{code,message,field}}.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { parseJson, toJson } from "./money";

export const ROOT = "/console/api";
export const PAGE_ROWS = 50;

export interface Finding {
  line?: number;
  column?: number;
  key?: string;
  message: string;
}

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly field: string | null,
    readonly findings: Finding[],
  ) {
    super(message);
  }
}

/** Called when something is refused for who asks: the session has ended, is somebody else's, or has another role by now. */
let onRefused: () => void = () => {};
export function whenRefused(act: () => void): void {
  onRefused = act;
}

/** For whom this page is: the gateway does nothing of what it asks for when somebody else is signed in by now. */
let shownTo: number | null = null;
export function showTo(person: number | null): void {
  shownTo = person;
}
export function shownNow(): number | null {
  return shownTo;
}

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** As: for whom it is asked; null: for whoever is signed in. */
export async function call<T>(method: Method, path: string, body?: unknown, signal?: AbortSignal, as: number | null = shownTo): Promise<T> {
  const headers: Record<string, string> = as === null ? {} : { "x-tollgate-person": String(as) };
  const request: RequestInit = { method, credentials: "same-origin", cache: "no-store", redirect: "error", headers };
  if (signal) request.signal = signal;
  if (body !== undefined) {
    headers["content-type"] = "application/json";
    request.body = toJson(body);
  }
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(path.startsWith("/console/") ? path : ROOT + path, request);
    text = await answer.text();
  } catch (failure) {
    if (signal?.aborted) throw failure;
    throw new ApiError(0, "OFFLINE", "", null, []);
  }
  let read: unknown = null;
  try {
    read = text === "" ? null : parseJson(text);
  } catch {
    throw new ApiError(answer.status, "UNREADABLE", "", null, []);
  }
  if (answer.ok) return read as T;
  const failure = errorOf(answer.status, read);
  if ((answer.status === 401 || answer.status === 403) && as !== null) onRefused();
  throw failure;
}

function errorOf(status: number, read: unknown): ApiError {
  const error = object(object(read)["error"]);
  const text = (name: string) => (typeof error[name] === "string" ? (error[name] as string) : null);
  return new ApiError(status, text("code") ?? `HTTP_${status}`, text("message") ?? "", text("field"), findingsOf(read));
}

function object(value: unknown): Record<string, unknown> {
  return value && typeof value === "object" ? (value as Record<string, unknown>) : {};
}

/** The list of places in a file that are wrong, whichever field it stands in. */
export function findingsOf(read: unknown): Finding[] {
  for (const holder of [object(object(read)["error"]), object(read)]) {
    for (const value of Object.values(holder)) {
      if (Array.isArray(value) && value.length > 0 && value.every((entry) => typeof object(entry)["message"] === "string")) {
        return value as Finding[];
      }
    }
  }
  return [];
}

export interface Loaded<T> {
  data: T | null;
  error: ApiError | null;
  loading: boolean;
  reload: () => Promise<void>;
  /** Takes over what a change has answered: it is newer than whatever is being loaded. */
  take: (change: (data: T) => T) => void;
}

/** What came of asking, and where. */
export interface Asked<T> {
  path: string | null;
  data: T | null;
  error: ApiError | null;
  loading: boolean;
}

/** What is known of a path: what came from another one is not. */
export function knownOf<T>(path: string | null, asked: Asked<T>): Asked<T> {
  return asked.path === path ? asked : { path, data: null, error: null, loading: path !== null };
}

/** Loads what a page shows; what is shown stays while it is loaded anew from the same path. No path: nothing is asked for. */
export function useLoad<T>(path: string | null): Loaded<T> {
  const [asked, setState] = useState<Asked<T>>({ path, data: null, error: null, loading: path !== null });
  const running = useRef<AbortController | null>(null);
  const reload = useCallback(async () => {
    running.current?.abort();
    if (path === null) return;
    const mine = new AbortController();
    running.current = mine;
    setState((before) => ({ ...knownOf(path, before), loading: true }));
    try {
      const data = await call<T>("GET", path, undefined, mine.signal);
      if (!mine.signal.aborted) setState({ path, data, error: null, loading: false });
    } catch (failure) {
      if (mine.signal.aborted) return;
      const error = failure instanceof ApiError ? failure : new ApiError(0, "BROKEN", String(failure), null, []);
      setState((before) => ({ path, data: knownOf(path, before).data, error, loading: false }));
    }
  }, [path]);
  const take = useCallback(
    (change: (data: T) => T) => {
      running.current?.abort();
      setState((before) => {
        const { data } = knownOf(path, before);
        return { path, data: data === null ? null : change(data), error: null, loading: false };
      });
    },
    [path],
  );
  useEffect(() => {
    void reload();
    return () => running.current?.abort();
  }, [reload]);
  // The path may have changed since, and nothing is known of the new one yet.
  const { data, error, loading } = knownOf(path, asked);
  return { data, error, loading, reload, take };
}

/** Loads anew every so often, while the page is seen. */
export function useRefresh(reload: () => Promise<void>, everyMs: number): void {
  useEffect(() => {
    const timer = setInterval(() => void (document.hidden || reload()), everyMs);
    return () => clearInterval(timer);
  }, [reload]);
}

export interface Listing<T> {
  items: T[];
  next?: string | number | null;
}

/** A list, whether it comes as {"items":[…]} or bare. */
export function items<T>(listing: Listing<T> | T[] | null | undefined): T[] {
  return Array.isArray(listing) ? listing : (listing?.items ?? []);
}

/** A list by pages: only one page is ever held. */
export function usePages<T>(path: string, query: Record<string, string>, rows = PAGE_ROWS) {
  const base = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "")).toString();
  const [cursors, setCursors] = useState<{ base: string; stack: string[] }>({ base, stack: [] });
  const stack = cursors.base === base ? cursors.stack : [];
  const search = new URLSearchParams(base);
  search.set("limit", String(rows));
  const last = stack[stack.length - 1];
  if (last !== undefined) search.set("cursor", last);
  const loaded = useLoad<Listing<T> | T[]>(`${path}?${search}`);
  const next = loaded.data && !Array.isArray(loaded.data) ? (loaded.data.next ?? null) : null;
  return {
    ...loaded,
    rows: loaded.data ? items(loaded.data) : null,
    page: stack.length + 1,
    forward: next === null ? null : () => setCursors({ base, stack: [...stack, String(next)] }),
    back: stack.length === 0 ? null : () => setCursors({ base, stack: stack.slice(0, -1) }),
    first: () => setCursors({ base, stack: [] }),
  };
}
