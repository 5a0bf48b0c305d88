import { create } from '@bufbuild/protobuf'
import { missingVectors, readVector } from '@vouchsafe/testkit'
import fc from 'fast-check'
import { createPublicKey, X509Certificate } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../core/node/crypto.ts'
import { TpmError } from '../codec/errors.ts'
import { parseTpmPublic } from '../codec/public-area.ts'
import { LAUNCH_REGISTER } from '../eventlog/launch.ts'
import { ALL_PCRS, spkiOfTpmPublic } from '../verify/index.ts'
import { gotpmAttestation, pcrValues } from './attestation.ts'
import type { Attestation } from './gen/attest_pb.js'
import { AttestationSchema, GCEConfidentialTechnology, GCEInstanceInfoSchema } from './gen/attest_pb.js'
import { HashAlgo } from './gen/tpm_pb.js'
import { machineState, machineStateJson } from './machine-state.ts'
import { readGotpm, writeGotpm } from './messages.ts'
import { verifyGotpmAttestation } from './verify-attestation.ts'
import type { GotpmVerification } from './verify-attestation.ts'

const refused = (code: string, part = '') => expect.objectContaining({ code, message: expect.stringContaining(part) })
const NONCE = Uint8Array.of(0x90, 0x09)

const OPTIONS: GotpmVerification = {
  anchor: { kind: 'none' },
  nonce: NONCE,
  banks: ['sha512', 'sha384', 'sha256'],
  // the recorded machine measured files at run time, and the recording has no list of them
  mayBeUnexplained: [10],
  logMayBeMissing: false,
  applicationMayPrecedeBootOption: false,
  mayEndBeforeExit: false,
}

