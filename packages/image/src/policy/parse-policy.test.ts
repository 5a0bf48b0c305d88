import { missingVectors, readVector, readVectorText } from '@vouchsafe/testkit'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ImageError } from '../errors.ts'
import { materialNamedBy } from './material.ts'
import { parsePolicy, writePolicy } from './parse-policy.ts'

const bytes = (value: unknown) => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))
const read = (value: unknown) => parsePolicy(bytes(value))
const reject = [{ type: 'reject' }]
const withRequirement = (requirement: unknown) => ({ default: [requirement] })
const refusal = (message: string | RegExp) =>
  expect.objectContaining({ code: 'policy.malformed', message: expect.stringMatching(message) })
const data = 'bm9uc2Vuc2U='

describe('GU-09 H05 a policy that is not exactly one is refused as a whole', () => {
  test.each([
    ['no default', { transports: {} }, 'default'],
    ['an unknown member', { default: reject, extra: 1 }, 'unknown member "extra"'],
    ['a default that is a number', { default: 1 }, 'default: not an array'],
    ['a default that is an object', { default: {} }, 'default: not an array'],
    ['transports that are a number', { default: reject, transports: 1 }, 'transports: not an object'],
    ['transports that are a list', { default: reject, transports: [] }, 'transports: not an object'],
    ['transports that are null', { default: reject, transports: null }, 'transports: not an object'],
    ['an empty default', { default: [] }, 'default: an empty list'],
    ['an empty scope', { default: reject, transports: { docker: { 'a.example': [] } } }, 'a.example.*empty list'],
    ['default twice', '{"default":[{"type":"reject"}],"default":[{"type":"reject"}]}', 'default'],
    ['transports twice', '{"default":[{"type":"reject"}],"transports":{},"transports":{}}', 'transports'],
    ['a member of a requirement twice', '{"default":[{"type":"reject","type":"reject"}]}', 'type'],
    ['no type', withRequirement({}), 'type undefined'],
    ['an unknown type', withRequirement({ type: 'perhaps' }), 'type "perhaps"'],
    ['an inherited name as type', withRequirement({ type: 'constructor' }), 'type "constructor"'],
    ['reject with another member', withRequirement({ type: 'reject', x: 1 }), 'Unrecognized key.*"x"'],
    ['text that is no JSON', 'default', 'JSON'],
    [
      'signedBy without keys',
      withRequirement({ type: 'signedBy', keyType: 'GPGKeys' }),
      'exactly one of keyPath, keyPaths, keyData',
    ],
    [
      'signedBy with two sources',
      withRequirement({ type: 'signedBy', keyType: 'GPGKeys', keyPath: '/a', keyData: data }),
      'keyPath and keyData',
    ],
    ['an empty list of keys', withRequirement({ type: 'signedBy', keyType: 'GPGKeys', keyPaths: [] }), 'keyPaths'],
    ['signedBy without keyType', withRequirement({ type: 'signedBy', keyPath: '/a' }), 'keyType'],
    ['an unknown keyType', withRequirement({ type: 'signedBy', keyType: 'SSH', keyPath: '/a' }), 'keyType'],
    ['keyData that is not base64', withRequirement({ type: 'sigstoreSigned', keyData: '-----BEGIN' }), 'not base64'],
    ['sigstoreSigned without trust', withRequirement({ type: 'sigstoreSigned' }), 'exactly one of'],
    [
      'an unknown signedIdentity',
      withRequirement({ type: 'sigstoreSigned', keyData: data, signedIdentity: { type: 'any' } }),
      'signedIdentity',
    ],
    [
      'a member that another identity has',
      withRequirement({
        type: 'sigstoreSigned',
        keyData: data,
        signedIdentity: { type: 'matchExact', dockerReference: 'a.example/b:1' },
      }),
      'dockerReference',
    ],
    [
      'exactReference without tag',
      withRequirement({
        type: 'sigstoreSigned',
        keyData: data,
        signedIdentity: { type: 'exactReference', dockerReference: 'a.example/b' },
      }),
      'not a reference with',
    ],
    [
      'exactRepository with tag',
      withRequirement({
        type: 'sigstoreSigned',
        keyData: data,
        signedIdentity: { type: 'exactRepository', dockerRepository: 'a.example/b:1' },
      }),
      'not a repository',
    ],
    [
      'a prefix without host',
      withRequirement({
        type: 'sigstoreSigned',
        keyData: data,
        signedIdentity: { type: 'remapIdentity', prefix: 'library/x', signedPrefix: 'a.example' },
      }),
      'not host',
    ],
    [
      'a prefix whose host no reference is spelt with',
      withRequirement({
        type: 'sigstoreSigned',
        keyData: data,
        signedIdentity: { type: 'remapIdentity', prefix: 'Registry.Example', signedPrefix: 'a.example' },
      }),
      'not host',
    ],
    [
      'fulcio without a log',
      withRequirement({ type: 'sigstoreSigned', fulcio: { caData: data, oidcIssuer: 'i', subjectEmail: 'e' } }),
      'needs the key of a transparency log',
    ],
    [
      'fulcio without subject',
      withRequirement({
        type: 'sigstoreSigned',
        fulcio: { caData: data, oidcIssuer: 'i' },
        rekorPublicKeyData: data,
      }),
      'subjectEmail',
    ],
    [
      'pki with a log',
      withRequirement({
        type: 'sigstoreSigned',
        pki: { caRootsData: data, subjectEmail: 'e' },
        rekorPublicKeyData: data,
      }),
      'exclude each other',
    ],
    [
      'pki without subject',
      withRequirement({ type: 'sigstoreSigned', pki: { caRootsData: data } }),
      'names no subject',
    ],
    [
      'two sources of log keys',
      withRequirement({ type: 'sigstoreSigned', keyData: data, rekorPublicKeyData: data, rekorPublicKeyPath: '/a' }),
      'at most one of',
    ],
    [
      'CS-11 a threshold of zero',
      withRequirement({ type: 'vouchsafeSigners', threshold: 0, signers: [{ name: 'a', keyData: data }] }),
      'threshold',
    ],
    [
      'CS-11 a threshold that nobody can reach',
      withRequirement({ type: 'vouchsafeSigners', threshold: 2, signers: [{ name: 'a', keyData: data }] }),
      'more than there are signers',
    ],
    ['CS-11 no signers', withRequirement({ type: 'vouchsafeSigners', threshold: 1, signers: [] }), 'signers'],
    [
      'CS-11 a signer twice',
      withRequirement({
        type: 'vouchsafeSigners',
        threshold: 1,
        signers: [
          { name: 'a', keyData: data },
          { name: 'a', keyPath: '/b' },
        ],
      }),
      'a name twice',
    ],
    [
      'GU-27 a scheme that is not known',
      withRequirement({ type: 'signedBy', scheme: 'notary', keyPath: '/a' }),
      'scheme "notary"',
    ],
    [
      'GU-27 a member of the other layout',
      withRequirement({ type: 'signedBy', scheme: 'cosign', keyPath: '/a', rekorPublicKeyPath: '/b' }),
      'rekorPublicKeyPath',
    ],
    [
      'GU-27 scheme simple without keyType',
      withRequirement({ type: 'signedBy', scheme: 'simple', keyPath: '/a' }),
      'keyType',
    ],
    ['GU-27 scheme cosign without a key', withRequirement({ type: 'signedBy', scheme: 'cosign' }), 'exactly one of'],
    [
      'GU-27 a scheme on sigstoreSigned',
      withRequirement({ type: 'sigstoreSigned', scheme: 'cosign', keyPath: '/a' }),
      'scheme',
    ],
  ])('%s', (_what, value, message) => {
    expect(() => read(value)).toThrow(refusal(message))
  })

  test.each([
    ['without transports', { default: reject }],
    ['with no transport', { default: reject, transports: {} }],
    [
      'with CS-11 two of three signers',
      withRequirement({
        type: 'vouchsafeSigners',
        threshold: 2,
        signers: [
          { name: 'a', keyData: data },
          { name: 'b', keyPath: 'kbs:///k/b/1' },
          { name: 'c', keyPath: '/c' },
        ],
      }),
    ],
  ])('and stands %s', (_what, value) => {
    expect(JSON.parse(writePolicy(read(value)))).toEqual('transports' in value ? { default: value.default } : value)
  })
})

