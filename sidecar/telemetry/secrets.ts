// Credentials inside text: headers quoted in messages, addresses of upload sessions, signed addresses, keys.

const patterns: readonly (readonly [RegExp, string])[] = [
  [/\b(Bearer)\s+[\w.~+/=-]+/gi, "$1 [redacted]"],
  [/\b(Basic)\s+[\w+/]{16,}=*/gi, "$1 [redacted]"],
  // Whoever has the address of an upload session may write the object without any other credentials.
  [
    /\b(upload_id|access_token|refresh_token|id_token|token|assertion|client_secret|key|X-Goog-Signature|Signature)=[^&\s"'\\]+/gi,
    "$1=[redacted]",
  ],
  [/\bya29\.[\w.-]+/g, "[redacted]"],
  [/\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g, "[redacted]"],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[^"]*/g, "[redacted]"],
];

/** `text` with everything that looks like a credential replaced by `[redacted]`. */
export function withoutSecrets(text: string): string {
  return patterns.reduce((clean, [pattern, replacement]) => clean.replace(pattern, replacement), text);
}
