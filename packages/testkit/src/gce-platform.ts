import 'reflect-metadata'
import { type KeyObject, createHash, generateKeyPairSync, sign } from 'node:crypto'
import * as x509 from '@peculiar/x509'

/** A fake of a cloud's control plane: signs identity documents with a key of its own, and answers like its API. */

export interface GceInstanceSpec {
  readonly id: string
  readonly name?: string
  readonly project?: string
  readonly zone?: string
  readonly account?: string
  readonly userData?: string
  readonly fingerprint?: string
  readonly image?: string
  readonly status?: string
  readonly metadata?: Readonly<Record<string, string>>
  readonly projectMetadata?: Readonly<Record<string, string>>
  readonly address?: string
  readonly confidential?: string
  /** PEM, as the API publishes it. */
  readonly endorsementKey?: string
  readonly attestationKey?: string
  /** Entries after the one of its making. */
  readonly audit?: readonly object[]
  /** False leaves the entry of its making out. */
  readonly madeOnRecord?: boolean
  readonly auditComplete?: boolean
}

export const GCE_ISSUER = 'https://accounts.google.com'
const CREATED = '2026-01-02T03:04:05.000-07:00'

export function gceAuditEntry(method: string, at: string, request: object = {}): object {
  const authenticationInfo = { principalEmail: 'bob@example.com' }
  return {
    timestamp: at,
    severity: 'NOTICE',
    protoPayload: {
      '@type': 'type.googleapis.com/google.cloud.audit.AuditLog',
      methodName: method,
      authenticationInfo,
      request,
    },
  }
}

const itemsOf = (values: Readonly<Record<string, string>>) => ({
  kind: 'compute#metadata',
  items: Object.entries(values).map(([key, value]) => ({ key, value })),
})

/** What the API answers of an instance, in the form of a recording. */
export function gceRecording(spec: GceInstanceSpec) {
  const project = spec.project ?? 'client-project'
  const zone = spec.zone ?? 'us-central1-a'
  const base = `https://www.googleapis.com/compute/v1/projects/${project}`
  const metadata = { 'user-data': spec.userData ?? '#cloud-config\n', ...spec.metadata }
  const made = gceAuditEntry('beta.compute.instances.insert', '2026-01-02T10:04:05Z', { metadata: itemsOf(metadata) })
  return {
    at: '2026-01-02T10:10:00Z',
    project,
    instance: {
      kind: 'compute#instance',
      id: spec.id,
      name: spec.name ?? 'tokenclient',
      zone: `${base}/zones/${zone}`,
      status: spec.status ?? 'RUNNING',
      creationTimestamp: CREATED,
      fingerprint: spec.fingerprint ?? 'Pj1tQ8rvvKs=',
      metadata: itemsOf(metadata),
      disks: [{ boot: true, source: `${base}/zones/${zone}/disks/boot` }],
      serviceAccounts: [{ email: spec.account ?? 'tokenclient@client-project.iam.gserviceaccount.com', scopes: [] }],
      networkInterfaces: [{ networkIP: '10.0.0.2', accessConfigs: spec.address ? [{ natIP: spec.address }] : [] }],
      shieldedInstanceConfig: { enableSecureBoot: true, enableVtpm: true, enableIntegrityMonitoring: true },
      ...(spec.confidential && {
        confidentialInstanceConfig: { enableConfidentialCompute: true, confidentialInstanceType: spec.confidential },
      }),
    },
    disks: [
      {
        name: 'boot',
        sourceImage: spec.image ?? `${base.replace('client-project', 'cos-cloud')}/global/images/cos-stable-121`,
      },
    ],
    projectMetadata: { name: project, commonInstanceMetadata: itemsOf(spec.projectMetadata ?? {}) },
    shieldedIdentity: {
      kind: 'compute#shieldedInstanceIdentity',
      ...(spec.endorsementKey && { encryptionKey: { ekPub: spec.endorsementKey } }),
      ...(spec.attestationKey && { signingKey: { ekPub: spec.attestationKey } }),
    },
    audit: {
      complete: spec.auditComplete ?? true,
      entries: [...(spec.madeOnRecord === false ? [] : [made]), ...(spec.audit ?? [])],
    },
  }
}

