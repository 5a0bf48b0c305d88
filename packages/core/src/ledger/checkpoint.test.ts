import { nodeCrypto } from '@vouchsafe/core/node'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { toBase64, toHex } from '../base/encoding.ts'
import { VouchsafeError } from '../base/errors.ts'
import { formatCheckpoint, parseCheckpoint, verifyCheckpoint } from './checkpoint.ts'
import { formatLogKey, logKeyOf, logOrigin, parseLogKey } from './log-key.ts'
import { MemoryLog, ORIGIN, logKeyPair } from '../testing/ledger-fixture.ts'

const malformed = (why: string) =>
  expect.objectContaining({ code: 'input.malformed', message: expect.stringContaining(why) })

/** The example of https://c2sp.org/tlog-checkpoint. */
const EXAMPLE = `example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
`
/** The verifier key of Go's checksum database. */
const GO_SUM = 'sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8'

describe('a checkpoint', () => {
  const { key, signer } = logKeyPair()
  const root = new Uint8Array(32).fill(3)
  const note = formatCheckpoint({ origin: ORIGIN, size: 12, root }, signer)

  test('is read as C2SP writes it', () => {
    const read = parseCheckpoint(EXAMPLE)
    expect(read).toMatchObject({ origin: 'example.com/behind-the-sofa', size: 20852163 })
    expect(toBase64(read.root)).toBe('CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=')
    expect(read.signatures.map((s) => toHex(s.keyHash))).toEqual(['033de0ae'])
    expect(EXAMPLE.startsWith(`${read.text}\n— `)).toBe(true)
  })

  test('verifies under its log’s key', async () => {
    expect(await verifyCheckpoint(note, key, nodeCrypto)).toEqual({ origin: ORIGIN, size: 12, root })
  })

  test('is not signed for a log by another log’s signer', () => {
    expect(() => formatCheckpoint({ origin: 'other/log', size: 1, root }, signer)).toThrow(
      expect.objectContaining({ code: 'internal' }),
    )
  })

  /** A signature line of the same key over something else. */
  const second = (): string => `${formatCheckpoint({ origin: ORIGIN, size: 13, root }, signer).split('\n')[4]}\n`
  test.each<[string, (note: string) => string, string]>([
    ['has another size', (n) => n.replace('\n12\n', '\n13\n'), 'does not verify'],
    ['has another root', (n) => n.replace('AwMD', 'AwME'), 'does not verify'],
    ['is another log’s', (n) => n.replaceAll('clinic', 'bank'), 'of log'],
    ['is signed in another name', (n) => n.replace(`— ${ORIGIN}`, '— someone'), 'is not signed by'],
    ['carries a second signature of the key that is false', (n) => n + second(), 'does not verify'],
  ])('I05 that %s is refused', async (_what, change, why) => {
    const refused = expect.objectContaining({ code: 'ledger.checkpoint', message: expect.stringContaining(why) })
    expect(change(note)).not.toBe(note)
    await expect(verifyCheckpoint(change(note), key, nodeCrypto)).rejects.toEqual(refused)
  })

  test('I06 signed by another key is refused, also under the same name and key hash', async () => {
    const other = logKeyPair()
    const refused = expect.objectContaining({ code: 'ledger.checkpoint' })
    await expect(verifyCheckpoint(note, other.key, nodeCrypto)).rejects.toEqual(refused)
    await expect(verifyCheckpoint(note, { ...other.key, keyHash: key.keyHash }, nodeCrypto)).rejects.toEqual(refused)
  })

  test('may carry witnesses’ signatures beside the log’s', async () => {
    const witnessed = `${note}— witness.example ${toBase64(new Uint8Array(68))}\n`
    expect(await verifyCheckpoint(witnessed, key, nodeCrypto)).toMatchObject({ size: 12 })
  })

  test.each<[string, string, string]>([
    ['no newline at its end', note.slice(0, -1), 'newline'],
    ['carriage returns', note.replaceAll('\n', '\r\n'), 'control character'],
    ['a size with a leading zero', note.replace('\n12\n', '\n012\n'), 'line 2'],
    ['a size with a sign', note.replace('\n12\n', '\n+12\n'), 'line 2'],
    ['a size past 2^53', note.replace('\n12\n', '\n9007199254740993\n'), 'line 2'],
    ['a short root', note.replace(toBase64(root), toBase64(root.slice(1))), '31 bytes'],
    ['a root with other spelling', note.replace('AwM=', 'AwN='), 'root'],
    ['an extension line', note.replace('\n\n', '\nextension\n\n'), 'extension'],
    ['no signature', note.split('\n').slice(0, 4).join('\n') + '\n', 'signatures'],
    ['an empty origin', note.replace(ORIGIN, ''), 'not a name'],
    ['a space in its origin', note.replace(ORIGIN, 'a b'), 'not a name'],
    ['a hyphen for the dash', note.replace('—', '-'), 'signature line'],
    ['a blank line at its end', `${note}\n`, 'signature line'],
    ['a signature of nothing', note.replace(/ [^ ]+\n$/, ' AAAA\n'), 'too short'],
    ['a lone surrogate', note.replace('clinic', '\ud800'), 'surrogate'],
    ['seventeen signatures', note + note.split('\n')[4]!.concat('\n').repeat(16), '17 signatures'],
  ])('with %s is malformed', (_what, text, why) => {
    expect(() => parseCheckpoint(text)).toThrow(malformed(why))
  })

  test('that is too long is not looked at', () => {
    expect(() => parseCheckpoint('x'.repeat(17_000))).toThrow(expect.objectContaining({ code: 'input.too-large' }))
  })

  test('fails only with our own error, whichever character is changed', () => {
    fc.assert(
      fc.property(fc.nat(note.length - 1), fc.string({ maxLength: 3, unit: 'binary' }), (at, text) => {
        try {
          parseCheckpoint(note.slice(0, at) + text + note.slice(at + 1))
        } catch (error) {
          expect(error).toBeInstanceOf(VouchsafeError)
        }
      }),
      { seed: 11, numRuns: 2000 },
    )
  })

  test('I05 no character of it can be changed and still verify', async () => {
    const signed = MemoryLog.of(3).exported[2]!
    const { key: own } = logKeyPair()
    for (let at = 0; at < note.length; at++) {
      const changed = note.slice(0, at) + (note[at] === 'A' ? 'B' : 'A') + note.slice(at + 1)
      await expect(verifyCheckpoint(changed, key, nodeCrypto), `character ${at}`).rejects.toBeInstanceOf(VouchsafeError)
    }
    await expect(verifyCheckpoint(signed.checkpoint, own, nodeCrypto)).rejects.toBeInstanceOf(VouchsafeError)
  })
})

