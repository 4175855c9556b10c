// A connection that can fail where no server would: what stands between a client and a server, and cuts, swallows,
// delays or falsifies bytes on the way. It knows of HTTP only where a request begins.

import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** `afterBytes` counts from the request's first byte, or the answer's, heads included. */
export type ConnectionFault =
  | { readonly kind: "reset" }
  | {
      readonly kind: "reset-up" | "reset-down" | "end-down" | "flip-up" | "flip-down";
      readonly afterBytes: number;
    }
  /** The request is taken and never passed on. */
  | { readonly kind: "swallow" }
  /** Not the server answers but this. */
  | { readonly kind: "answer"; readonly status: number; readonly message: string }
  /** The request is passed on so much later, whether anybody still waits or not. */
  | { readonly kind: "delay"; readonly ms: number };

export interface Strike {
  readonly fault: ConnectionFault;
  /** Which requests, by their first line (`GET /storage/…`); absent: all. */
  readonly line?: RegExp;
  /** How often; absent: always. */
  readonly count?: number;
}

export interface FaultProxy {
  readonly url: string;
  strike(strike: Strike): void;
  clear(): void;
  /** How often anything has struck. */
  readonly struck: () => number;
  /** Connections that are open. */
  readonly open: () => number;
  close(): Promise<void>;
}

/** Starts a proxy of the server at `behind`. */
export async function startFaultProxy(behind: string): Promise<FaultProxy> {
  const rules = new Rules();
  const sockets = new Set<Socket>();
  const port = Number(new URL(behind).port);
  const server = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => undefined);
      socket.once("close", () => sockets.delete(socket));
    }
    new Passage(client, upstream, rules).open();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    strike: (strike) => rules.add(strike),
    clear: () => rules.clear(),
    struck: () => rules.struck,
    open: () => sockets.size,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

class Rules {
  #strikes: { readonly strike: Strike; left: number }[] = [];
  struck = 0;

  add(strike: Strike): void {
    this.#strikes.push({ strike, left: strike.count ?? Infinity });
  }

  clear(): void {
    this.#strikes = [];
  }

  /** What is in store for the request that begins with `line`; used up when it strikes. */
  for(line: string): InStore | undefined {
    const found = this.#strikes.find(({ strike, left }) => left > 0 && (strike.line?.test(line) ?? true));
    if (found === undefined) return undefined;
    return {
      fault: found.strike.fault,
      take: () => {
        if (found.left <= 0) return false;
        found.left -= 1;
        this.struck += 1;
        return true;
      },
    };
  }
}

interface InStore {
  readonly fault: ConnectionFault;
  take(): boolean;
}

/** One client's connection, and the one to the server that belongs to it. */
class Passage {
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #rules: Rules;
  #inStore: InStore | undefined;
  #swallows = false;
  #delayMs = 0;
  #delayed = 0;
  #up = 0;
  #down = 0;

  constructor(client: Socket, upstream: Socket, rules: Rules) {
    this.#client = client;
    this.#upstream = upstream;
    this.#rules = rules;
  }

  open(): void {
    this.#client.on("data", (bytes) => this.#onRequest(bytes));
    this.#upstream.on("data", (bytes) => this.#onAnswer(bytes));
    this.#client.once("close", () => {
      if (this.#delayed === 0) this.#upstream.destroy();
    });
    this.#upstream.once("close", () => this.#client.destroySoon());
  }

  #onRequest(bytes: Buffer): void {
    const line = /^(?:GET|POST|PUT|PATCH|DELETE) \/[^\r\n]* HTTP\/1\.1(?=\r\n)/.exec(
      bytes.toString("latin1"),
    )?.[0];
    if (line !== undefined) this.#begin(line);
    if (this.#swallows) return;
    const passed = this.#struckBy(bytes, this.#up, "reset-up", "flip-up");
    this.#up += bytes.length;
    if (passed !== undefined) this.#passOn(passed);
  }

  #begin(line: string): void {
    this.#up = this.#down = this.#delayMs = 0;
    this.#inStore = this.#rules.for(line);
    const fault = this.#inStore?.fault;
    if (fault?.kind === "reset" && this.#inStore?.take()) this.#reset();
    if (fault?.kind === "swallow" && this.#inStore?.take()) this.#swallows = true;
    if (fault?.kind === "answer" && this.#inStore?.take()) this.#answer(fault);
    if (fault?.kind === "delay" && this.#inStore?.take()) this.#delayMs = fault.ms;
  }

  #answer({ status, message }: Extract<ConnectionFault, { kind: "answer" }>): void {
    this.#swallows = true;
    const body = JSON.stringify({ error: { code: status, message, errors: [{ reason: "notFound" }] } });
    const head = `HTTP/1.1 ${status} Refused\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n`;
    this.#client.end(head + body);
  }

  #passOn(bytes: Buffer): void {
    if (this.#delayMs === 0) return void this.#upstream.write(bytes);
    this.#delayed += 1;
    setTimeout(() => {
      this.#upstream.write(bytes);
      this.#delayed -= 1;
      if (this.#client.destroyed && this.#delayed === 0) this.#upstream.end();
    }, this.#delayMs);
  }

  #onAnswer(bytes: Buffer): void {
    const passed = this.#struckBy(bytes, this.#down, "reset-down", "flip-down", "end-down");
    this.#down += bytes.length;
    if (this.#client.destroyed) this.#upstream.destroy();
    else if (passed !== undefined) this.#client.write(passed);
  }

  /** What is passed on of `bytes`, which begin at `at`; undefined when the connection is gone. */
  #struckBy(bytes: Buffer, at: number, ...kinds: ConnectionFault["kind"][]): Buffer | undefined {
    const fault = this.#inStore?.fault;
    if (fault === undefined || !("afterBytes" in fault) || !kinds.includes(fault.kind)) return bytes;
    const within = fault.afterBytes - at;
    if (within < 0 || within >= bytes.length || !this.#inStore?.take()) return bytes;
    if (fault.kind.startsWith("flip")) {
      const changed = Buffer.from(bytes);
      changed[within] = (changed[within] ?? 0) ^ 1;
      return changed;
    }
    const [from, to] = fault.kind.endsWith("up")
      ? [this.#client, this.#upstream]
      : [this.#upstream, this.#client];
    // What comes before it arrives first.
    to.write(bytes.subarray(0, within), () => {
      if (fault.kind === "reset-down") return this.#reset();
      if (fault.kind === "reset-up") from.resetAndDestroy();
      else from.destroy();
      to.end();
    });
    return undefined;
  }

  #reset(): void {
    this.#inStore = undefined;
    this.#swallows = true;
    this.#client.resetAndDestroy();
    this.#upstream.resetAndDestroy();
  }
}
