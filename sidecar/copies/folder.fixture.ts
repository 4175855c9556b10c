// A state folder of its own for a test, and stores over it.

import type { ExecutionContext } from "ava";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { Background } from "../lib/background.ts";
import { createLog } from "../telemetry/log.ts";
import { StateFolder } from "./state-folder.ts";
import { CopyStore } from "./store.ts";

export const IDENTITY = { endpoint: "http://nowhere", bucket: "test", prefix: "" };

export async function temporaryFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "sidemount-copies-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export interface OpenStore {
  readonly state: StateFolder;
  readonly store: CopyStore;
  readonly background: Background;
  readonly failures: unknown[];
  /** Lines of level warn and above that were logged. */
  readonly warnings: Record<string, unknown>[];
  /** Ends as a run does: everything begun is finished, the folder is free again. */
  close(this: void): Promise<void>;
}

export async function openStore(
  directory: string,
  options: { cacheSizeBytes?: number; commitDelayMs?: number } = {},
): Promise<OpenStore> {
  const { cacheSizeBytes = 1 << 30, commitDelayMs = 0 } = options;
  const state = await StateFolder.open(directory, IDENTITY, { commitDelayMs });
  const failures: unknown[] = [];
  const background = new Background((_, error) => failures.push(error));
  const warnings: Record<string, unknown>[] = [];
  const write = (line: string): void => void warnings.push(JSON.parse(line) as Record<string, unknown>);
  const store = new CopyStore(state, { cacheSizeBytes, background, log: createLog("warn", { write }) });
  await store.takeOver();
  const close = async (): Promise<void> => {
    await background.idle();
    await state.close();
  };
  return { state, store, background, failures, warnings, close };
}
