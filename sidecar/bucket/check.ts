// Is the bucket there and may we use it? Asked once at the start, answered in words that help.

import { credentialsRemedy, firstSentence } from "./auth.ts";
import type { BucketLayout } from "./bucket.ts";
import { isGoogle } from "./endpoint.ts";
import { BucketError, isBucketError } from "./errors.ts";
import { list } from "./list.ts";
import { encodeQuery } from "./names.ts";
import type { Requests } from "./requests.ts";

// Whoever starts a mount is waiting. Long enough for a server that starts beside us.
const longestCheckMs = 8_000;

/** Throws `bucket-not-found`, `forbidden`, `unauthenticated` or `unavailable`, each with the remedy. */
export async function check(requests: Requests, endpoint: string): Promise<BucketLayout> {
  const budget = requests.metadataBudget(longestCheckMs);
  try {
    await list(requests, { prefix: "", pageSize: 1 }, undefined, budget);
  } catch (error) {
    throw isBucketError(error) ? withRemedy(error, requests.bucket, endpoint) : error;
  }
  const { locationType, ...layout } = await layoutOf(requests);
  if (locationType === "zone") {
    throw new BucketError(
      "invalid",
      `bucket ${requests.bucket} is a zonal (Rapid) bucket, whose objects cannot be written this way. ` +
        `Use a bucket in a region, a dual-region or a multi-region`,
    );
  }
  const createdMs = await creationOf(requests);
  return createdMs === undefined ? layout : { ...layout, createdMs };
}

interface Layout extends BucketLayout {
  readonly locationType: string;
}

const unknownLayout: Layout = { hierarchicalNamespace: false, location: "", locationType: "" };

// Needs no more permission than the listing did, but not every server and not every proxy knows it.
async function layoutOf(requests: Requests): Promise<Layout> {
  try {
    const { value } = await requests.ask(
      {
        operation: "layout",
        about: "storage layout",
        method: "GET",
        path: `${requests.bucketPath}/storageLayout`,
      },
      requests.metadataBudget(longestCheckMs),
      decodeLayout,
    );
    return value;
  } catch (error) {
    if (isBucketError(error, "not-found", "bucket-not-found", "forbidden", "invalid")) return unknownLayout;
    throw error;
  }
}

interface LayoutResource {
  location?: string;
  locationType?: string;
  hierarchicalNamespace?: { enabled?: boolean };
}

// Those who may use objects need not be allowed to look at the bucket itself (storage.buckets.get): then nobody knows.
async function creationOf(requests: Requests): Promise<number | undefined> {
  const call = {
    operation: "layout",
    about: "metadata of the bucket",
    method: "GET",
    path: `${requests.bucketPath}${encodeQuery({ fields: "timeCreated" })}`,
  } as const;
  try {
    const { value } = await requests.ask(call, requests.metadataBudget(longestCheckMs), decodeCreation);
    return value;
  } catch (error) {
    if (isBucketError(error, "not-found", "bucket-not-found", "forbidden", "invalid")) return undefined;
    throw error;
  }
}

function decodeCreation(json: unknown): number | undefined {
  const { timeCreated } = (json ?? {}) as { timeCreated?: unknown };
  const createdMs = typeof timeCreated === "string" ? Date.parse(timeCreated) : NaN;
  return Number.isNaN(createdMs) ? undefined : createdMs;
}

function decodeLayout(json: unknown): Layout {
  const { location, locationType, hierarchicalNamespace } = (json ?? {}) as LayoutResource;
  return {
    hierarchicalNamespace: hierarchicalNamespace?.enabled === true,
    location: location ?? "",
    locationType: locationType ?? "",
  };
}

function withRemedy(error: BucketError, bucket: string, endpoint: string): BucketError {
  const message = remedyFor(error, bucket, endpoint);
  if (message === undefined) return error;
  const { kind, status, reason } = error;
  return new BucketError(kind, message, { status, reason, cause: error });
}

function remedyFor(error: BucketError, bucket: string, endpoint: string): string | undefined {
  const google = isGoogle(endpoint);
  switch (error.kind) {
    case "bucket-not-found":
      return google
        ? `bucket ${bucket} does not exist. Check the name, or create it: gcloud storage buckets create gs://${bucket}`
        : `bucket ${bucket} does not exist at ${endpoint}. Check the name, or create it there`;
    case "forbidden":
      return (
        `these credentials may not list bucket ${bucket} (storage.objects.list). Give them the role Storage Object ` +
        `User: gcloud storage buckets add-iam-policy-binding gs://${bucket} ` +
        `--member=serviceAccount:ACCOUNT --role=roles/storage.objectUser`
      );
    case "unauthenticated":
      return google
        ? `no usable credentials for bucket ${bucket}${reasonOf(error)}. ${credentialsRemedy}`
        : `${endpoint} asks for credentials, which are sent to Google's endpoints only`;
    case "throttled":
      return `bucket ${bucket} answers that there are too many requests. Try again later`;
    case "unavailable":
    case "deadline":
      if (error.status !== undefined) return `${endpoint} is not well: ${error.message}`;
      return google
        ? `${endpoint} cannot be reached: ${error.message}. Is this machine allowed to reach the internet, or Google's private access?`
        : `${endpoint} cannot be reached: ${error.message}. Is the local server running there?`;
    case "not-found":
    case "precondition-failed":
    case "already-exists":
    case "not-empty":
    case "retained":
    case "checksum":
    case "invalid":
    case "aborted":
      return undefined; // nothing a listing is answered with
  }
}

/** What the credentials library said, in brackets; nothing where the service itself refused. */
function reasonOf({ cause }: BucketError): string {
  return cause instanceof Error ? ` (${firstSentence(cause.message)})` : "";
}
