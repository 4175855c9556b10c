// MD5 and CRC32C of bytes as they pass, and how clients and the service write them down.

import { createHash, type Hash } from "node:crypto";
import { crc32c } from "@node-rs/crc32";
import { invalid } from "./api-error.ts";

export interface Checksums {
  /** Unsigned 32-bit number. */
  readonly crc32c: number;
  /** Base64. */
  readonly md5: string;
}

/** Checksums a client announced, base64 as it sent them. */
export interface AnnouncedChecksums {
  readonly crc32c?: string | undefined;
  readonly md5?: string | undefined;
}

/** Running checksums of the first `length` bytes of something. */
export class Digest {
  readonly #md5: Hash = createHash("md5");
  #crc32c = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  update(bytes: Buffer): void {
    this.#md5.update(bytes);
    this.#crc32c = crc32c(bytes, this.#crc32c);
    this.#length += bytes.length;
  }

  /** The checksums so far; more bytes may follow. */
  result(): Checksums {
    return { crc32c: this.#crc32c, md5: this.#md5.copy().digest("base64") };
  }
}

/** CRC32C as the service writes it: base64 of the big-endian bytes. */
export function base64OfCrc32c(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes.toString("base64");
}

/** Reads an `x-goog-hash` header: `crc32c=AAAAAA==,md5=…`. */
export function parseHashHeader(header: string | undefined): AnnouncedChecksums {
  const pairs = (header ?? "").split(",").map((part) => {
    const [, name, value] = /^\s*(\w+)=(.*?)\s*$/.exec(part) ?? [];
    return [name ?? "", value] as const;
  });
  return Object.fromEntries(pairs.filter(([name]) => name === "crc32c" || name === "md5"));
}

/** Throws the service's 400 if the bytes are not what one of the announcements said. */
export function verifyChecksums(actual: Checksums, ...announcements: readonly AnnouncedChecksums[]): void {
  const crc = base64OfCrc32c(actual.crc32c);
  for (const announced of announcements) {
    if (announced.crc32c !== undefined && announced.crc32c !== crc) {
      throw invalid(`Provided CRC32C "${announced.crc32c}" doesn't match calculated CRC32C "${crc}".`);
    }
    if (announced.md5 !== undefined && announced.md5 !== actual.md5) {
      throw invalid(
        `Provided MD5 hash "${announced.md5}" doesn't match calculated MD5 hash "${actual.md5}".`,
      );
    }
  }
}
