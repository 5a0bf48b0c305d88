import { statSync } from 'node:fs'
import { nodeCrypto } from '@vouchsafe/core/node'
import { TEMPLATES, Tpm } from '@vouchsafe/tpm'
import { LAUNCH_REGISTER, launchRecord, writeCel } from '@vouchsafe/tpm/eventlog'
import { describe, expect, test } from 'vitest'
import { imaRecord } from '../../../../tpm/src/testing/ima-record.ts'
import { useCommandLine } from '../testing/command-line.ts'

const get = useCommandLine({ manufactured: true })
const secret = 'the key of a disk, in 32 letters'

const LEFT_BEHIND = {
  primaryHandle: 'null',
  inSensitive: { userAuth: new Uint8Array(), data: new Uint8Array() },
  inPublic: TEMPLATES.srkEccP256,
  outsideInfo: new Uint8Array(),
  creationPCR: [],
} as const

async function withTpm<T>(use: (tpm: Tpm) => Promise<T>): Promise<T> {
  await using tpm = await Tpm.open(get().tpm.address)
  return await use(tpm)
}

describe('sealing', () => {
  test('gives the secret back while the registers hold, and says what to compare when they do not', async () => {
    const line = get()
    line.write('secret', secret)
    expect(await line.answer('tpm', 'seal', 'secret', '--pcrs', '0-7,23', '--out', 'sealed')).toMatchObject({
      kind: 'sealed-bytes',
    })
    expect((await line.run('tpm', 'unseal', 'sealed')).stdout).toBe(secret)
    await line.answer('tpm', 'unseal', 'sealed', '--sealed-in', '0,23', '--out', 'opened')
    expect(Buffer.from(line.read('opened')).toString()).toBe(secret)
    expect(statSync(line.file('opened')).mode & 0o777).toBe(0o600)
    await withTpm((tpm) => tpm.pcrEvent(23, new Uint8Array(1)))
    expect(await get().refusal('tpm', 'unseal', 'sealed')).toMatchObject({
      status: 1,
      code: 'tpm.response',
      message: expect.stringContaining('TPM_RC_POLICY_FAIL'),
      hint: expect.stringContaining('vouchsafe tpm events diff'),
    })
    await withTpm((tpm) => tpm.pcrReset(23))
  })

  test('to a state to come opens only in that state', async () => {
    const line = get()
    line.write('secret', secret)
    await withTpm((tpm) => tpm.pcrEvent(23, Uint8Array.of(7)))
    line.write('later.json', (await line.run('tpm', 'pcrs', '--json')).stdout)
    await withTpm((tpm) => tpm.pcrReset(23))
    await line.answer('tpm', 'seal', 'secret', '--pcrs', '23', '--state', 'later.json', '--out', 'sealed')
    expect((await get().refusal('tpm', 'unseal', 'sealed')).message).toContain('TPM_RC_POLICY_FAIL')
    // the state it was sealed in is witnessed by the TPM, and it was another one
    expect(await get().refusal('tpm', 'unseal', 'sealed', '--sealed-in', '23', '--state', 'later.json')).toMatchObject({
      status: 1,
      code: 'evidence.mismatch',
    })
    await withTpm((tpm) => tpm.pcrEvent(23, Uint8Array.of(7)))
    expect((await line.run('tpm', 'unseal', 'sealed')).stdout).toBe(secret)
    await withTpm((tpm) => tpm.pcrReset(23))
  })

  test.each([
    ['and registers', ['--pcrs', '0,7']],
    ['alone', []],
  ])('with a password %s needs that password', async (_with, condition) => {
    const line = get()
    line.write('secret', secret)
    line.write('password', 'correct horse\n')
    line.write('wrong', 'battery staple')
    await line.answer('tpm', 'seal', 'secret', ...condition, '--auth-file', 'password', '--out', 'sealed')
    expect((await line.run('tpm', 'unseal', 'sealed', '--auth-file', 'password')).stdout).toBe(secret)
    expect(await get().refusal('tpm', 'unseal', 'sealed', '--auth-file', 'wrong')).toMatchObject({
      status: 1,
      message: expect.stringContaining('AUTH_FAIL'),
      hint: expect.stringContaining('--auth-file'),
    })
    expect(await get().refusal('tpm', 'unseal', 'sealed')).toMatchObject({ status: 1, code: 'tpm.response' })
    // wrong passwords count; the next tests are not to be locked out
    await withTpm((tpm) => tpm.run('DictionaryAttackLockReset', { lockHandle: 'lockout' }))
  })

  test('refuses what no TPM takes, and options that contradict each other', async () => {
    const line = get()
    line.write('large', new Uint8Array(129))
    line.write('secret', secret)
    expect(await get().refusal('tpm', 'seal', 'large', '--out', 'x')).toMatchObject({
      status: 3,
      code: 'input.too-large',
    })
    expect(await get().refusal('tpm', 'seal', 'secret', '--state', 's', '--out', 'x')).toMatchObject({
      status: 2,
      code: 'usage',
    })
    expect(await get().refusal('tpm', 'seal', 'secret', '--pcrs', '7,0,7', '--out', 'x')).toMatchObject({ status: 2 })
    expect(await get().refusal('tpm', 'seal', 'secret', '--pcrs', '24', '--out', 'x')).toMatchObject({ status: 2 })
    expect(await get().refusal('tpm', 'unseal', 'secret')).toMatchObject({ status: 3, code: 'input.malformed' })
  })
})

