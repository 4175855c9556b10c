// Everything a test can impose on the server, and what it can read back. Without --admin all of it stays as it is
// here: no faults, no delays, no limits.

import { FaultRules, type Fault, type FaultSubject } from "./faults.ts";
import { Link } from "./link.ts";
import { ObjectRate } from "./object-rate.ts";
import { RequestLog } from "./request-log.ts";
import { RetryTests } from "./retry-tests.ts";

export class Conditions {
  readonly faults = new FaultRules();
  readonly retryTests = new RetryTests();
  readonly link = new Link();
  readonly objectRate = new ObjectRate();
  readonly requests = new RequestLog();

  /** The failure in store for a request: its own instructions come before the rules for all. */
  faultFor(subject: FaultSubject, retryTestId: string | undefined): Fault | undefined {
    const own = retryTestId === undefined ? undefined : this.retryTests.match(retryTestId, subject.method);
    return own ?? this.faults.match(subject);
  }
}
