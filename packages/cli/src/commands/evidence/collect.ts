import { readFileSync } from 'node:fs'
import { firstDer } from '@vouchsafe/tpm'
import type { Quote, Tpm } from '@vouchsafe/tpm'
import { gotpmAttestation, writeGotpm } from '@vouchsafe/tpm/gotpm'
import type { GotpmFormat, TeeReport } from '@vouchsafe/tpm/gotpm'
import type { HashName } from '@vouchsafe/tpm/verify'
import { type Command, Option } from 'commander'
import { parsePemOrDer } from '../../certificate-file.ts'
import { EXIT, UsageError, withHint } from '../../output.ts'
import { type Done, outputOf } from '../options.ts'
import { parseNonce } from '../tpm/arguments.ts'
import { KERNEL_LOG } from '../tpm/boot-log-file.ts'
import { GCE_AK, isGceAk, KEY_FORMS, withKey } from '../tpm/key-argument.ts'
import { tpmVerb, type TpmVerbOptions, withTpm } from '../tpm/tpm-verb.ts'
import { writePublicFile } from '../tpm/write-output.ts'
import { azureMessage } from './azure-message.ts'
import { parseTeeNonce } from './tee-report.ts'
import { readTsmReport, TSM_REPORTS } from './tsm-report.ts'

interface CollectOptions extends TpmVerbOptions {
  readonly nonce: string
  readonly key: string
  readonly out?: string
  readonly format: GotpmFormat | 'azure'
  readonly eventLog: string | false
  readonly launchLog?: string
  readonly akCertificate?: string
  readonly intermediate?: readonly string[]
  readonly teeNonce?: string
  readonly teeCertificate?: string
  readonly tdQuote?: string
  readonly tsm: string
}

/** `vouchsafe evidence collect`: what `gotpm attest` does, in its format. */
export function collectCommand(done: Done): Command {
  const list = (value: string, before: readonly string[] = []) => [...before, value]
  return tpmVerb('collect', 'quote every bank over a nonce, with the boot log, as gotpm does')
    .requiredOption('--nonce <hex>', 'the verifier’s nonce, up to 64 bytes')
    .option('--key <key>', `attestation key: ${KEY_FORMS}`, 'ak-ecc')
    .option('--out <file>', 'file to write; left out, standard output')
    .addOption(
      new Option('--format <format>', 'gotpm’s binarypb or textproto; azure for a confidential VM of Azure')
        .choices(['binarypb', 'textproto', 'azure'])
        .default('binarypb'),
    )
    .option('--event-log <file>', 'the boot log', KERNEL_LOG)
    .option('--no-event-log', 'leave the boot log out; verifiers refuse that unless told otherwise')
    .option('--launch-log <file>', 'a canonical event log of what was launched after the boot')
    .option('--ak-certificate <file>', 'certificate of the key; Google’s keys bring theirs')
    .option('--intermediate <file>', 'certificates between it and its root; may be repeated', list)
    .option('--tee-nonce <hex>', 'also have the CPU report on this machine (SEV-SNP, TDX) over these 64 bytes')
    .option('--tee-certificate <file>', 'certificate of the chip’s key, where the host gives none')
    .option('--td-quote <file>', 'azure on Intel: the quote that the metadata service made from the report')
    .option('--tsm <directory>', 'where the kernel makes such reports', TSM_REPORTS)
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  $ vouchsafe evidence collect --nonce $NONCE --out boot.pb',
        '  $ vouchsafe evidence collect --nonce $NONCE --key gce-ak-ecc --format textproto --out vm.textproto',
        '  $ vouchsafe evidence collect --format azure --nonce $NONCE --tee-certificate vcek.pem --out vm.json',
        '',
        'Google’s machines: name the key that Google certifies with --key gce-ak-ecc or gce-ak-rsa.',
        'Azure’s: key and report are where the paravisor keeps them; --tee-nonce is written for it to report on.',
        'It needs the TPM device and the boot log, and neither an owner’s password nor a network.',
      ].join('\n'),
    )
    .action(async (options: CollectOptions) => {
      const extraData = parseNonce(options.nonce)
      if (options.format === 'azure') {
        await collectOnAzure(extraData, options)
        done(EXIT.yes)
        return
      }
      const { format } = options
      const tee = options.teeNonce === undefined ? undefined : readTee(parseTeeNonce(options.teeNonce), options)
      const attestation = await withTpm(options, (tpm) => attest(tpm, extraData, options, tee))
      const bytes = writeGotpm('attestation', attestation, format)
      const banks = attestation.quotes.length
      const answer = { format, banks, bytes: bytes.length, tee: tee?.kind ?? 'none' }
      const output = outputOf(options)
      if (options.out !== undefined) {
        writePublicFile(options.out, bytes)
        output.answer(
          { file: options.out, ...answer },
          `${options.out}: quotes of ${banks} banks, ${bytes.length} bytes`,
        )
      } else if (output.json) throw new UsageError('evidence is no JSON', 'name a file with --out FILE')
      else if (process.stdout.isTTY && format === 'binarypb')
        throw new UsageError('binary evidence is not shown on a terminal', 'name a file with --out FILE')
      else process.stdout.write(bytes)
      done(EXIT.yes)
    })
}

