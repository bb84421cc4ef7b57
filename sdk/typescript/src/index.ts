/** Client and worker of the Lockstep work queue, with nothing but what Node has. */

export { Client } from "./client.js";
export type { ClientOptions, Instance, JournalEntry, NewUnit, Received, Unit } from "./client.js";
export {
  BadRequest,
  Conflict,
  Denied,
  LockstepError,
  LostLease,
  NotFound,
  Unavailable,
} from "./errors.js";
export { Attempt } from "./wire.js";
export type { Data, Name } from "./wire.js";
export { Fail, Finish, Retry, Task, Worker } from "./worker.js";
export type { Answer, Run, WorkerOptions } from "./worker.js";
