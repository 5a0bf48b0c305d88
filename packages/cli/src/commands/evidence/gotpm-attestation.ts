import { writeFileSync } from 'node:fs'
import { toHex } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { digest } from '@vouchsafe/tpm'
import { parseTpmPublic, parseTpmQuote, tpmName } from '@vouchsafe/tpm/codec'
import { parseTcgLog } from '@vouchsafe/tpm/eventlog'
import type { BootReport } from '@vouchsafe/tpm/eventlog'
import {
  gotpmFormatOf,
  machineState,
  machineStateJson,
  pcrValues,
  readGotpm,
  teeReport,
  verifyGotpmAttestation,
  writeGotpm,
} from '@vouchsafe/tpm/gotpm'
import type { GotpmMessage, VerifiedGotpmAttestation } from '@vouchsafe/tpm/gotpm'
import type { TrustedHash } from '@vouchsafe/tpm/verify'
import { UsageError } from '../../output.ts'
import { parseBank, parseNonce, parsePcrList } from '../tpm/arguments.ts'
import { type Trust, trustFor } from './anchor.ts'
import { type BootTable, bootTable, bootText, readPins } from './boot-table.ts'
import type { EvidenceFile, EvidenceFormat, ShowOptions, VerifyOptions } from './format.ts'
import { NOT_VERIFIED } from './hardware-evidence.ts'
import { type HardwareAnswer, verifyTeeReport } from './tee-report.ts'

/** What `gotpm attest` and `vouchsafe evidence collect` write, in either form. */
export const gotpmAttestation: EvidenceFormat = {
  name: 'gotpm attestation',
  options: [
    'nonce',
    'trustKey',
    'trustRoot',
    'google',
    'intermediate',
    'teeNonce',
    'bank',
    'unexplained',
    'withoutBootLog',
    'looseBoot',
    'machineState',
    'format',
    'at',
    'dangerouslyTrustItsOwnKey',
  ],
  showOptions: ['pins'],
  recognises(bytes) {
    const format = gotpmFormatOf(bytes)
    if (format === 'textproto')
      return /^\s*(?:#[^\n]*\n\s*)*(?:ak_pub|quotes|event_log)\s*[:{]/.test(beginningOf(bytes))
    return bytes[0] === 0x0a && isAttestation(bytes)
  },
  show(file, options) {
    const attestation = read(file)
    const name = nameOf(attestation)
    const quotes = attestation.quotes.map(({ quote, pcrs }) => {
      const { bank, values } = pcrValues(pcrs)
      const registers = Object.fromEntries([...values].map(([n, v]) => [n, toHex(v)]))
      return { bank, nonce: toHex(parseTpmQuote(quote).extraData), registers }
    })
    const boot = bootOf(attestation.eventLog, quotes, options)
    const events = boot?.events.length ?? 0
    const tee = teeReport(attestation)?.kind ?? 'none'
    const certified = attestation.akCert.length > 0
    return {
      json: {
        verified: false,
        format: 'gotpm',
        key: name,
        certified,
        quotes,
        events,
        tee,
        ...(boot !== null && { boot: boot.events, bootRegisters: boot.registers }),
      },
      text: [
        NOT_VERIFIED,
        `key        ${name}${certified ? ', with a certificate' : ''}`,
        ...quotes.map((q) => `quote      of ${q.bank}, over nonce ${q.nonce}`),
        `boot log   ${events} events`,
        `hardware   ${tee}`,
        ...(boot === null ? [] : ['', bootText(boot)]),
      ].join('\n'),
    }
  },
  async verify(file, options, output) {
    const attestation = read(file)
    const { akCert: certificate, intermediateCerts: intermediates } = attestation
    const trust = await trustFor({ certificate, intermediates }, options)
    const verified = await verifyGotpmAttestation(
      attestation,
      { anchor: trust.anchor, ...judgedBy(options) },
      nodeCrypto,
    )
    const hardware = await verifyTeeReport(teeReport(attestation), options)
    const accepted = verified.keyTrusted || options.dangerouslyTrustItsOwnKey === true
    if (!verified.keyTrusted && accepted)
      output.talk('warning: whoever made this attestation chose its key; it proves nothing to anybody else')
    const state = machineState(verified, nodeCrypto, trust.instance)
    if (options.machineState !== undefined && accepted)
      writeFileSync(options.machineState, writeGotpm('machine-state', state, options.format ?? 'textproto'))
    const { quote, boot, launch } = verified
    const key = quote.akName === undefined ? undefined : toHex(quote.akName)
    return {
      accepted,
      ...(key !== undefined && { machine: key }),
      json: {
        keyTrusted: verified.keyTrusted,
        key: key ?? null,
        trustedBy: trust.why,
        bank: quote.registers.bank,
        registers: Object.fromEntries([...quote.registers.values].map(([n, v]) => [n, toHex(v)])),
        counters: { resets: quote.resetCount, restarts: quote.restartCount, clockSafe: quote.safe },
        coverage: boot?.coverage ?? null,
        boot: boot === undefined ? null : partsOf(boot.report),
        launch: launch ?? null,
        hardware: hardware ?? null,
        ...(accepted && { machineState: machineStateJson(state) }),
      },
      text: textOf(verified, trust, hardware, accepted),
    }
  },
}

interface ShownQuote {
  readonly bank: string
  readonly registers: Readonly<Record<string, string>>
}

/** The boot in the bank that agreements pin, where both log and quotes have it. */
function bootOf(eventLog: Uint8Array, quotes: readonly ShownQuote[], { pins }: ShowOptions): BootTable | null {
  const quote = quotes.find(({ bank }) => bank === 'sha256')
  const log = eventLog.length === 0 ? null : parseTcgLog(eventLog)
  if (log === null || quote === undefined || !log.banks.includes('sha256')) {
    if (pins !== undefined)
      throw new UsageError('there is no log and quote of SHA-256 to hold pins against', 'leave --pins out')
    return null
  }
  const values = new Map(Object.entries(quote.registers).map(([n, value]) => [Number(n), value]))
  return bootTable(log, 'sha256', values, pins === undefined ? null : readPins(pins))
}

/** A guess is made by the first page. */
function beginningOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, 4096)).toString('latin1')
}

