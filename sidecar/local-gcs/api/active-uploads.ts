// Sessions that requests are working on: whose turn it is, and the running checksums of the bytes so far.
//
// Nothing here needs to survive: checksums are computed again from the file when they are not at hand.

import { Turn } from "../../lib/turn.ts";
import { ConnectionLost, type Answer, type Call } from "../call.ts";
import type { Digest } from "../checksums.ts";

// An idle session costs a digest; beyond this many the oldest idle ones are forgotten and read again if needed.
const maxRemembered = 1000;

export class ActiveUpload {
  readonly turn = new Turn();
  digest: Digest | undefined;
  /** The request that came last; all before it are given up by their client. */
  latest: Call | undefined;

  /** The checksums of exactly the first `length` bytes, if they are at hand. */
  digestAt(length: number): Digest | undefined {
    return this.digest?.length === length ? this.digest : undefined;
  }
}

export class ActiveUploads {
  readonly #uploads = new Map<string, ActiveUpload>();

  /** Serves `call` when the requests before it on the same session have ended, which it makes them do. */
  run(id: string, call: Call, serve: (upload: ActiveUpload) => Promise<Answer>): Promise<Answer> {
    const upload = this.#get(id);
    upload.latest?.interrupt();
    upload.latest = call;
    return upload.turn.run(async () => {
      if (upload.latest !== call) throw new ConnectionLost("A newer request of the same upload came in.");
      try {
        return await serve(upload);
      } finally {
        if (upload.latest === call) upload.latest = undefined;
      }
    });
  }

  #get(id: string): ActiveUpload {
    const known = this.#uploads.get(id);
    if (known !== undefined) return known;
    const upload = new ActiveUpload();
    this.#uploads.set(id, upload);
    this.#forgetOldest();
    return upload;
  }

  #forgetOldest(): void {
    if (this.#uploads.size <= maxRemembered) return;
    for (const [id, upload] of this.#uploads) {
      if (upload.turn.busy) continue;
      this.#uploads.delete(id);
      return;
    }
  }
}
