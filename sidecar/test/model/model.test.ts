import test from "ava";
import { parseArguments } from "./arguments.ts";
import { Explorer } from "./explore.ts";
import type { Settings } from "./world.ts";

const { minutes, seed, path, channel, hierarchical } = parseArguments(process.argv.slice(2));
const MINUTE_MS = 60_000;
/** For making a failure shorter, and for the end. */
const SPARE_MINUTES = 8;

const DEVICE: readonly Settings[] = [
  { channel: "device", passthrough: true, trust: "0s" },
  { channel: "device", passthrough: false, trust: "0s" },
  { channel: "device", passthrough: true, trust: "60s" },
  { channel: "device", passthrough: true, trust: "0s", writeBack: true },
  { channel: "device", passthrough: true, trust: "sole-writer" },
  { channel: "device", passthrough: false, trust: "60s", writeBack: true },
];

const NATIVE: readonly Settings[] = [
  { channel: "native", passthrough: false, trust: "0s" },
  { channel: "native", passthrough: false, trust: "60s" },
];

/** Each with its part of the time. */
const CHANNELS = [
  { name: "device", settings: DEVICE, share: 0.7 },
  { name: "native", settings: NATIVE, share: 0.3 },
];

for (const { name, settings, share } of CHANNELS) {
  if (channel !== undefined && channel !== name) continue;
  const time = channel === undefined ? minutes * share : minutes;
  test.serial(
    `${name}: whatever programs do, the mount answers as a plain folder does, and the bucket holds what it holds`,
    async (t) => {
      t.timeout((minutes + SPARE_MINUTES) * MINUTE_MS);
      // At once, so that it is known also of a run that is broken off.
      process.stdout.write(`${name}: seed ${seed}, ${time.toFixed(1)} minutes\n`);
      const say = (text: string): void => t.log(text);
      const explorer = new Explorer({ seed, minutes: time, path, settings, hierarchical, say });
      const { runs, calls, failure } = await explorer.explore();
      t.log(`${runs} sequences, ${calls} calls, in ${time.toFixed(1)} minutes, from seed ${seed} on`);
      if (failure !== undefined) t.fail(failure);
      t.true(runs > 0);
    },
  );
}
