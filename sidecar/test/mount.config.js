// Suites that need /dev/fuse and root: a real mount, served by a child process.
export default {
  extensions: ["ts"],
  files: ["sidecar/test/{semantics,programs,acceptance,crashes,machines}/**/*.test.ts"],
  workerThreads: false,
  environmentVariables: { UV_THREADPOOL_SIZE: "16" },
  require: ["./sidecar/test/helpers/own-thread-pool.ts"],
  concurrency: 2,
  timeout: "3m",
};
