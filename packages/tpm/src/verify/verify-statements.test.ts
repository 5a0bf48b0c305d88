import { constants, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../core/node/crypto.ts'
import { ALGORITHMS } from '../codec/algorithms.ts'
import { ByteWriter } from '../codec/byte-writer.ts'
import { tpmName, tpmNvName } from '../codec/name.ts'
import { encodeTpmNvPublic, nvAttributes } from '../codec/nv-public.ts'
import type { TpmNvPublic } from '../codec/nv-public.ts'
import { encodeTpmPublic, objectAttributes } from '../codec/public-area.ts'
import type { ObjectAttribute, TpmPublic } from '../codec/public-area.ts'
import { encodeTpmSignature } from '../codec/signature.ts'
import type { TpmSignature } from '../codec/signature.ts'
import type { TrustedHash } from './attest-signature.ts'
import type { HashName } from './crypto.ts'
import { spkiOfTpmPublic } from './spki.ts'
import { verifyNvCertify } from './verify-nv-certify.ts'
import { verifyTpmCertify } from './verify-tpm-certify.ts'
import { ALL_PCRS, verifyTpmQuote } from './verify-tpm-quote.ts'
import type { TpmQuoteToVerify } from './verify-tpm-quote.ts'

// A TPM's part in software: keys with any public area, statements with any field.

const AK: readonly ObjectAttribute[] = [
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'userWithAuth',
  'restricted',
  'sign',
]
const COMMON = {
  attributes: objectAttributes(...AK),
  authPolicy: new Uint8Array(),
  symmetric: { algorithm: 'null' },
} as const
const NONCE = Uint8Array.from({ length: 32 }, (_, i) => i)
const digest = (hash: HashName, ...parts: readonly Uint8Array[]) => nodeCrypto.digest(hash, ...parts)

type Curve = 'P-256' | 'P-384' | 'P-521'
interface SoftwareKey {
  readonly area: TpmPublic
  readonly sign: (attest: Uint8Array) => TpmSignature
}

function eccKey(curve: Curve, hash: TrustedHash = 'sha256'): SoftwareKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: curve })
  const { x, y } = publicKey.export({ format: 'jwk' })
  const point = { x: bytes(x!), y: bytes(y!) }
  const area: TpmPublic = {
    type: 'ecc',
    nameAlg: 'sha256',
    ...COMMON,
    scheme: { scheme: 'ecdsa', hash },
    curve,
    kdf: { scheme: 'null' },
    ...point,
  }
  return { area, sign: (attest) => ecdsa(privateKey, hash, attest) }
}

function ecdsa(key: KeyObject, hash: TrustedHash, attest: Uint8Array): TpmSignature & { scheme: 'ecdsa' } {
  const raw = sign(hash, attest, { key, dsaEncoding: 'ieee-p1363' })
  return {
    scheme: 'ecdsa',
    hash,
    r: new Uint8Array(raw.subarray(0, raw.length / 2)),
    s: new Uint8Array(raw.subarray(raw.length / 2)),
  }
}

const rsaPair = generateKeyPairSync('rsa', { modulusLength: 2048 })
const modulus = bytes(rsaPair.publicKey.export({ format: 'jwk' }).n!)

function rsaKey(scheme: 'rsassa' | 'rsapss', hash: HashName = 'sha256', saltLength = 32): SoftwareKey {
  const area: TpmPublic = {
    type: 'rsa',
    nameAlg: 'sha256',
    ...COMMON,
    scheme: { scheme, hash },
    keyBits: 2048,
    exponent: 0,
    modulus,
  }
  const padding = scheme === 'rsassa' ? constants.RSA_PKCS1_PADDING : constants.RSA_PKCS1_PSS_PADDING
  const signature = (attest: Uint8Array) =>
    new Uint8Array(sign(hash, attest, { key: rsaPair.privateKey, padding, saltLength }))
  return { area, sign: (attest) => ({ scheme, hash, signature: signature(attest) }) }
}

const changed = (key: SoftwareKey, change: Partial<TpmPublic>): SoftwareKey => ({
  ...key,
  area: { ...key.area, ...change } as TpmPublic,
})
const ak = eccKey('P-256')

