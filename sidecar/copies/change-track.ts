// Where a copy was changed through us, since it last equalled a version and since it was last read for an upload (the mark).

const NOWHERE = Number.POSITIVE_INFINITY;

export class ChangeTrack {
  #from: number;
  #fromSinceMark: number;
  #placed: boolean;
  #placedSinceMark: boolean;
  #cutSinceMark = NOWHERE;

  /** As an earlier worker left it. */
  constructor({ from, placed }: { from: number; placed: boolean } = { from: NOWHERE, placed: false }) {
    this.#from = this.#fromSinceMark = from;
    this.#placed = this.#placedSinceMark = placed;
  }

  /** The lowest position changed since the copy last equalled a version; Infinity: none. */
  get from(): number {
    return this.#from;
  }

  /** The same since the last mark. */
  get fromSinceMark(): number {
    return this.#fromSinceMark;
  }

  /** Whether anything was put at a place of its own, not at what was the end. */
  get placed(): boolean {
    return this.#placed;
  }

  /** How short the file has been since the last mark: what a later version has beyond is not what is here. */
  get cutSinceMark(): number {
    return this.#cutSinceMark;
  }

  get any(): boolean {
    return this.#from !== NOWHERE;
  }

  note(position: number, appended: boolean): void {
    if (!appended) this.#placed = this.#placedSinceMark = true;
    this.#from = Math.min(this.#from, position);
    this.#fromSinceMark = Math.min(this.#fromSinceMark, position);
  }

  cut(size: number): void {
    this.#cutSinceMark = Math.min(this.#cutSinceMark, size);
  }

  mark(): void {
    this.#fromSinceMark = NOWHERE;
    this.#cutSinceMark = NOWHERE;
    this.#placedSinceMark = false;
  }

  /** What was there at the last mark is a version now. */
  settle(): void {
    this.#from = this.#fromSinceMark;
    this.#placed = this.#placedSinceMark;
  }
}
