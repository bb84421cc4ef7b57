/** How names, times and data are written for the server, and what it hands out. */

/** The data of a unit: a dictionary. */
export type Data = Record<string, unknown>;

/** The name of a unit; bytes where it is not text. */
export type Name = string | Uint8Array;

const PLAIN = /^[A-Za-z0-9._:][A-Za-z0-9._:-]*$/;

/** Writes a name for a URL path. */
export function escape(name: Name): string {
  if (typeof name === "string" && PLAIN.test(name)) return name;
  const bytes = typeof name === "string" ? Buffer.from(name) : Buffer.from(name);
  const text = bytes.toString("latin1");
  return PLAIN.test(text) ? text : `-${bytes.toString("base64url")}`;
}

/** Writes a span in seconds as the whole nanoseconds of the wire. */
export function nanos(seconds: number): number {
  return Math.round(seconds * 1e9);
}

/** Writes a unit's name into a body, in base64 where it is not text. */
export function unitName(name: Name, field: string): Data {
  if (typeof name === "string") return { [field]: name };
  try {
    return { [field]: new TextDecoder("utf-8", { fatal: true }).decode(name) };
  } catch {
    return { [`${field}_base64`]: Buffer.from(name).toString("base64") };
  }
}

/** How an attempt is changed. */
export type Change = "finish" | "fail" | "retry" | "renew" | "expire";

/** A change to an attempt, as it is sent. */
export interface AttemptChange extends Data {
  id: number;
  change: Change;
  data?: Data;
}

/** One try at one unit: what a claim hands out. */
export class Attempt {
  constructor(
    /** The name of the work spec. */
    readonly spec: string,
    /** The name of the unit. */
    readonly unit: Name,
    /** The attempt's id, which only grows from one attempt on a unit to the next. */
    readonly id: number,
    /** The data of the unit; empty where JSON cannot say it, see `cbor`. */
    readonly data: Data,
    /** The data in CBOR, where JSON would lose a type. */
    readonly cbor?: Uint8Array,
  ) {}

  /** The number that a call carries to change nothing once the lease is lost. */
  get token(): number {
    return this.id;
  }

  /** Reads an attempt as the server writes it. */
  static of(answer: WireAttempt): Attempt {
    const coded = answer.work_unit_base64;
    const unit = coded === undefined ? answer.work_unit : Buffer.from(coded, "base64");
    const data = answer.data ?? {};
    return typeof data === "string"
      ? new Attempt(answer.work_spec, unit, answer.id, {}, Buffer.from(data, "base64"))
      : new Attempt(answer.work_spec, unit, answer.id, data);
  }

  /** Writes a change to this attempt. */
  change(change: Change, data?: Data, more: Data = {}): AttemptChange {
    const own = { work_spec: this.spec, ...unitName(this.unit, "work_unit") };
    const all = { ...own, id: this.id, token: this.token, change, ...more };
    return data === undefined ? all : { ...all, data };
  }
}

/** An attempt as the server writes it. */
export interface WireAttempt {
  work_spec: string;
  work_unit: string;
  work_unit_base64?: string;
  id: number;
  data?: Data | string | null;
}
