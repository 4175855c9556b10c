variable "project" {
  description = "Google Cloud project."
  type        = string
}

variable "region" {
  description = "Where bucket and address are."
  type        = string
}

variable "name" {
  description = "What VM, identity and address are called: 4 to 20 small letters, digits and dashes."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,18}[a-z0-9]$", var.name))
    error_message = "The name is 4 to 20 small letters, digits and dashes, beginning with a letter."
  }
}

variable "role" {
  description = "The role to grant on the bucket, as projects/PROJECT/roles/ID. None: one is made for this bucket alone."
  type        = string
  default     = null
}

variable "repository" {
  description = "Image repository in the same project and region."
  type        = string
}

variable "sidecar_image" {
  description = "Image of sidemount."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+(:[A-Za-z0-9._-]+|@sha256:[0-9a-f]{64})?$", var.sidecar_image))
    error_message = "Expected an image, such as us-east1-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE:TAG."
  }
}

variable "app_image" {
  description = "Image of the app that uses the folder."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+(:[A-Za-z0-9._-]+|@sha256:[0-9a-f]{64})?$", var.app_image))
    error_message = "Expected an image, such as us-east1-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE:TAG."
  }
}

variable "bucket" {
  description = "Name of the bucket. None: PROJECT-NAME."
  type        = string
  default     = null
}

variable "soft_delete_days" {
  description = "How long what was deleted or replaced can be restored: 7 to 90 days, or 0 for not at all."
  type        = number
  default     = 7
}

variable "zone" {
  description = "Zone of the VM. None: the region's b."
  type        = string
  default     = null
}

variable "machine_type" {
  description = "Machine type of the VM."
  type        = string
  default     = "e2-small"
  nullable    = false
}

variable "image_family" {
  description = "Family of Container-Optimized OS the VM is made with."
  type        = string
  default     = "cos-stable"
}

variable "disk_size_gb" {
  description = "Boot disk, which also holds images, copies and what is owed."
  type        = number
  default     = 20
  nullable    = false
}

variable "cache_size" {
  description = "Of that, for copies of what the bucket has."
  type        = string
  default     = "5GiB"
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]+(\\.[0-9]+)?[KMGT](iB|B)?$", var.cache_size))
    error_message = "Expected a size, such as 5GiB."
  }
}

variable "network" {
  description = "Network of the VM."
  type        = string
  default     = "default"
}

variable "network_tags" {
  description = "Network tags of the VM, by which firewall rules find it."
  type        = list(string)
  default     = []
}
