# What UWear asks before its data leaves. Lists are in values.json: a list that is empty or missing accepts nothing.
#
# input.claims          what the token says; its signature, chain and times hold
# input.class           what the root it chains to proves: the token cannot raise it
# input.nonces          the token's nonces
# input.expected_nonce  the binding of this connection
package uwear

allow if {
	every _, holds in results {
		holds
	}
}

# The codelab's seven, and six that it left out.
results := {
	"hw_verified": hw_verified,
	"image_digest_verified": image_digest_verified,
	"audience_verified": audience_verified,
	"nonce_verified": nonce_verified,
	"issuer_verified": issuer_verified,
	"secboot_verified": secboot_verified,
	"sw_name_verified": sw_name_verified,
	"debug_verified": debug_verified,
	"support_verified": support_verified,
	"project_verified": project_verified,
	"instance_verified": instance_verified,
	"account_verified": account_verified,
	"overrides_verified": overrides_verified,
}

default hw_verified := false

default image_digest_verified := false

default audience_verified := false

default nonce_verified := false

default issuer_verified := false

default secboot_verified := false

default sw_name_verified := false

default debug_verified := false

default support_verified := false

default project_verified := false

default instance_verified := false

default account_verified := false

default overrides_verified := false

# where: a kind of machine that is listed, and whose memory its operator cannot read
hw_verified if {
	input.claims.hwmodel in data.allowed_hwmodel
	input.class in data.allowed_class
	hides_memory
}

hides_memory if input.claims.hwmodel in {"GCP_AMD_SEV", "GCP_AMD_SEV_ES", "GCP_INTEL_TDX"}

# a simulator hides nothing; only its own root makes it one, and only values.json lets that be enough
hides_memory if {
	input.class == "simulated"
	input.claims.hwmodel == "SIMULATED"
}

# what
image_digest_verified if input.claims.submods.container.image_digest in data.allowed_submods_container_image_digest

audience_verified if input.claims.aud in data.allowed_aud

# exactly one: with several, one token would do for several connections
nonce_verified if input.nonces == [input.expected_nonce]

issuer_verified if input.claims.iss in data.allowed_issuer

secboot_verified if input.claims.secboot in data.allowed_secboot

sw_name_verified if input.claims.swname in data.allowed_sw_name

# compared with the one good word: debug guests have been seen to say several
debug_verified if input.claims.dbgstat == "disabled-since-boot"

support_verified if {
	count(data.required_support_attributes) > 0
	every attribute in data.required_support_attributes {
		attribute in input.claims.submods.confidential_space.support_attributes
	}
}

# whose
project_verified if input.claims.submods.gce.project_id in data.allowed_project

instance_verified if input.claims.submods.gce.instance_name in data.allowed_instance_name

# who: every account that the workload can act as
account_verified if {
	count(input.claims.google_service_accounts) > 0
	every account in input.claims.google_service_accounts {
		account in data.allowed_account
	}
}

# nothing that the operator changed at launch
overrides_verified if {
	container := input.claims.submods.container
	object.get(container, "cmd_override", []) == []
	object.get(container, "env_override", {}) == {}
}
