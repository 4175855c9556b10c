// Suites that need /dev/fuse and root: a real mount, served by a child process.
export default {
  extensions: ["ts"],
  files: ["sidecar/test/{semantics,programs,acceptance,crashes,machines}/**/*.test.ts"],
  workerThreads: false,
  concurrency: 2,
  timeout: "3m",
};
