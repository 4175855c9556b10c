// What Cloud Storage asks of whoever sends a request, by its documentation of each method, and a front that grants
// some permissions and refuses what needs others.

import type { BucketServer } from "./bucket-server.ts";
import type { Cleaning } from "./cleanups.ts";
import { startFront, type Refusal, type Seen } from "./front.ts";

export interface Gate {
  readonly url: string;
  /** What requests needed, granted or not. */
  readonly needed: ReadonlySet<string>;
  readonly refused: readonly string[];
}

export async function startGate(
  t: Cleaning,
  server: BucketServer,
  granted: readonly string[],
): Promise<Gate> {
  const needed = new Set<string>();
  const refused: string[] = [];
  const exists: Exists = {
    object: async (name) => (await server.stat(name)) !== undefined,
    folder: async (name) => (await server.folder(name)) !== undefined,
  };
  const judge = async (seen: Seen): Promise<Refusal | undefined> => {
    for (const permission of await permissionsFor(seen, exists)) {
      needed.add(permission);
      if (granted.includes(permission)) continue;
      refused.push(`${permission}: ${seen.method} ${seen.url}`);
      const message = `The account does not have ${permission} access to the Google Cloud Storage object.`;
      return { status: 403, reason: "forbidden", message };
    }
    return undefined;
  };
  const { port } = await startFront(t, server.url, judge);
  return { url: `http://127.0.0.1:${port}`, needed, refused };
}

type Exists = Readonly<Record<"object" | "folder", (name: string) => Promise<boolean>>>;

async function permissionsFor({ method, url }: Seen, exists: Exists): Promise<string[]> {
  const { pathname, searchParams } = new URL(url, "http://gate");
  const upload = pathname.startsWith("/upload/");
  const [, , , , , ...rest] = pathname.replace(/^\/upload/, "").split("/"); // "", storage, v1, b, BUCKET
  const [collection = "", encoded = "", action = "", ...target] = rest;
  const name = decodeURIComponent(encoded);

  if (upload) {
    if (method !== "POST") return []; // bytes of a session are paid for, and allowed, with its start
    // The name is in the body. What is expected under it says as much: 0 is nothing.
    const replaces = searchParams.get("ifGenerationMatch") !== "0";
    return replaces ? ["storage.objects.create", "storage.objects.delete"] : ["storage.objects.create"];
  }
  if (collection === "") return ["storage.buckets.get"];
  if (collection === "storageLayout") return ["storage.objects.list"];
  if (collection === "operations") return []; // whoever began it may ask
  if (collection === "folders") return folderPermissions(method, name, action, exists);
  if (collection !== "o") throw new Error(`the gate does not know ${method} ${url}`);
  if (encoded === "") return ["storage.objects.list"];
  if (action === "compose") return ["storage.objects.get", ...(await writing(name, exists))];
  if (action === "moveTo") return ["storage.objects.move", ...(await writing(lastOf(target), exists))];
  if (action === "rewriteTo") return ["storage.objects.get", ...(await writing(lastOf(target), exists))];
  if (method === "PATCH") return ["storage.objects.get", "storage.objects.update"];
  if (method === "DELETE") return ["storage.objects.delete"];
  // Whether there is no such object is told only to those who may list.
  return (await exists.object(name))
    ? ["storage.objects.get"]
    : ["storage.objects.get", "storage.objects.list"];
}

async function folderPermissions(
  method: string,
  name: string,
  action: string,
  exists: Exists,
): Promise<string[]> {
  if (action === "renameTo") return ["storage.folders.rename", "storage.folders.create"];
  if (method === "POST") return ["storage.folders.create"];
  if (method === "DELETE") return ["storage.folders.delete"];
  return (await exists.folder(name))
    ? ["storage.folders.get"]
    : ["storage.folders.get", "storage.folders.list"];
}

// Whoever replaces an object must be allowed to delete it.
async function writing(name: string, exists: Exists): Promise<string[]> {
  return (await exists.object(name))
    ? ["storage.objects.create", "storage.objects.delete"]
    : ["storage.objects.create"];
}

function lastOf(segments: readonly string[]): string {
  return decodeURIComponent(segments.at(-1) ?? "");
}
