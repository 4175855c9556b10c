// Changes to one object that leave its bytes alone: patch, update, delete.

import { emptyAnswer, jsonAnswer, readJson, type Answer, type Call } from "../call.ts";
import type { StoredObject } from "../objects.ts";
import { checkPreconditions, integerParameter, preconditionsOf } from "../preconditions.ts";
import { changedProperties, checkChange, propertiesOf, type ObjectProperties } from "../properties.ts";
import { objectResource } from "../resources.ts";
import type { Store } from "../store.ts";

/** PATCH: what the body does not name stays. */
export async function patchObject(store: Store, call: Call): Promise<Answer> {
  const changes = await readJson(call.body);
  return changeObject(store, call, (old) => changedProperties(old, changes));
}

/** PUT: what the body does not name is cleared, except the storage class. */
export async function updateObject(store: Store, call: Call): Promise<Answer> {
  const resource = await readJson(call.body);
  return changeObject(store, call, ({ storageClass }) =>
    propertiesOf(storageClass === undefined ? resource : { storageClass, ...resource }),
  );
}

export async function deleteObject(store: Store, call: Call): Promise<Answer> {
  await store.commit((transaction) => store.remove(transaction, expectedObject(store, call)));
  return emptyAnswer(204);
}

async function changeObject(
  store: Store,
  call: Call,
  change: (old: ObjectProperties) => ObjectProperties,
): Promise<Answer> {
  const object = await store.commit((transaction) => {
    store.hierarchy.checkWritable(store.buckets.get(call.bucket), call.object);
    const current = expectedObject(store, call);
    const properties = change(current.properties);
    checkChange(current.properties, properties);
    const metageneration = current.metageneration + 1;
    const changed = { ...current, properties, metageneration, updatedMs: store.clock.nowMs() };
    store.change(transaction, changed);
    return changed;
  });
  return jsonAnswer(objectResource(object, call.baseUrl));
}

/** The live object, if it is there (404) and as the request expects (412, 304). */
function expectedObject(store: Store, call: Call): StoredObject {
  const object = store.get(call.bucket, call.object, integerParameter(call.query, "generation"));
  checkPreconditions(object, preconditionsOf(call.query));
  return object;
}
