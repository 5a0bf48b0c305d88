import { type AttestInputs, attest, evidence, fromBase64Url, toHex, toVerdict, VouchsafeError } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { Command } from 'commander'
import { readInput } from '../../read-input.ts'
import { EXIT, withHint } from '../../output.ts'
import { readAttestInputs } from '../evidence/decision-record.ts'
import { type Done, outputOf, seconds, verb } from '../options.ts'
import { addedText, addTo, type IntoOptions, intoOptions, type Unnamed } from './set-file.ts'

/** Registers that the boot writes and that hold for the next boot of the same machine, too. */
const BOOT_REGISTERS = Array.from({ length: 10 }, (_, n) => String(n))

/** `vouchsafe reference observe`: what a machine showed when it was accepted becomes what is expected of the next. */
export function observeCommand(done: Done): Command {
  const command = verb('observe', 'take the values of evidence that a broker accepted').argument(
    '<record>',
    'a decision record, as `vouchsafe why --save` writes it',
  )
  return intoOptions(command, seconds)
    .addHelpText(
      'after',
      '\nExample:\n  $ vouchsafe why d-… --save d.json && vouchsafe reference observe d.json --into guests.ref.json --key owner.pem --id web' +
        '\n\nWhat was seen once is no proof that it is good: compute what can be computed, and look at the coverage.',
    )
    .action(async (file: string, options: IntoOptions & { json?: boolean }) => {
      const inputs = readAttestInputs({ name: file, bytes: readInput(file) })
      const { value, cpu } = await observe(file, inputs)
      const id = options.id ?? 'observed'
      const values = [{ id, value }, ...(cpu === undefined ? [] : [{ id: `${id}-cpu`, value: cpu }])]
      const set = await addTo(options, values, new Date())
      const shown = values.map(({ value: { provenance: _provenance, ...rest } }) => JSON.stringify(rest, null, 2))
      outputOf(options).answer(
        { value, ...(cpu !== undefined && { cpu }), set: set && { version: set.version } },
        [...shown, addedText(set, options.into)].join('\n'),
      )
      done(EXIT.yes)
    })
}

interface Observed {
  readonly value: Unnamed
  /** Of the CPU beside a cloud's vTPM. */
  readonly cpu?: Unnamed
}

/** Only from evidence that is accepted when it is judged again now. */
async function observe(source: string, inputs: AttestInputs): Promise<Observed> {
  const walk = await attest(inputs, nodeCrypto)
  const verdict = toVerdict(walk)
  if (verdict.kind !== 'accept')
    throw withHint(
      new VouchsafeError(
        'input.malformed',
        `${source}: this evidence was not accepted: ${verdict.reasons[0]?.code ?? verdict.kind}`,
      ),
      `see why with: vouchsafe evidence verify ${source}`,
    )
  const provenance = { how: 'observed', source, inputs: {} } as const
  const { evidence: shown } = inputs
  if (shown.format === 'snp' || shown.format === 'tdx') return { value: ofCpu(shown, provenance) }
  const registers = Object.fromEntries(BOOT_REGISTERS.map((n) => [n, shown.registers[n] ?? '']))
  const cpu = shown.format === 'tpm' ? null : evidence.cpuEvidenceIn(shown)
  return {
    value: { kind: 'tpm', registers, provenance },
    ...(cpu !== null && { cpu: ofCpu(cpu, provenance) }),
  }
}

function ofCpu(shown: evidence.CpuEvidence, provenance: Unnamed['provenance']): Unnamed {
  if (shown.format === 'snp') {
    const { measurement } = evidence.parseSnpReport(fromBase64Url(shown.report))
    return { kind: 'snp', measurement: toHex(measurement), provenance }
  }
  const quote = evidence.parseDcapQuote(fromBase64Url(shown.quote))
  const td = evidence.parseTdReport(quote.body, quote.bodyKind === 'td15' ? 'td15' : 'td10')
  const [rtmr0, rtmr1, rtmr2, rtmr3] = td.rtmrs
  return {
    kind: 'tdx',
    mrTd: toHex(td.mrTd),
    rtmr0: toHex(rtmr0),
    rtmr1: toHex(rtmr1),
    rtmr2: toHex(rtmr2),
    rtmr3: toHex(rtmr3),
    provenance,
  }
}