interface Fields {
  readonly magic?: number
  readonly type?: number
  readonly extraData?: Uint8Array
}

function attest(fields: Fields, kind: number, body: (w: ByteWriter) => void): Uint8Array {
  const w = new ByteWriter('big')
  w.u32('magic', fields.magic ?? 0xff544347).u16('type', fields.type ?? kind)
  w.sized('qualifiedSigner', Uint8Array.of(0, 0x0b, ...new Uint8Array(32))).sized(
    'extraData',
    fields.extraData ?? NONCE,
  )
  w.u64('clock', 5n).u32('resetCount', 7).u32('restartCount', 1).yesNo('safe', true).u64('firmware', 9n)
  body(w)
  return w.finish()
}

const values = new Map(ALL_PCRS.map((pcr) => [pcr, new Uint8Array(32).fill(pcr)]))
const bitmap = (pcrs: readonly number[], octets = 3) => {
  const map = new Uint8Array(octets)
  for (const pcr of pcrs) map[pcr >> 3]! |= 1 << (pcr & 7)
  return map
}

interface QuoteFields extends Fields {
  readonly selections?: readonly { readonly bank: HashName; readonly bitmap: Uint8Array }[]
  readonly pcrDigest?: Uint8Array
}

function quoteBytes(fields: QuoteFields = {}): Uint8Array {
  return attest(fields, 0x8018, (w) => {
    const selections = fields.selections ?? [{ bank: 'sha256', bitmap: bitmap(ALL_PCRS) }]
    w.u32('count', selections.length)
    for (const s of selections) w.u16('hash', ALGORITHMS[s.bank]).u8('size', s.bitmap.length).raw(s.bitmap)
    w.sized('pcrDigest', fields.pcrDigest ?? digest('sha256', ...values.values()))
  })
}

function quote(fields: QuoteFields = {}, key = ak, change: Partial<TpmQuoteToVerify> = {}): TpmQuoteToVerify {
  const signed = quoteBytes(fields)
  return {
    attest: signed,
    signature: encodeTpmSignature(key.sign(signed)),
    akPublic: encodeTpmPublic(key.area),
    pcrs: { bank: 'sha256', values },
    expectedExtraData: NONCE,
    allowedBanks: ['sha256', 'sha384', 'sha512'],
    requiredPcrs: ALL_PCRS,
    ...change,
  }
}

const verify = (q: TpmQuoteToVerify) => verifyTpmQuote(q, nodeCrypto)
const refusal = (code: string, part: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(part) })
const refuses = (q: TpmQuoteToVerify, code: string, part: string) =>
  expect(verify(q)).rejects.toThrow(refusal(code, part))

