// How somebody who looks after a mount speaks to the process that serves it: lines of JSON over a Unix socket.
//
//   client                                            server
//   {"version":1,"id":1,"ask":"status","with":{}}  →
//                                                  ←  {"version":1,"id":1,"answer":{…}}
//   {"version":1,"id":2,"ask":"nonsense"}          →
//                                                  ←  {"version":1,"id":2,"error":{"message":"…","remedy":"…"}}
//
// Requests of one client are answered one after another, in order. What a request or an answer may mean stands in
// requests.ts. A version that is not ours is refused in words, so that a newer command says what is the matter.

/** Raised when old clients and new servers would misunderstand each other. */
export const PROTOCOL_VERSION = 1;
/** Longest request, in bytes. */
export const REQUEST_MAX_BYTES = 64 << 10;
/** Longest answer. A list comes in pages that are far shorter. */
export const ANSWER_MAX_BYTES = 4 << 20;
/** Longest path of a socket, in bytes: sun_path of unix(7) is 108 with its final zero. */
export const SOCKET_PATH_MAX_BYTES = 107;

export interface Question {
  readonly version: number;
  readonly id: number;
  readonly ask: string;
  readonly with: Readonly<Record<string, unknown>>;
}

export type Reply =
  | { readonly version: number; readonly id: number; readonly answer: unknown }
  | {
      readonly version: number;
      readonly id: number;
      readonly error: { readonly message: string; readonly remedy?: string };
    };

/** Something that was asked cannot be done; the message says why in one sentence, `remedy` what to do about it. */
export class ControlError extends Error {
  override readonly name = "ControlError";
  readonly remedy: string | undefined;

  constructor(message: string, remedy?: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.remedy = remedy;
  }
}

/** A question on a line of its own. */
export function encodeQuestion(
  id: number,
  ask: string,
  parameters: Readonly<Record<string, unknown>>,
): string {
  return `${JSON.stringify({ version: PROTOCOL_VERSION, id, ask, with: parameters })}\n`;
}

/** Throws ControlError for what is no question of this version. */
export function decodeQuestion(line: string): Question {
  const value = parse(line);
  const { version, id, ask, with: parameters = {} } = value;
  if (version !== PROTOCOL_VERSION)
    throw new ControlError(
      `this mount is served by another version of sidemount (it speaks ${PROTOCOL_VERSION}, not ${String(version)})`,
      "Use the same version for the command, or mount again.",
    );
  if (typeof id !== "number" || typeof ask !== "string" || !isRecord(parameters))
    throw new ControlError("that is not a question");
  return { version, id, ask, with: parameters };
}

/** A reply on a line of its own. Numbers of 64 bits become text. */
export function encodeReply(reply: Reply): string {
  const line = `${JSON.stringify(reply, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value))}\n`;
  if (Buffer.byteLength(line) <= ANSWER_MAX_BYTES) return line;
  const { version, id } = reply;
  return `${JSON.stringify({ version, id, error: { message: "the answer is too long" } })}\n`;
}

/** Throws ControlError for what is no reply. */
export function decodeReply(line: string): Reply {
  const value = parse(line);
  if (typeof value["id"] !== "number" || !("answer" in value || isRecord(value["error"])))
    throw new ControlError("what answers there is not sidemount");
  return value as unknown as Reply;
}

function parse(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (isRecord(value)) return value;
  } catch {
    // said below
  }
  throw new ControlError("that is not a line of JSON");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
