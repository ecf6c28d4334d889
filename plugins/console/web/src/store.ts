// What this browser remembers: theme and language, never a secret.
import { useEffect, useState } from "preact/hooks";

/** A value that components watch. */
export class Watched<T> {
  private watchers = new Set<() => void>();
  constructor(private value: T) {}

  get(): T {
    return this.value;
  }

  set(value: T): void {
    this.value = value;
    for (const watcher of [...this.watchers]) watcher();
  }

  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => void this.watchers.delete(watcher);
  }
}

export function useWatched<T>(watched: Watched<T>): T {
  const [, redraw] = useState(0);
  useEffect(() => watched.watch(() => redraw((count) => count + 1)), [watched]);
  return watched.get();
}

export function remembered(name: string): string | null {
  try {
    return localStorage.getItem(`tollgate.${name}`);
  } catch {
    return null;
  }
}

export function remember(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`tollgate.${name}`);
    else localStorage.setItem(`tollgate.${name}`, value);
  } catch {
    // Storage may be forbidden: the choice then lasts as long as the page.
  }
}

export type Theme = "auto" | "light" | "dark";

function asTheme(text: string | null): Theme {
  return text === "light" || text === "dark" ? text : "auto";
}

export const theme = new Watched<Theme>(asTheme(remembered("theme")));

export function setTheme(chosen: Theme): void {
  remember("theme", chosen === "auto" ? null : chosen);
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  theme.set(chosen);
}
