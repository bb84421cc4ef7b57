/** The client: everything that a program asks of a server, one method each. */

import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { ofCode } from "./errors.js";
import type { LockstepError } from "./errors.js";
import { Transport } from "./transport.js";
import { Attempt, escape, nanos, unitName } from "./wire.js";
import type { AttemptChange, Change, Data, Name, WireAttempt } from "./wire.js";

/** How a client behaves; what is not given comes from the environment. */
export interface ClientOptions {
  /** The address of the server [LOCKSTEP_URL, else http://127.0.0.1:5980]. */
  url?: string;
  /** The namespace [LOCKSTEP_NAMESPACE, else the default one]. */
  namespace?: string;
  /** The access token [LOCKSTEP_TOKEN, else what is in LOCKSTEP_TOKEN_FILE]. */
  token?: string;
  /** How many seconds a request may take [30]. */
  timeout?: number;
  /** For how many seconds a request that gets no answer is sent again [60]; it counts once. */
  patience?: number;
}

/** A unit to add. */
export interface NewUnit {
  name: Name;
  data?: Data;
  /** Higher goes first [0]. */
  priority?: number;
  /** Seconds before it is handed out. */
  delay?: number;
}

/** A value in data that refers to a blob, and keeps it. */
export interface BlobReference {
  $blob: { id: string; bytes: number; type: string };
  [more: string]: unknown;
}

/** A unit as the server shows it. */
export interface Unit {
  name: string;
  status: "available" | "pending" | "finished" | "failed" | "delayed";
  data?: Data | string | null;
  [more: string]: unknown;
}

/** What became of an event. */
export interface Received {
  /** Its position among the events of the namespace. */
  seq: number;
  /** Whether it was known already; then nothing was done. */
  isDuplicate: boolean;
  /** The workflow instances that it started. */
  started: string[];
  /** The instances that had waited for it. */
  resumed: string[];
}

/** An instance of a workflow. */
export interface Instance {
  definition: string;
  version: string;
  status: "running" | "waiting" | "paused" | "finished" | "faulted" | "cancelled";
  input: unknown;
  output: unknown;
  error: unknown;
  at: string[];
  [more: string]: unknown;
}

/** An entry of the journal of an instance. */
export interface JournalEntry {
  seq: number;
  time: unknown;
  body: unknown;
}

/** What a worker asks for. */
export interface ClaimOptions {
  specs?: readonly string[];
  runtimes?: readonly string[];
  /** The most units [1]. */
  count?: number;
  /** Seconds of the lease [90]. */
  lease?: number;
  /** Seconds to wait for work [0]. */
  wait?: number;
}

/** How a request of a worker is sent. */
export interface WorkOptions {
  key?: string;
  waits?: number;
  patience?: number | undefined;
  signal?: AbortSignal | undefined;
}

const ENDED: readonly string[] = ["finished", "faulted", "cancelled"];
const STATUS: Record<string, number> = { lost_lease: 409, not_pending: 409, gone: 410 };

/** A namespace of a server. */
export class Client {
  readonly url: string;
  readonly namespace: string;
  readonly transport: Transport;

  constructor(options: ClientOptions = {}) {
    const env = process.env;
    this.url = options.url ?? (env["LOCKSTEP_URL"] || "http://127.0.0.1:5980");
    this.namespace = options.namespace ?? env["LOCKSTEP_NAMESPACE"] ?? "";
    const token = options.token ?? tokenOf(env);
    const { timeout = 30, patience = 60 } = options;
    this.transport = new Transport(this.url, token, timeout, patience);
  }

  /** Creates or replaces a work spec; the keys are those of its dictionary. */
  async setSpec(name: string, keys: Data = {}): Promise<void> {
    await this.#post(["work_spec"], { data: { ...keys, name } });
  }

  /** Counts the units of a spec by status. */
  async counts(spec: string): Promise<Record<string, number>> {
    return this.#get(["work_spec", spec, "counts"]);
  }

  /** Adds a unit, or replaces the data of the one with this name. */
  async add(
    spec: string,
    name: Name,
    data: Data = {},
    options: Omit<NewUnit, "name" | "data"> = {},
  ): Promise<void> {
    await this.addMany(spec, [{ name, data, ...options }]);
  }

  /** Adds units, all of them or none; the limits say how many. */
  async addMany(spec: string, units: readonly NewUnit[]): Promise<void> {
    await this.#post(["work_spec", spec, "work_unit"], { work_units: units.map(unitBody) });
  }

