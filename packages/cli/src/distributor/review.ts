import {
  type ClientTermsBody,
  type Finding,
  type InstanceFacts,
  appraiseInstance,
  changesAfterCreation,
  digestOf,
  fromBase64,
  toHex,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import pc from 'picocolors'

const SHOWN_ENTRIES = 200
/** Register and what is measured into it, on a PC Client platform: what a set of pins leaves free (B17). */
const MEASURED: readonly (readonly [what: string, registers: readonly number[]])[] = [
  ['firmware', [0]],
  ['boot loader', [4]],
  ['Secure Boot policy', [7]],
  ['kernel command line', [8]],
  ['kernel and initial file system', [9]],
]

/** What an owner must see before approving a client, and what stands against it. */
export interface Review {
  readonly findings: readonly Finding[]
  /** Reasons for which nothing is approved, whatever the answer to the question. */
  readonly refusals: readonly Finding[]
  readonly warnings: readonly string[]
}

export function reviewOf(facts: InstanceFacts, terms: ClientTermsBody): Review {
  const findings = appraiseInstance(facts, terms.launch, nodeCrypto)
  return { findings, refusals: findings.filter((f) => f.tier !== 'affirming'), warnings: warningsOf(facts, terms) }
}

function warningsOf(facts: InstanceFacts, terms: ClientTermsBody): readonly string[] {
  const warnings: string[] = []
  const { tpm, network } = terms
  if (tpm.kind === 'dangerously-exempt')
    warnings.push(`TPM checks are left out (${tpm.reason}): the class is unattested, and every record will say so`)
  else {
    const free = MEASURED.filter(([, registers]) => !registers.some((n) => String(n) in tpm.registers)).map(([w]) => w)
    if (free.length > 0) warnings.push(`the pinned registers leave free: ${free.join(', ')}`)
  }
  if (network.address !== null && facts.sharedAddress)
    warnings.push(`address ${network.address} is shared: other machines behind the same gateway pass the address check`)
  if (network.address !== null && !facts.sharedAddress && !facts.addresses.includes(network.address))
    warnings.push(
      `address ${network.address} is none of the instance’s: ${facts.addresses.join(', ') || 'it has none'}`,
    )
  if (facts.source !== 'live') warnings.push(`the facts are ${facts.source}, not the platform’s answer of now`)
  if (!facts.secureBoot) warnings.push('Secure Boot is off')
  return warnings
}

/** The review for people: everything that is approved with a yes. */
export function renderReview(facts: InstanceFacts, terms: ClientTermsBody, review: Review): string {
  const { userData } = facts.launch
  const bytes = userData === null ? new Uint8Array() : fromBase64(userData)
  const ek = facts.tpm.endorsementKey
  const changes = new Set(changesAfterCreation(facts))
  const lines = [
    pc.bold(`instance ${facts.instance}  ${facts.name}`),
    `  project ${facts.project}, zone ${facts.zone}, made ${facts.created}, ${facts.status}`,
    `  account ${facts.accounts.join(', ') || 'none'}`,
    `  addresses ${facts.addresses.join(', ') || 'none'}${facts.sharedAddress ? ' (leaves through a shared one)' : ''}`,
    `  memory encryption ${facts.memoryEncryption}, Secure Boot ${facts.secureBoot ? 'on' : 'off'}, management agent ${facts.managementAgent ? pc.red('on') : 'off'}`,
    `  fingerprint ${facts.launch.fingerprint}`,
    `  endorsement key ${ek === null ? 'not published' : `sha256:${toHex(nodeCrypto.digest('sha256', fromBase64(ek)))}`}`,
    ...facts.disks.map((d) => `  disk ${d.name}${d.boot ? ' (boot)' : ''} from ${d.image ?? pc.red('unknown')}`),
    `  launch metadata ${facts.launch.metadataKeys.join(', ') || 'none'}`,
    pc.bold(`user-data, ${bytes.length} bytes, ${digestOf(bytes, nodeCrypto)}`),
    indent(new TextDecoder().decode(bytes)),
    pc.bold(`audit trail, ${facts.audit.entries.length} entries${facts.audit.complete ? '' : pc.red(', CUT')}`),
    ...facts.audit.entries
      .toSorted((a, b) => (a.at < b.at ? 1 : -1))
      .slice(0, SHOWN_ENTRIES)
      .map((e) => `  ${e.at}  ${changes.has(e) ? pc.red(e.method) : e.method}  ${e.principal}`),
    pc.bold('what a yes approves'),
    ...grantedLines(terms),
    ...review.warnings.map((w) => pc.yellow(`warning: ${w}`)),
    ...review.refusals.map((f) => pc.red(`refused: ${f.check}: wanted ${f.expected}, found ${f.actual}`)),
  ]
  return lines.join('\n')
}

function grantedLines({ tpm, network, secrets, delivery, leastClass, expires, launch }: ClientTermsBody): string[] {
  return [
    `  secrets ${secrets.map((s) => `${s.name} (${s.type}${s.layout === 'indirect' ? ', indirect' : ''})`).join(', ')}`,
    `  ${delivery.times === 1 ? 'once' : `${delivery.times} times`}, until ${expires}, ${delivery.to === 'sealed' ? 'sealed to the attested key' : 'in the connection of the pinned certificate'}`,
    `  class ${leastClass} or stronger${tpm.kind === 'required' ? `, registers ${Object.keys(tpm.registers).join(', ')}` : ''}`,
    `  address ${network.address ?? 'any'}, certificate ${network.certificate ?? 'any'}`,
    `  boot images ${launch.images.join(', ') || 'none'}`,
  ]
}

/** Control characters of somebody else's script would otherwise speak to the owner's terminal. */
function indent(text: string): string {
  // oxlint-disable-next-line no-control-regex
  const plain = text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '�')
  return plain
    .split('\n')
    .map((line) => `  | ${line}`)
    .join('\n')
}
