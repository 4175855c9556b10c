// Calls that give bytes another name: copy, rewrite and move. No byte is touched; objects may share a data file.

import { invalid } from "../api-error.ts";
import { jsonAnswer, readJson, type Answer, type Call } from "../call.ts";
import type { Transaction } from "../database.ts";
import type { StoredObject } from "../objects.ts";
import {
  checkPreconditions,
  integerParameter,
  preconditionsOf,
  sourcePreconditionsOf,
} from "../preconditions.ts";
import { checkObjectName, propertiesOf, type JsonObject, type ObjectProperties } from "../properties.ts";
import { objectResource } from "../resources.ts";
import type { Store } from "../store.ts";

export async function copyObject(store: Store, call: Call): Promise<Answer> {
  const object = await copied(store, call);
  return jsonAnswer(objectResource(object, call.baseUrl));
}

/** Always done in one call, so there is never a rewriteToken. */
export async function rewriteObject(store: Store, call: Call): Promise<Answer> {
  const object = await copied(store, call);
  const size = String(object.size);
  return jsonAnswer({
    kind: "storage#rewriteResponse",
    totalBytesRewritten: size,
    objectSize: size,
    done: true,
    resource: objectResource(object, call.baseUrl),
  });
}

/** Atomic: there is no moment at which both names or neither exist. */
export async function moveObject(store: Store, call: Call): Promise<Answer> {
  checkObjectName(call.destinationObject);
  if (call.object === call.destinationObject)
    throw invalid("The source and the destination are the same object.");
  const object = await store.commit((transaction) => {
    const source = expectedSource(store, call);
    const moved = store.replace(
      transaction,
      { ...source, name: call.destinationObject },
      preconditionsOf(call.query),
    );
    store.remove(transaction, source);
    return moved;
  });
  return jsonAnswer(objectResource(object, call.baseUrl));
}

async function copied(store: Store, call: Call): Promise<StoredObject> {
  const body = await readJson(call.body);
  checkObjectName(call.destinationObject);
  return store.commit((transaction) => copyInto(store, transaction, call, body));
}

function copyInto(store: Store, transaction: Transaction, call: Call, body: JsonObject): StoredObject {
  const source = expectedSource(store, call);
  const made = {
    ...source,
    bucket: call.destinationBucket,
    name: call.destinationObject,
    properties: Object.keys(body).length === 0 ? withoutHolds(source.properties) : propertiesOf(body),
  };
  return store.replace(transaction, made, preconditionsOf(call.query));
}

function expectedSource(store: Store, call: Call): StoredObject {
  const source = store.get(call.bucket, call.object, integerParameter(call.query, "sourceGeneration"));
  checkPreconditions(source, sourcePreconditionsOf(call.query));
  return source;
}

/** Holds belong to the object they were put on. */
function withoutHolds(properties: ObjectProperties): ObjectProperties {
  const held = new Set(["temporaryHold", "eventBasedHold"]);
  return Object.fromEntries(Object.entries(properties).filter(([name]) => !held.has(name)));
}
