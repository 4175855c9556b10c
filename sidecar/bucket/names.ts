// Names as they travel in request paths.

import { BucketError } from "./errors.ts";

/**
 * `name` as one path segment, slashes included. What encodeURIComponent leaves alone although some servers and
 * proxies give it a meaning (RFC 3986 sub-delims) is encoded too.
 */
export function encodeSegment(name: string): string {
  if (!name.isWellFormed())
    throw new BucketError("invalid", `not a valid Unicode name: ${JSON.stringify(name)}`);
  return encodeURIComponent(name).replace(/[!'()*]/g, hexOf);
}

function hexOf(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

/** `?a=1&b=2` of the parameters that are given. */
export function encodeQuery(
  parameters: Readonly<Record<string, string | number | bigint | boolean | undefined>>,
): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined);
  if (given.length === 0) return "";
  return `?${given.map(([name, value]) => `${name}=${encodeSegment(String(value))}`).join("&")}`;
}
