// What the Google provider (hashicorp/google 6.x and 7.x) takes for the resources we use, as its reference documents
// them: arguments, `!` behind those that must be given; blocks by their path; and what can only be read.

export interface ResourceType {
  readonly arguments: string;
  readonly blocks: Readonly<Record<string, string>>;
  readonly computed: string;
}

export const resourceTypes: Readonly<Record<string, ResourceType>> = {
  google_artifact_registry_repository: {
    arguments:
      "repository_id! format! location project description labels mode kms_key_name cleanup_policy_dry_run",
    blocks: {
      docker_config: "immutable_tags",
      cleanup_policies: "id! action",
      "cleanup_policies.most_recent_versions": "keep_count package_name_prefixes",
    },
    computed: "id name",
  },
  google_artifact_registry_repository_iam_member: {
    arguments: "repository! role! member! location project",
    blocks: { condition: "title! expression! description" },
    computed: "id etag",
  },
  google_compute_address: {
    arguments: "name! project region address address_type description labels network network_tier subnetwork",
    blocks: {},
    computed: "id self_link",
  },
  google_compute_firewall: {
    arguments:
      "name! network! project direction priority description disabled source_ranges source_tags target_tags " +
      "destination_ranges source_service_accounts target_service_accounts",
    blocks: { allow: "protocol! ports", deny: "protocol! ports" },
    computed: "id self_link",
  },
  google_compute_instance: {
    arguments:
      "name! machine_type! project zone tags labels metadata metadata_startup_script hostname description " +
      "allow_stopping_for_update can_ip_forward deletion_protection desired_status min_cpu_platform resource_policies",
    blocks: {
      "boot_disk!": "auto_delete device_name kms_key_self_link mode source",
      "boot_disk.initialize_params": "image size type labels snapshot",
      "network_interface!": "network subnetwork subnetwork_project network_ip nic_type stack_type",
      "network_interface.access_config": "nat_ip network_tier public_ptr_domain_name",
      service_account: "email scopes!",
      shielded_instance_config: "enable_secure_boot enable_vtpm enable_integrity_monitoring",
      scheduling: "automatic_restart on_host_maintenance preemptible provisioning_model",
    },
    computed: "id instance_id self_link cpu_platform",
  },
  google_project_iam_custom_role: {
    arguments: "role_id! title! permissions! project description stage",
    blocks: {},
    computed: "id name deleted",
  },
  google_project_iam_member: {
    arguments: "project! role! member!",
    blocks: { condition: "title! expression! description" },
    computed: "id etag",
  },
  google_project_service: {
    arguments: "service! project disable_on_destroy disable_dependent_services",
    blocks: {},
    computed: "id",
  },
  google_service_account: {
    arguments: "account_id! project display_name description disabled create_ignore_already_exists",
    blocks: {},
    computed: "id email name member unique_id",
  },
  google_storage_bucket: {
    arguments:
      "name! location! project storage_class uniform_bucket_level_access public_access_prevention force_destroy " +
      "labels requester_pays rpo default_event_based_hold",
    blocks: {
      soft_delete_policy: "retention_duration_seconds",
      versioning: "enabled!",
      hierarchical_namespace: "enabled!",
    },
    computed: "id self_link url",
  },
  google_storage_bucket_iam_member: {
    arguments: "bucket! role! member!",
    blocks: { condition: "title! expression! description" },
    computed: "id etag",
  },
};
