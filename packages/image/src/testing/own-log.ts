import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { verificationKey } from '../signature/verification-key.ts'

interface Json {
  [member: string]: any
}

/** A transparency log of our own, so that it can lie. */
export function ownLog(name = 'log.example') {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const key = verificationKey(publicKey)
  const promise = (bundle: Json, verifierPem: string) => {
    const { payload, signatures } = bundle['dsseEnvelope']
    const value = createHash('sha256').update(Buffer.from(payload, 'base64')).digest('hex')
    const verifier = Buffer.from(verifierPem).toString('base64')
    const body = Buffer.from(
      JSON.stringify({
        apiVersion: '0.0.1',
        kind: 'dsse',
        spec: { payloadHash: { algorithm: 'sha256', value }, signatures: [{ signature: signatures[0].sig, verifier }] },
      }),
    ).toString('base64')
    const promised = JSON.stringify({ body, integratedTime: 1_790_000_000, logID: key.id, logIndex: 7 })
    bundle['verificationMaterial'].tlogEntries = [
      {
        logIndex: '7',
        logId: { keyId: Buffer.from(key.id, 'hex').toString('base64') },
        kindVersion: { kind: 'dsse', version: '0.0.1' },
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
