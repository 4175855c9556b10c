// objects.compose: a new object out of the bytes of up to 32 others, which may include the one it replaces.
//
// All sources are looked up and opened in one step, so what is put together existed at one moment.

import { close, read } from "node:fs";
import { promisify } from "node:util";
import { conditionNotMet, invalid, objectNotFound } from "../api-error.ts";
import { jsonAnswer, jsonObject, readJson, textMember, type Answer, type Call } from "../call.ts";
import type { Transaction } from "../database.ts";
import type { IncomingFile } from "../incoming-file.ts";
import type { StoredObject } from "../objects.ts";
import { preconditionsOf } from "../preconditions.ts";
import { checkObjectName, propertiesOf, type JsonObject } from "../properties.ts";
import { objectResource } from "../resources.ts";
import type { Store } from "../store.ts";
import { contentOf } from "./insert.ts";

// https://cloud.google.com/storage/docs/composite-objects
const maxSources = 32;
const bufferBytes = 1024 * 1024;

const readFrom = promisify(read);
const closeDescriptor = promisify(close);

interface Source {
  readonly name: string;
  readonly generation: number | undefined;
  readonly generationMatch: number | undefined;
}

interface OpenedSource {
  readonly object: StoredObject;
  readonly descriptor: number;
}

export async function composeObject(store: Store, call: Call): Promise<Answer> {
  const body = await readJson(call.body);
  const sources = sourcesOf(body);
  checkObjectName(call.object);
  const properties = propertiesOf(jsonObject(body["destination"]));
  const preconditions = preconditionsOf(call.query);
  store.buckets.get(call.bucket);
  const opened = openSources(store, call.bucket, sources);
  const file = await concatenated(store, opened);
  try {
    await file.sync();
    const componentCount = opened.reduce((sum, { object }) => sum + (object.componentCount ?? 1), 0);
    const content = { ...contentOf(file), md5: undefined, componentCount };
    const composed = await store.commit((transaction) => {
      const made = { bucket: call.bucket, name: call.object, properties, ...content };
      const object = store.replace(transaction, made, preconditions);
      if (body["deleteSourceObjects"] === true) removeSources(store, transaction, opened, object);
      return object;
    });
    return jsonAnswer(objectResource(composed, call.baseUrl));
  } catch (error) {
    await store.files.remove(file.id);
    throw error;
  } finally {
    await file.close();
  }
}

function sourcesOf(body: JsonObject): Source[] {
  const list = body["sourceObjects"];
  if (!Array.isArray(list) || list.length === 0)
    throw invalid("You must provide at least one source component.");
  if (list.length > maxSources) {
    throw invalid(
      `The number of source components provided (${list.length}) exceeds the maximum (${maxSources}).`,
    );
  }
  return list.map((element) => {
    const source = jsonObject(element);
    const conditions = jsonObject(source["objectPreconditions"]);
    return {
      name: textMember(source, "name") ?? "",
      generation: integerMember(source, "generation"),
      generationMatch: integerMember(conditions, "ifGenerationMatch"),
    };
  });
}

/** Clients send 64-bit numbers as strings, some as numbers. */
function integerMember(resource: JsonObject, name: string): number | undefined {
  const value = resource[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number") return value;
  if (typeof value !== "string" || !/^-?\d+$/.test(value)) throw invalid(`Invalid value for ${name}.`);
  return Number(value);
}

function openSources(store: Store, bucket: string, sources: readonly Source[]): OpenedSource[] {
  const objects = sources.map(({ name, generation, generationMatch }) => {
    const object = store.get(bucket, name, generation);
    if ((generationMatch ?? object.generation) !== object.generation) throw conditionNotMet();
    return object;
  });
  return objects.map((object) => ({ object, descriptor: store.files.openNow(object.file) }));
}

async function concatenated(store: Store, sources: readonly OpenedSource[]): Promise<IncomingFile> {
  const file = await store.files.create();
  try {
    for (const { object, descriptor } of sources) await appendAll(file, descriptor, object.size);
    return file;
  } catch (error) {
    await file.close();
    await store.files.remove(file.id);
    throw error;
  } finally {
    for (const { descriptor } of sources) await closeDescriptor(descriptor);
  }
}

async function appendAll(file: IncomingFile, descriptor: number, size: number): Promise<void> {
  for (let position = 0; position < size;) {
    const wanted = Math.min(bufferBytes, size - position);
    const { bytesRead, buffer } = await readFrom(descriptor, Buffer.allocUnsafe(wanted), 0, wanted, position);
    if (bytesRead === 0) throw new Error("A data file is shorter than its object.");
    await file.append(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
}

/** Removes the sources unless one was replaced meanwhile, or is the destination itself. */
function removeSources(
  store: Store,
  transaction: Transaction,
  sources: readonly OpenedSource[],
  destination: StoredObject,
): void {
  for (const { object } of new Map(sources.map((source) => [source.object.name, source])).values()) {
    if (object.name === destination.name) continue;
    const live = store.objects.find(object.bucket, object.name);
    if (live?.generation !== object.generation) throw objectNotFound(object.bucket, object.name);
    store.remove(transaction, live);
  }
}
