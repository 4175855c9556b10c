// The last requests, for tests that count them. A ring: when it is full the oldest entry gives way, and the
// sequence numbers and a counter say so.

export interface RequestRecord {
  /** `storage.objects.insert` and the like; `unknown` where no route matched. */
  method: string;
  verb: string;
  bucket: string;
  object: string;
  query: Readonly<Record<string, string>>;
  /** Range or Content-Range as the client sent it. */
  range: string | undefined;
  /** 0 if the connection was lost before an answer began. */
  status: number;
  requestBytes: number;
  responseBytes: number;
  /** When the request arrived, by the machine's clock. */
  atMs: number;
}

export type LoggedRequest = RequestRecord & { readonly sequence: number };

export class RequestLog {
  readonly #capacity: number;
  #ring: (RequestRecord | undefined)[] = [];
  #first = 1;
  #next = 1;

  constructor(capacity = 100_000) {
    this.#capacity = capacity;
  }

  /** Adds an entry, whose byte counts may still grow. */
  add(record: RequestRecord): void {
    this.#ring[this.#next % this.#capacity] = record;
    this.#next += 1;
    this.#first = Math.max(this.#first, this.#next - this.#capacity);
  }

  /** Entries after `sequence`, oldest first. */
  after(sequence: number): LoggedRequest[] {
    const entries: LoggedRequest[] = [];
    for (let at = Math.max(this.#first, sequence + 1); at < this.#next; at += 1) {
      const record = this.#ring[at % this.#capacity];
      if (record !== undefined) entries.push({ sequence: at, ...record });
    }
    return entries;
  }

  /** How many entries after `sequence` the ring no longer has. */
  droppedAfter(sequence: number): number {
    return Math.max(0, this.#first - 1 - sequence);
  }

  /** Sequence number of the newest entry; 0 if there never was one. */
  get last(): number {
    return this.#next - 1;
  }

  /** Forgets all entries; numbers go on. */
  clear(): void {
    this.#ring = [];
    this.#first = this.#next;
  }
}
