import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { evidence, toHex } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { parseTcgLog } from '@vouchsafe/tpm/eventlog'
import { UsageError } from '../../output.ts'
import { outputOf } from '../options.ts'
import { table } from '../../table.ts'
import { addedText, addTo, type IntoOptions } from './set-file.ts'

interface BootOptions extends IntoOptions {
  readonly firmware?: string
  readonly vcpus?: string
  readonly memory?: number
  readonly kernel?: string
  readonly initrd?: string
  readonly append?: string
  readonly json?: boolean
}

/** What a TPM's registers will hold when the firmware of a log boots these parts. */
export async function computeBoot(logFile: string, options: BootOptions): Promise<void> {
  const { kernel, initrd, append: commandLine, memory: memoryMiB } = options
  if (options.firmware !== undefined || options.vcpus !== undefined)
    throw new UsageError('--firmware and --vcpus speak of an SEV-SNP guest', 'the firmware of a TPM stands in its log')
  if (kernel === undefined && initrd === undefined && commandLine === undefined)
    throw new UsageError('nothing would be booted otherwise than in the log', 'give --kernel, --initrd or --append')
  const log = new Uint8Array(readFileSync(logFile))
  const parts = {
    ...(kernel !== undefined && { kernel: bootFile(kernel) }),
    ...(initrd !== undefined && { initrd: bootFile(initrd) }),
    ...(commandLine !== undefined && { commandLine }),
    ...(memoryMiB !== undefined && { memoryMiB }),
  }
  const expected = evidence.expectedRegisters(parseTcgLog(log), parts, nodeCrypto)
  const registers = Object.fromEntries(
    Array.from(expected.registers, ([n, value]) => [String(n), toHex(value)] as const).sort(
      ([a], [b]) => Number(a) - Number(b),
    ),
  )
  const inputs = {
    bootLog: digest(log),
    ...(parts.kernel && { kernel: digest(parts.kernel.contents) }),
    ...(parts.initrd && { initrd: digest(parts.initrd.contents) }),
    ...(commandLine !== undefined && { commandLine }),
    ...(memoryMiB !== undefined && { memoryMiB: String(memoryMiB) }),
  }
  const provenance = { how: 'computed', source: logFile, inputs } as const
  const value = { kind: 'tpm', registers, provenance } as const
  const set = await addTo(options, [{ id: options.id ?? 'boot', value }], new Date())
  const { computed } = expected
  outputOf(options).answer(
    { registers, computed, inputs, set: set && { version: set.version } },
    [
      table(Object.entries(registers).map(([n, v]) => [`PCR ${n}`, v])),
      table(computed.map((c) => [`event ${c.position}`, c.register, `${c.what}, computed`])),
      'every other event is as in the log',
      addedText(set, options.into),
    ].join('\n'),
  )
}

function bootFile(file: string): evidence.BootFile {
  return { name: path.basename(file), contents: new Uint8Array(readFileSync(file)) }
}

function digest(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
