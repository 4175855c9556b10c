// Tests on the images, in a Docker engine. `npm run test:container` starts them with both.
export default {
  extensions: ["ts"],
  files: ["sidecar/test/container/**/*.test.ts"],
  workerThreads: false,
  concurrency: 2,
  timeout: "3m",
};
