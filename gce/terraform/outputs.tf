output "customers" {
  description = "Where each customer is, and in which bucket."
  value = {
    for name, customer in module.customer : name => {
      url             = customer.url
      bucket          = customer.bucket
      service_account = customer.service_account
    }
  }
}

output "repository" {
  description = "Where to push the images."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
}