function isAttestation(bytes: Uint8Array): boolean {
  try {
    const { akPub, quotes } = readGotpm('attestation', bytes, 'binarypb')
    return akPub.length > 0 && quotes.length > 0
  } catch {
    return false // whatever else it is
  }
}

function read({ bytes }: EvidenceFile): GotpmMessage<'attestation'> {
  return readGotpm('attestation', bytes, gotpmFormatOf(bytes))
}

function nameOf({ akPub }: GotpmMessage<'attestation'>): string {
  return toHex(tpmName(parseTpmPublic(akPub), digest))
}

const BEST_FIRST: readonly TrustedHash[] = ['sha512', 'sha384', 'sha256']

function judgedBy(options: VerifyOptions) {
  if (options.nonce === undefined)
    throw new UsageError('against which nonce?', 'give the one that you asked the machine to sign with --nonce HEX')
  const { bank, unexplained, looseBoot = false } = options
  const banks = bank === undefined ? BEST_FIRST : [parseBank(bank)].filter((b) => b !== 'sha1')
  if (banks.length === 0) throw new UsageError('SHA-1 registers prove nothing', 'leave --bank out, or take sha256')
  return {
    nonce: parseNonce(options.nonce),
    banks,
    mayBeUnexplained: unexplained === undefined ? [] : parsePcrList(unexplained, '--unexplained'),
    logMayBeMissing: options.withoutBootLog ?? false,
    applicationMayPrecedeBootOption: looseBoot,
    mayEndBeforeExit: looseBoot,
  }
}

function partsOf(report: BootReport) {
  const reasons = Object.entries(report).map(([part, read]) => [
    part,
    read.kind === 'facts' ? 'understood' : read.reason,
  ])
  return Object.fromEntries(reasons) as Record<keyof BootReport, string>
}

function textOf(
  { keyTrusted, quote, boot, launch }: VerifiedGotpmAttestation,
  trust: Trust,
  hardware: HardwareAnswer | undefined,
  accepted: boolean,
): string {
  const trusted = keyTrusted
    ? `verified: the key is trusted by ${trust.why}`
    : 'NOT TRUSTED: it agrees with itself, and nothing says whose key this is'
  const { coverage } = boot ?? {}
  const list = (registers: readonly number[] | undefined) => (registers ?? []).join(', ') || 'none'
  const { instanceName, zone, projectId } = trust.instance ?? {}
  return [
    trusted,
    ...(instanceName === undefined ? [] : [`machine    ${instanceName} in ${zone}, project ${projectId}`]),
    `quote      ${quote.registers.bank}, ${quote.resetCount} resets, ${quote.restartCount} restarts`,
    ...(boot === undefined
      ? ['boot log   none: nothing is known of what was booted']
      : [
          `registers  explained by the log: ${list(coverage?.replayed)}; untouched: ${list(coverage?.untouched)}; unexplained: ${list(coverage?.unexplained)}`,
          ...Object.entries(partsOf(boot.report)).map(([part, said]) => `  ${part.padEnd(10)} ${said}`),
        ]),
    ...(launch === undefined ? [] : [`launch     ${launch.kind}`]),
    ...(hardware === undefined ? [] : [`hardware   ${hardware.text}`]),
    ...(accepted
      ? []
      : ['trust its key with --trust-key FILE, or the root of its certificate with --trust-root FILE or --google']),
  ].join('\n')
}
