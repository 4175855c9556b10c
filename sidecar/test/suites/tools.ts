// Where scripts/run/suite-tools.mjs puts the programs of the public suites.

import { fileURLToPath } from "node:url";

export const SUITE_PROGRAMS = fileURLToPath(new URL("../../../.sidemount/cargo/bin", import.meta.url));
