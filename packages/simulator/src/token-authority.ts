import { generateKeyPairSync } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { BasicConstraints, KeyUsage, KeyUsageFlags } from '@peculiar/asn1-x509'
import type { Name } from '@peculiar/asn1-x509'
import { CompactSign } from 'jose'
import { SimulatorError } from './errors.ts'
import { distinguishedName, extension, issueCertificate } from './issue-certificate.ts'
import { SIMULATOR_OID } from './manufacturer.ts'

/** Under a name that nobody can own (RFC 2606). */
export const SIMULATED_ISSUER = 'https://attestation.simulator.invalid'
const LIFETIME_SECONDS = 3600

/** What the authority vouches for: in a real one these facts come out of evidence, here out of whoever starts the workload. */
export interface SimulatedWorkload {
  readonly instance: {
    readonly project: string
    readonly zone: string
    readonly name: string
    /** Decimal digits, as such claims are written. */
    readonly id: string
  }
  /** Accounts that the workload acts as. */
  readonly accounts: readonly string[]
  readonly image: { readonly reference: string; readonly digest: string }
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** What the operator set at launch on top of the image. */
  readonly overrides: { readonly args: readonly string[]; readonly env: Readonly<Record<string, string>> }
  /** A guest whose operator has a shell. Such guests carry no support attributes. */
  readonly debug: boolean
}

export interface TokenRequest {
  /** The one relying party: 1 to 512 bytes. */
  readonly audience: string
  /** One to six, each 10 to 74 bytes: what every known service accepts. */
  readonly nonces: readonly string[]
}

const NULL = Uint8Array.of(0x05, 0x00)
const COMMON_NAME = '2.5.4.3'
const ORGANIZATION = '2.5.4.10'
const BASIC_CONSTRAINTS = '2.5.29.19'
const KEY_USAGE = '2.5.29.15'

/**
 * An attestation service that makes self-contained tokens (type PKI): RS256, with leaf, intermediate and root in `x5c`.
 * Its keys live for one run; every certificate carries the simulator's mark and every token the claim
 * `vouchsafe.simulated`, which nothing turns off (decision 9).
 */
export class SimulatedTokenAuthority {
  /** DER: what a relying party downloads once and pins by its SHA-256. */
  readonly root: Uint8Array<ArrayBuffer>
  readonly #chain: readonly string[]
  readonly #key: KeyObject

  private constructor(chain: readonly [Uint8Array, Uint8Array, Uint8Array<ArrayBuffer>], key: KeyObject) {
    this.root = chain[2]
    this.#chain = chain.map((der) => Buffer.from(der).toString('base64'))
    this.#key = key
  }

  static create(): SimulatedTokenAuthority {
    const [root, intermediate, leaf] = [newKey(), newKey(), newKey()]
    const [rootName, intermediateName, leafName] = [name('root'), name('intermediate'), name('token signer')]
    const authority = (below: number) => [
      extension(BASIC_CONSTRAINTS, true, new BasicConstraints({ cA: true, pathLenConstraint: below })),
      extension(KEY_USAGE, true, new KeyUsage(KeyUsageFlags.keyCertSign)),
      extension(SIMULATOR_OID, false, NULL),
    ]
    const rootCertificate = issueCertificate({
      subject: rootName,
      issuer: rootName,
      publicKey: root.publicKey,
      signingKey: root.privateKey,
      extensions: authority(1),
    })
    const intermediateCertificate = issueCertificate({
      subject: intermediateName,
      issuer: rootName,
      publicKey: intermediate.publicKey,
      signingKey: root.privateKey,
      extensions: authority(0),
    })
    const leafCertificate = issueCertificate({
      subject: leafName,
      issuer: intermediateName,
      publicKey: leaf.publicKey,
      signingKey: intermediate.privateKey,
      extensions: [
        extension(BASIC_CONSTRAINTS, true, new BasicConstraints({ cA: false })),
        extension(KEY_USAGE, true, new KeyUsage(KeyUsageFlags.digitalSignature)),
        extension(SIMULATOR_OID, false, NULL),
      ],
    })
    return new SimulatedTokenAuthority([leafCertificate, intermediateCertificate, rootCertificate], leaf.privateKey)
  }

  /**
   * Makes a token for a workload, valid for an hour.
   *
   * @throws {SimulatorError} `token.request`
   */
  async mint(workload: SimulatedWorkload, request: TokenRequest, at = new Date()): Promise<string> {
    checkRequest(request)
    const iat = Math.floor(at.getTime() / 1000)
    const [first] = request.nonces
    const claims = {
      iss: SIMULATED_ISSUER,
      aud: request.audience,
      sub: `${SIMULATED_ISSUER}/${workload.instance.project}/${workload.instance.zone}/${workload.instance.name}`,
      iat,
      nbf: iat,
      exp: iat + LIFETIME_SECONDS,
      eat_nonce: request.nonces.length === 1 ? first : request.nonces,
      ...claimsOf(workload),
      'vouchsafe.simulated': true,
    }
    return new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT', x5c: [...this.#chain] })
      .sign(this.#key)
  }
}

/** The names that verifiers of such tokens know; hardware and software say openly that nothing stands behind them. */
function claimsOf({ instance, image, args, env, overrides, accounts, debug }: SimulatedWorkload) {
  return {
    secboot: true,
    hwmodel: 'SIMULATED',
    swname: 'VOUCHSAFE',
    swversion: ['0.1.0'],
    dbgstat: debug ? 'enabled' : 'disabled-since-boot',
    google_service_accounts: accounts,
    submods: {
      container: {
        image_reference: image.reference,
        image_digest: image.digest,
        restart_policy: 'Never',
        args,
        env,
        ...(overrides.args.length === 0 ? {} : { cmd_override: overrides.args }),
        ...(Object.keys(overrides.env).length === 0 ? {} : { env_override: overrides.env }),
      },
      gce: {
        project_id: instance.project,
        zone: instance.zone,
        instance_name: instance.name,
        instance_id: instance.id,
      },
      ...(debug ? {} : { confidential_space: { support_attributes: ['LATEST', 'STABLE', 'USABLE'] } }),
    },
  }
}

function checkRequest({ audience, nonces }: TokenRequest): void {
  const bytes = (text: string) => Buffer.byteLength(text)
  if (audience === '' || bytes(audience) > 512)
    throw new SimulatorError('token.request', `audience: ${bytes(audience)} bytes, wanted 1 to 512`)
  if (nonces.length === 0 || nonces.length > 6)
    throw new SimulatorError('token.request', `nonces: ${nonces.length}, wanted 1 to 6`)
  for (const nonce of nonces)
    if (bytes(nonce) < 10 || bytes(nonce) > 74)
      throw new SimulatorError('token.request', `nonces: one of ${bytes(nonce)} bytes, wanted 10 to 74`)
}

function newKey() {
  return generateKeyPairSync('rsa', { modulusLength: 2048 })
}

function name(role: string): Name {
  return distinguishedName([ORGANIZATION, 'vouchsafe'], [COMMON_NAME, `SIMULATED attestation ${role}`])
}