  /** Shows a unit with its data and status. */
  async unit(spec: string, name: Name): Promise<Unit> {
    return this.#get(["work_spec", spec, "work_unit", name]);
  }

  /**
   * Keeps content that is too large for data, and gives the value that refers to it. Put that value
   * somewhere into the data of a unit or an event within a day: it keeps the content for as long as
   * it stands there.
   */
  async putBlob(content: Uint8Array, type = "application/octet-stream"): Promise<BlobReference> {
    const { id, bytes, ...info } = await this.#post<BlobReference["$blob"]>(["blob"], content, {
      media: type,
    });
    return { $blob: { id, bytes, type: info.type } };
  }

  /** Reads the content of a blob by its id, or by the value that refers to it. */
  async getBlob(blob: string | BlobReference): Promise<Uint8Array> {
    const id = typeof blob === "string" ? blob : blob.$blob.id;
    const content = await this.#get<Uint8Array>(["blob", id]);
    if (createHash("sha256").update(content).digest("hex") !== id) {
      throw new Error(`what came is not the content of blob ${id}`);
    }
    return content;
  }

  /** Sends an event (CloudEvents 1.0). Of one source and id, only the first is taken in. */
  async send(
    type: string,
    source: string,
    data: unknown = null,
    attributes: { id?: string; subject?: string; [extension: string]: unknown } = {},
  ): Promise<Received> {
    const event = { id: randomUUID(), ...attributes, specversion: "1.0", type, source, data };
    const media = "application/cloudevents+json";
    const answer = await this.#post<{ received: WireReceived[] }>(["event"], event, { media });
    const [one] = answer.received;
    if (one === undefined) throw new Error("the server did not say what became of the event");
    const { seq, is_duplicate: isDuplicate } = one;
    return { seq, isDuplicate, started: one.started.map(String), resumed: one.resumed.map(String) };
  }

  /** Starts the published version of a workflow, once for each key, and gives its id. */
  async start(definition: string, input: unknown = null, key?: string): Promise<string> {
    const body = { definition, input };
    const answer = await this.#post<{ instance: number }>(["instance"], body, { key });
    return String(answer.instance);
  }

  /** Shows an instance of a workflow with its status, input, output and error. */
  async instance(id: string): Promise<Instance> {
    return this.#get(["instance", id]);
  }

  /** Gives the journal entries of an instance as they are written, until it has ended. */
  async *follow(id: string, every = 0.2): AsyncGenerator<JournalEntry, void, void> {
    for (let seen = 0; ; ) {
      // Looked at first, so that what is written up to the end is still read.
      const isOver = ENDED.includes((await this.instance(id)).status);
      const path = `${this.path(["instance", id, "journal"])}?previous=${seen}`;
      const { journal } = await this.transport.call<{ journal: JournalEntry[] }>("GET", path);
      for (const entry of journal) {
        seen = entry.seq;
        yield entry;
      }
      if (journal.length === 0) {
        if (isOver) return;
        // Sleeps because the server has no call that waits for a journal.
        await sleep(every * 1000);
      }
    }
  }

  /** Waits until an instance has ended, and gives it; fails when so many seconds are over. */
  async wait(id: string, timeout = Infinity): Promise<Instance> {
    const end = performance.now() / 1000 + timeout;
    for (;;) {
      const instance = await this.instance(id);
      if (ENDED.includes(instance.status)) return instance;
      if (performance.now() / 1000 > end) {
        throw new Error(`instance ${id} is ${instance.status} after ${timeout} s`);
      }
      // Sleeps because the server has no call that waits for an instance.
      await sleep(200);
    }
  }

  /** Takes ready units for a worker, and waits for some if told to. */
  async claim(worker: string, options: ClaimOptions = {}): Promise<Attempt[]> {
    const waits = options.wait ?? 0;
    return (await this.work(worker, [], claimBody(options), { waits })).attempts;
  }

  /** Ends an attempt with success; the output becomes units of the spec that follows. */
  async finish(attempt: Attempt, data?: Data, output?: unknown): Promise<void> {
    await this.#change(attempt, "finish", withOutput(attempt, data, output));
  }

  /** Ends an attempt without success; its unit is not tried again by itself. */
  async fail(attempt: Attempt, reason: string, data: Data = {}): Promise<void> {
    await this.#change(attempt, "fail", { ...data, traceback: reason });
  }

  /** Ends an attempt so that its unit is handed out again after a delay in seconds. */
  async retry(attempt: Attempt, delay = 0, data?: Data): Promise<void> {
    await this.#change(attempt, "retry", data, { delay: nanos(delay) });
  }

  /** Makes a lease end so many seconds from now. */
  async renew(attempt: Attempt, lease = 90, data?: Data): Promise<void> {
    await this.#change(attempt, "renew", data, { extend_duration: nanos(lease) });
  }

  /** Gives a unit back without a result. */
  async expire(attempt: Attempt): Promise<void> {
    await this.#change(attempt, "expire");
  }

  /** Says that a worker is alive, what it is doing, and for how many seconds this holds. */
  async beat(
    worker: string,
    mode: string,
    environment: Data,
    lasts = 60,
    options: WorkOptions = {},
  ): Promise<void> {
    const expiration = new Date(Date.now() + lasts * 1000).toISOString();
    const body = { active: true, mode, data: environment, expiration };
    await this.transport.call("PUT", this.path(["worker", worker]), { body, ...options });
  }

  /** Says that a worker has ended. */
  async deactivate(worker: string, options: WorkOptions = {}): Promise<void> {
    const asked = { body: { active: false }, ...options };
    await this.transport.call("PUT", this.path(["worker", worker]), asked);
  }

  /**
   * Reports changes and claims the next units in one request. The results have, for each change,
   * null or why it was not made.
   */
  async work(
    worker: string,
    changes: readonly AttemptChange[],
    request: Data | null,
    options: WorkOptions = {},
  ): Promise<{ results: (LockstepError | null)[]; attempts: Attempt[] }> {
    const answer = await this.transport.call<{ results: Outcome[]; attempts: WireAttempt[] }>(
      "POST",
      this.path(["worker", worker, "work"]),
      { body: { changes, request }, ...options },
    );
    return { results: answer.results.map(outcome), attempts: answer.attempts.map(Attempt.of) };
  }

  /** Writes a path in this namespace: words of the API and names take turns. */
  path(parts: readonly Name[]): string {
    const own = parts.map((part, at) => (at % 2 === 1 ? escape(part) : String(part)));
    return `/namespace/${escape(this.namespace)}/${own.join("/")}`;
  }

  async #change(attempt: Attempt, change: Change, data?: Data, more?: Data): Promise<void> {
    // Whose name this is does not matter: the token says who may change an attempt.
    const { results } = await this.work("typescript", [attempt.change(change, data, more)], null);
    if (results[0]) throw results[0];
  }

  async #get<T>(parts: readonly Name[]): Promise<T> {
    return this.transport.call("GET", this.path(parts));
  }

  async #post<T>(
    parts: readonly Name[],
    body: unknown,
    more: { key?: string | undefined; media?: string } = {},
  ): Promise<T> {
    return this.transport.call("POST", this.path(parts), { body, ...more });
  }
}