/** A confidential VM of Azure, in the message that Trustee's attesters write. */
async function collectOnAzure(nonce: Uint8Array, options: CollectOptions): Promise<void> {
  const { out, teeNonce, teeCertificate, tdQuote } = options
  const request = {
    nonce,
    ...(teeNonce !== undefined && { userData: parseTeeNonce(teeNonce) }),
    ...(teeCertificate !== undefined && { vek: readCertificate(teeCertificate) }),
    ...(tdQuote !== undefined && { tdQuote: new Uint8Array(readFileSync(tdQuote)) }),
  }
  const message = `${await withTpm(options, (tpm) => azureMessage(tpm, request))}\n`
  if (out === undefined) {
    process.stdout.write(message)
    return
  }
  writePublicFile(out, Buffer.from(message))
  outputOf(options).answer(
    { file: out, format: 'azure', bytes: message.length },
    `${out}: Azure’s report and a quote by its key, ${message.length} bytes`,
  )
}

const BANKS: readonly HashName[] = ['sha1', 'sha256', 'sha384', 'sha512']

async function attest(tpm: Tpm, extraData: Uint8Array, options: CollectOptions, tee: TeeReport | undefined) {
  const present = await tpm.pcrBanks()
  const quotes = await withKey(tpm, options.key, async (key) => {
    const made: Quote<HashName>[] = []
    for (const bank of BANKS) if (present.includes(bank)) made.push(await tpm.quote({ key, bank, extraData }))
    return made
  })
  const [first] = quotes
  if (first === undefined)
    throw new UsageError('this TPM has no bank that can be quoted', `it has ${present.join(', ')}`)
  const akCertificate = await certificateOf(tpm, options)
  return gotpmAttestation({
    akPublic: first.akPublic,
    quotes,
    eventLog: options.eventLog === false ? new Uint8Array() : readEventLog(options.eventLog),
    ...(options.launchLog !== undefined && { canonicalEventLog: new Uint8Array(readFileSync(options.launchLog)) }),
    ...(akCertificate !== undefined && { akCertificate }),
    intermediates: (options.intermediate ?? []).map(readCertificate),
    ...(tee !== undefined && { tee }),
  })
}

function readEventLog(file: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(file))
  } catch (error) {
    throw withHint(error, 'the kernel shows its log to root and the group tss; --no-event-log leaves it out')
  }
}

async function certificateOf(tpm: Tpm, { key, akCertificate }: CollectOptions): Promise<Uint8Array | undefined> {
  if (akCertificate !== undefined) return readCertificate(akCertificate)
  return isGceAk(key) ? firstDer(await tpm.nvRead(GCE_AK[key].certificate)) : undefined
}

function readCertificate(file: string): Uint8Array {
  return parsePemOrDer(new Uint8Array(readFileSync(file)), file)
}

function readTee(nonce: Uint8Array, { tsm, teeCertificate }: CollectOptions): TeeReport {
  const report = readTsmReport(tsm, nonce)
  if (report.kind === 'tdx' || teeCertificate === undefined) return report
  return { ...report, vek: readCertificate(teeCertificate), vekKind: 'vcek' }
}
