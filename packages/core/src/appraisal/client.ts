import type { ClientTerms, ClientTermsBody } from '../agreement/client-terms.ts'
import { CLIENT_CLASSES } from '../agreement/client-terms.ts'
import type { CryptoPort } from '../base/crypto.ts'
import { digestOf } from '../base/digest.ts'
import { fromBase64 } from '../base/encoding.ts'
import type { ClientClaims, ClientTpmClaims } from '../claims/from-client.ts'
import type { InstanceFacts } from '../evidence/instance/instance-facts.ts'
import { readPublishedEndorsement } from '../evidence/instance/published-endorsement.ts'
import { appraiseAuditTrail } from './audit-trail.ts'
import { must, oneOf } from './check.ts'
import type { DistrustRule } from './distrust.ts'
import { type Appraisal, type Finding, conclude } from './finding.ts'

/** Launch metadata that is read as user-data; every other key is launch data that nobody hashed. */
const USER_DATA_KEY = 'user-data'

/** Is this client, as it is now, the one that its owner approved? Every check leaves a finding. */
export function appraiseClient(
  claims: ClientClaims,
  terms: ClientTerms,
  distrust: readonly DistrustRule[],
  crypto: CryptoPort,
): Appraisal {
  const { body } = terms
  return conclude([
    ...appraiseIdentity(claims, body),
    ...appraiseInstance(claims.facts, body.launch, crypto),
    ...appraiseChannel(claims, body.network),
    ...appraiseMemoryEncryption(claims, body),
    ...appraiseTpm(claims, body),
    appraiseDistrust(claims, distrust),
  ])
}

/**
 * What can be told before a client ever connects: launch data, boot image, management agent, audit trail, and whom the
 * published endorsement certificate names. An owner's review and every later decision ask the same.
 */
export function appraiseInstance(
  facts: InstanceFacts,
  launch: ClientTermsBody['launch'],
  crypto: CryptoPort,
): readonly Finding[] {
  return [
    ...appraiseLaunchData(facts, launch, crypto),
    ...appraiseAuditTrail(facts),
    ...appraiseEndorsement(facts, crypto),
  ]
}

/** The signed identity, the platform's live record and the approval must name one instance. */
function appraiseIdentity({ identity, facts }: ClientClaims, { client, launch }: ClientTermsBody): readonly Finding[] {
  const same = (what: string, wanted: string, ...found: readonly string[]) =>
    must(
      'appraisal.instance',
      'instance-identity',
      found.every((f) => f === wanted),
      `${what} ${wanted}`,
      `${what} ${[...new Set(found)].join(' and ')}`,
    )
  return [
    same('instance', client.instance, identity.instance, facts.instance),
    same('project', client.project, identity.project, facts.project),
    same('zone', client.zone, identity.zone, facts.zone),
    same(
      'account',
      client.account,
      identity.account,
      facts.accounts.length === 1 ? (facts.accounts[0] ?? '') : 'none or several',
    ),
    same('name', facts.name, identity.name),
    same('fingerprint', launch.fingerprint, facts.launch.fingerprint),
    must('appraisal.instance', 'configuration', facts.status === 'RUNNING', 'status RUNNING', `status ${facts.status}`),
  ]
}

function appraiseLaunchData(
  facts: InstanceFacts,
  launch: ClientTermsBody['launch'],
  crypto: CryptoPort,
): readonly Finding[] {
  const { userData } = facts.launch
  const actual = userData === null || userData === '' ? 'none' : digestOf(fromBase64(userData, 'userData'), crypto)
  const others = facts.launch.metadataKeys.filter((k) => k !== USER_DATA_KEY && !launch.metadataKeys.includes(k))
  const atCreation = facts.audit.entries
    .flatMap((e) => e.metadataKeys)
    .filter((k) => k !== USER_DATA_KEY && !launch.metadataKeys.includes(k))
  const unmeasured = [...new Set([...others, ...atCreation])]
  const boot = facts.disks.filter((d) => d.boot)
  return [
    must(
      'appraisal.launch-data',
      'executables',
      actual === launch.userData,
      `user-data ${launch.userData}`,
      `user-data ${actual}`,
    ),
    must(
      'appraisal.launch-data',
      'executables',
      unmeasured.length === 0,
      `no launch metadata but ${[USER_DATA_KEY, ...launch.metadataKeys].join(', ')}`,
      unmeasured.length === 0 ? 'none' : `also ${unmeasured.join(', ')}`,
    ),
    oneOf(
      'appraisal.boot-image',
      'executables',
      'boot image',
      launch.images,
      boot.length === 1 ? (boot[0]?.image ?? 'of unknown source') : `of ${boot.length} boot disks`,
    ),
    must(
      'appraisal.management-agent',
      'configuration',
      !facts.managementAgent || launch.dangerouslyAllowManagementAgent,
      launch.dangerouslyAllowManagementAgent ? 'a management agent on or off' : 'no management agent',
      facts.managementAgent ? 'a management agent is on' : 'none is on',
    ),
  ]
}

