// An answer: status and headers are here, the body may still be on its way.
//
// Whoever gets a Reply must end it: read its text or its chunks to the end, or discard it.

import type { Dispatcher } from "undici";

import type { Measure } from "./measure.ts";
import type { Watch } from "./watch.ts";

export class Reply {
  readonly status: number;
  readonly #response: Dispatcher.ResponseData;
  readonly #watch: Watch;
  readonly #measure: Measure;

  constructor(response: Dispatcher.ResponseData, watch: Watch, measure: Measure) {
    this.status = response.statusCode;
    this.#response = response;
    this.#watch = watch;
    this.#measure = measure;
    // A body that is given up reports that to whoever listens; without a listener it would end the process.
    response.body.on("error", () => {});
  }

  header(name: string): string | undefined {
    const value = this.#response.headers[name];
    return Array.isArray(value) ? value[0] : value;
  }

  /** The bucket's clock when it answered. */
  get dateMs(): number {
    const date = Date.parse(this.header("date") ?? "");
    return Number.isNaN(date) ? Date.now() : date;
  }

  async text(): Promise<string> {
    try {
      const text = await this.#response.body.text();
      this.#measure.bytesReceived += text.length;
      return text;
    } catch (error) {
      throw this.#watch.explain(error);
    } finally {
      this.#watch.end();
    }
  }

  /** The body as it arrives. Time the caller takes between chunks does not count against the service. */
  async *chunks(): AsyncGenerator<Buffer, void, undefined> {
    try {
      this.#watch.moved(); // of a body that is read as it comes each piece has its own time
      for await (const chunk of this.#response.body as AsyncIterable<Buffer>) {
        this.#measure.bytesReceived += chunk.length;
        this.#watch.rest();
        yield chunk;
        this.#watch.moved();
      }
    } catch (error) {
      throw this.#watch.explain(error);
    } finally {
      this.#watch.end();
      this.#response.body.destroy();
    }
  }

  /** Lets go of the body: what little there is of it is read so that the connection can be used again. */
  discard(): void {
    this.#watch.end();
    this.#response.body.dump({ limit: 64 * 1024 }).catch(() => {});
  }
}