/** Writes a request for work. */
export function claimBody(options: ClaimOptions): Data {
  const { specs = [], runtimes = [], count = 1, lease = 90, wait = 0 } = options;
  return {
    work_specs: specs,
    runtimes,
    number_of_work_units: count,
    lifetime: nanos(lease),
    wait_ms: Math.round(wait * 1000),
  };
}

/** Puts the units for the next spec where the server looks for them. */
export function withOutput(attempt: Attempt, data?: Data, output?: unknown): Data | undefined {
  return output === undefined ? data : { ...(data ?? attempt.data), output };
}

interface WireReceived {
  seq: number;
  is_duplicate: boolean;
  started: number[];
  resumed: number[];
}

type Outcome = { ok: true } | { ok: false; error: { code: string; message: string; hint: string } };

function outcome(result: Outcome): LockstepError | null {
  if (result.ok) return null;
  const { code, message, hint } = result.error;
  // A change carries no status of its own.
  const status = code.startsWith("no_such_") ? 404 : (STATUS[code] ?? 400);
  return ofCode(code, message, hint, status);
}

function unitBody(unit: NewUnit): Data {
  const body: Data = { ...unitName(unit.name, "name"), data: unit.data ?? {} };
  if (unit.priority !== undefined) body["meta"] = { priority: unit.priority };
  if (unit.delay !== undefined) body["delay"] = nanos(unit.delay);
  return body;
}

function tokenOf(env: NodeJS.ProcessEnv): string | undefined {
  const { LOCKSTEP_TOKEN: token, LOCKSTEP_TOKEN_FILE: file } = env;
  if (token || !file) return token || undefined;
  return readFileSync(file, "utf8").trim();
}