describe.skipIf(missingVectors())('an attestation of a cloud machine', () => {
  const bytes = (name = 'nonce9009') => readVector(`gce/tpm/attestations/gce-cos-85-${name}.pb`)
  const load = (name?: string) => readGotpm('attestation', bytes(name), 'binarypb')
  const verify = (attestation: Attestation, change: Partial<GotpmVerification> = {}) =>
    verifyGotpmAttestation(attestation, { ...OPTIONS, ...change }, nodeCrypto)
  const changed = (change: (attestation: Attestation) => void, name?: string) => {
    const attestation = load(name)
    change(attestation)
    return attestation
  }
  const spki = () => spkiOfTpmPublic(parseTpmPublic(load().akPub))
  const sha256Only = { banks: ['sha256'] } as const

  test('VT-06 verifies, and tells every register', async () => {
    const { quote, boot, keyTrusted, unverifiedReport } = await verify(load())
    expect(quote.registers.bank).toBe('sha384')
    expect([quote.resetCount, quote.safe, quote.firmwareVersion]).toEqual([10, true, 0x2016051100162800n])
    expect(boot?.coverage).toEqual({
      replayed: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
      untouched: [11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23],
      unexplained: [10],
    })
    expect(Object.values(boot!.report).map((part) => part.kind)).toEqual(Array.from({ length: 5 }, () => 'facts'))
    expect([keyTrusted, unverifiedReport]).toEqual([false, undefined])
  })

  test('DEF-44 the key inside it is not trusted unless an anchor says so', async () => {
    expect((await verify(load())).keyTrusted).toBe(false)
    const known = { kind: 'trusted-keys', spkis: [spki()] } as const
    expect((await verify(load(), { anchor: known })).keyTrusted).toBe(true)
  })

  test('DEF-44 an unrelated trusted key, or an empty list of them, is a refusal', async () => {
    const other = new Uint8Array(
      createPublicKey(Buffer.from(readVector('vm-boot/ak.pub')).toString()).export({ format: 'der', type: 'spki' }),
    )
    await expect(verify(load(), { anchor: { kind: 'trusted-keys', spkis: [other] } })).rejects.toThrow(
      refused('evidence.key', 'none of the trusted'),
    )
    await expect(verify(load(), { anchor: { kind: 'trusted-keys', spkis: [] } })).rejects.toThrow(
      refused('evidence.key'),
    )
  })

  describe('with the certificate of its key', () => {
    const certificate = (name: string) => new X509Certificate(readVector(`gce/tpm/certs/${name}`))
    const root = () => certificate('tpm_ek_root_1.cer')
    const intermediate = (n: number) => readVector(`gce/tpm/certs/tpm_ek_intermediate_${n}.crt`)
    const spkiOf = (der: Uint8Array) =>
      new Uint8Array(new X509Certificate(der).publicKey.export({ format: 'der', type: 'spki' }))

    /** What a caller does before: signatures up to a root of its own. Full path validation is core's. */
    const chain = (attestation: Attestation, intermediates: readonly Uint8Array[]) => {
      const leaf = new X509Certificate(attestation.akCert)
      const issuer = intermediates.map((der) => new X509Certificate(der)).find((ca) => leaf.checkIssued(ca))
      if (issuer === undefined || !leaf.verify(issuer.publicKey) || !issuer.verify(root().publicKey))
        throw new Error('no path')
      return { kind: 'certificate', certificate: attestation.akCert, spki: spkiOf(attestation.akCert) } as const
    }

    test.each(['nonce9009', 'no-nonce'])('%s chains to the root of its cloud and is trusted', async (name) => {
      const anchor = chain(load(name), [intermediate(2), intermediate(3)])
      const empty = name === 'no-nonce' ? { nonce: new Uint8Array(), dangerouslyAllowEmptyNonce: true } : {}
      expect((await verify(load(name), { anchor, ...empty })).keyTrusted).toBe(true)
    })

    test('the intermediate may come with the attestation', async () => {
      const attestation = changed((a) => a.intermediateCerts.push(intermediate(2)))
      const anchor = chain(attestation, attestation.intermediateCerts)
      expect((await verify(attestation, { anchor })).keyTrusted).toBe(true)
    })

    test('B03 the certificate must be the one that was verified, and of the key that signs', async () => {
      const anchor = chain(load(), [intermediate(2)])
      const foreign = new Uint8Array(certificate('uca_tpm_rsa_sign_cert.pem').raw)
      await expect(
        verify(
          changed((a) => (a.akCert = foreign)),
          { anchor },
        ),
      ).rejects.toThrow(refused('evidence.key', 'not the one that was verified'))
      const swapped = { kind: 'certificate', certificate: foreign, spki: spkiOf(foreign) } as const
      await expect(
        verify(
          changed((a) => (a.akCert = foreign)),
          { anchor: swapped },
        ),
      ).rejects.toThrow(refused('evidence.key', 'not that of its certificate'))
    })

    test('B02 beside a certificate the public area is not ignored, as gotpm does', async () => {
      const anchor = chain(load(), [intermediate(2)])
      await expect(
        verify(
          changed((a) => (a.akPub = Uint8Array.of(1))),
          { anchor },
        ),
      ).rejects.toThrow(refused('input.malformed'))
    })
  })

  test('A05 is refused with another nonce, with none, and under the recording without one', async () => {
    await expect(verify(load(), { nonce: Uint8Array.of(0x90, 0x08) })).rejects.toThrow(refused('evidence.stale'))
    await expect(verify(load(), { nonce: new Uint8Array() })).rejects.toThrow(refused('input.malformed', 'empty'))
    await expect(verify(load('no-nonce'))).rejects.toThrow(refused('evidence.stale'))
    await expect(verify(load('no-nonce'), { nonce: new Uint8Array() })).rejects.toThrow(
      refused('input.malformed', 'empty'),
    )
  })

  test.each([0, 4, 7, 9, 13, 23])('B05 is refused when PCR %i is presented with another value', async (pcr) => {
    const attestation = changed((a) => (a.quotes[2]!.pcrs!.pcrs[pcr] = new Uint8Array(48).fill(0xaa)))
    await expect(verify(attestation)).rejects.toThrow(refused('evidence.mismatch'))
  })

  test('B05 is refused when a register is left out, or one is presented that does not exist', async () => {
    const missing = changed((a) => Reflect.deleteProperty(a.quotes[2]!.pcrs!.pcrs, 23))
    await expect(verify(missing)).rejects.toThrow(refused('evidence.pcr-selection', 'PCR 23'))
    const surplus = changed((a) => (a.quotes[2]!.pcrs!.pcrs[24] = new Uint8Array(48)))
    await expect(verify(surplus)).rejects.toThrow(refused('evidence.pcr-selection', 'PCR 24'))
  })

  test('B06 quote and values must be of the bank that is said', async () => {
    const relabelled = changed((a) => {
      a.quotes.pop()
      a.quotes[0]!.pcrs!.hash = HashAlgo.SHA384
    })
    await expect(verify(relabelled)).rejects.toThrow(refused('evidence.pcr-selection'))
    await expect(verify(changed((a) => (a.quotes[0]!.pcrs!.hash = HashAlgo.HASH_INVALID)))).rejects.toThrow(
      refused('input.malformed', 'no bank'),
    )
  })

  test('B06 the SHA-1 bank never counts, and there is no way to ask for it', async () => {
    const sha1 = changed((a) => a.quotes.splice(1))
    await expect(verify(sha1)).rejects.toThrow(refused('evidence.algorithm', 'quoted sha1'))
    await expect(verify(sha1, { banks: ['sha1' as never] })).rejects.toThrow(refused('evidence.algorithm'))
    await expect(verify(load(), { banks: [] })).rejects.toThrow(refused('evidence.algorithm', 'none'))
  })

  test('C08 two quotes of one bank are refused', async () => {
    await expect(verify(changed((a) => a.quotes.push(a.quotes[2]!)))).rejects.toThrow(
      refused('evidence.mismatch', 'two quotes'),
    )
  })

  test('C04 is refused with its log cut, without a log, and with a register that no log explains', async () => {
    await expect(verify(changed((a) => (a.eventLog = a.eventLog.subarray(0, -1))))).rejects.toThrow(
      refused('input.malformed'),
    )
    await expect(verify(changed((a) => (a.eventLog = new Uint8Array())))).rejects.toThrow(
      refused('evidence.log', 'no boot log'),
    )
    await expect(verify(load(), { mayBeUnexplained: [] })).rejects.toThrow(refused('evidence.log', 'pcr 10'))
    const withoutLog = await verify(
      changed((a) => (a.eventLog = new Uint8Array())),
      { logMayBeMissing: true },
    )
    expect(withoutLog).not.toHaveProperty('boot')
  })

  test('a launch log must replay to its register', async () => {
    const cel = readVector('gce/cel/host-cel_launch_event_log.bin')
    await expect(
      verify(
        changed((a) => (a.canonicalEventLog = cel)),
        sha256Only,
      ),
    ).rejects.toThrow(refused('evidence.log', 'pcr 19'))
    expect(LAUNCH_REGISTER.pcr).toBe(13)
  })

  test('VT-05 is written as text and read back, and as bytes', () => {
    const attestation = load()
    for (const format of ['binarypb', 'textproto'] as const)
      expect(readGotpm('attestation', writeGotpm('attestation', attestation, format), format)).toEqual(attestation)
  })

  test('can be put together from what a machine collects', () => {
    const { akPub, quotes, eventLog, akCert } = load()
    const collected = gotpmAttestation({
      akPublic: akPub,
      quotes: quotes.map(({ quote, rawSig, pcrs }) => ({ attest: quote, signature: rawSig, pcrs: pcrValues(pcrs) })),
      eventLog,
      akCertificate: akCert,
    })
    expect(collected).toEqual(load())
    expect([...pcrValues(quotes[0]!.pcrs).values.keys()]).toEqual(ALL_PCRS)
  })

  test('a hardware report that comes along is named, and not verified', async () => {
    const attestation = changed(
      (a) =>
        (a.teeAttestation = create(AttestationSchema, {
          teeAttestation: { case: 'tdxAttestation', value: {} },
        }).teeAttestation),
    )
    expect((await verify(attestation)).unverifiedReport).toBe('tdx')
  })

  test('fails only with its own error, whichever bytes are changed', async () => {
    const raw = bytes()
    const change = fc.record({ at: fc.nat(raw.length - 1), byte: fc.nat(255) })
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { minLength: 1, maxLength: 3 }),
        fc.nat(raw.length),
        async (changes, length) => {
          const mutated = raw.slice(0, Math.max(length, 200))
          for (const { at, byte } of changes) if (at < mutated.length) mutated[at] = byte
          try {
            await verify(readGotpm('attestation', mutated, 'binarypb'))
          } catch (error) {
            expect(error).toBeInstanceOf(TpmError)
          }
        },
      ),
      { seed: 7, numRuns: 300 },
    )
  })

  describe('its machine state', () => {
    const state = async (change?: Partial<GotpmVerification>) => machineState(await verify(load(), change), nodeCrypto)

    test('VT-06 tells firmware, secure boot, applications, GRUB and kernel', async () => {
      const { platform, secureBoot, efi, grub, linuxKernel, hash, rawEvents } = await state(sha256Only)
      expect(hash).toBe(HashAlgo.SHA256)
      expect(platform).toMatchObject({
        firmware: { case: 'gceVersion', value: 1 },
        technology: GCEConfidentialTechnology.AMD_SEV,
      })
      expect(platform?.instanceInfo).toBeUndefined()
      expect(secureBoot).toMatchObject({ enabled: true })
      expect([secureBoot?.db?.certs.length, secureBoot?.dbx?.certs.length, efi?.apps.length]).toEqual([1, 4, 3])
      expect(grub?.commands[0]).toBe('grub_cmd: defaultA=2\0')
      expect(linuxKernel?.commandLine).toMatch(/^\/syslinux\/vmlinuz\.A init=.*\0$/)
      expect(rawEvents.length).toBe(44)
      expect(rawEvents.filter((event) => event.digestVerified).length).toBe(20)
    })

    test('has a JSON form with names and base64', async () => {
      const json = machineStateJson(await state(sha256Only))
      expect(json).toMatchObject({
        platform: { gceVersion: 1, technology: 'AMD_SEV' },
        hash: 'SHA256',
        secureBoot: { enabled: true },
      })
    })

    test('takes its instance from a verified certificate only, never from what the attestation says', async () => {
      const claimed = { zone: 'z', projectId: 'p', projectNumber: 1n, instanceName: 'n', instanceId: 2n }
      const lying = changed((a) => (a.instanceInfo = create(GCEInstanceInfoSchema, claimed)))
      const verified = await verify(lying)
      expect(machineState(verified, nodeCrypto).platform?.instanceInfo).toBeUndefined()
      expect(machineState(verified, nodeCrypto, claimed).platform?.instanceInfo).toMatchObject({
        zone: 'z',
        instanceId: 2n,
      })
    })

    test('is empty without a boot log', async () => {
      const verified = await verify(
        changed((a) => (a.eventLog = new Uint8Array())),
        { logMayBeMissing: true },
      )
      const empty = machineState(verified, nodeCrypto)
      expect([empty.platform, empty.secureBoot, empty.rawEvents]).toEqual([undefined, undefined, []])
    })
  })
})

