import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { toHex, x509 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { spkiOfTpmPublic } from '@vouchsafe/tpm/verify'
import type { EkCertificate, Tpm } from '@vouchsafe/tpm'
import type { TpmPublic } from '@vouchsafe/tpm/codec'
import type { Command } from 'commander'
import { EXIT } from '../../output.ts'
import { type Done, outputOf } from '../options.ts'
import { type KeyTemplateName, withKey } from './key-argument.ts'
import { encodePublicFile } from './public-file.ts'
import { tpmVerb, type TpmVerbOptions, withTpm } from './tpm-verb.ts'
import { writePublicFile } from './write-output.ts'

const KEYS: readonly KeyTemplateName[] = ['ek-rsa', 'ek-ecc', 'ak-rsa', 'ak-ecc']

/** `vouchsafe tpm identity`. */
export function identityCommand(done: Done): Command {
  return tpmVerb('identity', 'manufacturer, firmware version, endorsement and attestation keys, certificates')
    .option('--out <directory>', 'write keys and certificates there: NAME.pub, NAME.pem, NAME.crt')
    .addHelpText(
      'after',
      '\nExample:\n  $ vouchsafe tpm identity --out machine-7\n  $ vouchsafe tpm credential make --ek machine-7/ek-rsa.crt --ak machine-7/ak-ecc.pub --new-secret s --out challenge\n\nNothing here is verified: a certificate counts once its chain was checked to its manufacturer’s root.',
    )
    .action(async (options: TpmVerbOptions & { out?: string }) => {
      const { stated, keys, certificates, issuers } = await withTpm(options, collect)
      const shown = certificates.map(describeCertificate)
      const answer = {
        manufacturer: stated.manufacturer,
        vendor: stated.vendor,
        firmwareVersion: firmware(stated.firmwareVersion),
        specification: `${stated.revision} (${stated.year})`,
        keys: Object.fromEntries(keys.map(({ key, name, area }) => [key, { name, spkiSha256: fingerprint(area) }])),
        certificates: shown,
        issuerCertificates: issuers.length,
      }
      if (options.out !== undefined) writeAll(options.out, keys, certificates)
      outputOf(options).answer(
        answer,
        [
          `manufacturer   ${answer.manufacturer} ${answer.vendor}`.trimEnd(),
          `firmware       ${answer.firmwareVersion}`,
          `specification  TPM 2.0 revision ${answer.specification}`,
          ...keys.map(({ key, name }) => `${key.padEnd(13)}  ${name}`),
          ...shown.map(
            (c) =>
              `certificate    ${c.of}: ${c.subject}, by ${c.issuer}, until ${c.notAfter}\n               SHA-256 ${c.sha256}`,
          ),
          ...(shown.length === 0 ? ['certificate    none: its endorsement key has to be enrolled by hand'] : []),
          'NOT VERIFIED',
        ].join('\n'),
      )
      done(EXIT.yes)
    })
}

interface NamedKey {
  readonly key: KeyTemplateName
  readonly name: string
  readonly area: TpmPublic
}

async function collect(tpm: Tpm) {
  const keys: NamedKey[] = []
  for (const key of KEYS)
    keys.push(await withKey(tpm, key, async (made) => ({ key, name: toHex(made.name), area: made.public })))
  return {
    keys,
    stated: await tpm.identity(),
    certificates: await tpm.readEkCertificates(),
    issuers: await tpm.readEkCertificateChain(),
  }
}

function describeCertificate({ template, certificate: der }: EkCertificate) {
  const { certificate, tpm } = x509.readEkCertificate(der)
  return {
    of: template,
    subject: certificate.label,
    issuer: certificate.issuer.text,
    notAfter: certificate.notAfter.toISOString(),
    sha256: toHex(nodeCrypto.digest('sha256', certificate.der)),
    ...(tpm !== undefined && { tpm }),
  }
}

/** TPM vendors number firmware in four 16-bit parts. */
function firmware(version: bigint): string {
  return [48n, 32n, 16n, 0n].map((shift) => String((version >> shift) & 0xffffn)).join('.')
}

function fingerprint(area: TpmPublic): string {
  return toHex(nodeCrypto.digest('sha256', spkiOfTpmPublic(area)))
}

const CERTIFICATE_FILES: Readonly<Record<string, string>> = { ekRsa2048: 'ek-rsa.crt', ekEccP256: 'ek-ecc.crt' }

function writeAll(directory: string, keys: readonly NamedKey[], certificates: readonly EkCertificate[]): void {
  mkdirSync(directory, { recursive: true })
  for (const { key, area } of keys) {
    writePublicFile(path.join(directory, `${key}.pub`), encodePublicFile(area))
    const base64 = Buffer.from(spkiOfTpmPublic(area)).toString('base64')
    const lines = base64.match(/.{1,64}/g) ?? []
    writePublicFile(path.join(directory, `${key}.pem`), pem('PUBLIC KEY', lines))
  }
  for (const { template, certificate } of certificates)
    writePublicFile(path.join(directory, CERTIFICATE_FILES[template] ?? `${template}.crt`), certificate)
}

function pem(label: string, lines: readonly string[]): string {
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
