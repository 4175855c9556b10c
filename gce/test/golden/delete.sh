#!/usr/bin/env bash
# What deploy.sh delete runs.
set -euo pipefail
# The VM, its address and its firewall rule
gcloud compute instances delete sidemount --zone=us-east1-b --project=acme-photos --quiet
gcloud compute addresses delete sidemount --region=us-east1 --project=acme-photos --quiet
gcloud compute firewall-rules delete sidemount-http --project=acme-photos --quiet
# Left: bucket gs://acme-photos-sidemount, account sidemount@acme-photos.iam.gserviceaccount.com, role sidemount, images in us-east1-docker.pkg.dev/acme-photos/sidemount
