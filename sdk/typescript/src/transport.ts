/** HTTP with patience, and problem documents as errors. */

import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { AGAIN, LockstepError, Unavailable, refused } from "./errors.js";

/** The trace context that requests carry; a task has that of its unit here. */
export const traceparent = new AsyncLocalStorage<string | undefined>();

const DELAY_MIN = 0.1;
const DELAY_MAX = 5;

/** What a request says besides its method and path. */
export interface Asked {
  body?: unknown;
  /** With it, a request that is sent again counts once. */
  key?: string | undefined;
  media?: string;
  /** How many seconds the server is asked to wait. */
  waits?: number;
  /** For how many seconds it is tried again. */
  patience?: number | undefined;
  /** Ends it; it is not tried again then. */
  signal?: AbortSignal | undefined;
}

/** Requests to one server. */
export class Transport {
  readonly #base: string;

  constructor(
    url: string,
    private readonly token: string | undefined,
    private readonly timeout: number,
    private readonly patience: number,
  ) {
    if (!/^https?:\/\/./.test(url)) {
      throw new TypeError(`${url} is no address of a server: write http://HOST:PORT`);
    }
    this.#base = new URL(url).href.replace(/\/$/, "");
  }

  /** Sends a request until it is answered or patience ends. */
  async call<T>(method: string, path: string, asked: Asked = {}): Promise<T> {
    const init = { method, ...this.#parts(method, asked) };
    const allowed = asked.patience ?? this.patience;
    const end = performance.now() / 1000 + allowed;
    for (let delay = DELAY_MIN; ; delay = Math.min(delay * 2, DELAY_MAX)) {
      const tried = await this.#try<T>(path, init, asked);
      if ("answer" in tried) return tried.answer;
      const pause = Math.max(tried.after, delay * (0.5 + Math.random() / 2));
      if (asked.signal?.aborted || performance.now() / 1000 + pause > end) throw tried.error;
      // Sleeps because a server that cannot answer now needs time; the signal ends the pause.
      await sleep(pause * 1000, undefined, asked.signal ? { signal: asked.signal } : {}).catch(
        () => undefined,
      );
    }
  }

  async #try<T>(path: string, init: RequestInit, asked: Asked): Promise<Tried<T>> {
    const { signal, done } = within(this.timeout + (asked.waits ?? 0), asked.signal);
    try {
      const response = await fetch(this.#base + path, { ...init, signal });
      const media = response.headers.get("content-type") ?? "";
      if (response.ok && media === "application/octet-stream") {
        return { answer: new Uint8Array(await response.arrayBuffer()) as T };
      }
      const text = await response.text();
      const isJson = /json/.test(media);
      const answer: unknown = isJson && text ? JSON.parse(text) : { detail: text.slice(0, 200) };
      if (response.ok) return { answer: answer as T };
      const error = refused(response.status, answer);
      if (!AGAIN.includes(response.status)) throw error;
      return { error, after: Number(response.headers.get("retry-after")) || 0 };
    } catch (error) {
      if (error instanceof LockstepError) throw error;
      const what = `the server at ${this.#base} cannot be reached: ${reason(error)}`;
      const hint = "check its address and that it runs";
      return { error: new Unavailable("unavailable", what, hint, 0, { cause: error }), after: 0 };
    } finally {
      done();
    }
  }

  #parts(method: string, asked: Asked): { headers: Record<string, string>; body?: Body } {
    const headers: Record<string, string> = {
      "content-type": asked.media ?? "application/json",
      accept: "application/json, application/problem+json",
    };
    if (method !== "GET") headers["idempotency-key"] = asked.key ?? randomUUID();
    if (this.token) headers["authorization"] = `Bearer ${this.token}`;
    const context = traceparent.getStore();
    if (context) headers["traceparent"] = context;
    if (asked.body === undefined) return { headers };
    const isBytes = asked.body instanceof Uint8Array;
    const body = isBytes ? (asked.body as Body) : JSON.stringify(asked.body);
    return { headers, body };
  }
}

/** What `fetch` takes as a body. */
type Body = NonNullable<RequestInit["body"]>;

type Tried<T> = { answer: T } | { error: LockstepError; after: number };

/** Makes a signal that comes after some seconds, or with another one. */
function within(seconds: number, other?: AbortSignal): { signal: AbortSignal; done: () => void } {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  const timer = setTimeout(abort, seconds * 1000);
  other?.addEventListener("abort", abort);
  if (other?.aborted) abort();
  const done = (): void => {
    clearTimeout(timer);
    other?.removeEventListener("abort", abort);
  };
  return { signal: controller.signal, done };
}

function reason(error: unknown): string {
  // What fetch says itself is only that it failed.
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}
