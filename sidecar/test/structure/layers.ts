// Who may use whom. The statement of the architecture: imports go down, never up and never sideways.

/** A layer and what it may import, by folder, or by single file where a folder is too much. */
export const layers: Readonly<Record<string, readonly string[]>> = {
  "main.ts": ["cli"],
  cli: ["app.ts", "worker.ts", "supervisor", "control", "local-gcs", "config"],
  "worker.ts": ["app.ts", "supervisor", "fuse", "handover", "copies", "config"],
  "app.ts": ["supervisor", "fuse", "control", "filesystem", "handover", "copies", "bucket", "config"],
  // Beside fuse: another edge, to the person who looks after a mount.
  control: ["filesystem", "copies", "bucket", "config/mount-options.ts"],
  supervisor: ["config"],
  fuse: [
    "filesystem/filesystem.ts",
    "filesystem/errors.ts",
    "handover",
    "bucket/errors.ts",
    "config/mount-options.ts",
  ],
  filesystem: ["handover", "copies", "bucket", "config/mount-options.ts"],
  // What one worker leaves to the next: tables that know nothing of what is in them.
  handover: [],
  copies: ["bucket"],
  bucket: [],
  // What is typed is resolved to an endpoint by the same rules by which it is spoken to.
  config: ["bucket/endpoint.ts"],
  "local-gcs": [],
  telemetry: ["lib"],
  lib: [],
};

/** These may be used by all and use nobody above them. */
export const shared = ["telemetry", "lib"];

/** Packages and platform modules that have one door each; all others may be used by nobody. */
export const doors: Readonly<Record<string, readonly string[]>> = {
  koffi: ["lib/system-calls.ts"],
  "fuse-native": ["fuse/native"],
  "@google-cloud/storage": ["bucket"],
  "google-auth-library": ["bucket"],
  undici: ["bucket"],
  commander: ["cli"],
  "lru-cache": ["copies", "filesystem"],
  fastify: ["local-gcs", "telemetry"],
  pino: ["telemetry"],
  "pino-pretty": ["telemetry"],
  "@node-rs/crc32": ["bucket", "copies", "local-gcs"],
  "node:sqlite": ["copies", "handover", "local-gcs"],
};
