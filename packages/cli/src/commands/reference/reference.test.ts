import { readFileSync, writeFileSync } from 'node:fs'
import { PrincipalKey } from '@vouchsafe/client'
import { hardwareTermsSchema } from '@vouchsafe/core'
import { makeFirmwareImage, missingVectors, vectorsRoot } from '@vouchsafe/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CommandLine } from '../testing/command-line.ts'
import { platformInputs } from '../../../../core/src/testing/platform-inputs.ts'
import { hardwareInputs } from '../testing/hardware-inputs.ts'

let line: CommandLine
const key = PrincipalKey.generate()
const SIGNED = ['--key', 'owner.pem'] as const
const BY = ['--signer', key.key] as const

beforeAll(() => {
  line = new CommandLine()
  line.write('owner.pem', key.toPem())
  line.write('other.pem', PrincipalKey.generate().toPem())
  line.write('OVMF.fd', makeFirmwareImage())
  line.write('vmlinuz', 'kernel')
  line.write('initrd', 'initrd')
})
afterAll(() => line.remove())

const compute = (...more: readonly string[]) =>
  line.answer<{ measurements: { vcpus: number; measurement: string }[]; inputs: Record<string, string> }>(
    'reference',
    'compute',
    '--firmware',
    'OVMF.fd',
    '--cpu',
    'EPYC-Milan',
    ...more,
  )
const DIRECT = ['--kernel', 'vmlinuz', '--initrd', 'initrd', '--append', 'console=ttyS0 root=/dev/vda'] as const

describe('KB-30 a launch measurement is computed before the guest is ever started', () => {
  test('from firmware, kernel, initial RAM disk, command line and processors; each number of them by itself', async () => {
    const { measurements, inputs } = await compute(...DIRECT, '--vcpus', '1,4')
    expect(measurements.map((m) => m.vcpus)).toEqual([1, 4])
    expect(measurements[1]?.measurement).toBe(
      '9f010eb03dafee5753d98d9c88a6283b75a51be040b6f3b795da80813dab720d549340b454d458fd2289ec1c56ef34e8',
    )
    expect(inputs).toMatchObject({
      kernel: expect.stringMatching(/^sha256:/),
      commandLine: 'console=ttyS0 root=/dev/vda',
    })
  })

  test('KB-30 D20 is kept with its inputs, signed, for so many days', async () => {
    await compute(...DIRECT, '--vcpus', '4', '--into', 'a.ref.json', ...SIGNED, '--days', '30')
    const { entries } = await line.answer<{
      entries: { id: string; live: boolean; notAfter: string; provenance: object }[]
    }>('reference', 'list', 'a.ref.json', ...BY)
    expect(entries).toMatchObject([
      {
        id: 'guest-4vcpu',
        kind: 'snp',
        live: true,
        provenance: { how: 'computed', source: 'OVMF.fd', inputs: { vcpus: '4' } },
      },
    ])
    const days = (Date.parse(entries[0]?.notAfter ?? '') - Date.now()) / 86_400_000
    expect(days).toBeGreaterThan(29.9)
    expect(days).toBeLessThan(30)
  })

  test.each<[string, readonly string[], string]>([
    ['an initial RAM disk without a kernel', ['--initrd', 'initrd', '--vcpus', '1'], 'usage'],
    ['no processors', [...DIRECT, '--vcpus', '0'], 'usage'],
    ['a file that is no firmware', ['--firmware', 'vmlinuz', '--vcpus', '1'], 'input.malformed'],
    ['nobody who vouches for it', [...DIRECT, '--vcpus', '1', '--into', 'x.ref.json'], 'usage'],
  ])('refuses %s', async (_what, more, code) => {
    expect(await line.refusal('reference', 'compute', '--firmware', 'OVMF.fd', ...more)).toMatchObject({ code })
  })
})

