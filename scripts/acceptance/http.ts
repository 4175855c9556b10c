// Requests as a client on the network sends them: each on a connection of its own, nothing followed, nothing
// decoded, and a body that ends early is an error.

import { request as start, type IncomingHttpHeaders } from "node:http";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** From sending to the first byte of the answer's body, or its end if it has none. */
  readonly firstByteMs: number;
}

export interface Question {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly timeoutMs?: number;
}

export function request(url: string, question: Question = {}): Promise<Answer> {
  const { method = "GET", headers = {}, body, timeoutMs = 60_000 } = question;
  const begin = performance.now();
  return new Promise((resolve, reject) => {
    const sending = start(
      url,
      {
        method,
        agent: false,
        headers: { ...headers, ...(body && { "content-length": String(body.length) }) },
        signal: AbortSignal.timeout(timeoutMs),
      },
      (response) => {
        const pieces: Buffer[] = [];
        let firstByteMs = 0;
        response.on("data", (piece: Buffer) => {
          firstByteMs ||= performance.now() - begin;
          pieces.push(piece);
        });
        response.once("error", reject); // also when the connection ends before the body does
        response.once("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(pieces),
            firstByteMs: firstByteMs || performance.now() - begin,
          }),
        );
      },
    );
    sending.once("error", reject);
    sending.end(body);
  });
}

/**
 * A form with one file. Quotes and backslashes in the name have a backslash before them, as curl long did it, so
 * that the name arrives as it is (browsers send %22 for a quote).
 */
export function fileForm(field: string, name: string, content: Uint8Array): Question {
  const boundary = "----acceptance-3f9c71d2";
  const quoted = name.replace(/["\\]/g, "\\$&");
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="${field}"; filename="${quoted}"\r\n\r\n`;
  const tail = `\r\n--${boundary}--\r\n`;
  return {
    method: "POST",
    headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
    body: Buffer.concat([Buffer.from(head), content, Buffer.from(tail)]),
  };
}
