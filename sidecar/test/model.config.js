// Random operations on a real mount and a plain folder: `npm run test:model` starts them.
export default {
  extensions: ["ts"],
  files: ["sidecar/test/model/**/*.test.ts"],
  workerThreads: false,
  concurrency: 1,
  timeout: "30m",
};