test('GU-27 the older layout reads as the same words of the other, and is written in them', () => {
  const signedIdentity = { type: 'matchRepository' }
  const older = {
    default: [
      { type: 'signedBy', scheme: 'simple', keyType: 'GPGKeys', keyPath: '/ring', signedIdentity },
      { type: 'signedBy', scheme: 'cosign', keyData: data, signedIdentity },
    ],
  }
  const converted = {
    default: [
      { type: 'signedBy', keyType: 'GPGKeys', keyPath: '/ring', signedIdentity },
      { type: 'sigstoreSigned', keyData: data, signedIdentity },
    ],
  }
  expect(JSON.parse(writePolicy(read(older)))).toEqual(converted)
  expect(read(older)).toEqual(read(converted))
})

describe.skipIf(missingVectors())('GU-09 recorded policies', () => {
  test.each([
    'containers-image/signature/fixtures/policy.json',
    'guest-components/image-rs/test_data/simple-signing-scheme/security_policy.json',
    'guest-components/image-rs/test_data/signature/policy.json',
    'guest-components/attestation-agent/kbc/src/sample_kbc/policy.json',
  ])('%s parses and is written equal', (name) => {
    const policy = parsePolicy(readVector(`guest/${name}`), name)
    expect(JSON.parse(writePolicy(policy))).toEqual(JSON.parse(readVectorText(`guest/${name}`)))
  })

  test('whichever byte is changed, it reads or is refused by its own error', () => {
    const raw = readVector('guest/containers-image/signature/fixtures/policy.json')
    fc.assert(
      fc.property(fc.nat(raw.length - 1), fc.nat(255), (at, value) => {
        try {
          parsePolicy(raw.with(at, value))
        } catch (error) {
          expect(error).toBeInstanceOf(ImageError)
          expect(error).toMatchObject({ code: 'policy.malformed' })
        }
      }),
      { seed: 27, numRuns: 1000 },
    )
  })
})

test('H05 what a scheme’s parameters hold in the place of addresses is none, and no crash', () => {
  const parameters = { keyPaths: [{ kbs: 1 }, 'kbs:///keys/ann'] }
  const policy = read(withRequirement({ type: 'vouchsafeScheme', scheme: 'x', parameters }))
  expect(materialNamedBy(policy)).toEqual(['kbs:///keys/ann'])
})
