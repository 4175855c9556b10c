// The buffers requests are read into.
//
// Every operation decodes its request before its first `await`, so one buffer serves them all, one after the
// other. Only the data of a WRITE lives longer: a large one keeps the buffer it arrived in and reading goes on in
// another; a small one is copied out, which is cheaper than a megabyte of memory for each.
//
// Writes in flight are bounded by what they hold. Beyond that nothing is read until one ends. That cannot starve
// anybody for ever: writes end at local files, they never wait for an INTERRUPT, a FORGET or any other request.
// A thread has one WRITE in flight, so the bound is met only with hundreds of writers at once.

// Read into memory that is allocated and touched: a page fault that fails during the kernel's copy would answer
// the request with EIO (RULES 19).
const TOUCH = 1;

const COPIED_UP_TO_BYTES = 64 * 1024;
const HELD_BYTES_MAX = 64 * 1024 * 1024;
/** Buffers kept for reuse when nobody needs them. */
const SPARE_MAX = 4;

/** Bytes that stay valid until released. */
export interface HeldBytes {
  readonly bytes: Buffer;
  readonly release: () => void;
}

/** Memory for requests. `current` is where the next one is to be read. */
export class RequestBuffers {
  readonly #size: number;
  readonly #onRoom: () => void;
  #current: Buffer;
  #spare: Buffer[] = [];
  #heldBytes = 0;

  /** `onRoom` is called when there is room again after `full`. */
  constructor(size: number, onRoom: () => void) {
    this.#size = size;
    this.#onRoom = onRoom;
    this.#current = Buffer.alloc(size, TOUCH);
  }

  get current(): Buffer {
    return this.#current;
  }

  get full(): boolean {
    return this.#heldBytes >= HELD_BYTES_MAX;
  }

  /** Keeps the first `length` bytes of `current` beyond the next read. */
  hold(length: number): HeldBytes {
    if (length <= COPIED_UP_TO_BYTES) {
      return this.#held(Buffer.from(this.#current.subarray(0, length)), length, undefined);
    }
    const whole = this.#current;
    this.#current = this.#spare.pop() ?? Buffer.alloc(this.#size, TOUCH);
    return this.#held(whole.subarray(0, length), this.#size, whole);
  }

  #held(bytes: Buffer, cost: number, whole: Buffer | undefined): HeldBytes {
    this.#heldBytes += cost;
    const release = () => {
      const wasFull = this.full;
      this.#heldBytes -= cost;
      if (whole !== undefined && this.#spare.length < SPARE_MAX) this.#spare.push(whole);
      if (wasFull && !this.full) this.#onRoom();
    };
    return { bytes, release };
  }
}
