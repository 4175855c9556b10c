// Which server holds the bucket, and whether it is Google's.

import { BucketError } from "./errors.ts";

const google = "https://storage.googleapis.com";

/**
 * The server's address without a path: `option` if given, else STORAGE_EMULATOR_HOST in the forms Google's
 * clients document (`http://host:port`, or bare `host:port` for plain http), else Google's.
 */
export function endpointFrom(env: { STORAGE_EMULATOR_HOST?: string }, option: string | undefined): string {
  if (option !== undefined) return originOf(option, "--endpoint");
  if (env.STORAGE_EMULATOR_HOST) return originOf(env.STORAGE_EMULATOR_HOST, "STORAGE_EMULATOR_HOST");
  return google;
}

/** Whether `endpoint` is Google's own service, which is the only one that ever gets to see credentials. */
export function isGoogle(endpoint: string): boolean {
  const { protocol, hostname } = new URL(endpoint);
  return protocol === "https:" && (hostname === "googleapis.com" || hostname.endsWith(".googleapis.com"));
}

function originOf(text: string, from: string): string {
  const address = /^https?:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || url.hostname === "" || url.username !== "" || url.password !== "") {
    throw new BucketError(
      "invalid",
      `${from} is "${text}"; expected an address such as http://127.0.0.1:4443`,
    );
  }
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    throw new BucketError("invalid", `${from} is "${text}"; expected an address without a path`);
  }
  return url.origin;
}
