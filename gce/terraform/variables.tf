variable "project" {
  description = "Google Cloud project."
  type        = string
}

variable "region" {
  description = "Where images, buckets and addresses are."
  type        = string
  default     = "us-east1"
}

variable "repository" {
  description = "Name of the image repository, which is made here."
  type        = string
  default     = "sidemount"
}

variable "sidecar_image" {
  description = "Image of sidemount (target `sidecar` of the Dockerfile), with a tag or digest that never means another one."
  type        = string
}

variable "app_image" {
  description = "Image of the app that uses the folder (target `demo` of the Dockerfile), for customers that name none."
  type        = string
}

variable "network" {
  description = "Network of the VMs."
  type        = string
  default     = "default"
}

variable "source_ranges" {
  description = "Who may reach port 80."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "customers" {
  description = <<-TEXT
    Everybody who is served, by a name of 4 to 20 small letters, digits and dashes. Each gets a bucket, an identity that
    may use that bucket only, an address and a VM. What is not given is as for everybody:
      bucket        name of the bucket (PROJECT-NAME)
      zone          zone of the VM (the region's b)
      machine_type  (e2-small)
      disk_size_gb  boot disk, which also holds images, copies and what is owed (20)
      cache_size    of that, for copies of what the bucket has (5GiB)
      app_image     (var.app_image)
  TEXT
  type = map(object({
    bucket       = optional(string)
    zone         = optional(string)
    machine_type = optional(string)
    disk_size_gb = optional(number)
    cache_size   = optional(string)
    app_image    = optional(string)
  }))

  validation {
    condition     = alltrue([for name, _ in var.customers : can(regex("^[a-z][a-z0-9-]{2,18}[a-z0-9]$", name))])
    error_message = "A customer's name is 4 to 20 small letters, digits and dashes, beginning with a letter."
  }
}
