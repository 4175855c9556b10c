// From which size on a file is treated differently.

/** Objects up to here are fetched inside open: one request either way. What is appended to larger ones goes up alone. */
export const FETCH_IN_OPEN_BYTES = 1 << 20;
/** Objects up to here are fetched whole by one GET that starts at open (RULES 13). */
export const FETCH_WHOLE_BYTES = 64 << 20;
/** Read-only opens of copies up to here are served through the page cache. */
export const PAGE_CACHE_BYTES = 4 << 20;
