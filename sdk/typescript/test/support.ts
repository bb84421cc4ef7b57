/** A real server for the tests: the program that LOCKSTEP_BIN names, on a free port. */

import { execFile, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import type { Client } from "../src/index.js";

/** The built tests are in `dist/test`. */
const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));

/** Finds the program, or says what is missing. */
function program(): string {
  const target = process.env["CARGO_TARGET_DIR"] ?? join(ROOT, "target");
  for (const path of [process.env["LOCKSTEP_BIN"], join(target, "debug", "lockstep")]) {
    if (path && existsSync(path)) return path;
  }
  throw new Error("no lockstep program: set LOCKSTEP_BIN, or run cargo build first");
}

/** A server on a free port, with its store in a folder of its own. */
export class Server {
  readonly folder = mkdtempSync(join(tmpdir(), "lockstep-"));
  url = "";
  #port = "0";
  #process: ChildProcess | undefined;

  /** Starts it, again on the same port, and waits until it listens. */
  async start(): Promise<this> {
    const store = `sqlite:${join(this.folder, "queue.db")}`;
    const listen = `127.0.0.1:${this.#port}`;
    const args = ["serve", "--store", store, "--listen", listen, "--rpc", "off"];
    const env = { PATH: process.env["PATH"], HOME: this.folder };
    const child = spawn(program(), args, { env, stdio: ["ignore", "ignore", "pipe"] });
    this.#process = child;
    const said: string[] = [];
    // All that it says is read, so that it never waits for its reader.
    const lines = createInterface({ input: child.stderr });
    this.url = await new Promise<string>((resolve, reject) => {
      lines.on("line", (line) => {
        said.push(line);
        const [word, , url] = line.split(" ");
        if (word === "listening" && url?.startsWith("http://")) resolve(url);
      });
      lines.on("close", () => {
        reject(new Error(`the server did not start: ${said.join("\n")}`));
      });
    });
    this.#port = this.url.split(":").pop() ?? "0";
    return this;
  }

  /** Kills it at once. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (!child) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
    this.#process = undefined;
  }

  /** Ends it and removes its folder. */
  async close(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true });
  }
}

/** Runs a command of the program in the namespace of a client. */
export async function lockstep(server: Server, client: Client, ...args: string[]): Promise<string> {
  const env = {
    PATH: process.env["PATH"],
    HOME: server.folder,
    LOCKSTEP_URL: client.url,
    LOCKSTEP_NAMESPACE: client.namespace,
  };
  return (await promisify(execFile)(program(), args, { env })).stdout;
}

/** Waits for a condition, and fails if it does not come. */
export async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  const end = Date.now() + 30_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error("it did not come about within 30 s");
    // Sleeps because the condition is another process's.
    await sleep(20);
  }
}
