/** Workers: what becomes of units, of leases, and of a worker that is told to stop. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { Client, Denied, Fail, Finish, Retry, Worker } from "../src/index.js";
import { Server, lockstep, until } from "./support.js";

const TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const LIBRARY = fileURLToPath(new URL("../src/index.js", import.meta.url));

let server: Server;
let count = 0;

before(async () => {
  server = await new Server().start();
});
after(() => server.close());

function fresh(): Client {
  count += 1;
  return new Client({ url: server.url, namespace: `worker-${count}` });
}

async function outcome(client: Client, name: string, spec = "count"): Promise<unknown[]> {
  const { status, data } = await client.unit(spec, name);
  return [status, data ?? {}];
}

async function shown(client: Client, name: string): Promise<Record<string, unknown>> {
  return client.transport.call("GET", client.path(["worker", name]));
}

describe("what a function returns or throws", () => {
  it("ends its unit", async () => {
    const client = fresh();
    await client.setSpec("count", { then: "next" });
    await client.setSpec("next");
    await client.setSpec("other");
    const names = ["data", "none", "output", "fail", "error", "again", "odd"];
    await client.addMany(
      "count",
      names.map((name) => ({ name, data: { name } })),
    );
    await client.add("other", "one");
    const worker = new Worker(client, { concurrency: 2, batch: 2 });
    let again = 0;
    worker.task("count", (task) => {
      assert.equal(task.unit, task.data["name"]);
      switch (task.unit) {
        case "fail":
          throw new Fail("cannot", { why: "so" });
        case "error":
          throw new RangeError("disk on fire");
        case "again":
          again += 1;
          if (again === 1) throw new Retry(0);
          return { n: again };
        case "odd":
          return { n: 1n };
        case "output":
          return new Finish({ made: {} });
        case "none":
          return undefined;
        default:
          return { n: 1 };
      }
    });
    await worker.run({ untilEmpty: true });
    assert.deepEqual(await outcome(client, "data"), ["finished", { n: 1 }]);
    assert.deepEqual(await outcome(client, "none"), ["finished", { name: "none" }]);
    assert.equal((await outcome(client, "output"))[0], "finished");
    assert.equal((await outcome(client, "made", "next"))[0], "available");
    const failed = ["failed", { why: "so", traceback: "cannot" }];
    assert.deepEqual(await outcome(client, "fail"), failed);
    const [status, data] = await outcome(client, "error");
    assert.equal(status, "failed");
    assert.match(JSON.stringify(data), /RangeError: disk on fire/);
    assert.deepEqual(await outcome(client, "again"), ["finished", { n: 2 }]);
    assert.match(JSON.stringify(await outcome(client, "odd")), /failed.*BigInt/);
    // It has no function for that spec, so it does not ask for its units.
    assert.equal((await outcome(client, "one", "other"))[0], "available");
  });

  it("counts for all specs without a function of their own", async () => {
    const client = fresh();
    await client.setSpec("count");
    await client.add("count", "one");
    await new Worker(client).other((task) => ({ spec: task.spec })).run({ untilEmpty: true });
    assert.deepEqual(await outcome(client, "one"), ["finished", { spec: "count" }]);
  });

  it("fails its unit alone if it is too large", async () => {
    const client = fresh();
    await client.setSpec("count");
    await client.addMany("count", [{ name: "large" }, { name: "small" }]);
    const worker = new Worker(client, { batch: 2 });
    worker.task("count", ({ unit }) => ({ text: "x".repeat(unit === "large" ? 2 << 20 : 1) }));
    await worker.run({ untilEmpty: true });
    assert.deepEqual(await outcome(client, "small"), ["finished", { text: "x" }]);
    assert.match(JSON.stringify(await outcome(client, "large")), /the result was refused/);
  });

  it("carries the trace of its unit on", async () => {
    const client = fresh();
    await client.setSpec("count");
    await client.setSpec("next");
    await client.add("count", "one", { traceparent: TRACE });
    const seen: unknown[] = [];
    const worker = new Worker(client).task("count", async (task) => {
      seen.push(task.traceparent);
      await task.client.add("next", "two");
    });
    await worker.run({ untilEmpty: true });
    assert.deepEqual(seen, [TRACE]);
    assert.deepEqual((await outcome(client, "two", "next"))[1], { traceparent: TRACE });
  });
});

describe("leases", () => {
  it("are renewed while functions run", async () => {
    const client = fresh();
    await client.setSpec("slow");
    await client.addMany("slow", [{ name: "one" }, { name: "two" }]);
    // Two units of two seconds each, on leases of one.
    const worker = new Worker(client, { batch: 2, lease: 1 }).task("slow", async (task) => {
      // Sleeps because the lease must run out unless it is renewed.
      await sleep(2000);
      assert.equal(task.lost.aborted, false);
    });
    await worker.run({ untilEmpty: true });
    for (const name of ["one", "two"]) {
      assert.equal((await client.unit("slow", name)).status, "finished");
      const all = await lockstep(server, client, "unit", "show", "slow", name, "--json");
      assert.doesNotMatch(all, /expired/);
    }
  });

  it("that are lost are told of, and nothing is reported", async () => {
    const client = fresh();
    await client.setSpec("slow");
    await client.add("slow", "one");
    let tries = 0;
    const worker = new Worker(client, { lease: 1 }).task("slow", async (task) => {
      tries += 1;
      if (tries > 1) return { by: "second" };
      await client.retry(task.attempt);
      await until(() => task.lost.aborted);
      return { by: "loser" };
    });
    await worker.run({ untilEmpty: true });
    assert.deepEqual((await client.unit("slow", "one")).data, { by: "second" });
  });

  it("go with signs of life, until the end is told", async () => {
    const client = fresh();
    const worker = new Worker(client, { name: "ada", heartbeat: 1 }).other(() => undefined);
    const running = worker.run();
    await until(async () => (await shown(client, "ada"))["active"] === true);
    const first = (await shown(client, "ada"))["last_update"];
    await until(async () => (await shown(client, "ada"))["last_update"] !== first);
    worker.stop();
    await running;
    assert.equal((await shown(client, "ada"))["active"], false);
  });
});

describe("a worker that is told to stop", () => {
  const program = `
import { setTimeout as sleep } from "node:timers/promises";
import { Client, Worker } from ${JSON.stringify(LIBRARY)};
const [grace, takes] = process.argv.slice(1).map(Number);
const worker = new Worker(new Client(), { name: "process", wait: 30, grace });
worker.task("slow", async (task) => {
  console.log("begun");
  if (!task.stopping.aborted) {
    await new Promise((resolve) => task.stopping.addEventListener("abort", resolve));
  }
  await sleep(takes * 1000, undefined, { ref: false });
  return { done: true };
});
console.log("ready");
await worker.run();
console.log("ended");
process.exit();
`;

  class Other {
    readonly child: ChildProcessByStdio<null, Readable, null>;
    readonly #lines: AsyncIterator<string>;

    constructor(client: Client, grace: number, takes: number) {
      const numbers = [String(grace), String(takes)];
      const args = ["--input-type=module", "--eval", program, "--", ...numbers];
      const own = { LOCKSTEP_URL: client.url, LOCKSTEP_NAMESPACE: client.namespace };
      const env = { ...process.env, ...own };
      this.child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "inherit"] });
      this.#lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    }

    async line(): Promise<unknown> {
      return (await this.#lines.next()).value as unknown;
    }

    async end(within: number): Promise<void> {
      const began = Date.now();
      const exit = once(this.child, "exit");
      this.child.kill("SIGTERM");
      assert.deepEqual(await exit, [0, null]);
      assert.ok(Date.now() - began < within * 1000);
      assert.equal(await this.line(), "ended");
    }
  }

  it("ends at once where it waits for work, and holds nothing", async () => {
    const client = fresh();
    await client.setSpec("slow");
    const other = new Other(client, 30, 0);
    assert.equal(await other.line(), "ready");
    const listed = () => lockstep(server, client, "worker", "list");
    await until(async () => (await listed()).includes("process"));
    await other.end(5);
    // Nobody waits any more: what comes now goes to whoever asks.
    await client.add("slow", "one");
    assert.equal((await client.claim("me")).length, 1);
  });

  it("ends where it waits for work and its server has gone", async () => {
    const client = fresh();
    await client.setSpec("slow");
    const other = new Other(client, 30, 0);
    assert.equal(await other.line(), "ready");
    const listed = () => lockstep(server, client, "worker", "list");
    await until(async () => (await listed()).includes("process"));
    await server.kill();
    await other.end(5);
    await server.start();
  });

  it("finishes what is under way within the grace", async () => {
    const client = fresh();
    await client.setSpec("slow");
    await client.add("slow", "one");
    const other = new Other(client, 30, 0.5);
    assert.deepEqual([await other.line(), await other.line()], ["ready", "begun"]);
    await other.end(10);
    assert.equal((await client.unit("slow", "one")).status, "finished");
  });

  it("gives back what takes longer", async () => {
    const client = fresh();
    await client.setSpec("slow");
    await client.add("slow", "one");
    const other = new Other(client, 0.5, 60);
    assert.deepEqual([await other.line(), await other.line()], ["ready", "begun"]);
    await other.end(10);
    assert.equal((await client.unit("slow", "one")).status, "available");
  });
});

describe("servers", () => {
  it("are outlived by their workers", async () => {
    const client = fresh();
    await client.setSpec("count");
    const names = Array.from({ length: 40 }, (_, n) => ({ name: `unit-${n}` }));
    await client.addMany("count", names);
    let done = 0;
    let halfway = false;
    const worker = new Worker(client, { concurrency: 2, batch: 3 }).task("count", (task) => {
      done += 1;
      halfway ||= done === 10;
      return { by: task.token };
    });
    const running = worker.run();
    await until(() => halfway);
    await server.kill();
    await server.start();
    await until(async () => (await client.counts("count"))["finished"] === 40);
    worker.stop();
    await running;
  });

  it("that refuse a worker end it", async () => {
    const { url, namespace } = fresh();
    const worker = new Worker(new Client({ url, namespace, token: "wrong" }));
    await assert.rejects(worker.other(() => undefined).run(), (error) => {
      assert.ok(error instanceof Denied);
      return error.code === "unauthenticated";
    });
  });
});
