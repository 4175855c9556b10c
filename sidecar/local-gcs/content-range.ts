// The two headers that name byte ranges: Range on reads, Content-Range on chunks of a resumable upload.

import { invalid } from "./api-error.ts";

/** Bytes from `start` up to but not including `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** What a Range header means for `size` bytes: a part, nothing that exists, or (absent, malformed) everything. */
export function rangeOf(header: string | undefined, size: number): ByteRange | "unsatisfiable" | "whole" {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/i.exec(header?.trim() ?? "") ?? [];
  if (first === undefined || last === undefined || first + last === "") return "whole";
  if (first === "") return suffixOf(Number(last), size);
  const start = Number(first);
  const end = last === "" ? Infinity : Number(last) + 1;
  if (end <= start) return "whole";
  return start >= size ? "unsatisfiable" : { start, end: Math.min(end, size) };
}

function suffixOf(length: number, size: number): ByteRange | "unsatisfiable" {
  return length === 0 || size === 0 ? "unsatisfiable" : { start: Math.max(0, size - length), end: size };
}

/** What a request on an upload session carries. `total` is undefined while the client does not know it. */
export type UploadPart =
  | { readonly kind: "query"; readonly total: number | undefined }
  | {
      readonly kind: "chunk";
      readonly start: number;
      readonly end: number;
      readonly total: number | undefined;
    }
  /** Everything from `start` to the end of the body, which is also the end of the object. */
  | { readonly kind: "rest"; readonly start: number; readonly total: number | undefined };

/** Reads `bytes a-b/N`, `bytes a-b/*`, `bytes a-*` + `/N` or `/*`, and the queries `bytes *` + `/N` or `/*`. */
export function uploadPartOf(header: string | undefined): UploadPart {
  if (header === undefined) return { kind: "rest", start: 0, total: undefined };
  const [, range, from, to, size] = /^bytes\s*(\*|(\d+)-(\d+|\*))\/(\d+|\*)$/i.exec(header.trim()) ?? [];
  if (range === undefined) throw invalid(`Failed to parse Content-Range header: ${header}`);
  const total = size === "*" ? undefined : Number(size);
  if (range === "*") return { kind: "query", total };
  const start = Number(from);
  if (to === "*") return { kind: "rest", start, total };
  const end = Number(to) + 1;
  if (end <= start || (total !== undefined && end > total)) {
    throw invalid(`Failed to parse Content-Range header: ${header}`);
  }
  return { kind: "chunk", start, end, total };
}