/** Where the platform publishes an endorsement certificate, it must be of the published key and name no other instance. */
function appraiseEndorsement(facts: InstanceFacts, crypto: CryptoPort): readonly Finding[] {
  const published = readPublishedEndorsement(facts.tpm, crypto)
  if (published === null) return []
  const { instance, isOfPublishedKey } = published
  const placed = (i: string, name: string, project: string, zone: string) =>
    `instance ${i}, ${name} in ${project}, ${zone}`
  const wanted = placed(facts.instance, facts.name, facts.project, facts.zone)
  const actual =
    instance === undefined
      ? 'names no instance'
      : placed(String(instance.instanceId), instance.instanceName, instance.projectId, instance.zone)
  return [
    must(
      'endorsement.mismatch',
      'hardware',
      isOfPublishedKey,
      'an endorsement certificate of the published key',
      isOfPublishedKey ? 'of that key' : 'of another key',
    ),
    must(
      'appraisal.instance',
      'instance-identity',
      instance === undefined || actual === wanted,
      `an endorsement certificate of ${wanted}`,
      actual,
    ),
  ]
}

/** The connection against what was approved, and the account that a transport proves against that of the identity. */
function appraiseChannel({ channel, identity }: ClientClaims, network: ClientTermsBody['network']): readonly Finding[] {
  const findings: Finding[] = []
  const pinned = (what: string, wanted: string | null, actual: string) => {
    const holds = wanted === null || wanted === actual
    findings.push(
      must('appraisal.channel', 'instance-identity', holds, `${what} ${wanted ?? 'of any kind'}`, `${what} ${actual}`),
    )
  }
  pinned('address', network.address, channel.address)
  pinned('certificate', network.certificate, channel.certificate ?? 'none')
  if (channel.transport === 'platform') pinned('transport account', identity.account, channel.account ?? 'none')
  return findings
}

function appraiseMemoryEncryption(claims: ClientClaims, { memoryEncryption }: ClientTermsBody): readonly Finding[] {
  const { identity, facts, tpm } = claims
  const required = memoryEncryption === 'required'
  const inLog = tpm?.technology ?? null
  const said = [
    `identity document: ${identity.memoryEncrypted === undefined ? 'silent' : identity.memoryEncrypted ? 'on' : 'off'}`,
    `platform: ${facts.memoryEncryption}`,
    ...(inLog === null ? [] : [`boot log: ${inLog}`]),
  ].join(', ')
  const shown =
    identity.memoryEncrypted === true && facts.memoryEncryption !== 'none' && (inLog === null || inLog !== 'none')
  return [
    must(
      'appraisal.memory-encryption',
      'hardware',
      shown || !required,
      required ? 'memory encryption, by identity document and platform' : 'memory encrypted or not',
      said,
    ),
  ]
}

function appraiseTpm(claims: ClientClaims, { tpm: wanted, leastClass }: ClientTermsBody): readonly Finding[] {
  const strongEnough = CLIENT_CLASSES.indexOf(claims.class) <= CLIENT_CLASSES.indexOf(leastClass)
  const anchor = claims.tpm?.anchor ?? null
  const classFinding = must(
    'appraisal.class',
    'hardware',
    strongEnough,
    `class ${leastClass} or stronger`,
    anchor === null ? `class ${claims.class}` : `class ${claims.class}, anchored in ${anchor}`,
  )
  if (wanted.kind === 'dangerously-exempt')
    return [
      classFinding,
      {
        check: 'appraisal.exempt',
        aspect: 'executables',
        tier: 'warning',
        expected: 'a verified TPM quote',
        actual: `none: exempted by the owner: ${wanted.reason}`,
      },
    ]
  const { tpm } = claims
  if (tpm === null)
    return [classFinding, must('evidence.unenrolled', 'executables', false, 'a verified TPM quote', 'none was shown')]
  return [classFinding, ...appraiseRegisters(tpm, wanted), appraiseBootLog(tpm, wanted.bootLog === 'required')]
}

function appraiseRegisters(
  tpm: ClientTpmClaims,
  { registers }: Extract<ClientTermsBody['tpm'], { kind: 'required' }>,
): readonly Finding[] {
  return Object.entries(registers).map(([n, values]) =>
    oneOf('appraisal.boot-state', 'executables', `register ${n}`, values, tpm.registers[n] ?? 'not quoted'),
  )
}

function appraiseBootLog(tpm: ClientTpmClaims, required: boolean): Finding {
  return must(
    'evidence.log',
    'executables',
    tpm.hasBootLog || !required,
    required ? 'a boot log that replays to the quoted registers' : 'a boot log or none',
    tpm.hasBootLog
      ? `a boot log that replays, Secure Boot ${tpm.secureBoot === true ? 'on' : tpm.secureBoot === false ? 'off' : 'not told'}`
      : 'none',
  )
}

function appraiseDistrust(claims: ClientClaims, rules: readonly DistrustRule[]): Finding {
  const rule = rules.find(({ subject }) => {
    switch (subject.kind) {
      case 'machine':
        return subject.machine === claims.identity.instance
      case 'image':
        return claims.facts.disks.some((d) => d.image === subject.image)
      case 'anchor':
        return subject.anchor === claims.tpm?.anchor
      case 'register':
        return claims.tpm?.registers[String(subject.register)] === subject.value
    }
  })
  return must(
    'appraisal.distrusted',
    'instance-identity',
    rule === undefined,
    `none of ${rules.length} distrust rules applies`,
    rule === undefined ? 'none applies' : `rule ${rule.id} applies: ${rule.reason}`,
  )
}
