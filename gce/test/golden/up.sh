#!/usr/bin/env bash
# What deploy.sh up runs.
set -euo pipefail
# Services
gcloud services enable compute.googleapis.com storage.googleapis.com iam.googleapis.com artifactregistry.googleapis.com logging.googleapis.com --project=acme-photos --quiet
# Where images are kept
gcloud artifacts repositories describe sidemount --location=us-east1 --project=acme-photos --quiet >/dev/null 2>&1 ||
  gcloud artifacts repositories create sidemount --location=us-east1 --repository-format=docker '--description=Images of sidemount and its app' --project=acme-photos --quiet
# The bucket: private, access by role only, what is deleted or replaced can be restored for a week
gcloud storage buckets describe gs://acme-photos-sidemount --project=acme-photos --quiet >/dev/null 2>&1 ||
  gcloud storage buckets create gs://acme-photos-sidemount --location=us-east1 --default-storage-class=STANDARD --uniform-bucket-level-access --public-access-prevention --soft-delete-duration=7d --project=acme-photos --quiet
# The identity of the VM, which may use this bucket, fetch its images and write logs, and nothing else
gcloud iam service-accounts describe sidemount@acme-photos.iam.gserviceaccount.com --project=acme-photos --quiet >/dev/null 2>&1 ||
  gcloud iam service-accounts create sidemount '--display-name=VM sidemount: sidemount and its app' --project=acme-photos --quiet
gcloud iam roles describe sidemount --project=acme-photos --quiet >/dev/null 2>&1 ||
  gcloud iam roles create sidemount --title=sidemount '--description=What sidemount asks of the bucket it mounts' --permissions=storage.objects.list,storage.objects.get,storage.objects.create,storage.objects.delete,storage.objects.update,storage.objects.move,storage.buckets.get,storage.folders.create,storage.folders.get,storage.folders.list,storage.folders.delete,storage.folders.rename --stage=GA --project=acme-photos --quiet
gcloud storage buckets add-iam-policy-binding gs://acme-photos-sidemount --member=serviceAccount:sidemount@acme-photos.iam.gserviceaccount.com --role=projects/acme-photos/roles/sidemount --project=acme-photos --quiet
gcloud artifacts repositories add-iam-policy-binding sidemount --location=us-east1 --member=serviceAccount:sidemount@acme-photos.iam.gserviceaccount.com --role=roles/artifactregistry.reader --project=acme-photos --quiet
gcloud projects add-iam-policy-binding acme-photos --member=serviceAccount:sidemount@acme-photos.iam.gserviceaccount.com --role=roles/logging.logWriter --condition=None --project=acme-photos --quiet
# An address that stays the same when the VM is stopped and started, and the way to its port 80
gcloud compute addresses describe sidemount --region=us-east1 --project=acme-photos --quiet >/dev/null 2>&1 ||
  gcloud compute addresses create sidemount --region=us-east1 --project=acme-photos --quiet
gcloud compute firewall-rules describe sidemount-http --project=acme-photos --quiet >/dev/null 2>&1 ||
  gcloud compute firewall-rules create sidemount-http --network=default --direction=INGRESS --allow=tcp:80 --source-ranges=0.0.0.0/0 --target-tags=sidemount-http --project=acme-photos --quiet
# Images, for the VM's processor whatever this machine's is
gcloud auth configure-docker us-east1-docker.pkg.dev --project=acme-photos --quiet
docker build --platform=linux/amd64 --target=sidecar --tag=us-east1-docker.pkg.dev/acme-photos/sidemount/sidemount:v1 .
docker push us-east1-docker.pkg.dev/acme-photos/sidemount/sidemount:v1
docker build --platform=linux/amd64 --target=demo --tag=us-east1-docker.pkg.dev/acme-photos/sidemount/demo:v1 .
docker push us-east1-docker.pkg.dev/acme-photos/sidemount/demo:v1
# The VM
gce/vm/deploy.sh render --project=acme-photos --bucket=acme-photos-sidemount --region=us-east1 --sidecar-image=us-east1-docker.pkg.dev/acme-photos/sidemount/sidemount:v1 --app-image=us-east1-docker.pkg.dev/acme-photos/sidemount/demo:v1 --cache-size=5GiB >./user-data
gcloud compute instances describe sidemount --zone=us-east1-b --project=acme-photos --quiet >/dev/null 2>&1 ||
  gcloud compute instances create sidemount --zone=us-east1-b --machine-type=e2-small --image-family=cos-stable --image-project=cos-cloud --boot-disk-size=20GB --boot-disk-type=pd-balanced --shielded-secure-boot --service-account=sidemount@acme-photos.iam.gserviceaccount.com --scopes=cloud-platform --network=default --address=sidemount --tags=sidemount-http --metadata=google-logging-enabled=true,enable-oslogin=TRUE --metadata-from-file=user-data=./user-data --project=acme-photos --quiet
