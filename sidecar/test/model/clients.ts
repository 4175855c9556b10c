// Programs that work in a folder as they are told (client/), and a conversation with each over its pipes.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("client", import.meta.url));
/** Longer than `--deadline`: whatever has not answered by then hangs. */
const PATIENCE_MS = 60_000;

/** One system call, or a few that belong together; `client/` has what each takes. */
export interface Call {
  readonly call: string;
  readonly [argument: string]: unknown;
}

export type Answer = { readonly value: unknown } | { readonly errno: string };

/** A call that never came back, or that ended the client. */
export class ClientLost extends Error {}

export class Client {
  readonly #words: readonly string[];
  #child: ChildProcess | undefined;
  #waiting: ((answer: Answer | undefined) => void) | undefined;
  #errors = "";

  /** Works as root, or as `user` and the group of that number. */
  constructor(user?: number) {
    this.#words = ["-B", PROGRAM, ...(user === undefined ? [] : [String(user)])];
  }

  /** From now on paths are below `folder`. */
  async goTo(folder: string): Promise<void> {
    await this.ask({ call: "go_to", path: folder });
  }

  /** Has the call made; one at a time. */
  async ask(call: Call): Promise<Answer> {
    const child = this.#running();
    const answer = await new Promise<Answer | undefined>((resolve) => {
      const late = setTimeout(resolve, PATIENCE_MS, undefined);
      this.#waiting = (given) => {
        clearTimeout(late);
        resolve(given);
      };
      child.stdin?.write(`${JSON.stringify(call)}\n`);
    });
    this.#waiting = undefined;
    if (answer !== undefined) return answer;
    const alive = child.exitCode === null && child.signalCode === null;
    throw new ClientLost(alive ? `no answer within ${PATIENCE_MS / 1000} s` : `ended: ${this.#errors}`);
  }

  /** Kills it without warning; the next call starts another one. Does not wait for one that hangs. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS).unref());
    await Promise.race([gone, late]);
  }

  #running(): ChildProcess {
    if (this.#child !== undefined) return this.#child;
    const child = spawn("/usr/bin/python3", this.#words, { stdio: ["pipe", "pipe", "pipe"], cwd: "/" });
    this.#errors = "";
    child.stderr.on("data", (text: Buffer) => (this.#errors += text.toString()));
    child.stdin.on("error", () => undefined); // told by its end
    child.once("exit", () => this.#waiting?.(undefined));
    createInterface({ input: child.stdout }).on("line", (line) =>
      this.#waiting?.(JSON.parse(line) as Answer),
    );
    this.#child = child;
    return child;
  }
}
