// From where to hear of changes that others make, and in which project of Google's.

import { WrongValue } from "./usage-error.ts";

// https://cloud.google.com/resource-manager/docs/creating-managing-projects; old ones carry a domain, some are numbers.
const project = /^(?:[a-z][a-z0-9.-]*:)?[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/;
// https://cloud.google.com/pubsub/docs/create-subscription#names
const subscriptionId = /^(?!goog)[A-Za-z][\w.~+%-]{2,254}$/;

/** `off`, `auto`, or the full name of a subscription. */
export function parseNotifications(text: string): string {
  const value = text.trim();
  if (["off", "auto"].includes(value.toLowerCase())) return value.toLowerCase();
  const [, projectId = "", id = ""] = /^projects\/([^/]+)\/subscriptions\/([^/]+)$/.exec(value) ?? [];
  if (project.test(projectId) && subscriptionId.test(id)) return value;
  throw new WrongValue(
    "auto, off, or the full name of a subscription, such as projects/my-project/subscriptions/my-uploads",
  );
}

/** A project's id or number. */
export function parseProject(text: string): string {
  const value = text.trim();
  if (!project.test(value)) throw new WrongValue("the id of a project, such as my-project");
  return value;
}