describe('a file of go-tpm-tools', () => {
  test.each([
    ['attestation', Uint8Array.of(0x0a, 0xff), 'binarypb'],
    ['sealed-bytes', new TextEncoder().encode('priv: nonsense'), 'textproto'],
    ['import-blob', Uint8Array.of(0xff), 'textproto'],
    ['certified-blob', new TextEncoder().encode('unknown_field: 1'), 'textproto'],
    ['machine-state', new TextEncoder().encode('platform {'.repeat(100)), 'textproto'],
  ] as const)('that is no %s is refused', (kind, raw, format) => {
    expect(() => readGotpm(kind, raw, format)).toThrow(refused('input.malformed', kind))
  })

  test('over 32 MiB is refused', () => {
    expect(() => readGotpm('attestation', new Uint8Array(32 * 1024 * 1024 + 1), 'binarypb')).toThrow(
      refused('input.too-large'),
    )
  })

  test('with a sealed secret is read as gotpm writes it', () => {
    const text = String.raw`
      priv: "\x00\x01" pub: "p"
      pcrs: 7 pcrs: 8
      hash: SHA256
      srk: ECC
      certified_pcrs { hash: SHA256 pcrs { key: 7 value: "\377" } }
    `
    const sealed = readGotpm('sealed-bytes', new TextEncoder().encode(text), 'textproto')
    expect(sealed).toMatchObject({ priv: Uint8Array.of(0, 1), pcrs: [7, 8], hash: HashAlgo.SHA256, srk: 0x23 })
    expect(pcrValues(sealed.certifiedPcrs)).toEqual({ bank: 'sha256', values: new Map([[7, Uint8Array.of(0xff)]]) })
    expect(readGotpm('sealed-bytes', writeGotpm('sealed-bytes', sealed, 'textproto'), 'textproto')).toEqual(sealed)
  })

  test.skipIf(missingVectors())(
    'with a secret for another TPM is read, and cut short anywhere it fails with our error',
    () => {
      const { dataBase64, fields } = JSON.parse(
        Buffer.from(readVector('seed-systems/tpm/td-import-blob.json')).toString(),
      )
      const raw = new Uint8Array(Buffer.from(dataBase64, 'base64'))
      const blob = readGotpm('import-blob', raw, 'binarypb')
      expect(Buffer.from(blob.publicArea).toString('hex')).toBe(fields['3 publicArea (TPMT_PUBLIC)'])
      expect(pcrValues(blob.pcrs).values.size).toBe(1)
      for (let length = 0; length < raw.length; length++)
        try {
          readGotpm('import-blob', raw.subarray(0, length), 'binarypb')
        } catch (error) {
          expect(error).toBeInstanceOf(TpmError)
        }
    },
  )
})
