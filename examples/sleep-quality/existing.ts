import { X509Certificate, createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { VouchsafeError } from '@vouchsafe/core'
import { type SelfSigned, selfSigned } from './self-signed.ts'

/**
 * What a run finds and leaves, named by variables; all else it makes for itself and removes. With the same identities
 * an image of USleep has the same digest, since it names those who may send.
 */
export interface Existing {
  /** `SLEEP_QUALITY_LAYOUT`: an OCI layout for the images. */
  readonly layout: string | null
  /** `SLEEP_QUALITY_IDENTITIES`: a folder of keys and certificates; those that are missing are made there. */
  readonly identities: string | null
}

export function existing(env: Readonly<Record<string, string | undefined>>): Existing {
  const folder = (name: string) => {
    const value = env[name]
    if (value === '') throw new VouchsafeError('input.malformed', `${name} is empty: name a folder, or unset it`)
    return value === undefined ? null : path.resolve(value)
  }
  return { layout: folder('SLEEP_QUALITY_LAYOUT'), identities: folder('SLEEP_QUALITY_IDENTITIES') }
}

/** The identity that is in the folder, or a new one, kept there unless the folder is null. */
export async function identityOf(name: string, folder: string | null): Promise<SelfSigned> {
  if (folder === null) return selfSigned(name)
  const file = path.join(folder, name.replaceAll(' ', '-'))
  const [certFile, keyFile] = [`${file}.cert.pem`, `${file}.key.pem`]
  if (!existsSync(certFile)) {
    const made = await selfSigned(name)
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    writeFileSync(keyFile, made.key, { flag: 'wx', mode: 0o600 })
    writeFileSync(certFile, made.cert, { flag: 'wx' })
    return made
  }
  const cert = readFileSync(certFile, 'utf8')
  const { raw, validToDate } = new X509Certificate(cert)
  if (validToDate < new Date())
    throw new VouchsafeError(
      'endorsement.expired',
      `${certFile} is over: remove it and ${keyFile} to have new ones made`,
    )
  return { cert, key: readFileSync(keyFile, 'utf8'), sha256: createHash('sha256').update(raw).digest('hex') }
}

/** The names of all blobs in a layout; none before it is made. */
export function blobsOf(layout: string): readonly string[] {
  const blobs = path.join(layout, 'blobs', 'sha256')
  return existsSync(blobs) ? readdirSync(blobs) : []
}