describe('a quote', () => {
  test('that is good tells registers, nonce, counters and key', async () => {
    const verified = await verify(quote())
    expect(verified).toMatchObject({
      registers: { space: 'pcr', bank: 'sha256', values },
      extraData: NONCE,
      clock: 5n,
      resetCount: 7,
      restartCount: 1,
      safe: true,
      firmwareVersion: 9n,
      akName: tpmName(ak.area, digest),
      akSpki: spkiOfTpmPublic(ak.area),
    })
  })

  test('gives copies: what the caller changes later changes nothing', async () => {
    const q = quote({}, ak, { pcrs: { bank: 'sha256', values: new Map([...values].map(([i, v]) => [i, v.slice()])) } })
    const { registers } = await verify(q)
    q.pcrs.values.get(3)!.fill(0xee)
    expect(registers.values.get(3)).toEqual(values.get(3))
  })

  test.each([
    ['RSASSA with SHA-256', rsaKey('rsassa'), 'sha256'],
    ['RSASSA with SHA-384', rsaKey('rsassa', 'sha384'), 'sha384'],
    ['RSASSA with SHA-512', rsaKey('rsassa', 'sha512'), 'sha512'],
    ['RSAPSS with a salt as long as its digest', rsaKey('rsapss'), 'sha256'],
    ['RSAPSS with the longest salt', rsaKey('rsapss', 'sha384', 256 - 48 - 2), 'sha384'],
    ['ECDSA on P-256', eccKey('P-256'), 'sha256'],
    ['ECDSA on P-384', eccKey('P-384', 'sha384'), 'sha384'],
    ['ECDSA on P-521', eccKey('P-521', 'sha512'), 'sha512'],
  ] as const)('may be signed by %s; its digest is of that hash', async (_name, key, hash) => {
    const fields = { pcrDigest: digest(hash, ...values.values()) }
    await verify(quote(fields, key))
    const other = hash === 'sha256' ? 'sha384' : 'sha256'
    await refuses(quote({ pcrDigest: digest(other, ...values.values()) }, key), 'evidence.mismatch', 'pcrDigest')
  })

  test('may be over another bank, when that is allowed', async () => {
    const long = new Map(ALL_PCRS.map((pcr) => [pcr, new Uint8Array(48).fill(pcr)]))
    const fields = {
      selections: [{ bank: 'sha384', bitmap: bitmap(ALL_PCRS) }],
      pcrDigest: digest('sha256', ...long.values()),
    } as const
    await verify(quote(fields, ak, { pcrs: { bank: 'sha384', values: long } }))
    const notAllowed = { pcrs: { bank: 'sha384', values: long }, allowedBanks: ['sha256'] } as const
    await refuses(quote(fields, ak, notAllowed), 'evidence.algorithm', 'PCR bank sha384')
  })

  test('may be over fewer registers, when no more are required', async () => {
    const few = new Map([...values].filter(([pcr]) => pcr === 0 || pcr === 13))
    const fields = {
      selections: [{ bank: 'sha256', bitmap: bitmap([0, 13]) }],
      pcrDigest: digest('sha256', ...few.values()),
    } as const
    const { registers } = await verify(quote(fields, ak, { pcrs: { bank: 'sha256', values: few }, requiredPcrs: [13] }))
    expect([...registers.values.keys()]).toEqual([0, 13])
  })

  test('takes presented registers in any order', async () => {
    await verify(quote({}, ak, { pcrs: { bank: 'sha256', values: new Map([...values].toReversed()) } }))
  })

  test.each<[string, QuoteFields, string]>([
    ['has another magic', { magic: 0xff544346 }, 'magic'],
    ['is a certificate', { type: 0x8017 }, 'end'],
    ['is of a type that does not exist', { type: 0x8099 }, 'type'],
  ])('B01 is refused when it %s', (_why, fields, part) => refuses(quote(fields), 'input.malformed', part))

  test('B01 is refused when it is a statement of another kind, although signed by the same key', async () => {
    const certify = attest({}, 0x8017, (w) =>
      w.sized('name', new Uint8Array(34)).sized('qualifiedName', new Uint8Array(34)),
    )
    const signature = encodeTpmSignature(ak.sign(certify))
    await refuses({ ...quote(), attest: certify, signature }, 'input.malformed', 'is certify, not quote')
  })

  test('B01 is refused when a byte is left over or missing, although that is what was signed', async () => {
    for (const wrong of [Uint8Array.of(...quoteBytes(), 0), quoteBytes().subarray(0, -1)]) {
      const signature = encodeTpmSignature(ak.sign(wrong))
      await refuses({ ...quote(), attest: wrong, signature }, 'input.malformed', 'TPMS_ATTEST')
    }
  })

  test.each(AK.filter((attribute) => attribute !== 'userWithAuth'))(
    'B02 is refused when its key is not %s',
    (attribute) => {
      const attributes = objectAttributes(...AK.filter((other) => other !== attribute))
      return refuses(quote({}, changed(ak, { attributes })), 'evidence.key', `${attribute} is not set`)
    },
  )

  test('B02 is refused when its key also decrypts', () =>
    refuses(
      quote({}, changed(ak, { attributes: objectAttributes(...AK, 'decrypt') })),
      'evidence.key',
      'decrypt is set',
    ))

  test('B02 is taken from a bare key only when that is said to be endorsed', async () => {
    const spki = spkiOfTpmPublic(ak.area)
    const verified = await verify(quote({}, ak, { akPublic: { endorsedSpki: spki } }))
    expect(verified).not.toHaveProperty('akName')
    expect(verified.akSpki).toEqual(spki)
    await refuses(quote({}, ak, { akPublic: spki }), 'input.malformed', 'TPMT_PUBLIC')
  })

  test.each<[string, TpmQuoteToVerify, string]>([
    ['selects no bank', quote({ selections: [], pcrDigest: digest('sha256') }), 'selects no bank'],
    [
      'selects no register',
      quote({ selections: [{ bank: 'sha256', bitmap: bitmap([]) }], pcrDigest: digest('sha256') }, ak, {
        pcrs: { bank: 'sha256', values: new Map() },
        requiredPcrs: [],
      }),
      'selects no register',
    ],
    [
      'leaves out a register that is required',
      quote({ selections: [{ bank: 'sha256', bitmap: bitmap([0, 7]) }] }, ak, { requiredPcrs: [0, 4, 7] }),
      'does not select PCR 4',
    ],
    [
      'leaves out a register that is presented',
      quote({ selections: [{ bank: 'sha256', bitmap: bitmap([0, 7]) }] }, ak, { requiredPcrs: [0, 7] }),
      'PCR 1, 2',
    ],
    [
      'selects a register that is not presented',
      quote({}, ak, { pcrs: { bank: 'sha256', values: new Map([...values].filter(([i]) => i !== 9)) } }),
      'PCR 9 was quoted but not presented',
    ],
    [
      'presents a register that does not exist',
      quote({}, ak, { pcrs: { bank: 'sha256', values: new Map([...values, [24, values.get(0)!]]) } }),
      'PCR 24 was presented',
    ],
    [
      'presents a value of another size',
      quote({}, ak, { pcrs: { bank: 'sha256', values: new Map([...values, [5, new Uint8Array(20)]]) } }),
      'PCR 5 has 20 bytes',
    ],
    [
      'selects two banks',
      quote({
        selections: [
          { bank: 'sha256', bitmap: bitmap(ALL_PCRS) },
          { bank: 'sha384', bitmap: bitmap([0]) },
        ],
      }),
      'selects sha256, sha384',
    ],
    [
      'selects another bank than presented',
      quote({ selections: [{ bank: 'sha384', bitmap: bitmap(ALL_PCRS) }] }),
      'selects sha384',
    ],
  ])('B05 is refused when it %s', (_why, q, part) => refuses(q, 'evidence.pcr-selection', part))

  test('B05 is refused when any presented value differs from the quoted one', async () => {
    for (const pcr of ALL_PCRS) {
      const other = new Map([...values, [pcr, new Uint8Array(32).fill(0xaa)]])
      await refuses(quote({}, ak, { pcrs: { bank: 'sha256', values: other } }), 'evidence.mismatch', 'pcrDigest')
    }
  })

  test('B05 is refused when two presented values are exchanged', () => {
    const swapped = new Map([...values, [1, values.get(2)!], [2, values.get(1)!]])
    return refuses(quote({}, ak, { pcrs: { bank: 'sha256', values: swapped } }), 'evidence.mismatch', 'pcrDigest')
  })

  test('B06 is refused for the SHA-1 bank, even when a caller lists it', () => {
    const short = new Map(ALL_PCRS.map((pcr) => [pcr, new Uint8Array(20).fill(pcr)]))
    const fields = {
      selections: [{ bank: 'sha1', bitmap: bitmap(ALL_PCRS) }],
      pcrDigest: digest('sha256', ...short.values()),
    } as const
    const change = { pcrs: { bank: 'sha1', values: short }, allowedBanks: ['sha1' as never] } as const
    return refuses(quote(fields, ak, change), 'evidence.algorithm', 'PCR bank sha1')
  })

  test('B06 an empty list of banks accepts none', () =>
    refuses(quote({}, ak, { allowedBanks: [] }), 'evidence.algorithm', 'allowed are none'))

  test('B06 is refused when it is signed with SHA-1', () =>
    refuses(
      quote({ pcrDigest: digest('sha1', ...values.values()) }, rsaKey('rsassa', 'sha1', 20)),
      'evidence.algorithm',
      'hash sha1',
    ))

  test('B06 is refused when the name of its key is made with SHA-1', () =>
    refuses(quote({}, changed(ak, { nameAlg: 'sha1' })), 'evidence.algorithm', 'sha1'))

  test.each<[string, QuoteFields['selections'], string]>([
    ['two octets', [{ bank: 'sha256', bitmap: bitmap([0, 15], 2) }], '2 octets, not 3'],
    ['four octets', [{ bank: 'sha256', bitmap: bitmap(ALL_PCRS, 4) }], '4 octets, not 3'],
    [
      'one bank twice',
      [
        { bank: 'sha256', bitmap: bitmap([0]) },
        { bank: 'sha256', bitmap: bitmap([1]) },
      ],
      'sha256 twice',
    ],
  ])('B07 is refused with a selection of %s', (_why, selections, part) =>
    refuses(quote({ selections: selections! }), 'input.malformed', part),
  )

  test.each<[string, Uint8Array]>([
    ['is another', NONCE.with(31, 0)],
    ['is the first part of it only', NONCE.subarray(0, 16)],
    ['has zeros after it', Uint8Array.of(...NONCE, 0)],
    ['is empty', new Uint8Array()],
    ['is all zero', new Uint8Array(32)],
  ])('A05 is refused when its nonce %s', (_why, extraData) =>
    refuses(quote({ extraData }), 'evidence.stale', 'extraData'),
  )

  test('A04 is refused when nothing is expected, whatever it carries', async () => {
    const nothing = new Uint8Array()
    await refuses(quote({ extraData: nothing }, ak, { expectedExtraData: nothing }), 'input.malformed', 'empty')
    await refuses(quote({}, ak, { expectedExtraData: nothing }), 'input.malformed', 'empty')
    for (const wrong of [undefined, null, 'nonce', [...NONCE]])
      await refuses(quote({}, ak, { expectedExtraData: wrong as never }), 'input.malformed', 'not bytes')
  })

  test('A04 an empty nonce must be allowed by a name that hurts, and is still compared', async () => {
    const allowed = { expectedExtraData: new Uint8Array(), dangerouslyAllowEmptyExtraData: true }
    await verify(quote({ extraData: new Uint8Array() }, ak, allowed))
    await refuses(quote({}, ak, allowed), 'evidence.stale', 'extraData')
  })

  test('is refused when any bit of what was signed is flipped', async () => {
    const good = quote()
    for (let at = 0; at < good.attest.length; at++)
      await expect(verify({ ...good, attest: good.attest.with(at, good.attest[at]! ^ 1) })).rejects.toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^(evidence.signature|input.malformed)$/) }),
      )
  })

  test('is refused under another key of the same kind', () =>
    refuses({ ...quote(), akPublic: encodeTpmPublic(eccKey('P-256').area) }, 'evidence.signature', 'does not verify'))
})

