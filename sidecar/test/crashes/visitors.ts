// Visitors of a web server over a folder: some who look at pages again and again, and one who uploads every 50 ms and looks
// at once at what was uploaded. Every answer must be 200 and whole.

import { mkdir, writeFile } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { BucketServer } from "../helpers/bucket-server.ts";
import type { Mount } from "../helpers/mounted.ts";

const PAGES = 20;
const PAGE_BYTES = 30_000;
const READERS = 6;
const UPLOAD_EVERY_MS = 50;
/** As web servers' own: nobody waits longer. */
const PATIENCE_MS = 30_000;

export interface Visits {
  readonly answers: number;
  readonly wrong: readonly string[];
}

export class Visitors {
  readonly #pages: Buffer[];
  readonly #sides: readonly string[];
  readonly #running: Promise<void>[] = [];
  readonly #wrong: string[] = [];
  #answers = 0;
  #stopped = false;

  private constructor(pages: Buffer[], sides: readonly string[]) {
    this.#pages = pages;
    this.#sides = sides;
  }

  /** `sides` are addresses of the same folder. */
  static async come(server: BucketServer, mount: Mount, sides: readonly string[]): Promise<Visitors> {
    const pages = Array.from({ length: PAGES }, () => randomBytes(PAGE_BYTES));
    for (const [number, bytes] of pages.entries()) await server.put(`pages/${number}`, bytes);
    await mkdir(mount.path("uploaded"));
    const visitors = new Visitors(pages, sides);
    for (let reader = 0; reader < READERS; reader += 1) visitors.#running.push(visitors.#read(reader));
    visitors.#running.push(visitors.#upload(mount));
    return visitors;
  }

  async leave(): Promise<Visits> {
    this.#stopped = true;
    await Promise.all(this.#running);
    return { answers: this.#answers, wrong: this.#wrong };
  }

  async #read(reader: number): Promise<void> {
    for (let number = reader; !this.#stopped; number += 1) {
      const page = number % PAGES;
      const side = this.#sides[number % this.#sides.length] ?? "";
      await this.#look(`${side}/pages/${page}`, this.#pages[page]);
    }
  }

  async #upload(mount: Mount): Promise<void> {
    for (let number = 0; !this.#stopped; number += 1) {
      const bytes = randomBytes(1000 + (number % 50) * 1000);
      try {
        await writeFile(mount.path(`uploaded/${number}`), bytes);
      } catch (error) {
        this.#wrong.push(`upload ${number}: ${String(error)}`);
        continue;
      }
      for (const side of this.#sides) await this.#look(`${side}/uploaded/${number}`, bytes);
      await delay(UPLOAD_EVERY_MS);
    }
  }

  async #look(url: string, expected: Buffer | undefined): Promise<void> {
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS) });
      const bytes = Buffer.from(await answer.arrayBuffer());
      this.#answers += 1;
      if (answer.status !== 200 || expected?.equals(bytes) !== true)
        this.#wrong.push(`${url}: ${answer.status}, ${bytes.length} bytes`);
    } catch (error) {
      this.#wrong.push(`${url}: ${String(error)}`);
    }
  }
}