describe('D12 B17 coverage says what is pinned, and what is left to whoever runs the machine', () => {
  type Coverage = {
    complete: boolean
    values: { id: string; coverage: { component: string; state: string; by: string }[] }[]
  }
  const coverageOf = async (file: string) =>
    (await line.run('reference', 'coverage', file, ...BY, '--json')).json<Coverage>()
  const states = (of: Coverage) => Object.fromEntries(of.values[0]?.coverage.map((c) => [c.component, c.state]) ?? [])
  const add = (file: string, value: object) => {
    line.write('value.json', JSON.stringify({ it: value }))
    return line.answer('reference', 'add', 'value.json', '--into', file, ...SIGNED)
  }

  test('MRTD alone leaves kernel, command line and root disk free', async () => {
    await add('mrtd.ref.json', { kind: 'tdx', mrTd: 'ab'.repeat(48) })
    const coverage = await coverageOf('mrtd.ref.json')
    expect(states(coverage)).toMatchObject({
      firmware: 'pinned',
      kernel: 'free',
      'kernel command line': 'free',
      'root disk': 'free',
    })
    expect((await line.run('reference', 'coverage', 'mrtd.ref.json', ...BY)).status).toBe(1)
  })

  test('all of RTMR 0 to 2 leave the disk, if the command line names no hash of it', async () => {
    const registers = { rtmr0: 'ab'.repeat(48), rtmr1: 'ab'.repeat(48), rtmr2: 'ab'.repeat(48) }
    await add('rtmrs.ref.json', { kind: 'tdx', mrTd: 'ab'.repeat(48), ...registers })
    const { 'root disk': disk, ...rest } = states(await coverageOf('rtmrs.ref.json'))
    expect([disk, new Set(Object.values(rest))]).toEqual(['unseen', new Set(['pinned'])])
  })

  test('a computed direct boot pins kernel and command line; its disk only by a hash', async () => {
    await compute(...DIRECT, '--vcpus', '1', '--into', 'direct.ref.json', ...SIGNED)
    expect(states(await coverageOf('direct.ref.json'))).toMatchObject({ kernel: 'pinned', 'root disk': 'free' })
    const verity = `root=/dev/mapper/root roothash=${'ab'.repeat(32)}`
    await compute('--kernel', 'vmlinuz', '--append', verity, '--vcpus', '1', '--into', 'verity.ref.json', ...SIGNED)
    expect(states(await coverageOf('verity.ref.json'))).toMatchObject({ 'root disk': 'pinned' })
  })

  test('B17 PCR 0 alone is any system of that firmware; firmware booted from a disk pins no kernel', async () => {
    await add('pcr0.ref.json', { kind: 'tpm', registers: { '0': 'ab'.repeat(32) } })
    expect(states(await coverageOf('pcr0.ref.json'))).toMatchObject({ firmware: 'pinned', kernel: 'free' })
    await compute('--vcpus', '1', '--into', 'disk.ref.json', ...SIGNED)
    expect(states(await coverageOf('disk.ref.json'))).toMatchObject({ firmware: 'pinned', kernel: 'free' })
  })
})

describe('KB-11 F09 F10 a set is signed, ends, and has a history', () => {
  test('F09 what another key signed, or nobody, is refused', async () => {
    await compute(...DIRECT, '--vcpus', '1', '--into', 'signed.ref.json', ...SIGNED)
    expect(await line.refusal('reference', 'list', 'signed.ref.json')).toMatchObject({ code: 'usage' })
    expect(await line.refusal('reference', 'list', 'signed.ref.json', '--key', 'other.pem')).toMatchObject({
      code: 'agreement.signature',
    })
    expect(
      await line.refusal(
        'reference',
        'compute',
        '--firmware',
        'OVMF.fd',
        '--vcpus',
        '2',
        '--into',
        'signed.ref.json',
        '--key',
        'other.pem',
      ),
    ).toMatchObject({ code: 'agreement.signature' })
    const file = JSON.parse(readFileSync(line.file('signed.ref.json'), 'utf8'))
    const payload = Buffer.from(file.versions[0].payload, 'base64').toString().replace('OVMF.fd', 'OVMF.xx')
    file.versions[0].payload = Buffer.from(payload).toString('base64')
    writeFileSync(line.file('forged.ref.json'), JSON.stringify(file))
    expect(await line.refusal('reference', 'list', 'forged.ref.json', ...BY)).toMatchObject({
      code: 'agreement.signature',
    })
  })

  test('F10 an older file does not pass for a newer one, and no version can be left out', async () => {
    await compute(...DIRECT, '--vcpus', '1', '--into', 'h.ref.json', ...SIGNED)
    await compute(...DIRECT, '--vcpus', '2', '--into', 'h.ref.json', ...SIGNED)
    await line.answer('reference', 'expire', 'h.ref.json', 'guest-1vcpu', ...SIGNED)
    const { version, entries, history } = await line.answer<{ version: number; entries: object[]; history: object[] }>(
      'reference',
      'list',
      'h.ref.json',
      ...BY,
      '--history',
      '--at-least',
      '3',
    )
    expect(version).toBe(3)
    expect(entries).toMatchObject([
      { id: 'guest-1vcpu', live: false },
      { id: 'guest-2vcpu', live: true },
    ])
    expect(history).toMatchObject([
      { added: ['guest-1vcpu'] },
      { added: ['guest-2vcpu'] },
      { changed: ['guest-1vcpu'] },
    ])
    const file = JSON.parse(readFileSync(line.file('h.ref.json'), 'utf8'))
    const [one, two, three] = file.versions
    writeFileSync(line.file('old.ref.json'), JSON.stringify({ ...file, versions: [one, two] }))
    writeFileSync(line.file('gap.ref.json'), JSON.stringify({ ...file, versions: [one, three] }))
    expect(await line.refusal('reference', 'list', 'old.ref.json', ...BY, '--at-least', '3')).toMatchObject({
      code: 'agreement.superseded',
    })
    expect(await line.refusal('reference', 'list', 'gap.ref.json', ...BY)).toMatchObject({ code: 'input.malformed' })
  })

  test('a value that ended holds no more, cannot be brought back by ending it later, and nothing left covers nothing', async () => {
    await compute(...DIRECT, '--vcpus', '1', '--into', 'e.ref.json', ...SIGNED)
    await line.answer('reference', 'expire', 'e.ref.json', 'guest-1vcpu', ...SIGNED)
    await line.answer('reference', 'expire', 'e.ref.json', 'guest-1vcpu', ...SIGNED, '--at', '2099-01-01T00:00:00Z')
    expect((await line.run('reference', 'coverage', 'e.ref.json', ...BY, '--json')).json()).toMatchObject({
      complete: false,
      values: [],
    })
    expect(await line.refusal('reference', 'expire', 'e.ref.json', 'none', ...SIGNED)).toMatchObject({
      code: 'store.unknown',
    })
    expect(await line.refusal('reference', 'pins', 'e.ref.json', ...BY)).toMatchObject({ code: 'usage' })
  })

  test('a name is taken once', async () => {
    await compute(...DIRECT, '--vcpus', '1', '--into', 't.ref.json', ...SIGNED)
    expect(
      await line.refusal(
        'reference',
        'compute',
        '--firmware',
        'OVMF.fd',
        '--vcpus',
        '1',
        '--into',
        't.ref.json',
        ...SIGNED,
      ),
    ).toMatchObject({ code: 'store.conflict' })
  })
})

