// What a visitor of the app does.

import type { Stage } from "./stage.ts";
import { fileForm, request, type Answer, type Question } from "./http.ts";
import { equal, sameBytes } from "./step.ts";

/** Where the app is that is visited. */
export type Visited = Pick<Stage, "publicUrl">;

/** The address of an upload as a browser writes it. */
export function addressOf(stage: Visited, name: string): string {
  return `${stage.publicUrl}/uploads/${name.split("/").map(encodeURIComponent).join("/")}`;
}

/** Sends the form and returns whatever comes back. */
export function sendForm(stage: Visited, name: string, content: Uint8Array): Promise<Answer> {
  return request(`${stage.publicUrl}/`, fileForm("file", name, content));
}

/** Uploads a file that must be accepted. Returns the address the visitor is sent to. */
export async function upload(stage: Visited, name: string, content: Uint8Array): Promise<string> {
  const answer = await sendForm(stage, name, content);
  equal(`status of the upload of ${name}`, answer.status, 302);
  const location = answer.headers.location ?? "";
  equal("Location", decodeURIComponent(location), `${stage.publicUrl}/uploads/${name}`);
  return location;
}

export function view(stage: Visited, name: string, question?: Question): Promise<Answer> {
  return request(addressOf(stage, name), question);
}

/** Fetches an upload that must be there, whole. */
export async function viewWhole(url: string, content: Buffer): Promise<Answer> {
  const answer = await request(url);
  equal(`status of GET ${url}`, answer.status, 200);
  equal("Content-Length", answer.headers["content-length"], String(content.length));
  sameBytes(`GET ${url}`, answer.body, content);
  return answer;
}
