import {
  type AttestInputs,
  attest,
  attestInputsSchema,
  decisionRecordSchema,
  envelopeSchema,
  evidence,
  fromBase64,
  fromBase64Url,
  type LaunchClaims,
  MAX_RECORD_BYTES,
  parseAgreement,
  parseSchema,
  parseStrictJson,
  type TpmEvidence,
  toHex,
  toVerdict,
  VouchsafeError,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { parseTpmQuote } from '@vouchsafe/tpm/codec'
import { parseCel, parseImaLog, parseTcgLog, readLaunch } from '@vouchsafe/tpm/eventlog'
import { withHint } from '../../output.ts'
import { table } from '../../table.ts'
import { bootTable, bootText, type Pins, readPins } from './boot-table.ts'
import type { Answer, EvidenceFile, EvidenceFormat } from './format.ts'
import { NOT_VERIFIED, showParts } from './hardware-evidence.ts'
import { membersOf } from './json-members.ts'

/** A broker's record of a decision, or the attest inputs inside one: evidence with all that it was judged by. */
export const decisionRecord: EvidenceFormat = {
  name: 'decision record',
  options: [],
  showOptions: ['pins'],
  recognises(bytes) {
    const members = membersOf(bytes)
    return (
      ['payloadType', 'payload'].every((m) => members.has(m)) || ['nonceState', 'evidence'].every((m) => members.has(m))
    )
  },
  async show(file, options) {
    const { evidence: shownEvidence, agreement } = readAttestInputs(file)
    if (shownEvidence.format === 'snp' || shownEvidence.format === 'tdx') return showHardware(shownEvidence)
    // a record holds what its evidence was judged by
    const agreed = agreement === null ? null : parseAgreement(fromBase64(agreement), nodeCrypto).body.environment
    const shown = show(shownEvidence, options.pins === undefined ? agreed : readPins(options.pins))
    const cpu = shownEvidence.format === 'tpm' ? null : await showCpu(shownEvidence)
    return {
      json: { ...shown, ...(cpu !== null && { cpu: cpu.json }) },
      text: [textOf(shown), ...(cpu === null ? [] : [cpu.text])].join('\n\n'),
    }
  },
  async verify(file) {
    const inputs = readAttestInputs(file)
    const verdict = toVerdict(await attest(inputs, nodeCrypto))
    const rows = verdict.findings.map((f) => [f.tier, f.check, f.actual])
    const reasons = verdict.reasons.map((r) => `${r.code}: expected ${r.expected}; found ${r.actual}\n  ${r.advice}`)
    return {
      accepted: verdict.kind === 'accept',
      json: verdict,
      text: [verdict.kind, ...reasons, ...(rows.length > 0 ? [table(rows)] : [])].join('\n'),
      ...(inputs.enrolment !== null && { machine: inputs.enrolment.machine }),
    }
  },
}

/** The inputs of the attestation that a record tells of. */
export function readAttestInputs({ name, bytes }: EvidenceFile): AttestInputs {
  const json = parseStrictJson(bytes, { maxBytes: 2 * MAX_RECORD_BYTES })
  if (typeof json !== 'object' || json === null || !('payloadType' in json))
    return parseSchema(attestInputsSchema, json, name)
  const payload = fromBase64(parseSchema(envelopeSchema, json, name).payload)
  const record = parseSchema(decisionRecordSchema, parseStrictJson(payload, { maxBytes: MAX_RECORD_BYTES }), name)
  const inputs =
    record.operation === 'attest' ? record.inputs : record.operation === 'distribute' ? null : record.inputs.attest
  if (inputs === null)
    throw withHint(
      new VouchsafeError('input.malformed', `${name}: a record of ${record.operation} without evidence of a boot`),
      `see all of it with: vouchsafe why --record ${name}`,
    )
  return inputs
}

/** What a CPU signed beside the vTPM of a cloud; null where none did. */
async function showCpu(shown: evidence.PlatformEvidence): Promise<Answer | null> {
  const cpu = evidence.cpuEvidenceIn(shown)
  if (cpu === null) return null
  const parts = await evidence.evidenceFields(signedBy(cpu))
  if (shown.format === 'gce-vtpm') return showParts(cpu.format, parts)
  const hclReport = fromBase64Url(shown.hclReport)
  const own = await evidence.evidenceFields({ format: 'hcl-report', hclReport })
  return showParts(cpu.format, cpu.format === 'snp' ? own : [...own, ...parts])
}

export function signedBy(shown: evidence.CpuEvidence) {
  return shown.format === 'snp'
    ? ({ format: 'snp', report: fromBase64Url(shown.report) } as const)
    : ({ format: 'tdx', quote: fromBase64Url(shown.quote) } as const)
}

/** What a CPU signed, and the launch that it commits to. */
async function showHardware(shown: evidence.HardwareEvidence): Promise<Answer> {
  const raw = signedBy(shown)
  const launch = readLaunch(parseCel(fromBase64Url(shown.launchLog)), 'sha256', nodeCrypto)
  const answer = showParts(shown.format, await evidence.evidenceFields(raw))
  return {
    json: { ...answer.json, launch },
    text: `${answer.text}\n\n${launchText(launch)}`,
  }
}

function show(tpm: TpmEvidence | evidence.PlatformEvidence, pins: Pins | null) {
  const quote = parseTpmQuote(fromBase64Url(tpm.quote.attest))
  const boot = parseTcgLog(fromBase64Url(tpm.bootLog))
  const values = new Map(Object.entries(tpm.registers).map(([n, value]) => [Number(n), value]))
  const seen = bootTable(boot, 'sha256', values, pins)
  const kernel = tpm.imaLog === undefined ? [] : parseImaLog(fromBase64Url(tpm.imaLog))
  return {
    verified: false,
    format: tpm.format,
    quote: {
      extraData: toHex(quote.extraData),
      resetCount: quote.resetCount,
      restartCount: quote.restartCount,
      firmwareVersion: String(quote.firmwareVersion),
    },
    registers: tpm.registers,
    boot: seen.events,
    bootRegisters: seen.registers,
    kernel: kernel.map(({ register, template, violation, entry }) => ({
      register,
      path: entry?.path ?? `of template ${template}`,
      digest: violation || entry === undefined ? null : `${entry.hash}:${toHex(entry.digest)}`,
    })),
    launch: readLaunch(parseCel(fromBase64Url(tpm.launchLog)), 'sha256', nodeCrypto),
  }
}

function launchText(launch: LaunchClaims): string {
  return [
    `launch     image ${launch.image}`,
    `           arguments ${JSON.stringify(launch.args)}`,
    `           environment ${JSON.stringify(launch.env)}`,
    `           debug ${launch.debug}, network ${launch.network}, output ${launch.output}, isolation ${launch.isolation}`,
    `           under agreement ${launch.agreement}`,
  ].join('\n')
}

function textOf(shown: ReturnType<typeof show>): string {
  const { launch } = shown
  return [
    NOT_VERIFIED,
    `quote      commits to ${shown.quote.extraData}`,
    `counters   ${shown.quote.resetCount} resets, ${shown.quote.restartCount} restarts, firmware ${shown.quote.firmwareVersion}`,
    launchText(launch),
    `kernel     measured since: ${shown.kernel.length} (IMA)`,
    ...shown.kernel.map(
      (e) => `           register ${e.register}  ${JSON.stringify(e.path)}  ${e.digest ?? 'not measured reliably'}`,
    ),
    '',
    bootText({ events: shown.boot, registers: shown.bootRegisters }),
  ].join('\n')
}
