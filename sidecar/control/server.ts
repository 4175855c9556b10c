// The control socket of a mount: several clients at once, each served in order, none of whom can hold up another.

import { lstatSync, mkdirSync, rmSync, chmodSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { once } from "node:events";
import path from "node:path";
import type { Log } from "../telemetry/log.ts";
import { linesOf } from "./lines.ts";
import {
  ControlError,
  decodeQuestion,
  encodeReply,
  PROTOCOL_VERSION,
  REQUEST_MAX_BYTES,
  SOCKET_PATH_MAX_BYTES,
  type Reply,
} from "./protocol.ts";

/** More at a time are sent away. */
const CLIENTS_MAX = 32;
/** A client that does not take its answer, or does not ask, for this long is let go. */
const IDLE_MS = 10 * 60_000;

/** What one client is using. */
export interface ClientSession {
  /** Runs `work` when the client has gone. */
  atEnd(work: () => Promise<unknown>): void;
}

/** Answers one question; throws ControlError, or anything else, where it cannot. */
export type Answering = (
  ask: string,
  parameters: Readonly<Record<string, unknown>>,
  session: ClientSession,
) => Promise<unknown>;

export class ControlServer {
  readonly #server: Server;
  readonly #answering: Answering;
  readonly #log: Log;
  readonly #clients = new Set<Socket>();

  private constructor(answering: Answering, log: Log) {
    this.#answering = answering;
    this.#log = log;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#welcome(socket));
    this.#server.unref();
  }

  /**
   * Listens at `socketPath`, for the user of this process only. What an earlier process left there is replaced, anything
   * else is not. Throws ControlError.
   */
  static async listen(socketPath: string, answering: Answering, log: Log): Promise<ControlServer> {
    if (Buffer.byteLength(socketPath) > SOCKET_PATH_MAX_BYTES)
      throw new ControlError(
        `the path of the control socket is longer than ${SOCKET_PATH_MAX_BYTES} bytes: ${socketPath}`,
      );
    const control = new ControlServer(answering, log);
    mkdirSync(path.dirname(socketPath), { recursive: true, mode: 0o755 });
    removeStale(socketPath);
    const before = process.umask(0o177); // it is bound before `listen` returns
    try {
      control.#server.listen(socketPath);
    } finally {
      process.umask(before);
    }
    await once(control.#server, "listening");
    chmodSync(socketPath, 0o600);
    control.#server.on("error", (error) => log.warn({ err: error }, "the control socket is in trouble"));
    return control;
  }

  /** Lets all clients go. What they have asked for and is under way goes on without them. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const client of this.#clients) client.destroy();
    await closed;
  }

  #welcome(socket: Socket): void {
    socket.on("error", () => socket.destroy()); // it went away; `close` follows
    if (this.#clients.size >= CLIENTS_MAX) {
      const error = { message: "too many clients ask this mount at once", remedy: "Try again later." };
      socket.end(encodeReply({ version: PROTOCOL_VERSION, id: 0, error }));
      socket.destroySoon();
      return;
    }
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    socket.unref();
    this.#clients.add(socket);
    const ends: (() => Promise<unknown>)[] = [];
    const session = { atEnd: (work: () => Promise<unknown>) => void ends.push(work) };
    this.#serve(socket, session)
      .catch((error: unknown) => this.#log.debug({ err: error }, "a control client was let go"))
      .finally(() => {
        socket.destroy();
        this.#clients.delete(socket);
        // What is left is a file without a record, which the next start erases.
        for (const work of ends)
          work().catch((error: unknown) =>
            this.#log.debug({ err: error }, "not cleaned up after a control client"),
          );
      });
  }

  async #serve(socket: Socket, session: ClientSession): Promise<void> {
    try {
      for await (const line of linesOf(socket, REQUEST_MAX_BYTES)) {
        socket.setTimeout(0); // what was asked may take long
        const reply = encodeReply(await this.#reply(line, session));
        if (socket.destroyed) return;
        socket.setTimeout(IDLE_MS);
        // A client that does not read is waited for by nobody but itself, and not for ever.
        if (!socket.write(reply)) await Promise.race([once(socket, "drain"), once(socket, "close")]);
      }
      socket.end();
    } catch (error) {
      if (!(error instanceof ControlError)) throw error;
      socket.end(encodeReply({ version: PROTOCOL_VERSION, id: 0, error: wordsOf(error) }));
      await Promise.race([once(socket, "finish"), once(socket, "close")]);
    }
  }

  async #reply(line: string, session: ClientSession): Promise<Reply> {
    let id = 0;
    try {
      const question = decodeQuestion(line);
      ({ id } = question);
      const answer = await this.#answering(question.ask, question.with, session);
      return { version: PROTOCOL_VERSION, id, answer: answer ?? {} };
    } catch (error) {
      return { version: PROTOCOL_VERSION, id, error: wordsOf(error) };
    }
  }
}

function wordsOf(error: unknown): { message: string; remedy?: string } {
  const message = error instanceof Error ? error.message : String(error);
  const remedy = error instanceof ControlError ? error.remedy : undefined;
  return remedy === undefined ? { message } : { message, remedy };
}

function removeStale(socketPath: string): void {
  const found = lstatSync(socketPath, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new ControlError(`${socketPath} is in the way of the control socket`);
  rmSync(socketPath, { force: true });
}