describe('importing', () => {
  test.each(['ek-rsa', 'ek-ecc'])('opens what was sealed to the %s of this machine', async (ek) => {
    const line = get()
    line.write('secret', secret)
    line.write('state.json', (await line.run('tpm', 'pcrs', '--json')).stdout)
    await line.answer('tpm', 'identity', '--out', 'machine')
    const to = ['--to', `machine/${ek}.pem`, '--pcrs', '23', '--state', 'state.json']
    await line.answer('tpm', 'seal', 'secret', ...to, '--format', 'binarypb', '--out', 'blob')
    expect((await line.run('tpm', 'import', 'blob')).stdout).toBe(secret)
    await withTpm((tpm) => tpm.pcrEvent(23, new Uint8Array(1)))
    expect((await get().refusal('tpm', 'import', 'blob')).message).toContain('TPM_RC_POLICY_FAIL')
    await withTpm((tpm) => tpm.pcrReset(23))
    const other = ek === 'ek-rsa' ? 'ek-ecc' : 'ek-rsa'
    expect(await get().refusal('tpm', 'import', 'blob', '--parent', other)).toMatchObject({
      status: 1,
      code: 'tpm.response',
      hint: expect.stringContaining('another'),
    })
  })

  test('wants the registers of the other machine from a file, never those of this one', async () => {
    const line = get()
    line.write('secret', secret)
    await line.answer('tpm', 'identity', '--out', 'machine')
    expect(
      await get().refusal('tpm', 'seal', 'secret', '--to', 'machine/ek-rsa.crt', '--pcrs', '0', '--out', 'x'),
    ).toMatchObject({
      status: 2,
      hint: expect.stringContaining('--state'),
    })
  })
})

describe('a credential', () => {
  test.each([
    ['ek-rsa', 'ek-rsa.crt'],
    ['ek-rsa', 'ek-rsa.pem'],
    ['ek-ecc', 'ek-ecc.pub'],
  ])('made for the %s in %s is answered, and not by another key', async (ek, file) => {
    const line = get()
    await line.answer('tpm', 'identity', '--out', 'machine')
    const key = `machine/${file}`
    await line.answer(
      'tpm',
      'credential',
      'make',
      '--ek',
      key,
      '--ak',
      'machine/ak-ecc.pub',
      '--new-secret',
      'asked',
      '--out',
      'challenge',
    )
    await line.answer('tpm', 'credential', 'activate', 'challenge', '--ek', ek, '--ak', 'ak-ecc', '--out', 'answered')
    expect(line.read('answered')).toEqual(line.read('asked'))
    expect(
      await get().refusal('tpm', 'credential', 'activate', 'challenge', '--ek', ek, '--ak', 'ak-rsa'),
    ).toMatchObject({
      status: 1,
      code: 'tpm.response',
      hint: expect.stringContaining('another TPM or key'),
    })
  })

  test('B02 is not made for a key that would sign anything', async () => {
    const line = get()
    await line.answer('tpm', 'identity', '--out', 'machine')
    const make = ['tpm', 'credential', 'make', '--ek', 'machine/ek-rsa.crt', '--new-secret', 's', '--out', 'c']
    expect(await get().refusal(...make, '--ak', 'machine/ek-ecc.pub')).toMatchObject({
      status: 1,
      code: 'evidence.key',
    })
    expect(await get().refusal(...make)).toMatchObject({ status: 2, code: 'usage' })
    expect(await line.answer(...make, '--name', `000b${'00'.repeat(32)}`)).toMatchObject({ attributesChecked: false })
  })
})

