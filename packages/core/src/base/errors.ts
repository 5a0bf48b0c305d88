/**
 * Every code that vouchsafe answers with, and what it means. Codes are API: add freely, never rename or reuse.
 * `docs/reference/errors.md` is generated from this table.
 */
export const ERROR_CODES = {
  'input.malformed': 'Bytes, JSON or options do not have the form their schema gives.',
  'input.too-large': 'The input is larger than the limit stated for it.',
  'input.unknown-member': 'A member was given that the schema does not name.',

  'evidence.signature': 'The signature does not verify under the endorsed key.',
  'evidence.stale': 'The nonce in the evidence was not issued, has expired, or was used before.',
  'evidence.binding': 'The evidence does not commit to the transcript of this request.',
  'evidence.unsupported': 'The evidence format is not one that this verifier can judge.',
  'evidence.mismatch': 'Parts of the evidence contradict each other.',
  'evidence.algorithm': 'An algorithm that is too weak or not allowed was used.',
  'evidence.key': 'The attestation key is not restricted, fixed to its TPM and for signing.',
  'evidence.pcr-selection': 'The quote does not cover exactly the registers that are needed.',
  'evidence.log': 'The event log does not replay to the quoted registers, or breaks its grammar.',
  'evidence.unenrolled': 'The attestation key was never enrolled with its endorsement key.',
  'evidence.revoked': 'The platform or key was distrusted.',

  'endorsement.unavailable': 'Vendor collateral is missing or past its nextUpdate.',
  'endorsement.untrusted': 'The certificate chain does not end in a configured anchor.',
  'endorsement.expired': 'A certificate or collateral is not valid at the stated time.',
  'endorsement.revoked': 'A certificate is on its issuer’s revocation list.',
  'endorsement.mismatch': 'The endorsement is genuine, but for another chip, key, product or TCB.',
  'endorsement.malformed': 'A certificate, revocation list or collateral document breaks its profile.',

  'enrolment.ticket': 'The enrolment ticket is unknown, expired, used, or for another tenant.',
  'enrolment.credential': 'The activated credential was not proved over this enrolment’s transcript.',
  'enrolment.conflict': 'The machine is enrolled already, with another TPM or key.',
  'enrolment.unknown': 'No machine is enrolled under this id at this tenant.',

  'appraisal.class': 'The assurance class is lower than the agreement asks for.',
  'appraisal.boot-state': 'A boot register does not hold a value that the reference values allow.',
  'appraisal.debug': 'The TEE lets its operator read or change the guest.',
  'appraisal.measurement': 'The launch measurement is not one that the reference values allow.',
  'appraisal.tcb': 'Firmware or microcode is below the floor, or its vendor says that it is out of date.',
  'appraisal.reference':
    'A set of reference values that the agreement names is missing, too old, or of another signer.',
  'appraisal.advisory': 'The vendor names a security advisory for this platform that no reference value excepts.',
  'appraisal.guest-policy': 'The guest was launched under a policy that allows more than the reference values do.',
  'appraisal.platform': 'The platform is configured otherwise than the reference values ask.',
  'appraisal.privilege': 'The evidence was made at a lower privilege level than asked for.',
  'appraisal.host-data': 'What the host set at launch is not the expected value.',
  'appraisal.launch-signer': 'The launch is not signed by an ID or author key that the reference values name.',
  'appraisal.cloud': 'The cloud, project or VM is not one that the agreement names, or its CPU does not speak.',
  'appraisal.chip': 'The chip is not one that the reference values name, or its identity is hidden.',
  'appraisal.reset': 'The machine was reset or restarted since it enrolled or since its lease began.',
  'appraisal.image': 'The workload’s image digest is not the agreed one.',
  'appraisal.launch-arguments': 'The workload was launched with other arguments than agreed.',
  'appraisal.launch-environment': 'The workload was launched with an environment variable that is not agreed.',
  'appraisal.launch-debug': 'The workload was launched in debug mode.',
  'appraisal.launch-network': 'The workload was given more network than agreed.',
  'appraisal.launch-output': 'The workload’s output goes elsewhere than agreed.',
  'appraisal.launch-privileges':
    'The workload was launched with other isolation, capabilities, mounts or restarts than agreed.',
  'appraisal.launch-agreement': 'The launch was measured for another agreement.',
  'appraisal.distrusted': 'An owner distrusts this platform, firmware, boot state or image.',

  'appraisal.instance': 'The instance is not the approved one: name, project, zone, account or fingerprint differ.',
  'appraisal.launch-data': 'The launch data are not those that the owner approved.',
  'appraisal.audit-trail':
    'The platform’s audit trail shows a change since the instance was made, or does not reach back.',
  'appraisal.boot-image': 'The instance boots an image that the owner does not allow.',
  'appraisal.management-agent': 'An agent that can change packages inside the instance is on.',
  'appraisal.memory-encryption': 'Memory encryption is asked for and not shown.',
  'appraisal.channel': 'The connection is not from the address, certificate or account that the owner approved.',
  'appraisal.exempt': 'The owner exempted this client from TPM checks: its state is unknown.',

  'token.malformed': 'The token is not one of ours, or breaks its profile.',
  'token.signature': 'The token is not signed by the key of its issuer.',
  'token.issuer': 'The token comes from another issuer than the one trusted here.',
  'token.audience': 'The token is meant for another audience.',
  'token.nonce': 'The token was made for another exchange: its nonce is not the one that this one asked for.',
  'token.expired': 'The token is not valid at this time.',
  'token.age': 'The identity document was made too long ago, or in the future.',
  'token.proof': 'The caller did not prove possession of the key that the token is bound to.',
  'token.replayed': 'This proof was used before.',

  'agreement.unknown': 'No such agreement is known to this tenant.',
  'agreement.signature': 'The approval or withdrawal is not signed by a key of that owner.',
  'agreement.waiting': 'Not all owners who must have approved.',
  'agreement.withdrawn': 'An owner withdrew from the agreement.',
  'agreement.expired': 'The agreement, or an approval of it, is not in force at this time.',
  'agreement.superseded': 'A newer version of the agreement is in force.',
  'agreement.owner': 'The agreement names another owner than the tenant’s registry does.',
  'image.signature':
    'The signature is not by the key that it is presented with, over another image, or of a form that is not recorded.',
  'policy.no-condition': 'The agreement has no condition under which the resource may be released.',
  'policy.condition': 'A condition of the agreement does not hold.',
  'policy.invalid':
    'The condition does not compile, names a claim that cannot exist, or calls what policies may not. Nothing is released under it.',
  'policy.no-evidence': 'The condition would release without reading anything that was measured.',
  'policy.error': 'The condition gave no answer: it failed, or its answer is no boolean.',
  'policy.bound': 'The condition took more steps, depth or memory than it may.',
  'policy.claims': 'The claims are not complete, so no condition is asked about them.',
  'policy.resource': 'The agreement does not cover this resource.',
  'policy.delivery': 'There is no attested key that the secret could be delivered to.',
  'policy.deliveries': 'The secrets were fetched as often as the owner approved.',

  'client.unprovisioned': 'No owner has approved this client, or not yet.',

  'release.unknown': 'No such resource or decision, or not for this caller.',
  'release.sealed-payload': 'The sealed payload does not open, or was not made for this request by the agreed broker.',
  'lease.ended': 'The lease ended.',

  'request.signature': 'The request is not signed by a key that may make it.',
  'request.replayed': 'The request’s nonce was used before, has expired, or was not issued here.',
  'request.forbidden': 'This principal may not do that.',
  'request.conflict': 'The stored state has moved on since the caller read it.',
  'request.unknown-route': 'No such route.',
  'peer.unreachable': 'A peer did not answer.',
  'peer.untrusted': 'A peer is not the one that was pinned.',
  'channel.unavailable': 'The connection gives nothing to bind evidence to, so nothing is said over it.',

  'store.unavailable': 'The store cannot be read or written, so nothing was answered.',
  'store.locked': 'Another process has this store file open.',
  'store.newer': 'The store was written by a newer version of vouchsafe.',
  'store.unsafe': 'The database is configured so that it may lose what it acknowledged.',
  'store.profile': 'The store has another profile: production and simulated never mix.',
  'store.changed': 'What the decision relied on has changed since it was read. Nothing was recorded; ask again.',
  'store.conflict': 'A row with this id exists already, or the version is not the next one.',
  'store.unknown': 'No such row at this tenant.',

  'ledger.broken': 'A ledger proof does not hold.',
  'ledger.range': 'The ledger has no such entry or state.',
  'ledger.checkpoint': 'The checkpoint is another log’s, or is not signed by this log’s key.',
  'ledger.receipt': 'The receipt proves another entry than the one in hand.',
  'ledger.regressed': 'The ledger is behind, or beside, the head kept outside the store. Everything is sealed.',
  'clock.backwards': 'The clock is behind the newest ledger entry.',

  'custody.sealed': 'The broker’s custody is sealed, so nothing secret is served.',
  'custody.wrong-key': 'What is stored was wrapped under another key or for another place, or was changed.',
  'custody.passphrase': 'The custody file does not open: wrong passphrase, or altered.',

  internal: 'A bug. Logged in full, sent to a peer as this code only.',
} as const

export type ErrorCode = keyof typeof ERROR_CODES

/** The one error of `core` and of everything above it. */
export class VouchsafeError extends Error {
  override readonly name = 'VouchsafeError'
  readonly code: ErrorCode
  /** @param message - For an operator: what was found, what was wanted, and where. */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
