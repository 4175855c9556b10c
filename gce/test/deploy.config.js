// Everything below gce/ and what it says of itself, without a cloud: no account, no network, no mount.
// `npm run test:deploy` installs what these tests need first; see scripts/run/deploy-tools.mjs.
export default {
  extensions: ["ts"],
  files: ["gce/test/*.test.ts"],
  workerThreads: false,
  concurrency: 2,
  timeout: "3m",
};
