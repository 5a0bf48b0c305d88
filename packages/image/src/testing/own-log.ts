import { createHash, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { verificationKey } from '../signature/verification-key.ts'

interface Json {
  [member: string]: any
}

/** `dsse 0.0.3` is of no release. */
export type EntryForm = 'dsse 0.0.1' | 'dsse 0.0.2' | 'dsse 0.0.3' | 'intoto 0.0.2'

/** What a log keeps of an envelope, in the forms of its releases. */
function specOf(form: EntryForm, { payload, signatures }: Json, verifierPem: string): object {
  const hash = createHash('sha256').update(Buffer.from(payload, 'base64'))
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const [{ sig }] = signatures
  if (form === 'dsse 0.0.2' || form === 'dsse 0.0.3') {
    const rawBytes = createPublicKey(verifierPem).export({ format: 'der', type: 'spki' }).toString('base64')
    const verifier = { keyDetails: 'PKIX_ECDSA_P256_SHA_256', publicKey: { rawBytes } }
    const payloadHash = { algorithm: 'SHA2_256', digest: hash.digest('base64') }
    return { dsseV002: { payloadHash, signatures: [{ content: sig, verifier }] } }
  }
  const payloadHash = { algorithm: 'sha256', value: hash.digest('hex') }
  if (form === 'dsse 0.0.1') return { payloadHash, signatures: [{ signature: sig, verifier: base64(verifierPem) }] }
  const envelope = { signatures: [{ sig: base64(sig), publicKey: base64(verifierPem) }] }
  return { content: { envelope, payloadHash } }
}

/** A transparency log of our own, so that it can lie. */
export function ownLog(name = 'log.example') {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const key = verificationKey(publicKey)
  const promise = (bundle: Json, verifierPem: string, form: EntryForm = 'dsse 0.0.1') => {
    const [kind = '', version = ''] = form.split(' ')
    const spec = specOf(form, bundle['dsseEnvelope'], verifierPem)
    const body = Buffer.from(JSON.stringify({ apiVersion: version, kind, spec })).toString('base64')
    const promised = JSON.stringify({ body, integratedTime: 1_790_000_000, logID: key.id, logIndex: 7 })
    bundle['verificationMaterial'].tlogEntries = [
      {
        logIndex: '7',
        logId: { keyId: Buffer.from(key.id, 'hex').toString('base64') },
        kindVersion: { kind, version },
        integratedTime: '1790000000',
        inclusionPromise: {
          signedEntryTimestamp: sign('sha256', Buffer.from(promised), privateKey).toString('base64'),
        },
        inclusionProof: proof(Buffer.from(body, 'base64')),
        canonicalizedBody: body,
      },
    ]
    return bundle
  }
  // a tree of one leaf: its root is the leaf's hash
  const proof = (body: Buffer) => {
    const rootHash = createHash('sha256')
      .update(Buffer.concat([Buffer.of(0), body]))
      .digest('base64')
    const note = `${name}\n1\n${rootHash}\n`
    const by = Buffer.concat([Buffer.from(key.id.slice(0, 8), 'hex'), sign('sha256', Buffer.from(note), privateKey)])
    const envelope = `${note}\n\u2014 ${name} ${by.toString('base64')}\n`
    return { logIndex: '0', rootHash, treeSize: '1', hashes: [], checkpoint: { envelope } }
  }
  return { key, promise }
}
