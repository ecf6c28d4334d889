// Pages by address, below /console.
import type { ComponentChildren } from "preact";
import { Watched, useWatched } from "./store";

const BASE = "/console";

export interface Place {
  path: string;
  query: URLSearchParams;
}

function here(): Place {
  const path = location.pathname.startsWith(BASE) ? location.pathname.slice(BASE.length) : location.pathname;
  return { path: `/${path.replace(/^\/+|\/+$/g, "")}`, query: new URLSearchParams(location.search) };
}

const place = new Watched<Place>({ path: "/", query: new URLSearchParams() });

export function startRouter(): void {
  place.set(here());
  addEventListener("popstate", () => place.set(here()));
}

export function usePlace(): Place {
  return useWatched(place);
}

export function go(to: string, replace = false): void {
  const url = BASE + (to === "/" ? "/" : to);
  if (replace) history.replaceState(null, "", url);
  else history.pushState(null, "", url);
  place.set(here());
  if (!replace) scrollTo(0, 0);
}

/** Keeps a page's filters in its address; empty ones are left out. */
export function setQuery(changes: Record<string, string | null>): void {
  const now = place.get();
  const query = new URLSearchParams(now.query);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  go(now.path + (text ? `?${text}` : ""), true);
}

interface LinkProps {
  to: string;
  children: ComponentChildren;
  class?: string;
  title?: string;
  "aria-label"?: string;
  "aria-current"?: "page" | undefined;
}

export function Link({ to, children, ...rest }: LinkProps) {
  const follow = (event: MouseEvent) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
  return (
    <a {...rest} href={BASE + to} onClick={follow}>
      {children}
    </a>
  );
}

/** An address with a query, names and values escaped. */
export function withQuery(path: string, query: Record<string, string>): string {
  const text = new URLSearchParams(query).toString();
  return text ? `${path}?${text}` : path;
}
