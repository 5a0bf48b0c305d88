import { readFileSync } from 'node:fs'
import { evidence, toHex, VouchsafeError } from '@vouchsafe/core'
import { parseCcelLog } from '@vouchsafe/tpm/eventlog'
import pc from 'picocolors'
import { UsageError } from '../../output.ts'
import { type BootTable, bootTable, bootText, readPins } from './boot-table.ts'
import type { Answer, EvidenceFile, EvidenceFormat, ShowOptions } from './format.ts'
import { verifyHardware } from './verify-hardware.ts'

/** The first line of whatever is shown and not judged. */
export const NOT_VERIFIED = pc.yellow('NOT VERIFIED (vouchsafe evidence verify does that)')

const [NAMES, VALUES, SHORT] = [41, 12, 24]

/** Reports and quotes of CPUs, paravisors and GPUs: raw, in hexadecimal or base64, or in a message of Trustee’s attesters. */
export const hardwareEvidence: EvidenceFormat = {
  name: 'hardware report or quote (SEV-SNP, TDX, SGX, Azure, Arm CCA, NVIDIA)',
  options: [
    'nonce',
    'withoutNonce',
    'teeNonce',
    'certificate',
    'collateral',
    'withoutCollateral',
    'trustRoot',
    'trustKey',
    'trustAnchors',
    'eventLog',
    'unexplained',
    'at',
  ],
  showOptions: ['pins', 'eventLog'],
  recognises(bytes) {
    return detected(bytes) !== undefined
  },
  async show(file, options) {
    const presented = present(file)
    const answer = showParts(presented.format, await evidence.evidenceFields(presented))
    const boot = bootOf(presented, options)
    return boot === null
      ? answer
      : {
          json: { ...answer.json, boot: boot.events, bootRegisters: boot.registers },
          text: `${answer.text}\n\n${bootText(boot)}`,
        }
  },
  verify: (file, options) => verifyHardware(present(file), options),
}

/** The boot of a TD, where its log is at hand: in the message, or named. */
function bootOf(presented: evidence.PresentedEvidence, options: ShowOptions): BootTable | null {
  const inside = presented.format === 'tdx' ? presented.eventLog : undefined
  if (presented.format !== 'tdx' && options.eventLog !== undefined)
    throw new UsageError(`--event-log means nothing for evidence of kind ${presented.format}`, 'leave it out')
  const area = options.eventLog === undefined ? inside : new Uint8Array(readFileSync(options.eventLog))
  if (presented.format !== 'tdx' || area === undefined) {
    if (options.pins !== undefined)
      throw new UsageError(
        'there is no event log to hold pins against',
        'name the CCEL log of a TD with --event-log FILE',
      )
    return null
  }
  const { body, bodyKind } = evidence.parseDcapQuote(presented.quote)
  const { mrTd, rtmrs } = evidence.parseTdReport(body, bodyKind === 'td15' ? 'td15' : 'td10')
  const values = new Map([mrTd, ...rtmrs].map((value, n) => [n, toHex(value)]))
  return bootTable(parseCcelLog(area), 'sha384', values, options.pins === undefined ? null : readPins(options.pins))
}

/** Every field with its meaning, part by part. */
export function showParts(format: string, parts: readonly evidence.EvidencePart[]): Answer {
  return {
    json: { verified: false, format, parts },
    text: [NOT_VERIFIED, ...parts.flatMap(({ title, fields }) => ['', pc.bold(title), ...fields.map(lineOf)])].join(
      '\n',
    ),
  }
}

/** What is long stands below its meaning. */
function lineOf({ name, value, meaning }: evidence.EvidenceField): string {
  const head = `  ${pc.cyan(name)}${' '.repeat(Math.max(0, NAMES - name.length))}`
  return value.length > SHORT
    ? `${head} ${meaning}\n  ${' '.repeat(NAMES)} ${pc.dim(value)}`
    : `${head} ${value.padEnd(VALUES)} ${pc.dim(meaning)}`
}

function present({ bytes }: EvidenceFile): evidence.PresentedEvidence {
  return evidence.readPresented(evidence.detectEvidence(bytes))
}

function detected(bytes: Uint8Array): evidence.EvidenceFormat | undefined {
  try {
    const { format, container } = evidence.detectEvidence(bytes)
    return container === 'gotpm' ? undefined : format
  } catch (error) {
    if (error instanceof VouchsafeError) return undefined
    throw error
  }
}
