# One customer: a bucket, an identity that may use it, and a VM that shows it to an app as a folder.

locals {
  bucket   = coalesce(var.bucket, "${var.project}-${var.name}")
  zone     = coalesce(var.zone, "${var.region}-b")
  registry = "${var.region}-docker.pkg.dev"
  role     = coalesce(var.role, one(module.role[*].name))
  member   = "serviceAccount:${google_service_account.vm.email}"
}

# Private, access by role only. A bucket that holds objects is not destroyed with the rest: `terraform destroy` stops
# there, and what to do with the data is for a person to decide.
resource "google_storage_bucket" "uploads" {
  project                     = var.project
  name                        = local.bucket
  location                    = var.region
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false

  soft_delete_policy {
    retention_duration_seconds = var.soft_delete_days * 24 * 60 * 60
  }
}

resource "google_service_account" "vm" {
  project      = var.project
  account_id   = "sidemount-${var.name}"
  display_name = "VM ${var.name}: sidemount and its app"
}

module "role" {
  source = "../role"
  count  = var.role == null ? 1 : 0

  project = var.project
  role_id = "sidemount_${replace(var.name, "-", "_")}"
}

# The bucket, and no other one.
resource "google_storage_bucket_iam_member" "vm" {
  bucket = google_storage_bucket.uploads.name
  role   = local.role
  member = local.member
}

# Its images.
resource "google_artifact_registry_repository_iam_member" "vm" {
  project    = var.project
  location   = var.region
  repository = var.repository
  role       = "roles/artifactregistry.reader"
  member     = local.member
}

# Logs can be written with this, not read.
resource "google_project_iam_member" "logs" {
  project = var.project
  role    = "roles/logging.logWriter"
  member  = local.member
}

resource "google_compute_address" "vm" {
  project = var.project
  name    = "sidemount-${var.name}"
  region  = var.region
}

resource "google_compute_instance" "vm" {
  project      = var.project
  name         = "sidemount-${var.name}"
  zone         = local.zone
  machine_type = var.machine_type
  tags         = var.network_tags

  # The machine type is changed by stopping the VM, as an update of its images is applied: see docs/DEPLOY.md.
  allow_stopping_for_update = true

  boot_disk {
    initialize_params {
      image = "cos-cloud/${var.image_family}"
      size  = var.disk_size_gb
      type  = "pd-balanced"
    }
  }

  network_interface {
    network = var.network

    access_config {
      nat_ip = google_compute_address.vm.address
    }
  }

  service_account {
    email  = google_service_account.vm.email
    scopes = ["cloud-platform"]
  }

  shielded_instance_config {
    enable_secure_boot = true
  }

  metadata = {
    google-logging-enabled = "true"
    enable-oslogin         = "TRUE"
    user-data = templatefile("${path.module}/../../../vm/cloud-init.yaml", {
      sidecar_image = var.sidecar_image
      app_image     = var.app_image
      registry      = local.registry
      bucket        = local.bucket
      cache_size    = var.cache_size
    })
  }

  # The system updates itself; a newer image in its family is no reason for a new disk.
  lifecycle {
    ignore_changes = [boot_disk[0].initialize_params[0].image]
  }

  # A VM that starts before it may read its bucket or its images tries again every few seconds, for nothing.
  depends_on = [
    google_storage_bucket_iam_member.vm,
    google_artifact_registry_repository_iam_member.vm,
    google_project_iam_member.logs,
  ]
}
