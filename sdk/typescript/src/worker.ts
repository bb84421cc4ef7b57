/** The worker: claims units, runs a function for each, and looks after their leases. */

import { randomBytes, randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import { cpus, hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

import { claimBody, withOutput } from "./client.js";
import type { Client } from "./client.js";
import { Conflict, LockstepError, NotFound, Unavailable } from "./errors.js";
import { traceparent } from "./transport.js";
import { nanos } from "./wire.js";
import type { Attempt, AttemptChange, Data, Name } from "./wire.js";

const TRACEBACK_MAX = 64 << 10;
const LAST_WORDS = 10;
const IDLE_WORDS = 1;
const BRIEFLY = 0.001;

/** What a task returns to give units to the spec that follows. */
export class Finish {
  constructor(
    readonly output: unknown,
    readonly data?: Data,
  ) {}
}

/** Thrown by a task: its unit cannot be done and is not tried again by itself. */
export class Fail extends Error {
  constructor(
    reason: string,
    readonly data: Data = {},
  ) {
    super(reason);
  }
}

/** Thrown by a task: its unit is to be tried again after a delay in seconds. */
export class Retry extends Error {
  constructor(
    readonly delay = 0,
    readonly data?: Data,
  ) {
    super(`try again in ${delay} s`);
  }
}

/** What a task returns: new data for its unit, or nothing to keep what there is. */
export type Answer = Data | Finish | undefined | void;

/** A function that does a unit. */
export type Run = (task: Task) => Answer | Promise<Answer>;

/** One unit to work on, with all that a task may want to know. */
export class Task {
  readonly #stop = new AbortController();
  readonly #lost = new AbortController();
  #renewed: number;

  constructor(
    /** The client of the worker; what it sends during a task carries the unit's trace. */
    readonly client: Client,
    readonly attempt: Attempt,
    private readonly lease: number,
    claimed: number,
  ) {
    this.#renewed = claimed;
  }

  /** The name of the work spec. */
  get spec(): string {
    return this.attempt.spec;
  }

  /** The name of the unit. */
  get unit(): Name {
    return this.attempt.unit;
  }

  /** The data of the unit. */
  get data(): Data {
    return this.attempt.data;
  }

  /** A number that only grows: what this task changes elsewhere can refuse lower ones. */
  get token(): number {
    return this.attempt.token;
  }

  /** The trace context that the unit was added with. */
  get traceparent(): string | undefined {
    const context = this.data["traceparent"];
    return typeof context === "string" ? context : undefined;
  }

  /** Aborted once the lease is lost: whatever the task returns is not used. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Aborted once the worker was told to stop. */
  get stopping(): AbortSignal {
    return this.#stop.signal;
  }

  /** Keeps progress with the attempt, and makes sure that the lease still holds. */
  async keep(data: Data): Promise<void> {
    const sent = now();
    try {
      await this.client.renew(this.attempt, this.lease, data);
    } catch (error) {
      if (error instanceof Conflict || error instanceof NotFound) this.lose();
      throw error;
    }
    this.renewed(sent);
  }

  /** When a third of the lease is over, by the clock of this process. */
  get renewAt(): number {
    return this.#renewed + this.lease / 3;
  }

  /** Counts the lease from when the renewal was sent: the server counts from later. */
  renewed(sent: number): void {
    this.#renewed = Math.max(this.#renewed, sent);
  }

  /** Tells the task that its lease is lost. */
  lose(): void {
    this.#lost.abort();
  }

  /** Tells the task that the worker stops. */
  end(): void {
    this.#stop.abort();
  }
}

/** How a worker behaves. */
export interface WorkerOptions {
  /** Its name [host, process and some letters]. */
  name?: string;
  /** Only units of these specs [those that have a task]. */
  specs?: readonly string[];
  /** Only specs of these runtimes ["" and "node"]. */
  runtimes?: readonly string[];
  /** How many tasks run at a time [1]. */
  concurrency?: number;
  /** How many units each of them claims and reports at once [1]. */
  batch?: number;
  /** Seconds after which the units of a worker that died are offered again [90]. */
  lease?: number;
  /** Seconds that a claim waits for work [30]. */
  wait?: number;
  /** Seconds between two signs of life [15]. */
  heartbeat?: number;
  /** Seconds that tasks have to end when the worker is told to stop [30]. */
  grace?: number;
}

/** Runs functions for units until SIGTERM or SIGINT, or until nothing is left to claim. */
export class Worker {
  readonly name: string;
  readonly #options: Required<Omit<WorkerOptions, "name">>;
  readonly #tasks = new Map<string, Run>();
  readonly #held = new Map<number, Task>();
  readonly #stop = new AbortController();
  #other: Run | undefined;
  #untilEmpty = false;

  constructor(
    readonly client: Client,
    options: WorkerOptions = {},
  ) {
    const { name, ...given } = options;
    const own = `node-${hostname()}-${process.pid}-${randomBytes(3).toString("hex")}`;
    this.name = name ?? own;
    this.#options = {
      specs: [],
      runtimes: ["", "node"],
      concurrency: 1,
      batch: 1,
      lease: 90,
      wait: 30,
      heartbeat: 15,
      grace: 30,
      ...given,
    };
    const { lease, concurrency, batch } = this.#options;
    if (lease < 1 || Math.min(concurrency, batch) < 1) {
      throw new RangeError("a worker needs a lease of 1 s, one task and one unit at least");
    }
    // Each claim that waits listens for the stop, and there may be many.
    setMaxListeners(0, this.#stop.signal);
  }

  /** Makes a function run the units of a spec. */
  task(spec: string, run: Run): this {
    this.#tasks.set(spec, run);
    return this;
  }

  /** Makes a function run all units that no other function runs. */
  other(run: Run): this {
    this.#other = run;
    return this;
  }

  /** Asks the worker to end. */
  stop(): void {
    this.#stop.abort();
    for (const task of this.#held.values()) task.end();
  }

  /** Works until told to stop, and fails with what a claim was refused for. */
  async run(options: { untilEmpty?: boolean } = {}): Promise<void> {
    this.#untilEmpty = options.untilEmpty ?? false;
    const stop = (): void => this.stop();
    process.on("SIGTERM", stop).on("SIGINT", stop);
    const quiet = new AbortController();
    try {
      await this.#beat("run", Infinity, this.#stop.signal).catch(unlessStopped(this.#stop.signal));
      const keeper = this.#keep(quiet.signal);
      const loops = Array.from({ length: this.#options.concurrency }, () => this.#loop());
      try {
        await this.#attend(loops);
      } finally {
        quiet.abort();
        await keeper;
      }
    } finally {
      await this.#part();
      process.off("SIGTERM", stop).off("SIGINT", stop);
    }
  }

  /** Waits for the loops, after a stop no longer than the grace. */
  async #attend(loops: Promise<void>[]): Promise<void> {
    // One that fails ends the others, and is told of when they have ended.
    const all = Promise.allSettled(
      loops.map((loop) =>
        loop.catch((error: unknown) => {
          this.stop();
          throw error;
        }),
      ),
    );
    const over = new AbortController();
    const ended = await Promise.race([all, this.#graceOver(over.signal)]);
    over.abort();
    const failed = ended?.find((it): it is PromiseRejectedResult => it.status === "rejected");
    if (failed) throw failed.reason;
  }

  async #graceOver(signal: AbortSignal): Promise<undefined> {
    const stopping = this.#stop.signal;
    if (!stopping.aborted) {
      await new Promise<void>((resolve) => {
        stopping.addEventListener("abort", () => resolve(), { once: true, signal });
      });
    }
    // Sleeps because that is what the grace is: time for tasks to end.
    await sleep(this.#options.grace * 1000, undefined, { signal }).catch(() => undefined);
    return undefined;
  }

  /** Gives back what is still held, and says that this worker has ended. */
  async #part(): Promise<void> {
    const left = [...this.#held.values()];
    this.#held.clear();
    try {
      if (left.length > 0) {
        const changes = left.map((task) => task.attempt.change("expire"));
        await this.client.work(this.name, changes, null, { patience: LAST_WORDS });
      }
      await this.client.deactivate(this.name, { patience: left.length > 0 ? LAST_WORDS : IDLE_WORDS });
    } catch (error) {
      // A server that is away learns it from leases that end.
      if (!(error instanceof LockstepError)) throw error;
    }
  }

  /** Claims, runs and reports, until there is a reason to end. */
  async #loop(): Promise<void> {
    for (let changes: AttemptChange[] = []; ; ) {
      const stopping = this.#stop.signal.aborted;
      if (stopping && changes.length === 0) return;
      const { attempts, claimed } = await this.#exchange(changes, !stopping);
      if (this.#stop.signal.aborted) {
        // What was claimed while the stop came is for others.
        changes = attempts.map((attempt) => attempt.change("expire"));
        continue;
      }
      if (attempts.length === 0 && this.#untilEmpty) return;
      const { lease } = this.#options;
      const tasks = attempts.map((attempt) => new Task(this.client, attempt, lease, claimed));
      for (const task of tasks) this.#held.set(task.token, task);
      changes = [];
      for (const task of tasks) {
        const change = await this.#do(task);
        if (change) changes.push(change);
      }
    }
  }

  /** Reports and claims in one request, and tells when the claim was sent. */
  async #exchange(
    changes: AttemptChange[],
    asks: boolean,
  ): Promise<{ attempts: Attempt[]; claimed: number }> {
    const wait = this.#untilEmpty ? 0 : this.#options.wait;
    const claimed = now();
    const attempts = await this.#send(changes, asks, wait);
    for (const change of changes) this.#held.delete(change.id);
    return { attempts, claimed };
  }

  async #send(changes: AttemptChange[], asks: boolean, wait: number): Promise<Attempt[]> {
    const request = (wait: number): Data | null => (asks ? this.#request(wait) : null);
    const { name, client } = this;
    const key = randomUUID();
    const signal = asks ? this.#stop.signal : undefined;
    const patience = asks ? Infinity : LAST_WORDS;
    try {
      const options = { key, waits: wait, patience, signal };
      return (await client.work(name, changes, request(wait), options)).attempts;
    } catch (error) {
      if (error instanceof Unavailable) {
        if (!asks || !this.#stop.signal.aborted) throw error;
        // Cut while it waited: the same key tells what became of it, without waiting again.
        const patience = changes.length > 0 ? LAST_WORDS : IDLE_WORDS;
        const last = client.work(name, changes, request(BRIEFLY), { key, patience });
        return (await last.catch(unlessIdle(changes))).attempts;
      }
      if (!(error instanceof LockstepError) || changes.length === 0) throw error;
      // One change that is too large must not hold up the others.
      for (const change of changes) await this.#report(change);
      return [];
    }
  }

  #request(wait: number): Data {
    const { specs, runtimes, batch, lease } = this.#options;
    const own = specs.length > 0 || this.#other ? specs : [...this.#tasks.keys()];
    return claimBody({ specs: own, runtimes, count: batch, lease, wait });
  }

  /** Reports one change; a result that is refused fails its unit. */
  async #report(change: AttemptChange): Promise<void> {
    const options = { patience: LAST_WORDS };
    try {
      await this.client.work(this.name, [change], null, options);
    } catch (error) {
      if (!(error instanceof LockstepError) || error instanceof Unavailable) throw error;
      const data = { traceback: `the result was refused: ${error.message}` };
      await this.client.work(this.name, [{ ...change, change: "fail", data }], null, options);
    }
  }

  /** Runs the function of a unit, and writes how it ended; nothing if that is of no use. */
  async #do(task: Task): Promise<AttemptChange | undefined> {
    if (this.#stop.signal.aborted) return task.attempt.change("expire");
    let change: AttemptChange | undefined;
    if (!task.lost.aborted) {
      try {
        change = await traceparent.run(task.traceparent, () => this.#ended(task));
        // What JSON cannot say fails this unit, and not the report of all.
        JSON.stringify(change);
      } catch (error) {
        // A task that ends because the worker does gives its unit back.
        change = task.attempt.change(task.stopping.aborted ? "expire" : "fail", traceback(error));
      }
    }
    if (!task.lost.aborted) return change;
    this.#held.delete(task.token);
    return undefined;
  }

  async #ended(task: Task): Promise<AttemptChange> {
    const run = this.#tasks.get(task.spec) ?? this.#other;
    if (!run) throw new Error(`this worker has no task for the work spec ${task.spec}`);
    try {
      const answer = await run(task);
      if (answer instanceof Finish) {
        return task.attempt.change("finish", withOutput(task.attempt, answer.data, answer.output));
      }
      return task.attempt.change("finish", answer ?? undefined);
    } catch (error) {
      if (error instanceof Fail) {
        return task.attempt.change("fail", { ...error.data, traceback: error.message });
      }
      if (error instanceof Retry) {
        return task.attempt.change("retry", error.data, { delay: nanos(error.delay) });
      }
      throw error;
    }
  }

  /** Keeps leases and says that this worker is alive, until it has ended. */
  async #keep(quiet: AbortSignal): Promise<void> {
    const { lease, heartbeat } = this.#options;
    let beatAt = now() + heartbeat;
    while (!quiet.aborted) {
      // Sleeps because leases are to be looked at from time to time.
      const pause = Math.min(1, lease / 10) * 1000;
      await sleep(pause, undefined, { signal: quiet }).catch(() => undefined);
      try {
        if (now() >= beatAt) {
          beatAt = now() + heartbeat;
          await this.#beat(this.#stop.signal.aborted ? "stop" : "run", lease / 10, quiet);
        }
        await this.#renew(quiet);
      } catch (error) {
        // The next round tries again; leases are renewed long before they end.
        if (!(error instanceof LockstepError)) throw error;
      }
    }
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const { lease } = this.#options;
    const sent = now();
    const due = [...this.#held.values()].filter((it) => it.renewAt <= sent && !it.lost.aborted);
    if (due.length === 0) return;
    const more = { extend_duration: nanos(lease) };
    const changes = due.map((task) => task.attempt.change("renew", undefined, more));
    const options = { patience: lease / 10, signal };
    const { results } = await this.client.work(this.name, changes, null, options);
    due.forEach((task, at) => (results[at] ? task.lose() : task.renewed(sent)));
  }

  async #beat(mode: string, patience: number, signal: AbortSignal): Promise<void> {
    const environment = {
      language: "typescript",
      node: process.version,
      hostname: hostname(),
      pid: process.pid,
      cpus: cpus().length,
    };
    const lasts = this.#options.heartbeat * 4;
    await this.client.beat(this.name, mode, environment, lasts, { patience, signal });
  }
}

function now(): number {
  return performance.now() / 1000;
}

/** Gives nothing where there was nothing to say: a lease covers what was claimed unknowingly. */
function unlessIdle(changes: AttemptChange[]): (error: unknown) => { attempts: Attempt[] } {
  return (error) => {
    if (changes.length > 0 || !(error instanceof Unavailable)) throw error;
    return { attempts: [] };
  };
}

/** Lets a request fail that was ended by a stop. */
function unlessStopped(signal: AbortSignal): (error: unknown) => void {
  return (error) => {
    if (!signal.aborted) throw error;
  };
}

function traceback(error: unknown): Data {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { traceback: text.slice(-TRACEBACK_MAX) };
}
