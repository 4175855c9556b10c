// Everything below gce/, without a cloud: what it says of itself, and, where it can be tried here, what it does.
// `npm run test:deploy` installs what these tests need first; see scripts/run/deploy-tools.mjs.
export default {
  extensions: ["ts"],
  files: ["gce/test/*.test.ts"],
  workerThreads: false,
  concurrency: 2,
  timeout: "3m",
};
