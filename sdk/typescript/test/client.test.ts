/** What a program asks of a server. */

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { BadRequest, Client, Conflict, LostLease, NotFound, Unavailable } from "../src/index.js";
import type { Attempt } from "../src/index.js";
import { escape } from "../src/wire.js";
import { Server, lockstep } from "./support.js";

let server: Server;
let count = 0;

before(async () => {
  server = await new Server().start();
});
after(() => server.close());

/** Makes a client with a namespace of its own. */
function fresh(): Client {
  count += 1;
  return new Client({ url: server.url, namespace: `client-${count}` });
}

async function one(client: Client, worker = "me"): Promise<Attempt> {
  const [attempt, ...others] = await client.claim(worker);
  assert.ok(attempt);
  assert.equal(others.length, 0);
  return attempt;
}

describe("units", () => {
  it("are added, claimed and finished", async () => {
    const client = fresh();
    await client.setSpec("count");
    const odd = new Uint8Array([0xff, 0xfe]);
    await client.addMany("count", [
      { name: "a/b", data: { n: 1 } },
      { name: odd, priority: 2.5 },
    ]);
    const [first, second] = await client.claim("me", { specs: ["count"], count: 2 });
    assert.ok(first && second);
    assert.deepEqual(Buffer.from(first.unit as Uint8Array), Buffer.from(odd));
    assert.equal(second.unit, "a/b");
    await client.finish(second, { n: 2 });
    await client.finish(first);
    const unit = await client.unit("count", "a/b");
    assert.deepEqual([unit.status, unit.data], ["finished", { n: 2 }]);
    assert.equal((await client.unit("count", odd)).status, "finished");
    assert.equal((await client.counts("count"))["finished"], 2);
  });

  it("carry blobs", async () => {
    const client = fresh();
    const content = new Uint8Array(1_280_000).map((_, at) => at % 251);
    const blob = await client.putBlob(content, "image/png");
    assert.deepEqual([blob.$blob.bytes, blob.$blob.type], [content.length, "image/png"]);
    await client.setSpec("look");
    await client.add("look", "one", { picture: blob });
    const attempt = await one(client);
    assert.deepEqual(await client.getBlob(attempt.data["picture"] as typeof blob), content);
    await assert.rejects(client.getBlob("00".repeat(32)), NotFound);
  });

  it("are made of the output of others", async () => {
    const client = fresh();
    await client.setSpec("first", { then: "second" });
    await client.setSpec("second");
    await client.add("first", "one", { kept: true });
    await client.finish(await one(client), undefined, { two: { n: 2 } });
    const attempt = await one(client);
    assert.deepEqual([attempt.unit, attempt.data], ["two", { n: 2 }]);
    assert.deepEqual((await client.unit("first", "one")).data, {
      kept: true,
      output: { two: { n: 2 } },
    });
  });

  it("are claimed by runtime", async () => {
    const client = fresh();
    await client.setSpec("scripts", { runtime: "node" });
    await client.add("scripts", "one");
    assert.deepEqual(await client.claim("me", { runtimes: ["shell"] }), []);
    assert.equal((await client.claim("me", { runtimes: ["node"] })).length, 1);
  });

  it("are given back, tried again and failed", async () => {
    const client = fresh();
    await client.setSpec("count");
    await client.add("count", "one");
    await client.expire(await one(client));
    await client.retry(await one(client), 0, { tries: 1 });
    const attempt = await one(client);
    // What is kept with an attempt is not the unit's.
    assert.deepEqual(attempt.data, {});
    await client.renew(attempt, 60, { tries: 2 });
    await client.fail(attempt, "no such file", { tries: 2 });
    const unit = await client.unit("count", "one");
    assert.equal(unit.status, "failed");
    assert.deepEqual(unit.data, { tries: 2, traceback: "no such file" });
  });

  it("are not handed out before their time", async () => {
    const client = fresh();
    await client.setSpec("count");
    await client.add("count", "one", {}, { delay: 3600 });
    assert.deepEqual(await client.claim("me"), []);
    assert.equal((await client.unit("count", "one")).status, "delayed");
  });

  it("are not changed by who lost the lease", async () => {
    const client = fresh();
    await client.setSpec("count");
    await client.add("count", "one");
    const old = await one(client);
    await client.expire(old);
    const now = await one(client, "you");
    assert.ok(now.token > old.token);
    await assert.rejects(client.finish(old, { by: "old" }), (error) => {
      assert.ok(error instanceof LostLease);
      return error.code === "lost_lease";
    });
    await client.finish(now, { by: "now" });
    await assert.rejects(client.finish(now), Conflict);
    assert.deepEqual((await client.unit("count", "one")).data, { by: "now" });
  });

  it("have data in CBOR where JSON cannot say it", async () => {
    const client = fresh();
    await client.setSpec("count");
    // The dictionary {"a": h'00'} in CBOR.
    await client.add("count", "one", "oWFhQQA=" as never);
    const { data, cbor } = await one(client);
    assert.deepEqual([data, cbor && [...cbor]], [{}, [0xa1, 0x61, 0x61, 0x41, 0]]);
  });
});

