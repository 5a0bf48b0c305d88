import type { KeyObject } from 'node:crypto'
import { TpmError } from '../codec/errors.ts'
import type { TpmEccPublic, TpmPublic, TpmRsaPublic } from '../codec/public-area.ts'
import { FIELD_BYTES, leftPad, spkiOfTpmPublic } from '../verify/spki.ts'
import { importSpki } from './import-spki.ts'

/** A TPM key for node:crypto. @throws {TpmError} `input.malformed`, also for a point that is not on its curve. */
export function toKeyObject(area: TpmPublic): KeyObject {
  const spki = spkiOfTpmPublic(area)
  try {
    return importSpki(spki)
  } catch (cause) {
    throw new TpmError('input.malformed', 'TPMT_PUBLIC: not a valid public key', { cause })
  }
}

const CURVE_OF = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' } as const

/**
 * The public area that a key has when it was made from `template`: for parents of which only the key is known, from a
 * certificate. Right only for keys which really come from that template.
 *
 * @throws {TpmError} `input.malformed` when key and template are of different kinds.
 */
export function publicAreaFor(key: KeyObject, template: TpmRsaPublic | TpmEccPublic): TpmRsaPublic | TpmEccPublic {
  const jwk = key.export({ format: 'jwk' })
  if (template.type === 'rsa') {
    const bits = key.asymmetricKeyDetails?.modulusLength
    const exponent = key.asymmetricKeyDetails?.publicExponent
    if (jwk.n === undefined || bits !== template.keyBits || exponent !== 65537n)
      throw new TpmError('input.malformed', `the key is not RSA with ${template.keyBits} bits and exponent 65537`)
    return { ...template, modulus: coordinate(jwk.n, bits / 8) }
  }
  const curve = CURVE_OF[key.asymmetricKeyDetails?.namedCurve as keyof typeof CURVE_OF]
  if (jwk.x === undefined || jwk.y === undefined || curve === undefined || curve !== template.curve)
    throw new TpmError('input.malformed', `the key is not on ${template.curve}`)
  const size = FIELD_BYTES[curve]
  return { ...template, x: coordinate(jwk.x, size), y: coordinate(jwk.y, size) }
}

function coordinate(base64url: string, size: number): Uint8Array<ArrayBuffer> {
  return leftPad(Buffer.from(base64url, 'base64url'), size)
}
