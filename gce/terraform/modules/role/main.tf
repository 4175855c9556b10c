# The role that says what may be done with a bucket. The list, with what each permission is for, is
# gce/storage-permissions.txt; deploy.sh reads the same one.

variable "project" {
  description = "Google Cloud project the role belongs to."
  type        = string
}

variable "role_id" {
  description = "Its id. An id that was deleted cannot be used again for about six weeks."
  type        = string
  default     = "sidemount"
}

locals {
  lines       = split("\n", file("${path.module}/../../../storage-permissions.txt"))
  permissions = compact([for line in local.lines : trimspace(split("#", line)[0])])
}

resource "google_project_iam_custom_role" "bucket" {
  project     = var.project
  role_id     = var.role_id
  title       = "sidemount"
  description = "What sidemount asks of the bucket it mounts"
  permissions = local.permissions
}

# Put together of what is given, not read from what the service answers: whoever decides by it must know it before
# anything is made.
output "name" {
  description = "The role, as it is named where it is granted."
  value       = "projects/${google_project_iam_custom_role.bucket.project}/roles/${google_project_iam_custom_role.bucket.role_id}"
}
