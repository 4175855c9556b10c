// `sidemount local-gcs`: the local bucket server, and how to talk to it.

import path from "node:path";

import { parseBucketAddress } from "../config/bucket-name.ts";
import { withOrigin } from "../config/resolve.ts";
import { UsageError } from "../config/usage-error.ts";
import type { Log } from "../telemetry/log.ts";
import type { Doors } from "./doors.ts";
import { onSignals, stopSignals } from "./signals.ts";

export interface LocalGcsFlags {
  readonly port: string;
  readonly host: string;
  readonly bucket?: readonly string[];
  readonly hierarchicalNamespace?: boolean;
  readonly admin?: boolean;
}

/** Serves until told to stop. `speak` gets the text for people; undefined where nobody reads along. */
export async function localGcs(
  directory: string,
  flags: LocalGcsFlags,
  log: Log,
  { startLocalGcs }: Pick<Doors, "startLocalGcs">,
  speak: ((text: string) => void) | undefined,
): Promise<number> {
  const buckets = (flags.bucket ?? []).map(readBucket);
  const stop = Promise.withResolvers<void>();
  using _ = onSignals(stopSignals, () => stop.resolve());
  const server = await startLocalGcs({
    directory: path.resolve(directory),
    port: readPort(flags.port),
    host: flags.host,
    buckets,
    hierarchical: flags.hierarchicalNamespace ?? false,
    admin: flags.admin ?? false,
    log,
  });
  if (!["127.0.0.1", "::1", "localhost"].includes(flags.host)) {
    log.warn(
      { host: flags.host },
      "local-gcs asks nobody for credentials: whoever reaches it can read and write",
    );
  }
  speak?.(introduction(server.url, path.resolve(directory), buckets[0] ?? "my-uploads"));
  await stop.promise;
  await server.close();
  log.info("local-gcs has stopped");
  return 0;
}

function readPort(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) {
    throw new UsageError(
      `--port is "${text}".`,
      "Expected a number up to 65535, such as 4443; 0 takes a free one.",
    );
  }
  return Number(text);
}

function readBucket(text: string): string {
  const { bucket, prefix } = withOrigin("--bucket", text, () => parseBucketAddress(text));
  if (prefix !== undefined)
    throw new UsageError(`--bucket is "${text}".`, `Expected a name only, such as ${bucket}.`);
  return bucket;
}

function introduction(url: string, directory: string, bucket: string): string {
  return `
  Buckets are kept in ${directory} and served at ${url}

  sidemount  npx sidemount mount ${bucket} ./uploads --endpoint ${url}
  Python     STORAGE_EMULATOR_HOST=${url} python3 -c \\
               'from google.cloud import storage as s; print([*s.Client.create_anonymous_client().list_blobs("${bucket}")])'
  Node       new Storage({ apiEndpoint: "${url}", projectId: "local" }).bucket("${bucket}")
  rclone     rclone ls ":gcs,anonymous,endpoint='${url}/storage/v1/':${bucket}"
  curl       curl -T photo.jpg "${url}/upload/storage/v1/b/${bucket}/o?uploadType=media&name=photo.jpg" -X POST

  Stop it with Ctrl-C; what it holds stays.
`;
}