describe('what is kept in the TPM', () => {
  test('VT-15 keys and indices that were made are listed, and removed again without a trace', async () => {
    const line = get()
    const before = [await line.answer('tpm', 'keys', 'list'), await line.answer('tpm', 'nv', 'list')]
    line.write('bytes', 'kept')
    await line.answer('tpm', 'keys', 'persist', 'srk-ecc', '0x81000042')
    await line.answer('tpm', 'nv', 'write', '0x01500042', 'bytes', '--define')
    expect(await line.answer('tpm', 'keys', 'list')).toMatchObject({
      persistent: expect.arrayContaining([
        expect.objectContaining({ handle: '0x81000042', key: 'P-256 restricted decrypt fixedTPM' }),
      ]),
    })
    expect(await line.answer('tpm', 'nv', 'read', '0x01500042')).toMatchObject({
      data: Buffer.from('kept').toString('hex'),
    })
    await line.answer('tpm', 'keys', 'evict', '0x81000042')
    await line.answer('tpm', 'nv', 'remove', '0x01500042')
    expect([await line.answer('tpm', 'keys', 'list'), await line.answer('tpm', 'nv', 'list')]).toEqual(before)
    expect(await get().refusal('tpm', 'nv', 'read', '0x01500042')).toMatchObject({
      status: 1,
      message: expect.stringContaining('TPM_RC_HANDLE'),
      hint: expect.stringContaining('nv list'),
    })
    expect(await get().refusal('tpm', 'keys', 'evict', '0x01500042')).toMatchObject({ status: 2, code: 'usage' })
  })

  test('an index with a password is read with that password', async () => {
    const line = get()
    line.write('bytes', 'guarded')
    line.write('password', 'p')
    await line.answer('tpm', 'nv', 'write', '0x01500043', 'bytes', '--define', '--auth-file', 'password')
    expect((await get().refusal('tpm', 'nv', 'read', '0x01500043')).message).toContain('TPM_RC_BAD_AUTH')
    await line.answer('tpm', 'nv', 'read', '0x01500043', '--auth-file', 'password', '--out', 'read')
    expect(Buffer.from(line.read('read')).toString()).toBe('guarded')
    await line.answer('tpm', 'nv', 'remove', '0x01500043')
  })

  test('EK certificates are known by their index', async () => {
    const { indices } = await get().answer<{ indices: { index: string; purpose: string }[] }>('tpm', 'nv', 'list')
    expect(indices).toContainEqual(
      expect.objectContaining({ index: '0x01c00002', purpose: 'certificate of ekRsa2048', kind: 'ordinary' }),
    )
  })

  test('keys and sessions that somebody left are flushed', async () => {
    const line = get()
    await withTpm((tpm) => tpm.run('CreatePrimary', LEFT_BEHIND))
    expect((await line.answer<{ loaded: unknown[] }>('tpm', 'keys', 'list')).loaded).toHaveLength(1)
    expect((await line.answer<{ flushed: unknown[] }>('tpm', 'keys', 'flush')).flushed).toHaveLength(1)
    expect((await line.answer<{ loaded: unknown[] }>('tpm', 'keys', 'list')).loaded).toHaveLength(0)
  })
})

describe('identity', () => {
  test('names maker, firmware, keys and certificates, and writes them as files', async () => {
    const line = get()
    const answer = await line.answer<{ certificates: { of: string; issuer: string }[] }>(
      'tpm',
      'identity',
      '--out',
      'machine',
    )
    expect(answer).toMatchObject({
      manufacturer: 'IBM',
      firmwareVersion: expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/),
      keys: { 'ek-rsa': { name: expect.stringMatching(/^000b[0-9a-f]{64}$/) } },
    })
    expect(answer.certificates.map(({ of }) => of)).toContain('ekRsa2048')
    expect((await line.run('tpm', 'identity')).stdout).toContain('NOT VERIFIED')
  })
})

