// Public suites and larger programs on a real mount. `npm run test:suites` brings their tools and starts them.
export default {
  extensions: ["ts"],
  files: ["sidecar/test/suites/**/*.test.ts"],
  workerThreads: false,
  concurrency: 2,
  timeout: "20m",
};
