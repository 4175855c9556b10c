// CRC32C as the service writes it: base64 of the four bytes, most significant first.

import { crc32c } from "@node-rs/crc32";

/** The checksum of `bytes`, going on from that of what came before. */
export function crc32cOf(bytes: Buffer, before = 0): number {
  return crc32c(bytes, before) >>> 0;
}

export function encodeCrc32c(checksum: number): string {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(checksum >>> 0);
  return bytes.toString("base64");
}

/** Undefined if `text` is not four bytes in base64. */
export function decodeCrc32c(text: string): number | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.length === 4 ? bytes.readUInt32BE() : undefined;
}
