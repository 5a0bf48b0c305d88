import { readFileSync, writeFileSync } from 'node:fs'
import { TEMPLATES, Tpm } from '@vouchsafe/tpm'
import { encodeTpmPublic } from '@vouchsafe/tpm/codec'
import { eventTypeName, parseTcgLog, replayTcgLog } from '@vouchsafe/tpm/eventlog'
import { fromHex, toBase64Url, toHex } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { Command } from 'commander'
import { EXIT, UsageError } from '../output.ts'
import { type Done, outputOf, table, verb } from './options.ts'

interface At {
  readonly tpm?: string
  readonly json?: boolean
}

/** The kernel's copy of the firmware's log. */
const KERNEL_LOG = '/sys/kernel/security/tpm0/binary_bios_measurements'

const tpmVerb = (name: string, description: string) =>
  verb(name, description).option(
    '--tpm <address>',
    'swtpm:path=SOCKET, swtpm:host=H,port=P, or device (default: $VOUCHSAFE_TPM, then device)',
  )

async function withTpm<T>(options: At, run: (tpm: Tpm) => Promise<T>): Promise<T> {
  await using tpm = await Tpm.open(options.tpm ?? process.env['VOUCHSAFE_TPM'] ?? 'device')
  return await run(tpm)
}

/** `vouchsafe tpm …`: the TPM itself. */
export function tpmCommand(done: Done): Command {
  return new Command('tpm')
    .description('talk to a TPM 2.0')
    .addCommand(
      tpmVerb('pcrs', 'registers of every bank')
        .option('--bank <hash>', 'only this bank')
        .action(async (options: At & { bank?: string }) => {
          const banks = await withTpm(options, (tpm) => tpm.pcrReadAll())
          const wanted = banks.filter((b) => options.bank === undefined || b.bank === options.bank)
          if (wanted.length === 0)
            throw new UsageError(`no bank ${options.bank}`, `there are ${banks.map((b) => b.bank).join(', ')}`)
          const answer = Object.fromEntries(
            wanted.map((b) => [b.bank, Object.fromEntries([...b.values].map(([n, v]) => [n, toHex(v)]))]),
          )
          outputOf(options).answer(
            answer,
            wanted
              .map(
                (b) => `${b.bank}\n${table([...b.values].map(([n, v]) => [`  ${String(n).padStart(2)}`, toHex(v)]))}`,
              )
              .join('\n'),
          )
          done(EXIT.yes)
        }),
    )
    .addCommand(
      tpmVerb('quote', 'sign registers and a nonce with an attestation key')
        .requiredOption('--nonce <hex>', 'the verifier’s nonce, up to 64 bytes')
        .option('--out <file>', 'also write the quote as JSON')
        .addHelpText('after', '\nExample:\n  $ vouchsafe tpm quote --nonce $(openssl rand -hex 32) --json')
        .action(async (options: At & { nonce: string; out?: string }) => {
          const nonce = fromHex(options.nonce, '--nonce')
          if (nonce.length === 0)
            throw new UsageError('an empty nonce proves no freshness', 'take the nonce that the verifier gave you')
          const quoted = await withTpm(options, async (tpm) => {
            await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
            const quote = await tpm.quote({ key: ak, bank: 'sha256', extraData: nonce })
            return {
              akPublic: toBase64Url(encodeTpmPublic(ak.public)),
              attest: toBase64Url(quote.attest),
              signature: toBase64Url(quote.signature),
              registers: Object.fromEntries([...quote.pcrs.values].map(([n, v]) => [n, toHex(v)])),
            }
          })
          if (options.out !== undefined) writeFileSync(options.out, `${JSON.stringify(quoted)}\n`)
          outputOf(options).answer(
            quoted,
            `quoted 24 registers of the sha256 bank\n  attest     ${quoted.attest}\n  signature  ${quoted.signature}\n  key        ${quoted.akPublic}`,
          )
          done(EXIT.yes)
        }),
    )
    .addCommand(
      verb('events', 'the boot log: every event, its register, and what the registers come to')
        .argument('[file]', 'a binary log', KERNEL_LOG)
        .action((file: string, options: { json?: boolean }) => {
          const log = parseTcgLog(new Uint8Array(readFileSync(file)))
          const bank = log.banks.includes('sha256') ? 'sha256' : 'sha384'
          const replay = replayTcgLog(log, bank, nodeCrypto)
          const events = log.events.map((e) => ({
            position: e.position,
            register: e.register,
            type: eventTypeName(e.type),
            digest: toHex(e.digests.get(bank) ?? new Uint8Array()),
            dataBytes: e.data.length,
          }))
          const registers = Object.fromEntries([...replay.registers].map(([n, v]) => [n, toHex(v)]))
          const rows = events.map((e) => [String(e.position), `register ${e.register}`, e.type, e.digest.slice(0, 16)])
          outputOf(options).answer(
            { bank, events, registers },
            `${table(rows)}\n\nreplayed ${bank}\n${table(Object.entries(registers).map(([n, v]) => [`  ${n}`, v]))}`,
          )
          done(EXIT.yes)
        }),
    )
}
