#!/usr/bin/env bash
# What create-with-container.sh sidemount runs.
set -euo pipefail
# container-declaration.yaml is gce/vm/container-declaration.yaml with image, bucket and cache_size filled in
gcloud compute instances describe sidemount --zone=us-east1-b --project=acme-photos --quiet >/dev/null 2>&1 ||
  gcloud compute instances create sidemount --project=acme-photos --quiet --zone=us-east1-b --machine-type=e2-small --boot-disk-size=20GB --boot-disk-type=pd-balanced --service-account=sidemount@acme-photos.iam.gserviceaccount.com --scopes=cloud-platform --address=sidemount --tags=sidemount-http --image-family=cos-stable --image-project=cos-cloud --metadata=google-logging-enabled=true --metadata-from-file=gce-container-declaration=container-declaration.yaml
