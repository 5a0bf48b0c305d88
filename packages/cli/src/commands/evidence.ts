import { readFileSync } from 'node:fs'
import {
  type AttestInputs,
  attest,
  attestInputsSchema,
  envelopeSchema,
  decisionRecordSchema,
  fromBase64,
  fromBase64Url,
  parseSchema,
  parseStrictJson,
  toHex,
  toVerdict,
  MAX_RECORD_BYTES,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { eventTypeName, parseCel, parseTcgLog, readLaunch } from '@vouchsafe/tpm/eventlog'
import { parseTpmQuote } from '@vouchsafe/tpm/codec'
import { Command } from 'commander'
import { EXIT } from '../output.ts'
import { type Done, outputOf, table, verb } from './options.ts'

/** `vouchsafe evidence …`: what a guest showed. Reads decision records, and the attest inputs inside them. */
export function evidenceCommand(done: Done): Command {
  return new Command('evidence')
    .description('what a guest showed')
    .addCommand(
      verb('show', 'every field of the evidence in a record, and what it means; verifies nothing')
        .argument('<file>', 'a decision record, from: vouchsafe why ID --save FILE')
        .action((file: string, options: { json?: boolean }) => {
          const shown = show(readInputs(file))
          outputOf(options).answer(shown, text(shown))
          done(EXIT.yes)
        }),
    )
    .addCommand(
      verb('verify', 'verify and appraise the evidence in a record again, offline')
        .argument('<file>', 'a decision record')
        .action(async (file: string, options: { json?: boolean }) => {
          const verdict = toVerdict(await attest(readInputs(file), nodeCrypto))
          const rows = verdict.findings.map((f) => [f.tier, f.check, f.actual])
          const reasons = verdict.reasons.map(
            (r) => `${r.code}: expected ${r.expected}; found ${r.actual}\n  ${r.advice}`,
          )
          outputOf(options).answer(
            verdict,
            [verdict.kind, ...reasons, ...(rows.length > 0 ? [table(rows)] : [])].join('\n'),
          )
          done(verdict.kind === 'accept' ? EXIT.yes : EXIT.no)
        }),
    )
}

function readInputs(file: string): AttestInputs {
  const json = parseStrictJson(readFileSync(file === '-' ? 0 : file), { maxBytes: 2 * MAX_RECORD_BYTES })
  if (typeof json === 'object' && json !== null && 'payloadType' in json) {
    const payload = fromBase64(parseSchema(envelopeSchema, json, file).payload)
    const record = parseSchema(decisionRecordSchema, parseStrictJson(payload, { maxBytes: MAX_RECORD_BYTES }), file)
    const inputs =
      record.operation === 'attest' ? record.inputs : record.operation === 'distribute' ? null : record.inputs.attest
    if (inputs !== null) return inputs
  }
  return parseSchema(attestInputsSchema, json, file)
}

function show(inputs: AttestInputs) {
  const { evidence } = inputs
  const quote = parseTpmQuote(fromBase64Url(evidence.quote.attest))
  const boot = parseTcgLog(fromBase64Url(evidence.bootLog))
  return {
    verified: false,
    format: evidence.format,
    quote: {
      extraData: toHex(quote.extraData),
      resetCount: quote.resetCount,
      restartCount: quote.restartCount,
      firmwareVersion: String(quote.firmwareVersion),
    },
    registers: evidence.registers,
    boot: boot.events.map((e) => ({ register: e.register, type: eventTypeName(e.type) })),
    launch: readLaunch(parseCel(fromBase64Url(evidence.launchLog)), 'sha256', nodeCrypto),
  }
}

function text(shown: ReturnType<typeof show>): string {
  const { launch } = shown
  return [
    'NOT VERIFIED (vouchsafe evidence verify does that)',
    `quote      commits to ${shown.quote.extraData}`,
    `counters   ${shown.quote.resetCount} resets, ${shown.quote.restartCount} restarts, firmware ${shown.quote.firmwareVersion}`,
    `launch     image ${launch.image}`,
    `           arguments ${JSON.stringify(launch.args)}`,
    `           environment ${JSON.stringify(launch.env)}`,
    `           debug ${launch.debug}, network ${launch.network}, output ${launch.output}, isolation ${launch.isolation}`,
    `           under agreement ${launch.agreement}`,
    `boot       ${shown.boot.length} events`,
    table(shown.boot.map((e) => [`           register ${e.register}`, e.type])),
    'registers',
    table(Object.entries(shown.registers).map(([n, value]) => [`           ${n}`, value])),
  ].join('\n')
}
