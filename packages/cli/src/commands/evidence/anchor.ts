import { readFileSync } from 'node:fs'
import { evidence, fromUtf8, VouchsafeError, x509 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { GotpmAnchor } from '@vouchsafe/tpm/gotpm'
import { parsePemOrDer } from '../../certificate-file.ts'
import { UsageError, withHint } from '../../output.ts'
import { readPublicKeyFile } from '../tpm/public-file.ts'
import type { VerifyOptions } from './format.ts'

/** Why an attestation key is believed, and in what words to say so. */
export interface Trust {
  readonly anchor: GotpmAnchor
  readonly why: string
  readonly instance?: evidence.GceInstance
}

export interface Presented {
  /** DER; empty without one. */
  readonly certificate: Uint8Array
  readonly intermediates: readonly Uint8Array[]
}

/** From the command line: known keys, or roots to which the key's certificate must chain; neither is no trust. */
export async function trustFor(presented: Presented, options: VerifyOptions): Promise<Trust> {
  const keys = options.trustKey ?? []
  const roots = options.trustRoot ?? []
  if (keys.length > 0 && (roots.length > 0 || options.google === true))
    throw new UsageError('trust in a key and in a root', 'give either --trust-key, or --trust-root or --google')
  if (keys.length > 0)
    return { anchor: { kind: 'trusted-keys', spkis: keys.map(readPublicKeyFile) }, why: `a key in ${keys.join(', ')}` }
  if (roots.length > 0 || options.google === true) return trustByChain(presented, options)
  return { anchor: { kind: 'none' }, why: 'nothing' }
}

async function trustByChain({ certificate: der, intermediates }: Presented, options: VerifyOptions): Promise<Trust> {
  if (der.length === 0)
    throw withHint(
      new VouchsafeError('endorsement.unavailable', 'the attestation key came without a certificate'),
      'collect with a certified key, such as --key gce-ak-ecc, or name the key itself with --trust-key',
    )
  const { certificate } = x509.readEkCertificate(der)
  const chain = await x509.verifyChain({
    leaf: certificate,
    intermediates: [...intermediates, ...(options.intermediate ?? []).flatMap(readCertificates)].map((c) =>
      x509.parseCertificate(c),
    ),
    anchors: anchorsOf(options),
    at: timeOf(options.at),
    crypto: nodeCrypto,
    leafKeyUsage: 'digitalSignature',
    extendedKeyUsage: 'any',
    revocation: 'not-checked',
    handledCritical: x509.EK_HANDLED_CRITICAL,
  })
  const instance = evidence.readGceInstance(certificate)
  return {
    anchor: { kind: 'certificate', certificate: der, spki: certificate.spki },
    why: `its certificate, which chains to ${chain.anchor.name}; revocation was not checked`,
    ...(instance !== undefined && { instance }),
  }
}

function anchorsOf({ trustRoot = [], google }: VerifyOptions): readonly x509.Anchor[] {
  const given = trustRoot.flatMap((file) =>
    readCertificates(file).map((der) => x509.parseAnchor(der, { class: 'tpm', name: file })),
  )
  return google === true ? [...evidence.googleVtpmRoots(), ...given] : given
}

/** DER of all certificates in a file of PEM, or of the one in a file of DER. */
function readCertificates(file: string): readonly Uint8Array[] {
  const bytes = new Uint8Array(readFileSync(file))
  if (bytes[0] === 0x30) return [parsePemOrDer(bytes, file)]
  return x509.parsePem(fromUtf8(bytes, file), 'CERTIFICATE')
}

/** The moment as of which certificates must be valid. */
export function timeOf(text: string | undefined, option = '--at'): Date {
  const at = text === undefined ? new Date() : new Date(text)
  if (Number.isNaN(at.getTime()))
    throw new UsageError(`${option} ${text} is not a time`, `for example ${option} 2026-11-22T00:00:00Z`)
  return at
}
