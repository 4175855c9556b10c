// The names of one folder.

/** How many are folders is counted as they come and go: large folders are asked about often. */
export class Children<Child extends { readonly kind: string }> extends Map<string, Child> {
  #folders = 0;

  /** How many of them are folders. */
  get folders(): number {
    return this.#folders;
  }

  override set(name: string, child: Child): this {
    this.#folders += count(child) - count(this.get(name));
    return super.set(name, child);
  }

  override delete(name: string): boolean {
    this.#folders -= count(this.get(name));
    return super.delete(name);
  }
}

function count(child: { readonly kind: string } | undefined): number {
  return child?.kind === "directory" ? 1 : 0;
}