test('a TPM that is not there is told with what to try', async () => {
  expect(await get().refusal('tpm', 'pcrs', '--tpm', 'swtpm:path=/nowhere')).toMatchObject({
    status: 4,
    code: 'tpm.unavailable',
  })
  expect(await get().refusal('tpm', 'pcrs', '--tpm', 'carrier-pigeon')).toMatchObject({
    status: 3,
    code: 'input.malformed',
  })
})

describe('logs of what ran after the boot', () => {
  const records = ['boot_aggregate', '/usr/bin/env'].map((path) =>
    imaRecord({ hash: 'sha256', digest: new Uint8Array(32).fill(7), path }),
  )
  const list = Buffer.concat(records.map(({ bytes }) => bytes))

  test('what the kernel read is a table with registers and meanings, from either form of its list', async () => {
    const line = get()
    line.write('ima.bin', list)
    const binary = await line.answer<{ events: unknown[]; registers: object }>('tpm', 'events', '--ima', 'ima.bin')
    expect(binary).toMatchObject({
      bank: 'sha256',
      events: [
        { register: 'PCR 10', proof: 'proved', sentence: expect.stringContaining('the boot before it') },
        { register: 'PCR 10', proof: 'proved', sentence: `read "/usr/bin/env", sha256 ${'07'.repeat(32)}` },
      ],
    })
    // the kernel's lines hold all that the records do
    const hashes = [list.subarray(4, 24), list.subarray(records[0]?.bytes.length ?? 0).subarray(4, 24)]
    const lines = ['boot_aggregate', '/usr/bin/env'].map(
      (path, i) => `10 ${Buffer.from(hashes[i] ?? []).toString('hex')} ima-sig sha256:${'07'.repeat(32)} ${path} \n`,
    )
    line.write('ima.txt', lines.join(''))
    expect(await line.answer('tpm', 'events', '--ima', 'ima.txt')).toEqual(binary)
    expect((await line.run('tpm', 'events', '--ima', 'ima.bin')).stdout).toMatch(
      /register +proof +meaning[^]*PCR 10 +proved +read "\/usr\/bin\/env"/,
    )
  })

  test('C02 an edited record is said to contradict what was measured, nothing replays, and the answer is no', async () => {
    const line = get()
    line.write('ima.bin', Buffer.from(list.toString('latin1').replace('/usr/bin/env', '/usr/bin/eve'), 'latin1'))
    const { status, stdout } = await line.run('tpm', 'events', '--ima', 'ima.bin', '--json')
    expect([status, JSON.parse(stdout)]).toMatchObject([
      1,
      { events: [{ proof: 'proved' }, { proof: 'contradiction' }], registers: {} },
    ])
  })

  test('what a launcher measured is a table, too', async () => {
    const line = get()
    const log = [{ kind: 'debug', value: false } as const, { kind: 'separator' } as const].map((event) =>
      launchRecord(event, 'pcr', ['sha256'], nodeCrypto),
    )
    line.write('launch.cel', writeCel(log))
    const shown = await line.answer<{ registers: object }>('tpm', 'events', '--cel', 'launch.cel')
    expect(shown).toMatchObject({
      events: [
        { register: 'PCR 13', type: 'launch', proof: 'proved', sentence: 'debug no' },
        { register: 'PCR 13', sentence: 'the launch is closed: nothing may follow' },
      ],
    })
    expect(Object.keys(shown.registers)).toEqual([String(LAUNCH_REGISTER.pcr)])
    expect(await line.refusal('tpm', 'events', '--cel')).toMatchObject({ status: 2 })
    expect(await line.refusal('tpm', 'events', '--cel', '--ima', 'launch.cel')).toMatchObject({ status: 2 })
    expect(await line.refusal('tpm', 'events', '--cel', 'launch.cel', '--bank', 'sha384')).toMatchObject({ status: 2 })
    expect(await line.refusal('tpm', 'events', '--cel', 'ima.bin')).toMatchObject({
      status: 3,
      code: 'input.malformed',
    })
  })
})
