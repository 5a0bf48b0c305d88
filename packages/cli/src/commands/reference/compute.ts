import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { evidence, toHex } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { type Command, Option } from 'commander'
import { EXIT, UsageError } from '../../output.ts'
import { type Done, outputOf, seconds, verb } from '../options.ts'
import { computeBoot } from './compute-boot.ts'
import { addedText, addTo, type IntoOptions, intoOptions, type Unnamed } from './set-file.ts'

interface ComputeOptions extends IntoOptions {
  readonly bootLog?: string
  readonly memory?: number
  readonly firmware?: string
  readonly kernel?: string
  readonly initrd?: string
  readonly append?: string
  readonly vcpus?: string
  readonly cpu: evidence.SnpCpuModel
  readonly features: string
  readonly json?: boolean
}

/** `vouchsafe reference compute`: what an SEV-SNP guest will measure, before it is ever started. */
export function computeCommand(done: Done): Command {
  const command = verb('compute', 'what a machine will show, from what it is launched with: an SEV-SNP guest, or a TPM')
    .option(
      '--boot-log <file>',
      'a TPM: a log of the same firmware, accepted before; its parts below are measured anew',
    )
    .option('--memory <MiB>', 'a TPM: of a QEMU machine that boots its kernel directly', seconds)
    .option('--firmware <file>', 'OVMF, as the hypervisor loads it')
    .option('--kernel <file>', 'for a measured direct boot')
    .option('--initrd <file>', 'initial RAM disk')
    .option('--append <text>', 'kernel command line, letter by letter')
    .option('--vcpus <list>', 'numbers of processors, for example 1,2,4: each has a measurement of its own')
    .addOption(
      new Option('--cpu <model>', 'what QEMU is told with -cpu')
        .choices(Object.keys(evidence.SNP_CPU_MODELS))
        .default('EPYC-v4'),
    )
    .option('--features <hex>', 'SEV_FEATURES of the guest', '1')
  return intoOptions(command, seconds)
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  $ vouchsafe reference compute --firmware OVMF.fd --kernel vmlinuz --initrd initrd.img --append "console=ttyS0" --vcpus 4 --cpu EPYC-Milan',
        '  $ vouchsafe reference compute --firmware OVMF.fd --kernel vmlinuz --vcpus 1,2,4 --into guests.ref.json --key owner.pem',
        '  $ vouchsafe reference compute --boot-log boot.bin --kernel vmlinuz --initrd initrd.img --append "console=ttyS0" --memory 2048',
      ].join('\n'),
    )
    .action(async (options: ComputeOptions) => {
      if (options.bootLog !== undefined) {
        await computeBoot(options.bootLog, options)
        done(EXIT.yes)
        return
      }
      if (options.memory !== undefined) throw new UsageError('--memory speaks of a boot log', 'name it with --boot-log')
      const values = compute(options)
      const set = await addTo(
        options,
        values.map(({ vcpus, value }) => ({ id: idOf(options, vcpus), value })),
        new Date(),
      )
      const measurements = values.map(({ vcpus, value: { measurement } }) => ({ vcpus, measurement }))
      outputOf(options).answer(
        { measurements, inputs: values[0]?.value.provenance.inputs ?? {}, set: set && { version: set.version } },
        [...measurements.map((m) => `${m.vcpus} vCPUs  ${m.measurement}`), addedText(set, options.into)].join('\n'),
      )
      done(EXIT.yes)
    })
}

type SnpValue = Extract<Unnamed, { kind: 'snp' }>

function compute(options: ComputeOptions): readonly { readonly vcpus: number; readonly value: SnpValue }[] {
  const { cpu } = options
  if (options.kernel === undefined && (options.initrd !== undefined || options.append !== undefined))
    throw new UsageError('--initrd and --append speak of a direct boot', 'name its kernel with --kernel')
  if (!/^[0-9a-f]{1,16}$/.test(options.features))
    throw new UsageError(`--features ${options.features}`, 'write the bits in hexadecimal, for example 1')
  if (options.firmware === undefined || options.vcpus === undefined)
    throw new UsageError(
      'what is to be computed?',
      'an SEV-SNP guest from --firmware and --vcpus, or a TPM’s registers from --boot-log',
    )
  const source = options.firmware
  const firmware = readFileSync(source)
  const image = evidence.parseFirmwareImage(new Uint8Array(firmware))
  const kernel = options.kernel === undefined ? undefined : readFileSync(options.kernel)
  const initrd = options.initrd === undefined ? Buffer.alloc(0) : readFileSync(options.initrd)
  const commandLine = options.append ?? ''
  const inputs = {
    firmware: digest(firmware),
    cpu,
    features: options.features,
    ...(kernel !== undefined && { kernel: digest(kernel), initrd: digest(initrd), commandLine }),
  }
  return vcpusOf(options.vcpus).map((vcpus) => {
    const boot = kernel === undefined ? {} : { boot: { kernel, initrd, commandLine } }
    const features = BigInt(`0x${options.features}`)
    const measurement = toHex(evidence.snpLaunchDigest({ firmware: image, ...boot, vcpus, cpu, features }, nodeCrypto))
    const provenance = {
      how: 'computed',
      source,
      inputs: { ...inputs, vcpus: String(vcpus) },
    } as const
    return { vcpus, value: { kind: 'snp', measurement, provenance } }
  })
}

function idOf({ id = 'guest' }: ComputeOptions, vcpus: number): string {
  return `${id}-${vcpus}vcpu`
}

function vcpusOf(text: string): readonly number[] {
  const numbers = text.split(',').map((part) => (/^\d{1,4}$/.test(part.trim()) ? Number(part) : Number.NaN))
  if (numbers.some((n) => Number.isNaN(n) || n < 1) || new Set(numbers).size !== numbers.length)
    throw new UsageError(`--vcpus ${text}`, 'name numbers once each, for example 1,2,4')
  return numbers
}

function digest(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
