import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { makeFirmwareImage } from '@vouchsafe/testkit'
import { evidence, toHex } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'

/*
 * Peer: `sev-snp-measure` from the Python package index, pinned. It computes launch digests from the same files; firmware
 * is made here, and taken from the machine where one for SEV-SNP is installed. Every model, with a kernel and without.
 */
const PEER = 'sev-snp-measure==0.0.12'
const INSTALLED = ['/usr/share/ovmf/OVMF.amdsev.fd']
const directory = mkdtempSync(path.join(tmpdir(), 'vouchsafe-snp-measure-'))
const file = (name: string) => path.join(directory, name)
let passed = 0
let failed = 0

try {
  run('python3', ['-m', 'venv', file('peer')])
  run(file('peer/bin/pip'), ['install', '--quiet', '--disable-pip-version-check', PEER])
  writeFileSync(file('made.fd'), makeFirmwareImage())
  writeFileSync(file('vmlinuz'), 'kernel')
  writeFileSync(file('initrd'), 'initrd')
  for (const firmware of [file('made.fd'), ...INSTALLED.filter((name) => existsSync(name))]) compareFirmware(firmware)
} finally {
  rmSync(directory, { recursive: true, force: true })
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

/** Firmware that is not for SEV-SNP is no input here: the peer gives a digest for it, which no guest could ever show; we refuse it. */
function compareFirmware(firmware: string): void {
  const boot = {
    kernel: readFileSync(file('vmlinuz')),
    initrd: readFileSync(file('initrd')),
    commandLine: 'console=ttyS0 ro',
  }
  for (const cpu of Object.keys(evidence.SNP_CPU_MODELS) as evidence.SnpCpuModel[])
    for (const vcpus of [1, 3])
      for (const direct of [true, false]) {
        const ours = attempt(() => {
          const image = evidence.parseFirmwareImage(readFileSync(firmware))
          return toHex(evidence.snpLaunchDigest({ firmware: image, ...(direct && { boot }), vcpus, cpu }, nodeCrypto))
        })
        const kernel = ['--kernel', file('vmlinuz'), '--initrd', file('initrd'), '--append', boot.commandLine]
        const given = ['--mode', 'snp', '--vcpus', String(vcpus), '--vcpu-type', cpu, '--ovmf', firmware]
        const { status, stdout } = spawnSync(file('peer/bin/sev-snp-measure'), [...given, ...(direct ? kernel : [])], {
          encoding: 'utf8',
        })
        const theirs = status === 0 ? stdout.trim() : null
        const good = ours === theirs
        if (good) passed++
        else failed++
        const what = `${path.basename(firmware)} ${cpu} ${vcpus} vCPUs ${direct ? 'direct' : 'from disk'}`
        if (!good) console.log(`FAILED  ${what}: ours ${ours ?? 'refused'}, theirs ${theirs ?? 'refused'}`)
      }
}

function attempt(compute: () => string): string | null {
  try {
    return compute()
  } catch {
    return null
  }
}

function run(program: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`)
}
