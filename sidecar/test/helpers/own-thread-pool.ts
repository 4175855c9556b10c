// Calls on a mount that waits for a bucket hold a thread each. Of node's four none would be left for the next call,
// and a test would measure its own queue: mount.config.js asks for more. What tests start keeps to its own number.

import { stat } from "node:fs";

stat(".", () => undefined); // the first such call makes the threads, and nobody reads the variable again
delete process.env["UV_THREADPOOL_SIZE"];
