// A write as it is asked for, without its bytes.

/** What is to be written and how it is asked for, without the bytes. */
export interface Write {
  readonly about: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string | bigint>>;
  readonly resource: Readonly<Record<string, unknown>>;
  readonly contentType: string;
}
