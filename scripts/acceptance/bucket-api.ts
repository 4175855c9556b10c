// The bucket seen from outside: by its JSON API, as any other program on the network would, and by the door the
// local server opens for tests.

import { request, type Answer, type Question } from "./http.ts";
import { equal, sameBytes, Unmet } from "./step.ts";
import { bucketName } from "../demo/stage.ts";
import type { Stage } from "./stage.ts";

export interface ObjectFacts {
  readonly name: string;
  readonly size: string;
  readonly generation: string;
  readonly contentType?: string;
  readonly timeCreated: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A fault the local server commits: which requests, and what happens to them. */
export interface Fault {
  /** `storage.objects.insert` and the like; absent: all. */
  readonly method?: string;
  /** Of an object; with a `*` at its end, what it begins with. */
  readonly name?: string;
  readonly action: string;
  readonly count?: number;
}

export interface LoggedRequest {
  readonly sequence: number;
  readonly method: string;
  readonly object: string;
  readonly status: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
}

export class BucketApi {
  readonly #base: string;

  constructor(stage: Pick<Stage, "bucketUrl">) {
    this.#base = stage.bucketUrl;
  }

  #object(name: string, query = ""): string {
    return `${this.#base}/storage/v1/b/${bucketName}/o/${encodeURIComponent(name)}${query}`;
  }

  async #ask(url: string, wanted: readonly number[], question?: Question): Promise<Answer> {
    const answer = await request(url, question);
    if (!wanted.includes(answer.status)) {
      throw new Unmet(
        `the bucket server answered ${answer.status} to ${question?.method ?? "GET"} ${url}: ${answer.body.toString().slice(0, 200)}`,
      );
    }
    return answer;
  }

  async facts(name: string): Promise<ObjectFacts | undefined> {
    const answer = await this.#ask(this.#object(name), [200, 404]);
    return answer.status === 404 ? undefined : (JSON.parse(answer.body.toString()) as ObjectFacts);
  }

  async read(name: string): Promise<Buffer> {
    return (await this.#ask(this.#object(name, "?alt=media"), [200])).body;
  }

  async write(
    name: string,
    content: Uint8Array,
    contentType = "application/octet-stream",
  ): Promise<ObjectFacts> {
    const url = `${this.#base}/upload/storage/v1/b/${bucketName}/o?uploadType=media&name=${encodeURIComponent(name)}`;
    const headers = { "content-type": contentType };
    const answer = await this.#ask(url, [200], { method: "POST", headers, body: content });
    return JSON.parse(answer.body.toString()) as ObjectFacts;
  }

  async remove(name: string): Promise<void> {
    await this.#ask(this.#object(name), [204], { method: "DELETE" });
  }

  async list(prefix = ""): Promise<ObjectFacts[]> {
    const found: ObjectFacts[] = [];
    for (let token = ""; ;) {
      const query = new URLSearchParams({ prefix, ...(token && { pageToken: token }) });
      const answer = await this.#ask(`${this.#base}/storage/v1/b/${bucketName}/o?${query.toString()}`, [200]);
      const page = JSON.parse(answer.body.toString()) as { items?: ObjectFacts[]; nextPageToken?: string };
      found.push(...(page.items ?? []));
      if (!page.nextPageToken) return found;
      token = page.nextPageToken;
    }
  }

  /** The object must be there with exactly these bytes. */
  async mustHold(name: string, content: Buffer): Promise<ObjectFacts> {
    const facts = await this.facts(name);
    if (!facts) throw new Unmet(`the bucket has no object ${name}`);
    equal(`size of the object ${name}`, facts.size, String(content.length));
    sameBytes(`object ${name}`, await this.read(name), content);
    return facts;
  }

  // The server's door for tests.

  async #admin(path: string, method: string, body?: unknown): Promise<Answer> {
    const question = {
      method,
      ...(body !== undefined && {
        headers: { "content-type": "application/json" },
        body: Buffer.from(JSON.stringify(body)),
      }),
    };
    return this.#ask(`${this.#base}/admin/${path}`, [200], question);
  }

  /** Commits these faults while `work` runs. */
  async withFaults<Value>(faults: readonly Fault[], work: () => Promise<Value>): Promise<Value> {
    await this.#admin("faults", "POST", faults);
    try {
      return await work();
    } finally {
      await this.#admin("faults", "DELETE");
    }
  }

  /** Every answer comes this much later while `work` runs. */
  async withLatency<Value>(ms: number, work: () => Promise<Value>): Promise<Value> {
    await this.#admin("latency", "PUT", { ms });
    try {
      return await work();
    } finally {
      await this.#admin("latency", "PUT", { ms: 0 });
    }
  }

  /** What clients other than these steps asked for while `work` ran. Steps that count ask nothing themselves meanwhile. */
  async requestsDuring(work: () => Promise<unknown>): Promise<LoggedRequest[]> {
    const before = (await this.#requestsAfter(0)).at(-1)?.sequence ?? 0;
    await work();
    return this.#requestsAfter(before);
  }

  async #requestsAfter(sequence: number): Promise<LoggedRequest[]> {
    return JSON.parse(
      (await this.#admin(`requests?after=${sequence}`, "GET")).body.toString(),
    ) as LoggedRequest[];
  }
}