describe('values from evidence and manifests', () => {
  test.each(['snp', 'tdx'] as const)(
    '%s: observed from evidence that is accepted, and pinned as agreements take it',
    async (format) => {
      line.write('seen.json', JSON.stringify(hardwareInputs(format)))
      await line.answer('reference', 'observe', 'seen.json', '--into', `${format}.ref.json`, ...SIGNED, '--id', 'web')
      const { hardware } = await line.answer<{ hardware: object }>('reference', 'pins', `${format}.ref.json`, ...BY)
      const terms = hardwareTermsSchema.parse(hardware)
      expect(format === 'snp' ? terms.snp?.measurements : terms.tdx?.mrTd).toEqual(['ab'.repeat(48)])
    },
  )

  test('evidence that is not accepted gives no values', async () => {
    line.write('bad.json', JSON.stringify(hardwareInputs('snp', { snp: { measurement: new Uint8Array(48) } })))
    expect(await line.refusal('reference', 'observe', 'bad.json')).toMatchObject({
      code: 'input.malformed',
      message: expect.stringContaining('appraisal.measurement'),
    })
  })

  test('F03 a value of another form than its kind is refused', async () => {
    line.write('wrong.json', JSON.stringify({ it: { kind: 'snp', measurement: 'AB'.repeat(48) } }))
    expect(await line.refusal('reference', 'add', 'wrong.json')).toMatchObject({ code: 'input.malformed' })
  })

  test.skipIf(missingVectors())('KB-15 (partly: CoRIM) a manifest in CBOR gives names and digests', async () => {
    const corim = `${vectorsRoot}/coco/rvps/unsigned-example-corim.cbor`
    const { values } = await line.answer<{ values: { id: string; digests: string[] }[] }>(
      'reference',
      'import',
      corim,
      '--into',
      'corim.ref.json',
      ...SIGNED,
    )
    const found = values.find(({ id }) => id === 'ACME/RoadRunner/31fb5abf-023e-4992-aa4e-95f9c1503bfa')
    expect(found?.digests).toContain('a3a5e715f0cc574a73c3f9bebb6bc24f32ffd5b67b387244c2c909da779a1478')
    line.write('cut.cbor', readFileSync(corim).subarray(0, -1))
    expect(await line.refusal('reference', 'import', 'cut.cbor')).toMatchObject({ code: 'input.malformed' })
    line.write('rvps.json', JSON.stringify({ kernel: ['ab'.repeat(32)] }))
    expect(await line.answer('reference', 'import', 'rvps.json')).toMatchObject({
      values: [{ id: 'kernel', kind: 'component' }],
    })
  })

  test('KB-15 (partly: no gRPC) what a reference value provider registers is taken name by name, whatever it is', async () => {
    const registered = { measurement: ['ab'.repeat(32)], svn: 3, smt: false, families: ['Milan', 'Genoa'] }
    line.write('rvps.json', JSON.stringify(registered))
    const { values } = await line.answer<{ values: { id: string; kind: string; value?: unknown }[] }>(
      'reference',
      'import',
      'rvps.json',
      '--into',
      'rvps.ref.json',
      ...SIGNED,
    )
    expect(values.map(({ id, kind, value }) => [id, kind, value])).toEqual([
      ['measurement', 'component', undefined],
      ['svn', 'value', 3],
      ['smt', 'value', false],
      ['families', 'value', ['Milan', 'Genoa']],
    ])
    line.write('families.json', JSON.stringify({ families: { kind: 'value', value: ['Milan'] } }))
    await line.answer('reference', 'add', 'families.json', '--into', 'asked.ref.json', ...SIGNED)
    const { complete, values: covered } = await line
      .run('reference', 'coverage', 'asked.ref.json', ...BY, '--json')
      .then((ran) => ran.json<{ complete: boolean; values: object[] }>())
    expect({ complete, covered }).toEqual({ complete: false, covered: [] })
    line.write('null.json', JSON.stringify({ svn: null }))
    expect(await line.refusal('reference', 'import', 'null.json')).toMatchObject({ code: 'input.malformed' })
  })
})

