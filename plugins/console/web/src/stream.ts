// A chat through the gateway's own API, read as it comes.

export interface Turn {
  role: "system" | "user" | "assistant";
  content: string;
}

export interface ChatUsage {
  prompt_tokens?: number;
  completion_tokens?: number;
}

export interface Answered {
  requestId: string | null;
  upstream: string | null;
  usage: ChatUsage | null;
  finish: string | null;
}

export class ChatError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly requestId: string | null,
  ) {
    super(message);
  }
}

/** The answer had begun, and has no end. */
export class BrokenOff extends Error {
  constructor(readonly requestId: string | null) {
    super("the answer broke off");
  }
}

type Fields = Record<string, unknown>;
const fields = (value: unknown): Fields => (value && typeof value === "object" ? (value as Fields) : {});

/** Cuts a stream of server-sent events into the texts of its `data:` fields, wherever the pieces are cut. */
export class Events {
  private rest = "";

  push(piece: string): string[] {
    this.rest += piece;
    const blocks = this.rest.split(/\r?\n\r?\n/);
    this.rest = blocks.pop() ?? "";
    return blocks.map((block) =>
      block
        .split(/\r?\n/)
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).replace(/^ /, ""))
        .join("\n"),
    ).filter((text) => text !== "");
  }
}

export async function chat(secret: string, body: Fields, signal: AbortSignal, onText: (text: string, kind: "content" | "reasoning") => void): Promise<Answered> {
  const answer = await fetch("/v1/chat/completions", {
    method: "POST",
    credentials: "omit",
    cache: "no-store",
    signal,
    headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
    body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
  });
  const told: Answered = { requestId: answer.headers.get("x-request-id"), upstream: answer.headers.get("x-tollgate-upstream"), usage: null, finish: null };
  if (!answer.ok || !answer.body) throw refusal(answer.status, await answer.text(), told.requestId);
  const events = new Events();
  const decoder = new TextDecoder();
  const reader = answer.body.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      throw new BrokenOff(told.requestId);
    });
    for (const event of events.push(done ? "\n\n" : decoder.decode(value, { stream: true }))) take(event, told, onText);
    if (done) return told;
  }
}

function take(event: string, told: Answered, onText: (text: string, kind: "content" | "reasoning") => void): void {
  if (event === "[DONE]") return;
  let read: Fields;
  try {
    read = fields(JSON.parse(event));
  } catch {
    return;
  }
  if (read["error"]) {
    const error = fields(read["error"]);
    throw new ChatError(String(error["code"] ?? "error"), String(error["message"] ?? event), told.requestId);
  }
  if (read["usage"]) told.usage = fields(read["usage"]) as ChatUsage;
  const choice = fields(Array.isArray(read["choices"]) ? read["choices"][0] : null);
  if (typeof choice["finish_reason"] === "string") told.finish = choice["finish_reason"];
  const delta = fields(choice["delta"]);
  const reasoning = delta["reasoning_content"] ?? delta["reasoning"];
  if (typeof reasoning === "string" && reasoning !== "") onText(reasoning, "reasoning");
  if (typeof delta["content"] === "string" && delta["content"] !== "") onText(delta["content"], "content");
}

function refusal(status: number, text: string, requestId: string | null): ChatError {
  try {
    const error = fields(fields(JSON.parse(text))["error"]);
    return new ChatError(String(error["code"] ?? status), String(error["message"] ?? text), requestId);
  } catch {
    return new ChatError(String(status), text.slice(0, 500), requestId);
  }
}
