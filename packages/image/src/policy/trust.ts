import { ImageError } from '../errors.ts'
import { parseCertificates } from '../signature/certificate-identity.ts'
import { parsePublicKey, type VerificationKey } from '../signature/verification-key.ts'
import { rootOf } from '../signature/sigstore-root.ts'
import type { BundleTrust } from '../signature/verify-bundle.ts'
import type { SignerTrust } from '../signature/verify-cosign.ts'
import { type KeyRing, parseKeyRing } from '../signature/verify-simple.ts'
import type { MaterialReader } from './material.ts'
import type { SignedBy, Signers, SigstoreSigned } from './requirement.ts'

/** A key under the name that the policy gives it. */
export interface NamedKey {
  readonly name: string
  readonly key: VerificationKey
}

/** @throws {ImageError} `policy.material`, naming the file or address (GU-29). */
export async function loadRings(requirement: SignedBy, read: MaterialReader): Promise<readonly KeyRing[]> {
  const sources = await readAll(requirement, '', read)
  return Promise.all(sources.map(({ bytes, where }) => named(where, async () => parseKeyRing(bytes, where))))
}

/** Keys or certificates of a `sigstoreSigned`. @throws {ImageError} `policy.material`, naming the file or address (GU-29). */
export async function loadTrust(
  requirement: SigstoreSigned,
  ports: { readonly material: MaterialReader; readonly at: Date },
): Promise<SignerTrust> {
  const { fulcio, pki } = requirement
  const read = ports.material
  const rekor = await loadKeys(
    {
      keyPath: requirement.rekorPublicKeyPath,
      keyPaths: requirement.rekorPublicKeyPaths,
      keyData: requirement.rekorPublicKeyData,
      keyDatas: requirement.rekorPublicKeyDatas,
    },
    'rekor',
    read,
  )
  for (const { where, key } of rekor)
    if (!key.algorithm.startsWith('ECDSA_'))
      throw new ImageError('policy.material', `${where}: a log's key is ECDSA, this is ${key.algorithm}`)
  const rekorKeys = rekor.map(({ key }) => key)
  if (fulcio !== undefined) {
    const roots = await loadCertificates({ path: fulcio.caPath, data: fulcio.caData }, 'fulcio.caData', read)
    const { oidcIssuer, subjectEmail } = fulcio
    return { kind: 'fulcio', roots, oidcIssuer, subjectEmail, rekorKeys }
  }
  if (pki !== undefined) {
    const { subjectEmail, subjectHostname } = pki
    return {
      kind: 'pki',
      roots: await loadCertificates({ path: pki.caRootsPath, data: pki.caRootsData }, 'pki.caRootsData', read),
      intermediates: await loadCertificates(
        { path: pki.caIntermediatesPath, data: pki.caIntermediatesData },
        'pki.caIntermediatesData',
        read,
      ),
      at: ports.at,
      ...(subjectEmail === undefined ? {} : { subjectEmail }),
      ...(subjectHostname === undefined ? {} : { subjectHostname }),
    }
  }
  const keys = (await loadKeys(requirement, '', read)).map(({ key }) => key)
  return { kind: 'keys', keys, ...(rekorKeys.length === 0 ? {} : { rekorKeys }) }
}

/** @throws {ImageError} `policy.material` when two of the names are one key: a threshold counts keys. */
export async function loadSigners(signers: Signers['signers'], read: MaterialReader): Promise<readonly NamedKey[]> {
  const keys: NamedKey[] = []
  for (const signer of signers) {
    const [loaded] = await loadKeys(signer, `signer ${signer.name}: `, read)
    if (loaded === undefined) throw new ImageError('policy.material', `signer ${signer.name}: no key`)
    const twin = keys.find(({ key }) => key.id === loaded.key.id)
    if (twin !== undefined)
      throw new ImageError('policy.material', `signers ${twin.name} and ${signer.name} have the same key`)
    keys.push({ name: signer.name, key: loaded.key })
  }
  return keys
}

/** The same signers, for bundles. */
export function bundleTrustOf(trust: SignerTrust, place: string): BundleTrust {
  switch (trust.kind) {
    case 'keys': {
      const { keys, rekorKeys } = trust
      return { kind: 'keys', keys, ...(rekorKeys === undefined ? {} : { logs: rootOf({ logKeys: rekorKeys }) }) }
    }
    case 'fulcio':
      return {
        kind: 'certificates',
        root: rootOf({ authorities: [trust.roots.map(({ der }) => der)], logKeys: trust.rekorKeys }),
        identity: { subject: trust.subjectEmail, issuer: trust.oidcIssuer },
      }
    case 'pki':
      throw new ImageError('signature.mismatch', `${place}: a bundle, and pki is about certificates in annotations`)
  }
}

interface KeySources {
  readonly keyPath?: string | undefined
  readonly keyPaths?: readonly string[] | undefined
  readonly keyData?: string | undefined
  readonly keyDatas?: readonly string[] | undefined
}

async function loadKeys(
  sources: KeySources,
  prefix: string,
  read: MaterialReader,
): Promise<readonly { readonly where: string; readonly key: VerificationKey }[]> {
  const all = await readAll(sources, prefix, read)
  return Promise.all(
    all.map(async ({ where, bytes }) => ({ where, key: await named(where, async () => parsePublicKey(bytes, where)) })),
  )
}

async function loadCertificates(
  source: { readonly path: string | undefined; readonly data: string | undefined },
  label: string,
  read: MaterialReader,
) {
  const where = source.path ?? label
  if (source.path === undefined && source.data === undefined) return []
  const bytes = source.path === undefined ? Buffer.from(source.data ?? '', 'base64') : await read(source.path)
  return named(where, async () => parseCertificates(Buffer.from(bytes).toString('latin1'), where))
}

async function readAll(
  { keyPath, keyPaths = [], keyData, keyDatas = [] }: KeySources,
  prefix: string,
  read: MaterialReader,
): Promise<readonly { readonly where: string; readonly bytes: Uint8Array }[]> {
  const paths = keyPath === undefined ? keyPaths : [keyPath]
  const datas = keyData === undefined ? keyDatas : [keyData]
  const fromPaths = await Promise.all(paths.map(async (where) => ({ where, bytes: await read(where) })))
  const fromData = datas.map((data, i) => ({
    where: `${prefix}${datas.length === 1 ? 'keyData' : `keyDatas[${i}]`}`,
    bytes: new Uint8Array(Buffer.from(data, 'base64')),
  }))
  return [...fromPaths, ...fromData]
}

/** A key that a policy names and that is none makes the policy unusable: there is no answer. */
async function named<T>(where: string, parse: () => Promise<T>): Promise<T> {
  try {
    return await parse()
  } catch (cause) {
    if (!(cause instanceof ImageError)) throw cause
    const { message } = cause
    throw new ImageError('policy.material', message.startsWith(where) ? message : `${where}: ${message}`, { cause })
  }
}
