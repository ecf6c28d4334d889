// A value that is sent when it has rested: by keyboard, a slider passes each one on its way.
import { shownNow } from "./api";

export const REST_MS = 400;

/** Sends the last value, one at a time, and as whoever the page was for when this was made: somebody else may have signed in since. */
export class Rested<T> {
  private readonly as = shownNow();
  private wanted: { value: T } | null = null;
  private isSending = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly send: (value: T, as: number | null) => Promise<void>) {}

  put(value: T): void {
    this.wanted = { value };
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.now(), REST_MS);
  }

  /** Whoever leaves it has set it. */
  async now(): Promise<void> {
    clearTimeout(this.timer);
    const { wanted } = this;
    if (wanted === null || this.isSending) return;
    this.wanted = null;
    this.isSending = true;
    await this.send(wanted.value, this.as);
    this.isSending = false;
    void this.now();
  }
}
