// Calls about buckets. Settings a client sends are kept and given back; few of them do anything here.

import { ApiError, invalid } from "../api-error.ts";
import {
  emptyAnswer,
  jsonAnswer,
  jsonObject,
  readJson,
  textMember,
  type Answer,
  type Call,
} from "../call.ts";
import { checkPreconditions, preconditionsOf } from "../preconditions.ts";
import { bucketResource, isHierarchical, storageLayout, type StoredBucket } from "../resources.ts";
import type { Store } from "../store.ts";

// Facts that only the server states, whatever a client sends back to it.
const ownMembers = new Set(
  "kind id selfLink name metageneration etag timeCreated updated projectNumber acl defaultObjectAcl owner".split(
    " ",
  ),
);

// https://cloud.google.com/storage/docs/buckets#naming
const bucketName = /^(?!goog)(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/;

export async function insertBucket(store: Store, call: Call): Promise<Answer> {
  const body = await readJson(call.body);
  const name = textMember(body, "name") ?? "";
  const bucket = await createBucket(store, name, settingsOf(body));
  return jsonAnswer(bucketResource(bucket, call.baseUrl));
}

/** What makes a new bucket hierarchical. */
export const hierarchicalSettings: StoredBucket["settings"] = {
  hierarchicalNamespace: { enabled: true },
  iamConfiguration: { uniformBucketLevelAccess: { enabled: true } },
};

/** Makes a bucket; 409 if there is one of that name, 400 if there can be none. */
export function createBucket(
  store: Store,
  name: string,
  settings: StoredBucket["settings"],
): Promise<StoredBucket> {
  if (!bucketName.test(name)) throw invalid(`Invalid bucket name: '${name}'`);
  return store.commit(() => {
    if (store.buckets.find(name) !== undefined) {
      const message = "Your previous request to create the named bucket succeeded and you already own it.";
      throw new ApiError(409, "conflict", message);
    }
    const nowMs = store.clock.nowMs();
    const bucket = { name, metageneration: 1, createdMs: nowMs, updatedMs: nowMs, settings };
    if (isHierarchical(bucket)) checkHierarchical(settings);
    store.buckets.put(bucket);
    return bucket;
  });
}

/** What the service refuses in a bucket with folders. */
function checkHierarchical(settings: StoredBucket["settings"]): void {
  const { uniformBucketLevelAccess } = jsonObject(settings["iamConfiguration"]);
  if (jsonObject(uniformBucketLevelAccess)["enabled"] !== true)
    throw invalid("Hierarchical namespace buckets must use uniform bucket-level access.");
  if (jsonObject(settings["versioning"])["enabled"] === true)
    throw invalid("Versioning is not supported for hierarchical namespace buckets.");
  if (settings["retentionPolicy"] !== undefined)
    throw invalid("Retention policy is not supported for hierarchical namespace buckets.");
}

export function listBuckets(store: Store, call: Call): Answer {
  const prefix = call.query.get("prefix") ?? "";
  const buckets = store.buckets.all().filter(({ name }) => name.startsWith(prefix));
  return jsonAnswer({
    kind: "storage#buckets",
    items: buckets.map((bucket) => bucketResource(bucket, call.baseUrl)),
  });
}

export function getBucket(store: Store, call: Call): Answer {
  return jsonAnswer(bucketResource(expectedBucket(store, call), call.baseUrl));
}

export function getStorageLayout(store: Store, call: Call): Answer {
  return jsonAnswer(storageLayout(store.buckets.get(call.bucket)));
}

/** Everyone may do everything here. */
export function testPermissions(store: Store, call: Call): Answer {
  store.buckets.get(call.bucket);
  const permissions = call.query.getAll("permissions");
  return jsonAnswer({ kind: "storage#testIamPermissionsResponse", permissions });
}

/** PATCH and PUT alike: members that are named replace the old ones, null removes them. */
export async function changeBucket(store: Store, call: Call): Promise<Answer> {
  // A bucket stays flat or hierarchical; whoever asks for a change is not told that nothing came of it.
  const { hierarchicalNamespace: _, ...changes } = settingsOf(await readJson(call.body));
  const bucket = await store.commit(() => {
    const old = expectedBucket(store, call);
    const merged = Object.entries({ ...old.settings, ...changes }).filter(([, value]) => value !== null);
    const settings = Object.fromEntries(merged);
    const metageneration = old.metageneration + 1;
    const changed = { ...old, settings, metageneration, updatedMs: store.clock.nowMs() };
    store.buckets.put(changed);
    return changed;
  });
  return jsonAnswer(bucketResource(bucket, call.baseUrl));
}

export async function deleteBucket(store: Store, call: Call): Promise<Answer> {
  await store.commit(() => {
    const { name } = expectedBucket(store, call);
    if (!store.objects.isEmpty(name) || !store.hierarchy.folders.isEmpty(name)) {
      throw new ApiError(409, "conflict", "The bucket you tried to delete is not empty.");
    }
    store.hierarchy.forget(name);
    store.buckets.remove(name);
  });
  return emptyAnswer(204);
}

function expectedBucket(store: Store, call: Call): StoredBucket {
  const bucket = store.buckets.get(call.bucket);
  checkPreconditions({ generation: 0, metageneration: bucket.metageneration }, preconditionsOf(call.query));
  return bucket;
}

function settingsOf(resource: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(resource).filter(([name]) => !ownMembers.has(name)));
}
