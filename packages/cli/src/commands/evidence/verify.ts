import { type Command, Option } from 'commander'
import { readInput } from '../../read-input.ts'
import { EXIT, UsageError } from '../../output.ts'
import { type Done, outputOf, verb } from '../options.ts'
import type { EvidenceFormat, VerifyOptions } from './format.ts'
import { formatOf } from './formats.ts'
import { appendVerification } from './verification-log.ts'

interface VerifyVerbOptions extends VerifyOptions {
  readonly json?: boolean
  readonly log?: string
  readonly logName?: string
}

/** `vouchsafe evidence verify`. */
export function verifyCommand(done: Done): Command {
  return options(verb('verify', 'verify evidence offline: who made it, when, and what it proves'))
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  $ vouchsafe evidence verify d.json                                  # a decision record carries all it needs',
        '  $ vouchsafe evidence verify boot.pb --nonce $NONCE --trust-key ak.pem --machine-state state.textproto',
        '  $ vouchsafe evidence verify vm.pb --nonce $NONCE --google --intermediate ca.pem',
        '  $ vouchsafe evidence verify quote.bin --nonce $REPORT_DATA --collateral bundle.json',
        '',
        'The exit status is 0 only when the evidence is authentic and its key is trusted.',
      ].join('\n'),
    )
    .action(async (name: string, given: VerifyVerbOptions) => {
      const file = { name, bytes: readInput(name) }
      const format = formatOf(file)
      const { json, log, logName, ...wanted } = given
      assertMeaningful(format, wanted)
      const output = outputOf({ json: json === true })
      const entry = { evidence: file.bytes, nonce: wanted.nonce, ...(logName !== undefined && { name: logName }) }
      try {
        const verdict = await format.verify(file, wanted, output)
        if (log !== undefined) appendVerification(log, { ...entry, verdict })
        output.answer(verdict.json, verdict.text)
        done(verdict.accepted ? EXIT.yes : EXIT.no)
      } catch (error) {
        if (log !== undefined) appendVerification(log, { ...entry, error })
        throw error
      }
    })
}

function options(command: Command): Command {
  const list = (value: string, before: readonly string[] = []) => [...before, value]
  return command
    .argument(
      '<file>',
      'a decision record, a gotpm attestation, a TPM quote, a hardware report or quote; - for standard input',
    )
    .option('--nonce <hex>', 'what you asked the machine to sign')
    .option(
      '--trust-key <file>',
      'an attestation key that you know: PEM, certificate or public area; may be repeated',
      list,
    )
    .option('--trust-root <file>', 'a root to which the certificate of the key must chain; may be repeated', list)
    .option('--google', 'trust Google’s roots for the vTPMs of Compute Engine')
    .option('--intermediate <file>', 'certificates between; may be repeated', list)
    .option('--at <time>', 'as of this time (ISO 8601)')
    .option('--bank <hash>', 'only this bank counts (default: the best that quotes and log have)')
    .option('--unexplained <list>', 'registers that no log explains, such as 10 for IMA; RTMRs 0 to 3 of TDX')
    .option('--without-boot-log', 'accept an attestation that shows no boot log')
    .option('--loose-boot', 'accept boots that start tools before a boot option, or whose log ends early')
    .option('--tee-nonce <hex>', 'verify the hardware report that came along, over these 64 bytes')
    .option('--machine-state <file>', 'write gotpm’s machine state')
    .addOption(new Option('--format <format>', 'its form').choices(['textproto', 'binarypb']))
    .addOption(
      new Option('--certified-key-only <usage>', 'a certified key is all that is wanted: nothing of the boot').choices([
        'sign',
        'decrypt',
      ]),
    )
    .option('--dangerously-trust-its-own-key', 'for looking at recordings: anybody could have made them')
    .option('--without-nonce', 'hardware: look at a recording, which answers no request')
    .option('--certificate <file>', 'hardware: the chip’s certificate, or a GPU’s chain; may be repeated', list)
    .option('--collateral <file>', 'hardware: a bundle of the vendors’ collateral, from `vouchsafe evidence bundle`')
    .option('--without-collateral', 'hardware: leave revocation and the state of the platform unknown')
    .option('--trust-anchors <file>', 'Arm CCA: a trust anchor store')
    .option('--event-log <file>', 'TDX: the CCEL log of the boot, to be replayed to the quote')
    .option('--log <file>', 'append challenge, evidence and outcome to this log; see `vouchsafe evidence log`')
    .option('--log-name <name>', 'a name for this entry, such as the machine’s')
}

/** An option that has no effect is refused: it was given in the belief that it checks something. */
function assertMeaningful(format: EvidenceFormat, given: VerifyOptions): void {
  for (const option of Object.keys(given) as (keyof VerifyOptions)[])
    if (!format.options.includes(option)) {
      const flag = `--${option.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`
      throw new UsageError(`${flag} means nothing for a ${format.name}`, 'leave it out')
    }
}
