/** Errors, told apart by what the caller can do about them. */

/** Something that a server refused, with its stable code; the book has a page for each. */
export class LockstepError extends Error {
  constructor(
    /** The name that does not change, such as `no_such_work_spec`. */
    readonly code: string,
    /** What went wrong, for people. */
    readonly detail: string,
    /** What to do about it, for people. */
    readonly hint = "",
    /** The HTTP status, or 0 where there is none. */
    readonly status = 0,
    options?: ErrorOptions,
  ) {
    super(`${detail} (${code})${hint && `; ${hint}`}`, options);
    this.name = new.target.name;
  }
}

/** The request itself is wrong; sent again it is refused again. */
export class BadRequest extends LockstepError {}

/** The token is missing, wrong, or does not allow this. */
export class Denied extends LockstepError {}

/** There is no such record, or it is gone. */
export class NotFound extends LockstepError {}

/** The record is not in the state that the request asks for. */
export class Conflict extends LockstepError {}

/** Another attempt has the unit now, or nobody has; this one changes nothing any more. */
export class LostLease extends Conflict {}

/** The server cannot be reached or cannot answer now; it was tried for as long as allowed. */
export class Unavailable extends LockstepError {}

/** The statuses after which the same request may have more luck. */
export const AGAIN: readonly number[] = [429, 502, 503, 504, 507];

/** Makes the error of a problem document, or of whatever else came with the status. */
export function refused(status: number, answer: unknown): LockstepError {
  const problem = (typeof answer === "object" && answer !== null ? answer : {}) as {
    code?: string;
    detail?: string;
    hint?: string;
  };
  const detail = problem.detail ?? `the server answered with status ${status}`;
  return ofCode(problem.code ?? `http_${status}`, detail, problem.hint ?? "", status);
}

/** Makes the error of a code and its status. */
export function ofCode(code: string, detail: string, hint: string, status: number): LockstepError {
  return new (kindOf(code, status))(code, detail, hint, status);
}

function kindOf(code: string, status: number): typeof LockstepError {
  if (code === "lost_lease") return LostLease;
  if (status === 401 || status === 403) return Denied;
  if (status === 404 || status === 410) return NotFound;
  if (status === 409) return Conflict;
  if (AGAIN.includes(status)) return Unavailable;
  return status >= 400 && status < 500 ? BadRequest : LockstepError;
}
