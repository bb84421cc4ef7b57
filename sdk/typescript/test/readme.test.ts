/** The example of the README does what it says. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

import { Client, NotFound } from "../src/index.js";
import { Server, until } from "./support.js";

const PACKAGE = fileURLToPath(new URL("../..", import.meta.url));

it("the ten lines are a worker", async () => {
  const server = await new Server().start();
  const client = new Client({ url: server.url, namespace: "readme" });
  const text = readFileSync(`${PACKAGE}/README.md`, "utf8");
  const code = text.split("```js\n")[1]?.split("```")[0] ?? "";
  assert.ok(code.includes('"http://127.0.0.1:5980"'));
  const here = code.replace("http://127.0.0.1:5980", server.url);
  const args = ["--input-type=module", "--eval", here];
  const env = { ...process.env, LOCKSTEP_NAMESPACE: client.namespace };
  // The name of a package is known inside its folder.
  const child = spawn(process.execPath, args, { env, cwd: PACKAGE, stdio: "inherit" });
  const exit = once(child, "exit");
  try {
    await until(async () => {
      const counts = await client.counts("greet").catch((error: unknown) => {
        // The example has not come that far yet.
        if (error instanceof NotFound) return {} as Record<string, number>;
        throw error;
      });
      return counts["finished"] === 1;
    });
    assert.deepEqual((await client.unit("greet", "alice")).data, { said: "hello alice" });
    child.kill("SIGTERM");
    assert.deepEqual(await exit, [0, null]);
  } finally {
    child.kill("SIGKILL");
    await server.close();
  }
});
