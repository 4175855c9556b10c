output "url" {
  description = "Where the app answers."
  value       = "http://${google_compute_address.vm.address}/"
}

output "bucket" {
  description = "Name of the bucket."
  value       = google_storage_bucket.uploads.name
}

output "service_account" {
  description = "The identity of the VM."
  value       = google_service_account.vm.email
}

output "instance" {
  description = "Name and zone of the VM, as gcloud takes them."
  value       = "${google_compute_instance.vm.name} --zone=${google_compute_instance.vm.zone}"
}
