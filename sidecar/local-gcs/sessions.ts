// The table of resumable uploads. A row counts the bytes a client may rely on, no matter how the server ends.

import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Preconditions } from "./preconditions.ts";
import type { ObjectProperties } from "./properties.ts";
import type { AnnouncedChecksums } from "./checksums.ts";
import type { StoredObject } from "./objects.ts";

/** Everything the starting request said about the object to be. */
export interface UploadRequest {
  readonly properties: ObjectProperties;
  readonly preconditions: Preconditions;
  readonly announced: AnnouncedChecksums;
  /** X-Upload-Content-Length. */
  readonly size: number | undefined;
}

export interface UploadSession {
  readonly id: string;
  readonly bucket: string;
  readonly name: string;
  /** Id of the data file with the bytes so far; empty once the upload is over. */
  readonly file: string;
  readonly persisted: number;
  readonly state: "open" | "finished" | "cancelled" | "failed";
  readonly request: UploadRequest;
  /** The object that came of it. */
  readonly result: StoredObject | undefined;
  readonly startedMs: number;
}

export class Sessions {
  readonly #find: StatementSync;
  readonly #put: StatementSync;
  readonly #byFile: StatementSync;
  readonly #forget: StatementSync;

  constructor(sql: DatabaseSync) {
    this.#find = sql.prepare("SELECT * FROM sessions WHERE id = ?");
    this.#put = sql.prepare("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    this.#byFile = sql.prepare("SELECT 1 FROM sessions WHERE file = ? LIMIT 1");
    this.#forget = sql.prepare("DELETE FROM sessions WHERE started_ms < ?");
  }

  find(id: string): UploadSession | undefined {
    const row = this.#find.get(id);
    if (row === undefined) return undefined;
    return {
      id,
      bucket: String(row["bucket"]),
      name: String(row["name"]),
      file: String(row["file"]),
      persisted: Number(row["persisted"]),
      state: row["state"] as UploadSession["state"],
      request: JSON.parse(String(row["request"])) as UploadRequest,
      result: row["result"] === null ? undefined : (JSON.parse(String(row["result"])) as StoredObject),
      startedMs: Number(row["started_ms"]),
    };
  }

  put(session: UploadSession): void {
    const { id, bucket, name, file, persisted, state } = session;
    const result = session.result === undefined ? null : JSON.stringify(session.result);
    const request = JSON.stringify(session.request);
    this.#put.run(id, bucket, name, file, persisted, state, request, result, session.startedMs);
  }

  usesFile(file: string): boolean {
    return this.#byFile.get(file) !== undefined;
  }

  /** Drops sessions that began before `ms`; their files are left to the sweep. */
  forgetBefore(ms: number): void {
    this.#forget.run(ms);
  }
}