describe("errors", () => {
  it("have the codes of the server", async () => {
    const client = fresh();
    const code = (code: string, kind: typeof NotFound) => (error: unknown) => {
      assert.ok(error instanceof kind);
      assert.ok(error.hint);
      return error.code === code;
    };
    await assert.rejects(client.add("none", "one"), code("no_such_work_spec", NotFound));
    const wrong = client.setSpec("count", { weight: "much" });
    await assert.rejects(wrong, code("bad_work_spec_key", BadRequest));
  });

  it("tell that a server is away", async () => {
    const client = new Client({ url: "http://127.0.0.1:1", patience: 0 });
    await assert.rejects(client.counts("count"), (error) => {
      assert.ok(error instanceof Unavailable);
      return error.code === "unavailable";
    });
    assert.throws(() => new Client({ url: "queue.example" }), TypeError);
  });
});

describe("workflows", () => {
  const flow = (namespace: string): string => `
document: {dsl: '1.0.3', namespace: ${namespace}, name: order, version: '1.0.0'}
schedule:
  on: {one: {with: {type: com.acme.order.placed.v1}}}
input: {from: '\${ if type == "array" then .[0].data else . end }'}
do:
  - pack: {call: work, with: {spec: packing, data: {items: '\${ .items }'}}}
`;

  async function published(): Promise<Client> {
    const client = fresh();
    await client.setSpec("packing");
    const file = join(server.folder, "order.yaml");
    writeFileSync(file, flow(client.namespace));
    await lockstep(server, client, "workflow", "publish", file);
    return client;
  }

  async function pack(client: Client): Promise<void> {
    const [attempt] = await client.claim("me", { specs: ["packing"], wait: 30 });
    assert.ok(attempt);
    await client.finish(attempt, { boxes: (attempt.data["items"] as unknown[]).length });
  }

  it("are started once and followed", async () => {
    const client = await published();
    const input = { items: ["cup", "pot"] };
    const id = await client.start("order", input, "order-17");
    assert.equal(await client.start("order", input, "order-17"), id);
    await assert.rejects(client.wait(id, 0), /after 0 s/);
    await pack(client);
    const seqs: number[] = [];
    for await (const entry of client.follow(id)) seqs.push(entry.seq);
    assert.ok(seqs.length > 0);
    assert.deepEqual(
      seqs,
      seqs.map((_, at) => at + 1),
    );
    const done = await client.wait(id);
    assert.deepEqual([done.status, done.output], ["finished", { boxes: 2 }]);
  });

  it("are started by an event once", async () => {
    const client = await published();
    const send = () =>
      client.send("com.acme.order.placed.v1", "shop", { items: ["cup"] }, { id: "1" });
    const received = await send();
    assert.deepEqual([received.isDuplicate, received.started.length], [false, 1]);
    assert.equal((await send()).isDuplicate, true);
    await pack(client);
    const [id = ""] = received.started;
    assert.deepEqual((await client.wait(id)).output, { boxes: 1 });
  });
});

it("names are written for paths", () => {
  const names = ["alice", "a/b", "", "-a", new Uint8Array([0xff, 0xfe])];
  assert.deepEqual(names.map(escape), ["alice", "-YS9i", "-", "-LWE", "-__4"]);
});