describe('evidence diff tells two boots apart in words', () => {
  test('of a CPU: what changed and what it means; report data are no difference', async () => {
    line.write('a.json', JSON.stringify(hardwareInputs('tdx')))
    line.write(
      'b.json',
      JSON.stringify(hardwareInputs('tdx', { td: { rtmrs: [0, 9, 0, 0].map((n) => new Uint8Array(48).fill(n)) } })),
    )
    expect((await line.run('evidence', 'diff', 'a.json', 'a.json')).status).toBe(0)
    const ran = await line.run('evidence', 'diff', 'a.json', 'b.json', '--json')
    expect(ran.status).toBe(1)
    const { changed } = ran.json<{ changed: { name: string; meaning: string }[] }>()
    expect(changed.map((c) => c.name)).toContain('TDX quote: RTMR1')
    expect(changed.find((c) => c.name.endsWith('RTMR1'))?.meaning).toBe('boot loader and kernel')
    expect(changed.map((c) => c.name).join()).not.toContain('REPORTDATA')
    line.write('c.json', JSON.stringify(hardwareInputs('snp')))
    expect(await line.refusal('evidence', 'diff', 'a.json', 'c.json')).toMatchObject({ code: 'evidence.mismatch' })
  })

  test.each(['azure-vtpm', 'gce-vtpm'] as const)(
    'a record of %s shows boot and CPU, and gives values of both',
    async (format) => {
      line.write('vm.json', JSON.stringify(platformInputs(format)))
      const shown = await line.answer<{ cpu: { parts: { title: string }[] }; boot: object[]; launch: object }>(
        'evidence',
        'show',
        'vm.json',
      )
      expect(shown).toMatchObject({ verified: false, format, launch: { args: ['/app/run'] } })
      expect(shown.boot.length).toBeGreaterThan(0)
      expect(shown.cpu.parts.map(({ title }) => title)).toContain('SEV-SNP report')
      expect((await line.run('evidence', 'show', 'vm.json')).stdout).toContain('MEASUREMENT')
      expect(await line.answer('evidence', 'verify', 'vm.json')).toMatchObject({ kind: 'accept' })
      expect((await line.run('evidence', 'diff', 'vm.json', 'vm.json')).status).toBe(0)
      const into = `${format}.ref.json`
      const observed = await line.answer('reference', 'observe', 'vm.json', '--id', 'vm', '--into', into, ...SIGNED)
      expect(observed).toMatchObject({ value: { kind: 'tpm' }, cpu: { kind: 'snp', measurement: 'ab'.repeat(48) } })
      const { entries } = await line.answer<{ entries: { id: string; kind: string }[] }>(
        'reference',
        'list',
        into,
        ...BY,
      )
      expect(entries.map(({ id, kind }) => [id, kind])).toEqual([
        ['vm', 'tpm'],
        ['vm-cpu', 'snp'],
      ])
    },
  )

  test('a record of a CPU shows every field, and verifies again', async () => {
    line.write('r.json', JSON.stringify(hardwareInputs('snp')))
    const shown = await line.answer<{ parts: object[]; launch: object }>('evidence', 'show', 'r.json')
    expect(shown).toMatchObject({ verified: false, format: 'snp', launch: { args: ['/app/run'] } })
    expect(await line.answer('evidence', 'verify', 'r.json')).toMatchObject({ kind: 'accept' })
  })
})