/** Signs identity documents as the platform's metadata server hands them out. */
export class GcePlatform {
  readonly #keys: { readonly kid: string; readonly privateKey: KeyObject; readonly publicKey: KeyObject }[] = []

  constructor() {
    this.rotate()
  }

  /** Begins to sign with a new key; the earlier ones stay published. */
  rotate(): void {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    this.#keys.push({ kid: createHash('sha1').update(String(Math.random())).digest('hex'), privateKey, publicKey })
  }

  /** As the issuer publishes it. */
  jwks(): { readonly keys: readonly object[] } {
    return {
      keys: this.#keys.map((k) => ({ ...k.publicKey.export({ format: 'jwk' }), kid: k.kid, alg: 'RS256', use: 'sig' })),
    }
  }

  /** @param overrides - Claims to be wrong; `undefined` leaves one out. */
  document(
    spec: GceInstanceSpec,
    audience: string,
    overrides: Readonly<Record<string, unknown>> = {},
    header: Readonly<Record<string, unknown>> = {},
  ): string {
    const key = this.#keys.at(-1)
    if (key === undefined) throw new Error('no key')
    const now = Math.floor(Date.now() / 1000)
    const claims = {
      aud: audience,
      azp: '112179062720391305885',
      email: spec.account ?? 'tokenclient@client-project.iam.gserviceaccount.com',
      email_verified: true,
      exp: now + 3600,
      google: {
        compute_engine: {
          ...(spec.confidential && { instance_confidentiality: 1 }),
          instance_creation_timestamp: 1767348245,
          instance_id: spec.id,
          instance_name: spec.name ?? 'tokenclient',
          project_id: spec.project ?? 'client-project',
          project_number: 1071284184436,
          zone: spec.zone ?? 'us-central1-a',
        },
      },
      iat: now,
      iss: GCE_ISSUER,
      sub: '112179062720391305885',
      // two documents of one second would be one document
      jti: String(Math.random()),
      ...overrides,
    }
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const signed = `${encode({ alg: 'RS256', kid: key.kid, typ: 'JWT', ...header })}.${encode(claims)}`
    return `${signed}.${sign('sha256', Buffer.from(signed), key.privateKey).toString('base64url')}`
  }
}

export interface TlsIdentity {
  readonly certificate: string
  readonly key: string
}

const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/** A certificate authority for TLS: servers by name or address, clients by account. */
export class TlsAuthority {
  readonly certificate: string
  readonly #issuer: x509.X509Certificate
  readonly #keys: CryptoKeyPair

  private constructor(issuer: x509.X509Certificate, keys: CryptoKeyPair) {
    this.#issuer = issuer
    this.#keys = keys
    this.certificate = `${issuer.toString('pem')}\n`
  }

  static async create(name: string): Promise<TlsAuthority> {
    const keys = await crypto.subtle.generateKey(EC, true, ['sign', 'verify'])
    const issuer = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: '01',
      name: `CN=${name}`,
      notBefore: new Date(Date.now() - 86_400_000),
      notAfter: new Date(Date.now() + 864_000_000),
      signingAlgorithm: EC,
      keys,
      extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
    })
    return new TlsAuthority(issuer, keys)
  }

  async issue(
    names: readonly { readonly type: 'dns' | 'ip' | 'email'; readonly value: string }[],
    serialNumber = Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString('hex'),
  ): Promise<TlsIdentity> {
    const keys = await crypto.subtle.generateKey(EC, true, ['sign', 'verify'])
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber,
      subject: `CN=${names[0]?.value ?? 'nobody'}`,
      issuer: this.#issuer.subject,
      notBefore: new Date(Date.now() - 86_400_000),
      notAfter: new Date(Date.now() + 864_000_000),
      signingAlgorithm: EC,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      extensions: [new x509.SubjectAlternativeNameExtension([...names])],
    })
    const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64')
    return {
      certificate: `${certificate.toString('pem')}\n`,
      key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
    }
  }
}