describe('a log key', () => {
  test('is read and written as Go’s note package does', () => {
    const key = parseLogKey(GO_SUM, nodeCrypto)
    expect(key.name).toBe('sum.golang.org')
    expect(toHex(key.keyHash)).toBe('033de0ae')
    expect(formatLogKey(key)).toBe(GO_SUM)
  })

  test.each([
    ['another hash', GO_SUM.replace('033de0ae', '033de0af'), 'hash'],
    ['another name', GO_SUM.replace('sum.', 'sun.'), 'hash'],
    ['another algorithm', GO_SUM.replace('+Ac4z', '+As4z'), 'Ed25519'],
    ['no name', GO_SUM.replace('sum.golang.org', ''), 'name'],
    ['a cut key', `${GO_SUM.slice(0, -4)}`, 'Ed25519'],
    ['upper-case hash', GO_SUM.replace('033de0ae', '033DE0AE'), 'hash'],
    ['nothing', '', 'log key'],
  ])('with %s is malformed', (_what, text, why) => {
    expect(() => parseLogKey(text, nodeCrypto)).toThrow(malformed(why))
  })

  test('names the profile, so that a simulated log never looks like a real one', () => {
    const log = { broker: 'broker:x', tenant: 'clinic' }
    expect(logOrigin({ profile: 'simulated', ...log })).toBe('vouchsafe/simulated/broker:x/clinic')
    expect(() => logOrigin({ profile: 'production', broker: 'x', tenant: 'a/b' })).toThrow(malformed('bad part'))
    expect(() => logOrigin({ profile: 'production', broker: 'x', tenant: '' })).toThrow(malformed('bad part'))
    const raw = new Uint8Array(32)
    const [a, b] = (['simulated', 'production'] as const).map((profile) =>
      logKeyOf(logOrigin({ profile, ...log }), raw, nodeCrypto),
    )
    expect(a!.keyHash).not.toEqual(b!.keyHash)
  })
})
