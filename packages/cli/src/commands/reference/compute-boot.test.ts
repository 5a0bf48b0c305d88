import { PrincipalKey } from '@vouchsafe/client'
import { nodeCrypto } from '@vouchsafe/core/node'
import { newTcgLog, replayTcgLog, writeTcgLog } from '@vouchsafe/tpm/eventlog'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bootEvents, REFERENCE_BOOT } from '../../../../simulator/src/boot-events.ts'
import { CommandLine } from '../testing/command-line.ts'

const key = PrincipalKey.generate()
let line: CommandLine
beforeAll(() => {
  line = new CommandLine()
  line.write('owner.pem', key.toPem())
  line.write('boot.bin', writeTcgLog(bootOf()))
  line.write('vmlinuz', 'simulated /vmlinuz')
  line.write('initrd.img', 'another RAM disk')
})
afterAll(() => line.remove())

/** The boot of the demo's machines. */
const bootOf = (kernelCommandLine: string = REFERENCE_BOOT.kernelCommandLine) =>
  newTcgLog(['sha256'], bootEvents({ kernelCommandLine }, ['sha256']))
const registersOf = (log: ReturnType<typeof bootOf>) =>
  Object.fromEntries(
    [...replayTcgLog(log, 'sha256', nodeCrypto).registers].map(([n, v]) => [String(n), Buffer.from(v).toString('hex')]),
  )
const compute = (...more: readonly string[]) =>
  line.answer<{ registers: Record<string, string>; computed: { register: string; what: string }[] }>(
    'reference',
    'compute',
    '--boot-log',
    'boot.bin',
    ...more,
  )

describe('KB-30 the registers of the demo’s machines are computed before they boot', () => {
  test('with another command line they are those of a machine that boots it', async () => {
    const other = `${REFERENCE_BOOT.kernelCommandLine} init=/bin/sh`
    const { registers, computed } = await compute('--append', other)
    expect(registers).toEqual(registersOf(bootOf(other)))
    expect(registers).not.toEqual(registersOf(bootOf()))
    expect(computed.map((c) => c.register)).toEqual(['PCR 8', 'PCR 9'])
  })

  test('with the same parts they are those of the log, with another RAM disk those of no boot before', async () => {
    const same = await compute('--kernel', 'vmlinuz', '--append', REFERENCE_BOOT.kernelCommandLine)
    expect(same.registers).toEqual(registersOf(bootOf()))
    const { registers } = await compute('--initrd', 'initrd.img')
    const { '9': nine, ...rest } = registersOf(bootOf())
    expect(registers).toMatchObject(rest)
    expect(registers['9']).not.toBe(nine)
  })

  test('they go into a set, with what they were computed from', async () => {
    await compute('--append', 'ro quiet', '--into', 'boots.json', '--key', 'owner.pem', '--id', 'next')
    const { entries } = await line.answer<{ entries: object[] }>('reference', 'list', 'boots.json', '--signer', key.key)
    expect(entries).toMatchObject([
      {
        id: 'next',
        kind: 'tpm',
        provenance: { how: 'computed', source: 'boot.bin', inputs: { commandLine: 'ro quiet' } },
      },
    ])
  })

  test.each<[string, readonly string[], string]>([
    ['nothing to boot', ['--boot-log', 'boot.bin'], 'usage'],
    ['a guest and a TPM at once', ['--boot-log', 'boot.bin', '--append', 'x', '--vcpus', '1'], 'usage'],
    ['neither', ['--vcpus', '1'], 'usage'],
    ['memory without a log', ['--firmware', 'vmlinuz', '--vcpus', '1', '--memory', '512'], 'usage'],
    ['a log that is none', ['--boot-log', 'vmlinuz', '--append', 'x'], 'input.malformed'],
    ['a file that the log does not name', ['--boot-log', 'boot.bin', '--kernel', 'owner.pem'], 'input.malformed'],
  ])('%s is refused', async (_what, more, code) => {
    expect(await line.refusal('reference', 'compute', ...more)).toMatchObject({ code })
  })
})
