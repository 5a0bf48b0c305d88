import type { ErrorCode } from '../base/errors.ts'

/** What an honest operator or owner would do about a refusal, by its code. */
export const ADVICE: Readonly<Partial<Record<ErrorCode, string>>> = {
  'input.malformed':
    'Use an agent of the same version as the broker, or check what stands between them: the bytes arrived broken.',
  'evidence.signature':
    'Attest again from the machine itself; if it persists, the attestation key was replaced and the machine must enrol anew.',
  'evidence.stale': 'Ask the broker for a new challenge and attest again.',
  'evidence.binding': 'Attest with your own keys and session: evidence made for somebody else’s cannot be used.',
  'evidence.unenrolled': 'Enrol the machine with a ticket from the owner or operator.',
  'evidence.revoked': 'Ask the owner why the platform is distrusted; use another machine until that is settled.',
  'evidence.log': 'Send the log that the kernel exposes, unedited and whole; reboot if it was lost.',
  'evidence.pcr-selection': 'Quote all of the SHA-256 bank.',
  'evidence.key': 'Create the attestation key from the agent’s template: restricted, fixed to its TPM, signing only.',
  'appraisal.class': 'Run the workload on a platform of the class that the agreement asks for.',
  'appraisal.boot-state':
    'Boot the agreed firmware, kernel and command line; or propose an agreement with the new reference values to the owners.',
  'appraisal.reference':
    'Have the owner file the newest version of that set at this broker: vouchsafe reference push, --as the owner.',
  'appraisal.cloud':
    'Run on a VM that the agreement names under `environment.platforms`; or propose an agreement that names this one to the owners.',
  'appraisal.reset':
    'The machine was restarted: attest anew from the beginning, and enrol again if its owner restarted it on purpose.',
  'appraisal.image': 'Run exactly the agreed image; a rebuilt image needs a new version of the agreement.',
  'appraisal.launch-arguments': 'Launch with the agreed arguments.',
  'appraisal.launch-environment':
    'Launch without overriding the environment, or have the owners agree to the variable.',
  'appraisal.launch-debug': 'Launch without debug mode. No agreement can allow it.',
  'appraisal.launch-network': 'Launch with the agreed network setting.',
  'appraisal.launch-output': 'Launch with the agreed output setting.',
  'appraisal.launch-privileges': 'Launch with the agreed isolation, capabilities, mounts and restart rule.',
  'appraisal.launch-agreement': 'Launch under the agreement for which the secret is asked.',
  'appraisal.distrusted': 'Ask the owner why the platform is distrusted; use another machine until that is settled.',
  'appraisal.instance':
    'Run the approved instance under the approved account; a new or changed one needs a new approval.',
  'appraisal.launch-data':
    'Start the instance anew with the approved launch data, or have its owner review the new ones.',
  'appraisal.audit-trail': 'Make the instance anew, change nothing after it was made, and have its owner approve it.',
  'appraisal.boot-image': 'Boot an image of the owner’s list, or have the owner add this one.',
  'appraisal.management-agent': 'Turn the agent off in project and instance metadata, and make the instance anew.',
  'appraisal.memory-encryption': 'Run the client as a confidential VM.',
  'appraisal.channel':
    'Connect from the approved address with the approved certificate, or have the owner approve the new ones.',
  'token.age': 'Fetch a new identity document for each request, and check both clocks.',
  'policy.delivery': 'Use a client that shows a seal key, or have the owner pin the client’s certificate.',
  'policy.deliveries': 'Have the owner approve the client again.',
  'token.audience': 'Attest to this broker itself: a token of another broker says nothing here.',
  'token.issuer': 'Attest to this broker itself: a token of another broker says nothing here.',
  'token.signature': 'Obtain a new token by attesting again.',
  'token.expired': 'Obtain a new token by attesting again.',
  'token.proof': 'Use the token from the agent that obtained it; it is bound to that agent’s key.',
  'token.replayed': 'Make a new request with a new challenge.',
  'agreement.unknown': 'Upload the agreement to this broker first.',
  'agreement.waiting': 'Ask the missing owners to approve: `vouchsafe agreement approve`.',
  'agreement.withdrawn': 'Talk to the owner who withdrew; a new version of the agreement is needed.',
  'agreement.expired': 'Have the owners renew their approval, or agree on a new version.',
  'agreement.superseded': 'Launch under the newer version of the agreement.',
  'agreement.owner': 'Have the agreement name the owner that this broker’s registry knows.',
  'policy.no-condition':
    'Have the owners add a grant for this resource to the agreement: no condition means no release.',
  'policy.condition': 'Meet the condition, or propose another one to the owners.',
  'policy.invalid':
    'Correct the condition and propose a new version of the agreement: `vouchsafe policy check` names the place.',
  'policy.no-evidence':
    'Have the condition read a measured claim, such as `class` or `launch.image`: `vouchsafe policy check` tells which it reads.',
  'policy.error': 'Correct the condition: `vouchsafe policy eval` shows where it fails on these claims.',
  'policy.bound': 'Make the condition cheaper: `vouchsafe policy eval` shows what it costs.',
  'policy.claims': 'Report this: verified evidence should always give complete claims.',
  'policy.resource': 'Ask for a resource that the agreement covers.',
}
