// Asking the process that serves a mount.

import { createConnection, type Socket } from "node:net";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { linesOf } from "./lines.ts";
import { ANSWER_MAX_BYTES, ControlError, decodeReply, encodeQuestion } from "./protocol.ts";

const LOOK_EVERY_MS = 50;

/** Asks one question and resolves with its answer; rejects with ControlError. */
export type Asking = (
  ask: string,
  parameters?: Readonly<Record<string, unknown>>,
  limitMs?: number,
) => Promise<unknown>;

export interface ControlClient {
  readonly ask: Asking;
  close(): Promise<void>;
}

/** What is thrown where nobody listens, or nobody answers in time. */
export class NoAnswer extends ControlError {}

/** How long an answer may take if nothing else is said: of a process that is well it takes milliseconds. */
const ANSWER_MS = 5_000;

/**
 * Connects to the first of these sockets that can be reached, for up to `patienceMs`: a worker that is being started in
 * the place of another one is not there for a moment. Rejects with NoAnswer.
 */
export async function connectControl(paths: readonly string[], patienceMs: number): Promise<ControlClient> {
  const untilMs = performance.now() + patienceMs;
  for (;;) {
    for (const path of paths) {
      const socket = await tryToConnect(path);
      if (socket !== undefined) return clientOf(socket);
    }
    if (performance.now() >= untilMs)
      throw new NoAnswer(
        "nobody answers for this mount",
        "Look at its log. `sidemount unmount` ends it; what it has acknowledged is in the bucket.",
      );
    await delay(LOOK_EVERY_MS);
  }
}

async function tryToConnect(path: string): Promise<Socket | undefined> {
  const socket = createConnection({ path });
  try {
    await once(socket, "connect");
    return socket;
  } catch (error) {
    socket.destroy();
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (["EACCES", "EPERM"].includes(code))
      throw new ControlError(
        `this user may not ask the process that serves the mount (${code})`,
        "Ask as the user who mounts, or as root.",
        error,
      );
    return undefined; // ENOENT, ECONNREFUSED: not there yet, or no more
  }
}

function clientOf(socket: Socket): ControlClient {
  const lines = linesOf(socket, ANSWER_MAX_BYTES);
  let lastId = 0;
  socket.on("error", () => {}); // told by the end of the lines
  const ask: Asking = async (question, parameters = {}, limitMs = ANSWER_MS) => {
    const id = (lastId += 1);
    socket.write(encodeQuestion(id, question, parameters));
    const stop = new AbortController();
    const late = delay(limitMs, "late" as const, { signal: stop.signal }).catch(() => "late" as const);
    const next = lines.next().catch(() => undefined);
    const read = await Promise.race([next, late]);
    stop.abort();
    if (read === "late")
      throw new NoAnswer(
        `the process that serves the mount does not answer within ${Math.round(limitMs / 1000)} s`,
        "Look at its log. `sidemount unmount` ends it; what it has acknowledged is in the bucket.",
      );
    if (read === undefined || read.done === true)
      throw new NoAnswer("the process that serves the mount went away");
    const reply = decodeReply(read.value);
    if ("error" in reply) throw new ControlError(reply.error.message, reply.error.remedy);
    if (reply.id !== id) throw new ControlError("another question was answered");
    return reply.answer;
  };
  return {
    ask,
    close: async () => {
      socket.end();
      socket.destroy();
      await Promise.resolve();
    },
  };
}
