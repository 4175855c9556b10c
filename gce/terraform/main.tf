# Many customers from one list. What belongs to one of them is in a module of his own, addressed by his name: adding
# one, changing one or taking one away touches nobody else's bucket, identity or machine.
#
# What all share is here, and none of it holds data: the role that says what may be done with a bucket (each is
# granted it on his own bucket only), the images, and the rule that lets visitors reach port 80.

resource "google_project_service" "needed" {
  for_each = toset([
    "artifactregistry.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "compute.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "storage.googleapis.com",
  ])

  service            = each.key
  disable_on_destroy = false
}

resource "google_artifact_registry_repository" "images" {
  location      = var.region
  repository_id = var.repository
  format        = "DOCKER"
  description   = "Images of sidemount and its app"

  depends_on = [google_project_service.needed]
}

module "role" {
  source = "./modules/role"

  project = var.project

  depends_on = [google_project_service.needed]
}

resource "google_compute_firewall" "http" {
  name          = "sidemount-http"
  network       = var.network
  direction     = "INGRESS"
  source_ranges = var.source_ranges
  target_tags   = ["sidemount-http"]

  allow {
    protocol = "tcp"
    ports    = ["80"]
  }

  depends_on = [google_project_service.needed]
}

module "customer" {
  source   = "./modules/sidemount"
  for_each = var.customers

  project       = var.project
  region        = var.region
  name          = each.key
  role          = module.role.name
  repository    = google_artifact_registry_repository.images.repository_id
  sidecar_image = var.sidecar_image
  app_image     = coalesce(each.value.app_image, var.app_image)
  bucket        = each.value.bucket
  zone          = each.value.zone
  machine_type  = each.value.machine_type
  disk_size_gb  = each.value.disk_size_gb
  cache_size    = each.value.cache_size
  network       = var.network
  network_tags  = ["sidemount-http"]

  depends_on = [google_project_service.needed]
}