describe('a signature', () => {
  const signed = quoteBytes()
  const withSignature = (signature: TpmSignature, key = ak) => ({
    ...quote({}, key),
    attest: signed,
    signature: encodeTpmSignature(signature),
  })
  const good = ak.sign(signed) as TpmSignature & { scheme: 'ecdsa' }

  test('B12 whose r or s has lost its leading zeros is padded to the field', async () => {
    const key = eccKey('P-521', 'sha512')
    const fields = { pcrDigest: digest('sha512', ...values.values()) }
    const message = quoteBytes(fields)
    // P-521 values use one bit of their first byte: half of all signatures begin with zero
    let short = key.sign(message) as typeof good
    while (short.r[0] !== 0) short = key.sign(message) as typeof good
    const signature = encodeTpmSignature({ ...short, r: short.r.subarray(1) })
    await verify({ ...quote(fields, key), attest: message, signature })
  })

  test.each<[string, Partial<typeof good>]>([
    ['r is zero', { r: new Uint8Array(32) }],
    ['s is zero', { s: new Uint8Array(32) }],
    ['r is empty', { r: new Uint8Array() }],
    [
      's is the order of the curve',
      { s: new Uint8Array(Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')) },
    ],
    ['r is over the field', { r: new Uint8Array(32).fill(0xff) }],
    ['r and s are exchanged', { r: good.s, s: good.r }],
    ['r is longer than the field, though zero before', { r: Uint8Array.of(0, ...good.r) }],
  ])('B12 is refused when %s', (_why, change) =>
    refuses(withSignature({ ...good, ...change }), 'evidence.signature', ''),
  )

  test('is refused when its scheme or hash is not the one of its key', async () => {
    const other = changed(ak, { scheme: { scheme: 'ecdsa', hash: 'sha384' } } as Partial<TpmPublic>)
    await refuses(quote({}, other), 'evidence.algorithm', 'signs by ecdsa sha384')
    const pss = rsaKey('rsapss')
    await refuses(
      { ...quote({}, pss), attest: signed, signature: encodeTpmSignature(rsaKey('rsassa').sign(signed)) },
      'evidence.algorithm',
      'signs by rsapss sha256',
    )
    await refuses(
      quote({}, changed(ak, { scheme: { scheme: 'null' } } as Partial<TpmPublic>)),
      'evidence.algorithm',
      'signs by null',
    )
  })

  test('is refused when it is of a kind that its endorsed key cannot make', async () => {
    const endorsed = { endorsedSpki: spkiOfTpmPublic(ak.area) }
    await refuses(
      { ...withSignature(rsaKey('rsassa').sign(signed)), akPublic: endorsed },
      'evidence.algorithm',
      'of kind ec',
    )
    const rsa = { endorsedSpki: spkiOfTpmPublic(rsaKey('rsassa').area) }
    await refuses({ ...withSignature(good), akPublic: rsa }, 'evidence.algorithm', 'of kind rsa')
  })

  test.each<TpmSignature>([
    { scheme: 'null' },
    { scheme: 'hmac', hmac: { hash: 'sha256', digest: new Uint8Array(32) } },
    { scheme: 'ecschnorr', hash: 'sha256', r: good.r, s: good.s },
  ])('of scheme $scheme is refused', (signature) => refuses(withSignature(signature), 'evidence.algorithm', 'scheme'))

  test('is refused with bytes left over', () =>
    refuses({ ...quote(), signature: Uint8Array.of(...quote().signature, 0) }, 'input.malformed', 'end'))
})

describe('the public key of a TPM object', () => {
  test.each([rsaKey('rsassa').area, eccKey('P-256').area, eccKey('P-384').area, eccKey('P-521').area])(
    'is the SubjectPublicKeyInfo that OpenSSL writes (%#)',
    (area) => {
      const spki = spkiOfTpmPublic(area)
      const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
      expect(new Uint8Array(key.export({ format: 'der', type: 'spki' }))).toEqual(spki)
    },
  )

  test('is padded to the field when the TPM left out leading zeros', () => {
    const { area } = eccKey('P-256')
    if (area.type !== 'ecc') throw new Error('not ecc')
    const short = { ...area, x: Uint8Array.of(1) }
    expect(Buffer.from(spkiOfTpmPublic(short)).toString('hex')).toContain(`04${'00'.repeat(31)}01`)
  })

  test('B12 that is not on its curve is refused', () => {
    const off = changed(ak, { y: new Uint8Array(32).fill(1) } as Partial<TpmPublic>)
    return refuses(quote({}, off), 'input.malformed', 'public key')
  })

  test.each<[string, Partial<TpmPublic>, string, string]>([
    ['RSA of 1024 bits', { keyBits: 1024, modulus: modulus.subarray(128) }, 'evidence.algorithm', '1024 bits'],
    ['a modulus of another size', { modulus: modulus.subarray(1) }, 'input.malformed', 'modulus'],
    ['a modulus that starts with zero', { modulus: modulus.with(0, 0) }, 'input.malformed', 'modulus'],
    ['exponent 3', { exponent: 3 }, 'evidence.algorithm', 'exponent 3'],
    ['an even exponent', { exponent: 65_538 }, 'evidence.algorithm', 'exponent 65538'],
  ])('B12 with %s is refused', (_what, change, code, part) =>
    refuses(quote({}, changed(rsaKey('rsassa'), change)), code, part),
  )

  test('on another curve is refused, and so is an object without one', async () => {
    await refuses(quote({}, changed(ak, { curve: 'P-224' } as Partial<TpmPublic>)), 'evidence.algorithm', 'curve P-224')
    const sealed: TpmPublic = {
      type: 'keyedhash',
      nameAlg: 'sha256',
      attributes: COMMON.attributes,
      authPolicy: new Uint8Array(),
      scheme: { scheme: 'null' },
      unique: new Uint8Array(32),
    }
    await refuses(quote({}, ak, { akPublic: encodeTpmPublic(sealed) }), 'evidence.algorithm', 'keyedhash')
    const long = changed(ak, { x: new Uint8Array(33) } as Partial<TpmPublic>)
    await refuses(quote({}, long), 'input.malformed', 'x has 33 bytes')
  })
})

describe('a certified key', () => {
  const USER: readonly ObjectAttribute[] = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth', 'sign']
  const policy = new Uint8Array(32).fill(4)
  const workload = changed(eccKey('P-256'), { attributes: objectAttributes(...USER) })
  const guarded = changed(workload, {
    attributes: objectAttributes('fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'adminWithPolicy', 'sign'),
    authPolicy: policy,
  })
  const certify = (
    area: TpmPublic,
    change: Partial<Parameters<typeof verifyTpmCertify>[0]> & { name?: Uint8Array; qualifiedName?: Uint8Array } = {},
  ) => {
    const { name = tpmName(area, digest), qualifiedName = new Uint8Array(34).fill(9), ...rest } = change
    const statement = attest({}, 0x8017, (w) => w.sized('name', name).sized('qualifiedName', qualifiedName))
    return verifyTpmCertify(
      {
        attest: statement,
        signature: encodeTpmSignature(ak.sign(statement)),
        akPublic: encodeTpmPublic(ak.area),
        certifiedPublic: encodeTpmPublic(area),
        expectedExtraData: NONCE,
        usage: 'sign',
        authPolicy: 'any',
        ...rest,
      },
      nodeCrypto,
    )
  }

  test('is told with its name, its public key and who certified it', async () => {
    const verified = await certify(workload.area)
    expect(verified.certifiedSpki).toEqual(spkiOfTpmPublic(workload.area))
    expect(verified.name).toEqual(tpmName(workload.area, digest))
    expect(verified.akName).toEqual(tpmName(ak.area, digest))
  })

  test('may have to be guarded by a policy', async () => {
    await certify(guarded.area, { authPolicy: policy })
    await expect(certify(workload.area, { authPolicy: policy })).rejects.toThrow(
      refusal('evidence.key', 'not the one wanted'),
    )
    const both = changed(guarded, { attributes: objectAttributes(...USER, 'adminWithPolicy') })
    await expect(certify(both.area, { authPolicy: policy })).rejects.toThrow(
      refusal('evidence.key', 'without its policy'),
    )
    const noAdmin = changed(guarded, {
      attributes: objectAttributes('fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'sign'),
    })
    await expect(certify(noAdmin.area, { authPolicy: policy })).rejects.toThrow(
      refusal('evidence.key', 'without its policy'),
    )
  })

  test('an empty policy is not one that can be wanted', async () => {
    await expect(certify(workload.area, { authPolicy: new Uint8Array() })).rejects.toThrow(
      refusal('evidence.key', 'not the one wanted'),
    )
  })

  test.each(['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'sign'] as const)(
    'is refused when it is not %s',
    async (attribute) => {
      const { area } = changed(workload, { attributes: objectAttributes(...USER.filter((a) => a !== attribute)) })
      await expect(certify(area)).rejects.toThrow(refusal('evidence.key', `${attribute} is not set`))
    },
  )

  test('is refused when it can do what it is not for', async () => {
    const { area } = changed(workload, { attributes: objectAttributes(...USER, 'decrypt') })
    await expect(certify(area)).rejects.toThrow(refusal('evidence.key', 'decrypt is set'))
    await expect(certify(area, { usage: 'decrypt' })).rejects.toThrow(refusal('evidence.key', 'sign is set'))
  })

  test('is refused when the statement is about another key, or about none', async () => {
    await expect(certify(workload.area, { name: tpmName(guarded.area, digest) })).rejects.toThrow(
      refusal('evidence.mismatch', 'another key'),
    )
    const name = tpmName(workload.area, digest)
    await expect(certify(workload.area, { qualifiedName: name })).rejects.toThrow(
      refusal('evidence.mismatch', 'in no hierarchy'),
    )
  })

  test('B06 is refused when its name is made with SHA-1', async () => {
    await expect(certify({ ...workload.area, nameAlg: 'sha1' })).rejects.toThrow(refusal('evidence.algorithm', 'sha1'))
    await expect(certify({ ...workload.area, nameAlg: 'null' })).rejects.toThrow(refusal('evidence.algorithm', 'null'))
  })

  test('A05 is refused with another nonce, under another key, and when it is a quote', async () => {
    await expect(certify(workload.area, { expectedExtraData: NONCE.with(0, 9) })).rejects.toThrow(
      refusal('evidence.stale', 'extraData'),
    )
    await expect(certify(workload.area, { expectedExtraData: new Uint8Array() })).rejects.toThrow(
      refusal('input.malformed', 'empty'),
    )
    const akPublic = encodeTpmPublic(eccKey('P-256').area)
    await expect(certify(workload.area, { akPublic })).rejects.toThrow(refusal('evidence.signature', 'does not verify'))
    await expect(certify(workload.area, { attest: quoteBytes() })).rejects.toThrow(
      refusal('input.malformed', 'is quote, not certify'),
    )
  })
})

describe('a certified NV index', () => {
  const nv: TpmNvPublic = {
    nvIndex: 0x01800001,
    nameAlg: 'sha256',
    attributes: nvAttributes(['ownerWrite', 'ownerRead', 'written']),
    authPolicy: new Uint8Array(),
    dataSize: 8,
  }
  const contents = Uint8Array.of(1, 2, 3)
  const certify = (
    area: TpmNvPublic,
    change: Partial<Parameters<typeof verifyNvCertify>[0]> & { offset?: number; named?: TpmNvPublic } = {},
  ) => {
    const { offset = 5, named = area, ...rest } = change
    const statement = attest({}, 0x8014, (w) =>
      w.sized('indexName', tpmNvName(named, digest)).u16('offset', offset).sized('contents', contents),
    )
    return verifyNvCertify(
      {
        attest: statement,
        signature: encodeTpmSignature(ak.sign(statement)),
        akPublic: encodeTpmPublic(ak.area),
        nvPublic: encodeTpmNvPublic(area),
        nvIndex: 0x01800001,
        expectedExtraData: NONCE,
        ...rest,
      },
      nodeCrypto,
    )
  }

  test('is told with its contents and where they lie', async () => {
    expect(await certify(nv)).toMatchObject({ contents, offset: 5, nvPublic: { nvIndex: 0x01800001 } })
  })

  test.each<[string, () => ReturnType<typeof certify>, string, string]>([
    [
      'it is another index than wanted',
      () => certify(nv, { nvIndex: 0x01800002 }),
      'evidence.mismatch',
      'another NV index',
    ],
    [
      'its public area is not the one that was read',
      () => certify(nv, { named: { ...nv, dataSize: 9 } }),
      'evidence.mismatch',
      'another NV index',
    ],
    [
      'it was never written',
      () => certify({ ...nv, attributes: nvAttributes(['ownerWrite']) }),
      'evidence.mismatch',
      'cannot hold',
    ],
    ['the contents reach past its end', () => certify(nv, { offset: 6 }), 'evidence.mismatch', 'cannot hold'],
    ['its name is made with SHA-1', () => certify({ ...nv, nameAlg: 'sha1' }), 'evidence.algorithm', 'sha1'],
    ['the nonce is another', () => certify(nv, { expectedExtraData: NONCE.with(0, 9) }), 'evidence.stale', 'extraData'],
    ['no nonce is expected', () => certify(nv, { expectedExtraData: new Uint8Array() }), 'input.malformed', 'empty'],
    ['the statement is a quote', () => certify(nv, { attest: quoteBytes() }), 'input.malformed', 'is quote, not nv'],
    [
      'the key is another',
      () => certify(nv, { akPublic: encodeTpmPublic(eccKey('P-256').area) }),
      'evidence.signature',
      '',
    ],
  ])('is refused when %s', async (_why, verified, code, part) => {
    await expect(verified()).rejects.toThrow(refusal(code, part))
  })
})

function bytes(base64Url: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64Url, 'base64url'))
}
